// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// gomtree is go-mtree's command. It stays out of the product: on top of the agent
// it costs 240 KB, it opens each file by its path and once for each keyword, one file
// at a time, and it holds the whole tree in memory.
const gomtree = "github.com/vbatts/go-mtree/cmd/gomtree@v0.7.0"

// run runs another tool, and returns what it said and its exit status.
func run(t *testing.T, stdin []byte, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// withoutXattrs is what docs/operator-guide.md tells for mtree(8).
func withoutXattrs(m []byte) []byte {
	return regexp.MustCompile(` xattr\.[^ \n]*`).ReplaceAll(m, nil)
}

// TestOtherTools: NetBSD's mtree and go-mtree find nothing to say of a tree, find
// what was altered in it, and libarchive lists it.
func TestOtherTools(t *testing.T) {
	dir := newTree(t)
	// mtree(8) takes a name with a star in it for a pattern, however it is encoded;
	// libarchive knows no sockets, and go-mtree no "ignore", no attributes of symlinks
	// and no = in their names.
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Remove(in("*?[x]")), os.Remove(in("socket")), os.WriteFile(in("["), nil, 0o755), os.Remove(in("proc/1")),
		unix.Lremovexattr(in("out"), "trusted.link"), unix.Removexattr(in("etc/conf.d"), "user.odd name="))
	m := sealed(t, dir, plain, Header{Mutable: []string{"/var/log/**"}})
	bin := t.TempDir()
	install := exec.Command("go", "install", gomtree)
	install.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install %s: %v: %s", gomtree, err, out)
	}
	file := filepath.Join(t.TempDir(), "manifest.mtree")
	must(t, os.WriteFile(file, m, 0o600))

	netbsd := func() (string, int) { return run(t, withoutXattrs(m), "mtree", "-p", dir) }
	golang := func() (string, int) {
		return run(t, nil, filepath.Join(bin, "gomtree"), "validate", "-p", dir, "-f", file, "-k", "type,mode,uid,gid,size,sha256digest,link,xattr")
	}
	for name, check := range map[string]func() (string, int){"mtree": netbsd, "gomtree": golang} {
		if out, status := check(); status != 0 || strings.TrimSpace(out) != "" {
			t.Errorf("%s: exit status %d: %s; want nothing to say", name, status, out)
		}
	}
	if out, status := run(t, withoutXattrs(m), "bsdtar", "-tf", "-"); status != 0 || strings.Count(out, "\n") != bytes.Count(m, []byte(" type=")) {
		t.Errorf("bsdtar: exit status %d: %s; want every entry", status, out)
	}
	must(t, os.Chmod(in("a b"), 0o600), os.WriteFile(in("é"), []byte("altered"), 0o644),
		unix.Setxattr(in("etc/file"), "user.plain", []byte("altered"), 0))
	if out, status := netbsd(); status == 0 || !strings.Contains(out, "a b") || !strings.Contains(out, "é") {
		t.Errorf("mtree of an altered tree: exit status %d: %s", status, out)
	}
	if out, status := golang(); status == 0 || !strings.Contains(out, "a b") || !strings.Contains(out, "xattr.user.plain") {
		t.Errorf("gomtree of an altered tree: exit status %d: %s", status, out)
	}
}
