// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// needRoot: device nodes, owners and trusted attributes are for root. CI, which is
// root, sets CTXAGENT_REQUIRE_ROOT.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
		t.Fatal("this test needs root")
	}
	t.Skip("SKIPPED: this test needs root")
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// hostile are names that a line, a pattern or an encoding could take for something
// else.
var hostile = []string{"a b", "new\nline", "tab\t", "back\\slash", "\\040", "*?[x]", "#comment", "-rf", "..x", "=", "é", "\xff\xfe", "\x01\x7f", "a.b", "a-b", strings.Repeat("n", 255)}

// newTree is a directory with one of everything.
func newTree(t testing.TB) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Chmod(dir, 0o755), os.MkdirAll(in("etc/conf.d"), 0o755), os.Mkdir(in("empty"), 0o700), os.MkdirAll(in("proc/1"), 0o555), os.Mkdir(in("a"), 0o755))
	for _, name := range append(hostile, "etc/file", "etc/conf.d/x", "a/z", "setuid") {
		must(t, os.WriteFile(in(name), []byte(name), 0o644))
	}
	for i, name := range hostile {
		must(t, os.Symlink(name, in("a/link"+string(rune('a'+i)))))
	}
	must(t, unix.Chmod(in("setuid"), 0o4755), os.Symlink("/etc/passwd", in("out")), unix.Lchown(in("out"), 7, 8), unix.Lchown(in("etc/file"), 7, 8),
		unix.Mkfifo(in("fifo"), 0o600), unix.Mknod(in("block"), unix.S_IFBLK|0o600, int(unix.Mkdev(259, 300))), unix.Mknod(in("char"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		unix.Mknod(in("socket"), unix.S_IFSOCK|0o600, 0),
		unix.Setxattr(in("etc/file"), "user.plain", []byte("x\x00y"), 0), unix.Setxattr(in("etc/conf.d"), "user.odd name=", nil, 0),
		unix.Lsetxattr(in("out"), "trusted.link", []byte("l"), 0))
	return dir
}

// sealed is the manifest of a directory.
func sealed(t testing.TB, dir string, o Options, h Header) []byte {
	t.Helper()
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	w := Start(t.Context(), root, o)
	defer w.Close()
	var b bytes.Buffer
	if _, err := Write(&b, h, w); err != nil {
		t.Fatalf("Write() = %v; want no error", err)
	}
	return b.Bytes()
}

// compared lists the differences of a directory, each as its path and what.
func compared(t testing.TB, manifest []byte, dir string, o Options) (out []string, mounts []string) {
	t.Helper()
	m, err := NewReader(bytes.NewReader(manifest))
	must(t, err)
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	w := Start(t.Context(), root, o)
	defer w.Close()
	err = Compare(m, w, func(d Difference) error {
		out = append(out, d.Path+": "+strings.Join(d.What(), "; "))
		return nil
	})
	if err != nil {
		t.Fatalf("Compare() = %v; want no error", err)
	}
	return out, w.Mounts
}

var plain = Options{Ignore: []string{"/proc"}}
