// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/dist"
)

// sealedRoot is an image that its builder has sealed.
func sealedRoot(t *testing.T) string {
	t.Helper()
	root := busyboxRoot(t)
	write(t, root, map[string]string{"etc/default/slurmd": "# the image's\n", "etc/machine-id": "uninitialized\n", "var/log/.keep": ""})
	must := errors.Join(os.Chmod(filepath.Join(root, "etc/default/slurmd"), 0o644), os.Mkdir(filepath.Join(root, "opt"), 0o755))
	if must != nil {
		t.Fatal(must)
	}
	if r := ctxagent(t, "seal", "--root", root); r.status != 0 || !strings.Contains(r.stdout, "sha256") {
		t.Fatalf("seal: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	return root
}

// verified is what `verify --json` prints.
type verified struct {
	Differences []verdict
	Counts      map[string]int
	SHA256      string
}

// verifyRoot holds a root against its manifest, and each difference against what
// has to explain it: "context", "mutable" or "no". Nothing else may differ.
func verifyRoot(t *testing.T, root string, want map[string]string, args ...string) verified {
	t.Helper()
	r := ctxagent(t, append([]string{"verify", "--root", root, "--json"}, args...)...)
	var got verified
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatalf("verify --json: %v: %s%s", err, r.stdout, r.stderr)
	}
	status, seen := 0, map[string]string{}
	for _, d := range got.Differences {
		seen[d.Path] = d.Explained
	}
	for _, why := range want {
		if why == unexplained {
			status = 1
		}
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) || r.status != status {
		t.Errorf("verify: exit status %d, explained %v; want %d, %v\n%s%s", r.status, seen, status, want, r.stdout, r.stderr)
	}
	return got
}

// theContext is what explains everything that revertScript does.
func theContext(more ...string) map[string]string {
	out := map[string]string{}
	for _, p := range []string{"/etc/default/slurmd", "/etc/rsyslog.d/50-site.conf", "/opt/condor", "/opt/condor/etc", "/opt/condor/etc/x"} {
		out[p] = byContext
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

// TestSealAndVerify takes an image through its life: sealed, contextualised,
// altered, reverted.
func TestSealAndVerify(t *testing.T) {
	root := sealedRoot(t)
	in := func(name string) string { return filepath.Join(root, name) }
	verifyRoot(t, root, map[string]string{})
	applyDisc(t, root, disc(t, map[string]string{"prolog.sh": revertScript}))
	verifyRoot(t, root, theContext())
	r := ctxagent(t, "verify", "--root", root)
	if r.status != 0 || !strings.Contains(r.stdout, "context      created   /etc/rsyslog.d/50-site.conf: the prolog of the disc ") || !strings.Contains(r.stdout, "5 differences by the context") {
		t.Errorf("verify: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}

	write(t, root, map[string]string{"etc/machine-id": "4711\n", "var/log/new": "x", "var/log/root": "x", "etc/stray": "x"})
	if err := errors.Join(unix.Chmod(in("var/log/root"), 0o4755), os.Remove(in("bin/cat"))); err != nil {
		t.Fatal(err)
	}
	altered := theContext("/etc/machine-id", byPolicy, "/var/log/new", byPolicy, "/var/log/root", unexplained, "/etc/stray", unexplained, "/bin/cat", unexplained)
	verifyRoot(t, root, altered)
	r = ctxagent(t, "verify", "--root", root)
	for _, w := range []string{"unexplained  created   /etc/stray: ", "unexplained  deleted   /bin/cat: was a link", "unexplained  created   /var/log/root: is a file of mode 4755"} {
		if r.status != 1 || !strings.Contains(r.stdout, w) {
			t.Errorf("verify: exit status %d: %s%s; want 1 and %q", r.status, r.stdout, r.stderr, w)
		}
	}
	if err := errors.Join(os.Symlink("busybox", in("bin/cat")), os.Remove(in("etc/stray")), os.Remove(in("var/log/root"))); err != nil {
		t.Fatal(err)
	}
	if r := ctxagent(t, "revert", "--root", root); r.status != 0 {
		t.Fatalf("revert: %s%s", r.stdout, r.stderr)
	}
	verifyRoot(t, root, map[string]string{"/etc/machine-id": byPolicy, "/var/log/new": byPolicy})
}

// TestVerifyTrustsNoPath: that the context wrote a path explains what the context
// wrote there, and nothing else.
func TestVerifyTrustsNoPath(t *testing.T) {
	iso := disc(t, map[string]string{"prolog.sh": revertScript})
	for name, tt := range map[string]struct {
		before, since func(in func(string) string) error
		path          string
	}{
		"written since": {nil, func(in func(string) string) error {
			return os.WriteFile(in("etc/rsyslog.d/50-site.conf"), []byte("x"), 0o644)
		}, "/etc/rsyslog.d/50-site.conf"},
		"mode since":  {nil, func(in func(string) string) error { return os.Chmod(in("opt/condor/etc/x"), 0o666) }, "/opt/condor/etc/x"},
		"owner since": {nil, func(in func(string) string) error { return os.Lchown(in("opt/condor"), 7, 7) }, "/opt/condor"},
		"attribute since": {nil, func(in func(string) string) error {
			return unix.Setxattr(in("opt/condor/etc/x"), "user.x", []byte("x"), 0)
		}, "/opt/condor/etc/x"},
		"removed since": {nil, func(in func(string) string) error { return os.Remove(in("etc/default/slurmd")) }, "/etc/default/slurmd"},
		"the image's file altered before": {func(in func(string) string) error {
			return os.WriteFile(in("etc/default/slurmd"), []byte("# altered\n"), 0o644)
		}, nil, "/etc/default/slurmd"},
	} {
		t.Run(name, func(t *testing.T) {
			root := sealedRoot(t)
			in := func(name string) string { return filepath.Join(root, name) }
			for i, do := range []func(func(string) string) error{tt.before, tt.since} {
				if i == 1 {
					applyDisc(t, root, iso)
				}
				if do != nil {
					if err := do(in); err != nil {
						t.Fatal(err)
					}
				}
			}
			verifyRoot(t, root, theContext(tt.path, unexplained))
		})
	}
}

// TestNobodyWidensTheSeal: what may change is what the builder's policy said when
// the image was sealed.
func TestNobodyWidensTheSeal(t *testing.T) {
	root := sealedRoot(t)
	write(t, root, map[string]string{"etc/stray": "x", "etc/ctxagent/policy.yaml": strings.Replace(string(dist.Policy), "mutable:\n", "mutable:\n  - /etc/stray\n", 1)})
	verifyRoot(t, root, map[string]string{"/etc/stray": unexplained, "/etc/ctxagent": unexplained, "/etc/ctxagent/policy.yaml": unexplained})
	for _, glob := range []string{"/etc/**", "/etc/ctxagent/*", "/usr/**", "/usr/lib/**", "/usr/bin/ctxagent", "/", "/**", "etc/x", "/etc/../x", "/a/**/b"} {
		text := strings.Replace(string(dist.Policy), "mutable:\n", "mutable:\n  - "+glob+"\n", 1)
		if r := ctxagent(t, "policy", "lint", filepath.Join(write(t, t.TempDir(), map[string]string{"p": text}), "p")); r.status != 2 || !strings.Contains(r.stderr, "mutable") {
			t.Errorf("mutable: %s: exit status %d: %s; want 2 and the reason", glob, r.status, r.stderr)
		}
	}
	// A site cannot write there, whatever class it claims.
	root = sealedRoot(t)
	iso := disc(t, map[string]string{"prolog.sh": "#!/bin/sh\necho '# mutable /etc/x' >>/usr/lib/ctxagent/manifest.mtree\n"})
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso); r.status != 3 {
		t.Errorf("a script that writes to the manifest: exit status %d; want 3", r.status)
	}
	verifyRoot(t, root, map[string]string{})
	// A copy that is kept elsewhere does not follow the machine's.
	kept := filepath.Join(t.TempDir(), "kept.mtree")
	if r := ctxagent(t, "seal", "--root", root, "-o", kept); r.status != 0 {
		t.Fatalf("seal -o: %s", r.stderr)
	}
	write(t, root, map[string]string{"etc/stray": "x"})
	if r := ctxagent(t, "seal", "--root", root); r.status != 0 {
		t.Fatalf("seal: %s", r.stderr)
	}
	verifyRoot(t, root, map[string]string{})
	verifyRoot(t, root, map[string]string{"/etc/stray": unexplained}, "--manifest", kept)
}

func TestSealRefusesAndVerifyNeeds(t *testing.T) {
	root := sealedRoot(t)
	manifest := filepath.Join(root, manifestFile)
	before, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(manifest); err != nil || info.Mode() != 0o600 {
		t.Errorf("the manifest is %v, %v; want it for root alone", info.Mode(), err)
	}
	inside := filepath.Join(root, "etc/inside.mtree")
	if r := ctxagent(t, "seal", "--root", root, "-o", inside); r.status != 0 {
		t.Fatalf("seal -o inside the root: %s", r.stderr)
	}
	if b, err := os.ReadFile(inside); err != nil || string(b) != string(before) {
		t.Errorf("a manifest elsewhere in the root differs from the first (%v): it has itself in it", err)
	}
	verifyRoot(t, root, map[string]string{}, "--manifest", inside)
	if err := os.Remove(inside); err != nil {
		t.Fatal(err)
	}
	if r := ctxagent(t, "seal", "--root", root, "--with", "boot"); r.status != 2 || !strings.Contains(r.stderr, "--with") {
		t.Errorf("seal --with boot: exit status %d: %s; want 2", r.status, r.stderr)
	}
	applyDisc(t, root, disc(t, map[string]string{"prolog.sh": revertScript}))
	if r := ctxagent(t, "seal", "--root", root); r.status != 1 || !strings.Contains(r.stderr, "`ctxagent revert` first") {
		t.Errorf("seal with a context: exit status %d: %s; want 1 and what to do", r.status, r.stderr)
	}
	if b, err := os.ReadFile(manifest); err != nil || string(b) != string(before) {
		t.Errorf("a seal that failed has altered the manifest (%v)", err)
	}
	for what, text := range map[string]string{"cut off": string(before[:len(before)/2]), "empty": "", "another tool's": "#mtree v2.0\n. type=dir\n"} {
		if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := ctxagent(t, "verify", "--root", root); r.status != 2 || !strings.Contains(r.stderr, "manifest.mtree: line ") {
			t.Errorf("verify with a manifest that is %s: exit status %d: %s; want 2 and the line", what, r.status, r.stderr)
		}
	}
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	if r := ctxagent(t, "verify", "--root", root); r.status != 2 || !strings.Contains(r.stderr, "`ctxagent seal`") {
		t.Errorf("verify without a manifest: exit status %d: %s; want 2 and what to do", r.status, r.stderr)
	}
}

// TestSealMemory: the memory of seal and verify does not grow with a tree's files
// nor with their size.
func TestSealMemory(t *testing.T) {
	needRoot(t)
	peak := func(root string, args ...string) int64 {
		cmd := exec.Command(binary, append(args, "--root", root)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
		return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
	}
	small, large := t.TempDir(), t.TempDir()
	for dir := range 100 {
		at := filepath.Join(large, fmt.Sprint(dir))
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for n := range 300 {
			if err := os.WriteFile(filepath.Join(at, fmt.Sprint(n)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(large, "sparse"), nil, 0o644), os.Truncate(filepath.Join(large, "sparse"), 1<<30)); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"seal", "verify"} {
		a, b := peak(small, command), peak(large, command)
		t.Logf("%s: %d MiB for nothing, %d MiB for 30,000 files and one of 1 GiB", command, a, b)
		if b > a+16 {
			t.Errorf("%s takes %d MiB for a large tree and %d MiB for an empty one; want at most 16 more", command, b, a)
		}
	}
}
