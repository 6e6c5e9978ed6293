// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPayloadTar(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("copied"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := append(Unit("a.service", "[Unit]\n", "x.target"),
		File{Path: "/usr/bin/a", Mode: 0o755, Source: source},
		File{Path: "/var/empty", Mode: fs.ModeDir | 0o700})
	packed, err := payloadTar(files)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		name, link, content string
		kind                byte
		mode                int64
	}
	want := []entry{
		{"etc/systemd/system/a.service", "", "[Unit]\n", tar.TypeReg, 0o644},
		{"etc/systemd/system/x.target.wants/a.service", "/etc/systemd/system/a.service", "", tar.TypeSymlink, 0o777},
		{"usr/bin/a", "", "copied", tar.TypeReg, 0o755},
		{"var/empty/", "", "", tar.TypeDir, 0o700},
	}
	var got []entry
	for r := tar.NewReader(bytes.NewReader(packed)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		content, readErr := io.ReadAll(r)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s belongs to %d:%d; want 0:0", h.Name, h.Uid, h.Gid)
		}
		got = append(got, entry{h.Name, h.Linkname, string(content), h.Typeflag, h.Mode})
	}
	if !slices.Equal(got, want) {
		t.Errorf("payloadTar holds\n%+v; want\n%+v", got, want)
	}
	for _, bad := range []File{{Path: "etc/relative"}, {Path: "/a", Source: source + ".missing"}} {
		if _, err := payloadTar([]File{bad}); err == nil {
			t.Errorf("payloadTar(%+v) succeeded; want an error", bad)
		}
	}
}

// TestReport runs the functions of inside/run as a shell does and reads back the result.
func TestReport(t *testing.T) {
	_, rest, _ := strings.Cut(string(reportRunner), "spool=/run/ctxtest\n")
	functions, _, found := strings.Cut(rest, "\nfinish()")
	if !found {
		t.Fatal("find the functions of inside/run: its layout has changed")
	}
	dir := t.TempDir()
	script := "spool=" + dir + "\nexec 3>" + dir + "/report\n" + functions + `
mkdir -p $spool/top/sub
printf '@@END 0\n\000\377' >$spool/top/sub/binary
file "two words" sh -c 'echo out; echo err >&2; exit 3'
file empty true
tree $spool/top
`
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("run report functions: %v: %s", err, out)
	}
	report, err := os.ReadFile(filepath.Join(dir, "report"))
	if err != nil {
		t.Fatal(err)
	}
	result := Result{Files: map[string][]byte{}, Exits: map[string]int{}}
	if err := parseReport(report, result.Files, result.Exits); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"two words":             "out\nerr\n",
		"empty":                 "",
		dir + "/top/sub/binary": "@@END 0\n\x00\xff",
	} {
		if got, ok := result.Files[name]; !ok || string(got) != want {
			t.Errorf("block %q = %q, %v; want %q", name, got, ok, want)
		}
	}
	if got := result.Exits["two words"]; got != 3 {
		t.Errorf("Exits[two words] = %d; want 3", got)
	}
	cut := report[:len(report)-10]
	if err := parseReport(cut, result.Files, result.Exits); err == nil {
		t.Error("parseReport of a truncated report succeeded; want an error")
	}
}

func TestConsole(t *testing.T) {
	var followed []string
	c := &console{start: time.Now(), follow: func(l Line) { followed = append(followed, l.Text) }}
	for _, part := range []string{"one\r\ntw", "o\n\x1b[0;32m  OK  \x1b[0m three\n", "no end"} {
		if _, err := io.WriteString(c, part); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"one", "two", "  OK   three", "no end"}
	if got := strings.Split(strings.TrimSuffix(join(c.close()), "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("lines = %q; want %q", got, want)
	}
	if !slices.Equal(followed, want) {
		t.Errorf("followed = %q; want %q", followed, want)
	}
}

func TestProperties(t *testing.T) {
	r := Result{Files: map[string][]byte{"show": []byte("Id=b.service\nResult=timeout\n\nResult=success\nExecStart={ a=b }\nId=a.service\n")}}
	got := r.Properties("a.service")
	if got["Result"] != "success" || got["ExecStart"] != "{ a=b }" || len(got) != 3 {
		t.Errorf("Properties = %q", got)
	}
}
