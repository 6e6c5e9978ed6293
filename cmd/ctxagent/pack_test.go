// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/isowrite"
)

// packTree is a directory that can be packed.
func packTree(t *testing.T) string {
	t.Helper()
	return write(t, t.TempDir(), map[string]string{"prolog.sh": goodScript, "context.sh": "A=1\n", "payload/a": "a", "payload/b": strings.Repeat("b", 5000)})
}

func TestPackAndRun(t *testing.T) {
	root := busyboxRoot(t)
	iso := filepath.Join(t.TempDir(), "context.iso")
	r := ctxagent(t, "pack", packTree(t), "-o", iso, "--label", "config-2")
	if r.status != 0 || !strings.Contains(r.stdout, "5 entries") || r.stderr != "" {
		t.Fatalf("pack: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso); r.status != 0 {
		t.Fatalf("run: exit status %d: %s", r.status, r.stderr)
	}
	disc := receiptFields(t, root, "prolog")["disc"].(map[string]any)
	if disc["label"] != "config-2" || disc["flavour"] != "rock ridge" {
		t.Errorf("disc %v", disc)
	}
}

// TestPackIsReproducible packs copies of one tree that differ in what no copy
// keeps, in surroundings that differ in all that a machine may have of its own.
func TestPackIsReproducible(t *testing.T) {
	needRoot(t)
	first, second := packTree(t), filepath.Join(t.TempDir(), "copy")
	// The copy is made in another order, later, with another owner, and more
	// modes that a group may write.
	copying := `umask 002; mkdir "$1" && cd "$0" && for f in $(ls -r); do cp -r "$f" "$1/"; done && chmod -R g+w "$1" && chown -R 65534:65534 "$1" && touch -d 2001-01-01 "$1"/*`
	if out, err := exec.Command("sh", "-c", copying, first, second).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out := t.TempDir()
	if err := os.Chmod(out, 0o777); err != nil {
		t.Fatal(err)
	}
	for dir := second; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for dir := out; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	image := func(name, script string, env ...string) []byte {
		t.Helper()
		iso := filepath.Join(out, name)
		cmd := exec.Command("sh", "-c", script)
		cmd.Env = append(append(os.Environ(), "AGENT="+binary, "FIRST="+first, "SECOND="+second, "OUT="+iso), env...)
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, b)
		}
		b, err := os.ReadFile(iso)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := os.Chmod(filepath.Dir(binary), 0o755); err != nil { // so that another user may run it
		t.Fatal(err)
	}
	want := image("1", `"$AGENT" pack "$FIRST" -o "$OUT"`, "SOURCE_DATE_EPOCH=")
	for name, script := range map[string]string{
		"again":     `"$AGENT" pack "$FIRST" -o "$OUT"`,
		"umask":     `umask 077; "$AGENT" pack "$FIRST" -o "$OUT"`,
		"directory": `cd "$FIRST" && "$AGENT" pack . -o "$OUT"`,
		"zone":      `TZ=Asia/Tokyo LC_ALL=C "$AGENT" pack "$SECOND" -o "$OUT"`,
		"user":      `setpriv --reuid 65534 --regid 65534 --clear-groups "$AGENT" pack "$SECOND" -o "$OUT"`,
	} {
		if got := image(name, script, "SOURCE_DATE_EPOCH="); !bytes.Equal(got, want) {
			t.Errorf("%s: another image", name)
		}
	}
	dated := image("dated", `"$AGENT" pack "$FIRST" -o "$OUT"`, "SOURCE_DATE_EPOCH=1287446400") // 2010-10-19
	if !bytes.Contains(dated, []byte("2010101900000000")) || bytes.Contains(want, []byte("2010101900000000")) || !bytes.Contains(want, []byte("1980010100000000")) {
		t.Error("SOURCE_DATE_EPOCH is not the time of the volume")
	}
}

// TestPackRefuses: what a guest would refuse is no disc, and leaves no file.
func TestPackRefuses(t *testing.T) {
	small := write(t, t.TempDir(), map[string]string{"p.yaml": strings.NewReplacer("max_files: 10000", "max_files: 3", `label: ""`, "label: SITE").Replace(string(dist.Policy))})
	for _, tt := range []struct {
		name   string
		files  map[string]string
		flags  []string
		status int
		says   string
	}{
		{"no script", map[string]string{"readme": "x"}, nil, 4, "neither prolog.sh nor epilog.sh"},
		{"CR LF", map[string]string{"prolog.sh": "#!/bin/sh\r\n"}, nil, 1, "line 1 ends with CR LF"},
		{"a byte order mark", map[string]string{"epilog.sh": "\ufeff#!/bin/sh\n"}, nil, 1, "byte order mark"},
		{"two in one name", map[string]string{"prolog.sh": goodScript, "Prolog.SH": goodScript}, nil, 4, "keep one"},
		{"a name in Latin-1", map[string]string{"prolog.sh": goodScript, "caf\xe9": ""}, nil, 4, `"caf\xe9"`},
		{"a script that is a directory", map[string]string{"prolog.sh/x": "", "epilog.sh": goodScript}, nil, 4, `"prolog.sh" is not a file`},
		{"more entries than a guest takes", map[string]string{"prolog.sh": goodScript, "a": "", "b": "", "c": ""}, []string{"--label", "SITE", "--policy", small + "/p.yaml"}, 4, "media.max_files"},
		{"another label than the policy's", map[string]string{"prolog.sh": goodScript}, []string{"--policy", small + "/p.yaml"}, 4, "give --label"},
		{"an impossible label", map[string]string{"prolog.sh": goodScript}, []string{"--label", strings.Repeat("X", 33)}, 2, "1 to 32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := t.TempDir()
			r := ctxagent(t, append([]string{"pack", write(t, t.TempDir(), tt.files), "-o", out + "/x.iso"}, tt.flags...)...)
			if r.status != tt.status || !strings.Contains(r.stderr, tt.says) {
				t.Errorf("exit status %d: %s; want %d, %q", r.status, r.stderr, tt.status, tt.says)
			}
			if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	tree := packTree(t)
	if r := ctxagent(t, "pack", tree, "-o", tree+"/payload/x.iso"); r.status != 2 || !strings.Contains(r.stderr, "somewhere else") {
		t.Errorf("into itself: exit status %d: %s", r.status, r.stderr)
	}
}

// TestPackKeepsSecrets: an image of private files is not for everybody.
func TestPackKeepsSecrets(t *testing.T) {
	tree := packTree(t)
	for mode, want := range map[os.FileMode]os.FileMode{0o644: 0o644, 0o600: 0o600} {
		if err := os.Chmod(tree+"/context.sh", mode); err != nil {
			t.Fatal(err)
		}
		iso := filepath.Join(t.TempDir(), "x.iso")
		if out, err := exec.Command("sh", "-c", `umask 022; "$0" pack "$1" -o "$2"`, binary, tree, iso).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if info, err := os.Stat(iso); err != nil || info.Mode() != want {
			t.Errorf("with a file of mode %v: image %v, %v; want %v", mode, info.Mode(), err, want)
		}
	}
}

// TestPackReadsBack damages each byte that matters of an image, one at a time.
func TestPackReadsBack(t *testing.T) {
	tree := packTree(t)
	if err := os.Symlink("prolog.sh", tree+"/link"); err != nil {
		t.Fatal(err)
	}
	var image bytes.Buffer
	if err := isowrite.Write(t.Context(), &image, os.DirFS(tree), isowrite.Options{Label: "X", Time: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	compare := func(b []byte) error {
		return compareImage(context.Background(), bytes.NewReader(b), int64(len(b)), os.DirFS(tree), "X")
	}
	if err := compare(image.Bytes()); err != nil {
		t.Fatalf("a sound image: %v", err)
	}
	for _, what := range []string{"bbbb", "rsyslog.d", "payload", "CD001", "PX$\x01", "SL\x10\x01"} {
		b := bytes.Clone(image.Bytes())
		at := bytes.LastIndex(b, []byte(what))
		if at < 0 {
			t.Fatalf("the image has no %q", what)
		}
		b[at]++
		if err := compare(b); err == nil && what != "CD001" {
			t.Errorf("with %q damaged: no error", what)
		}
	}
	if err := compare(image.Bytes()[:image.Len()-2048]); err == nil {
		t.Error("a cut image: no error")
	}
}
