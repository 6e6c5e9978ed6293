// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// binary is the real one, built as `make build` does.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(costVariable) != "" {
		os.Exit(tellCosts(os.Args[1:]))
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ctxagent-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "ctxagent")
		cmd := exec.Command("make", "-s", "-C", "../..", "binary", "OUT="+binary)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v: %s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// needRoot skips a test that confines scripts where that cannot be done; CI sets
// CTXAGENT_REQUIRE_ROOT and fails instead.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
		t.Fatal("this test needs root")
	}
	t.Skip("SKIPPED, NOTHING WAS CONFINED: this test needs root")
}

// result is what a command left.
type result struct {
	status         int
	stdout, stderr string
}

// ctxagent runs the real binary. It has a deadline: nothing may hang.
func ctxagent(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	err := cmd.Run()
	if !timer.Stop() {
		t.Fatalf("ctxagent %q hangs", args)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	if strings.Contains(r.stderr, "goroutine ") || strings.Contains(r.stderr, "panic:") {
		t.Errorf("ctxagent %q panics:\n%s", args, r.stderr)
	}
	return r
}

// busyboxRoot is a small root with a shell and the directories of an image.
func busyboxRoot(t testing.TB) string {
	t.Helper()
	needRoot(t)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("busybox is needed (apt-get install busybox-static): %v", err)
	}
	b, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	write(t, root, map[string]string{
		"bin/busybox": string(b), "etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/rsyslog.d/.keep": "", "run/.keep": "", "var/lib/.keep": "",
	})
	for _, applet := range []string{"sh", "cat", "mkdir", "sleep"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// write makes files below dir, executable ones: it is their content that counts.
func write(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// disc writes an ISO file by xorriso, as a site would.
func disc(t testing.TB, files map[string]string) string {
	t.Helper()
	tree := write(t, t.TempDir(), files)
	iso := filepath.Join(t.TempDir(), "context.iso")
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "CONTEXT", "-o", iso, tree).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v: %s", err, out)
	}
	return iso
}

const goodScript = "#!/bin/sh\necho '*.* @@192.0.2.1:514' >/etc/rsyslog.d/50-site.conf\n"

// receiptFields reads a receipt by its published names.
func receiptFields(t *testing.T, root, stage string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "run/ctxagent", stage+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// treeOf lists a root but for the agent's own state.
func treeOf(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if rel == "run" || rel == "var" {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size := info.Size()
		if d.IsDir() {
			size = 0
		}
		out = append(out, fmt.Sprintf("%s %v %d %v", rel, info.Mode(), size, info.ModTime().UnixNano()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStagesInOrder(t *testing.T) {
	root := busyboxRoot(t)
	if r := ctxagent(t, "run", "epilog", "--root", root); r.status != 1 || !strings.Contains(r.stderr, "run prolog") {
		t.Errorf("epilog without a prolog: exit status %d: %s; want 1 and what to do", r.status, r.stderr)
	}
	iso := disc(t, map[string]string{"prolog.sh": goodScript})
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso); r.status != 0 {
		t.Fatalf("prolog: exit status %d: %s", r.status, r.stderr)
	}
	if b, err := os.ReadFile(filepath.Join(root, "etc/rsyslog.d/50-site.conf")); err != nil || !strings.Contains(string(b), "192.0.2.1") {
		t.Errorf("the change is not there: %q, %v", b, err)
	}
	// The disc has no epilog.sh, so there is nothing to wait for.
	if r := ctxagent(t, "run", "epilog", "--root", root); r.status != 0 {
		t.Errorf("epilog: exit status %d: %s", r.status, r.stderr)
	}
	again := ctxagent(t, "run", "prolog", "--root", root, "--media", iso)
	if got := receiptFields(t, root, "prolog"); again.status != 0 || got["outcome"] != "unchanged" {
		t.Errorf("the same disc again: exit status %d, outcome %v; want unchanged", again.status, got["outcome"])
	}
	r := ctxagent(t, "status", "--root", root)
	if r.status != 0 || !strings.Contains(r.stdout, "prolog: unchanged") || !strings.Contains(r.stdout, "epilog: unchanged") {
		t.Errorf("status: exit status %d:\n%s%s", r.status, r.stdout, r.stderr)
	}
	var both map[string]map[string]any
	if err := json.Unmarshal([]byte(ctxagent(t, "status", "--root", root, "--json").stdout), &both); err != nil || both["prolog"]["stage"] != "prolog" {
		t.Errorf("status --json: %v: %v", err, both)
	}
}

func TestRefusedPrologKeepsTheEpilogFromRunning(t *testing.T) {
	root := busyboxRoot(t)
	iso := disc(t, map[string]string{"prolog.sh": "#!/bin/sh\necho x >>/etc/passwd\n", "epilog.sh": goodScript})
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso); r.status != 3 {
		t.Fatalf("prolog: exit status %d; want 3: %s", r.status, r.stderr)
	}
	r := ctxagent(t, "run", "epilog", "--root", root)
	if r.status != 1 || !strings.Contains(r.stderr, "the prolog ended as") {
		t.Errorf("epilog: exit status %d: %s; want 1 and the reason", r.status, r.stderr)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/rsyslog.d/50-site.conf")); err == nil {
		t.Error("the epilog ran after a refused prolog")
	}
}

func TestCheckAppliesNothing(t *testing.T) {
	root := busyboxRoot(t)
	before := treeOf(t, root)
	iso := disc(t, map[string]string{"prolog.sh": goodScript, "epilog.sh": "#!/bin/sh\ncat /etc/rsyslog.d/50-site.conf\necho x >>/etc/passwd\n"})
	r := ctxagent(t, "check", "--root", root, iso)
	for _, want := range []string{"prolog: would be applied", "create    file", "/etc/rsyslog.d/50-site.conf", "epilog: refused", "output    *.* @@192.0.2.1:514"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("check does not say %q:\n%s", want, r.stdout)
		}
	}
	if r.status != 3 {
		t.Errorf("exit status %d; want 3", r.status)
	}
	if after := treeOf(t, root); !slices.Equal(before, after) {
		t.Errorf("the root was changed:\n%q\n%q", before, after)
	}
	// With a /run of its own, so that other runs on this machine do not matter.
	out, err := exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs none /run && "$0" check --root "$1" "$2" >/dev/null; ls -A /run; mount | grep -c ctxagent`,
		binary, root, iso).CombinedOutput()
	if got := strings.TrimSpace(string(out)); got != "0" {
		t.Errorf("left behind in /run, and mounts: %q, %v; want nothing and none", got, err)
	}
}

// TestRehearsedNetwork: a script that reads what it is told of the network finds all
// of it in a rehearsal, and the parts agree.
func TestRehearsedNetwork(t *testing.T) {
	iso := disc(t, map[string]string{"epilog.sh": "#!/bin/sh\n" + `echo "<$CTX_INTERFACE $CTX_MAC $CTX_ADDRESS $CTX_GATEWAY|$CTX_ADDRESSES|$CTX_GATEWAYS|$CTX_DNS>"` + "\n"})
	r := ctxagent(t, "check", "--root", busyboxRoot(t), iso)
	const want = "<eth0 02:00:00:00:00:01 198.51.100.7 198.51.100.1|198.51.100.7/24|198.51.100.1|198.51.100.53>"
	if r.status != 0 || !strings.Contains(r.stdout, want) {
		t.Errorf("exit status %d; want 0 and %s:\n%s%s", r.status, want, r.stdout, r.stderr)
	}
}

func TestUsage(t *testing.T) {
	bad := write(t, t.TempDir(), map[string]string{"p.yaml": "version: 7\n"})
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{nil, 2, "which command"},
		{[]string{"help"}, 0, "Exit status"},
		{[]string{"frobnicate"}, 2, `no command "frobnicate"`},
		{[]string{"run"}, 2, "run: 0 words"},
		{[]string{"run", "midlog"}, 2, `no stage "midlog"`},
		{[]string{"run", "prolog", "--frob"}, 2, "frob"},
		{[]string{"run", "prolog", "--root", "/nonexistent"}, 2, "/nonexistent"},
		{[]string{"check"}, 2, "which disc"},
		{[]string{"check", "a.iso", "b.iso"}, 2, "check takes one disc; to ask about several drives, give each by --media"},
		{[]string{"check", "--policy", "/nonexistent", "."}, 2, "/nonexistent"},
		{[]string{"check", "nodisc"}, 2, `there is no such file or directory: "nodisc"`},
		{[]string{"status", "--root", t.TempDir()}, 1, "no stage has run"},
		{[]string{"policy", "show"}, 0, "classes:"},
		{[]string{"policy", "lint", "../../dist/policy.yaml"}, 0, "a valid policy"},
		{[]string{"policy", "lint", filepath.Join(bad, "p.yaml")}, 2, "version is 7"},
		{[]string{"policy", "frob"}, 2, `no "frob"`},
		{[]string{"policy", "explain", "/etc/passwd"}, 0, "refused whatever the policy says: accounts"},
		{[]string{"policy", "explain", "/etc/rsyslog.d/x.conf"}, 0, "grammar rsyslog"},
		{[]string{"policy", "explain", "/etc/rsyslog.d"}, 0, "as a directory only"},
		{[]string{"policy", "explain", "--json", "/etc/motd"}, 0, `"no rule of the policy covers it"`},
		{[]string{"policy", "explain", "/etc/motd", "rsyslog.service"}, 2, `"rsyslog.service" is no path from the root`},
		{[]string{"policy", "diff", "default", "../../dist/policy.yaml"}, 0, ""},
		{[]string{"policy", "diff", "default", filepath.Join(bad, "p.yaml")}, 2, "version is 7"},
		{[]string{"policy", "schema"}, 0, "additionalProperties"},
		{[]string{"doctor", "--root", filepath.Join(bad, "p.yaml")}, 2, "doctor looks at directories"},
		{[]string{"pack", "x"}, 2, "where to"},
		{[]string{"version"}, 0, "ctxagent"},
	} {
		r := ctxagent(t, tt.args...)
		if r.status != tt.status || !strings.Contains(r.stdout+r.stderr, tt.says) {
			t.Errorf("ctxagent %q: exit status %d: %s%s; want %d, %q", tt.args, r.status, r.stdout, r.stderr, tt.status, tt.says)
		}
		if tt.status != 0 && strings.Count(strings.TrimSpace(r.stderr), "\n") > 0 {
			t.Errorf("ctxagent %q: more than one line:\n%s", tt.args, r.stderr)
		}
	}
}

// TestBinary holds the binary to what an image builder is promised.
func TestBinary(t *testing.T) {
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s/%s binary: %.2f MB", runtime.GOOS, runtime.GOARCH, float64(info.Size())/1e6)
	if info.Size() > 9_000_000 {
		t.Errorf("the binary has %d bytes; 9 MB are promised", info.Size())
	}
	out, err := exec.Command("ldd", binary).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("not a dynamic executable")) {
		t.Errorf("ldd: %s, %v; want a static binary", out, err)
	}
}
