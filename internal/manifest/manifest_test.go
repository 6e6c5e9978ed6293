// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEncoding(t *testing.T) {
	for c := range 256 {
		s := "x" + string([]byte{byte(c)}) + "y"
		got, err := decode(encode(s))
		if err != nil || got != s || strings.ContainsAny(encode(s), " \n\t*?[#") {
			t.Errorf("%q is encoded as %q, and decoded as %q, %v", s, encode(s), got, err)
		}
	}
	for _, s := range []string{`\`, `\04`, `\088`, `\400`, `x\s`} {
		if got, err := decode(s); err == nil {
			t.Errorf("decode(%q) = %q; want an error", s, got)
		}
	}
}

// TestTree: what was written down of a tree is true of it, and the same tree is
// the same bytes.
func TestTree(t *testing.T) {
	dir := newTree(t)
	m := sealed(t, dir, plain, Header{})
	if again := sealed(t, dir, plain, Header{}); !bytes.Equal(m, again) {
		t.Error("the second manifest differs from the first")
	}
	if got, _ := compared(t, m, dir, plain); len(got) > 0 {
		t.Errorf("differences %q; want none", got)
	}
	n := 0
	must(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if n++; strings.HasSuffix(p, "proc/1") {
			n-- // it is ignored
		}
		return err
	}))
	if got := bytes.Count(m, []byte(" type=")); got != n {
		t.Errorf("the manifest has %d entries; want all %d:\n%s", got, n, m)
	}
}

// TestDifferences makes one change at a time: it is told, by its path and in
// words, and nothing else is.
func TestDifferences(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(in func(string) string) error
		want []string // path and a part of the words
	}{
		{"content", func(in func(string) string) error { return os.WriteFile(in("etc/file"), []byte("etc/filE"), 0o644) }, []string{"/etc/file: is a file of mode 0644, owner 7:8, 8 bytes, sha256"}},
		{"mode", func(in func(string) string) error { return os.Chmod(in("etc/file"), 0o666) }, []string{"/etc/file: is a file of mode 0666"}},
		{"setuid", func(in func(string) string) error { return unix.Chmod(in("etc/file"), 0o4644) }, []string{"/etc/file: is a file of mode 4644"}},
		{"owner", func(in func(string) string) error { return os.Lchown(in("etc/file"), 7, 9) }, []string{"/etc/file: is a file of mode 0644, owner 7:9"}},
		{"directory's mode", func(in func(string) string) error { return os.Chmod(in("empty"), 0o777) }, []string{"/empty: is a dir of mode 0777"}},
		{"root's mode", func(in func(string) string) error { return os.Chmod(in(""), 0o777) }, []string{"/: is a dir of mode 0777"}},
		{"link", func(in func(string) string) error {
			return errors.Join(os.Remove(in("a/linka")), os.Symlink("b", in("a/linka")))
		}, []string{`/a/linka: is a link of mode 0000, owner 0:0, to "b"`}},
		{"link's owner", func(in func(string) string) error { return os.Lchown(in("out"), 7, 9) }, []string{"/out: is a link of mode 0000, owner 7:9"}},
		{"device", func(in func(string) string) error {
			return errors.Join(os.Remove(in("block")), unix.Mknod(in("block"), unix.S_IFBLK|0o600, int(unix.Mkdev(259, 301))))
		}, []string{"/block: is a block of mode 0600, owner 0:0, device 259,301"}},
		{"type", func(in func(string) string) error {
			return errors.Join(os.Remove(in("etc/file")), unix.Mkfifo(in("etc/file"), 0o644))
		}, []string{"/etc/file: is a fifo, was a file"}},
		{"directory for file", func(in func(string) string) error {
			return errors.Join(os.Remove(in("a.b")), os.Mkdir(in("a.b"), 0o755), os.WriteFile(in("a.b/in"), nil, 0o644))
		}, []string{"/a.b: is a dir, was a file", "/a.b/in: is a file"}},
		{"attribute", func(in func(string) string) error {
			return unix.Setxattr(in("etc/file"), "user.plain", []byte("x\x00z"), 0)
		}, []string{`/etc/file: another extended attribute "user.plain"`}},
		{"new attribute", func(in func(string) string) error { return unix.Setxattr(in("a/z"), "trusted.new", nil, 0) }, []string{`/a/z: another extended attribute "trusted.new"`}},
		{"lost attribute", func(in func(string) string) error { return unix.Removexattr(in("etc/conf.d"), "user.odd name=") }, []string{`/etc/conf.d: another extended attribute "user.odd name="`}},
		{"link's attribute", func(in func(string) string) error { return unix.Lremovexattr(in("out"), "trusted.link") }, []string{`/out: another extended attribute "trusted.link"`}},
		{"created", func(in func(string) string) error { return os.WriteFile(in("a/new\n"), nil, 0o644) }, []string{"/a/new\n: is a file of mode 0644"}},
		{"created last", func(in func(string) string) error { return os.WriteFile(in("\xff\xff"), nil, 0o644) }, []string{"/\xff\xff: is a file"}},
		{"deleted", func(in func(string) string) error { return os.RemoveAll(in("etc")) }, []string{"/etc: was a dir", "/etc/conf.d: was a dir", "/etc/conf.d/x: was a file", "/etc/file: was a file"}},
		{"below what is ignored", func(in func(string) string) error { return os.WriteFile(in("proc/new"), nil, 0o644) }, nil},
		{"times", func(in func(string) string) error { return os.Chtimes(in("etc/file"), zero, zero) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := newTree(t)
			m := sealed(t, dir, plain, Header{})
			must(t, tt.do(func(name string) string { return filepath.Join(dir, name) }))
			got, _ := compared(t, m, dir, plain)
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("differences\n%q; want\n%q", got, tt.want)
			}
		})
	}
}

// TestMounts: another file system is not entered, and told where it hides what was
// sealed; one of the image's own is entered.
func TestMounts(t *testing.T) {
	dir := newTree(t)
	m := sealed(t, dir, plain, Header{})
	mount := func(source, at, kind string, flags uintptr) {
		t.Helper()
		must(t, unix.Mount(source, filepath.Join(dir, at), kind, flags, ""))
		t.Cleanup(func() { _ = unix.Unmount(filepath.Join(dir, at), unix.MNT_DETACH) }) // the test may have done so
	}
	mount("x", "empty", "tmpfs", 0)
	if got, mounts := compared(t, m, dir, plain); len(got) > 0 || !slices.Equal(mounts, []string{"/empty"}) {
		t.Errorf("a mount on an empty directory: differences %q, mounts %q; want it noted", got, mounts)
	}
	mount(filepath.Join(dir, "a"), "etc", "", unix.MS_BIND) // the same device
	mount(filepath.Join(dir, "setuid"), "a.b", "", unix.MS_BIND)
	got, _ := compared(t, m, dir, plain)
	want := []string{"/a.b: another file system is mounted over it and hides 1 paths", "/etc: another file system is mounted over it and hides 4 paths"}
	if !slices.Equal(got, want) {
		t.Errorf("mounts over what was sealed: %q; want %q", got, want)
	}
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	w := Start(t.Context(), root, plain)
	defer w.Close()
	if _, err := Write(new(bytes.Buffer), Header{}, w); err == nil || !strings.Contains(err.Error(), `"/a.b": another file is mounted`) {
		t.Errorf("Write() with a file mounted over one = %v; want an error", err)
	}
	must(t, unix.Unmount(filepath.Join(dir, "a.b"), 0), os.WriteFile(filepath.Join(dir, "empty/in"), nil, 0o644))
	with := Options{Ignore: plain.Ignore, With: []string{"/empty"}}
	m = sealed(t, dir, with, Header{With: with.With})
	if !bytes.Contains(m, []byte("\n./empty/in type=file")) || !bytes.Contains(m, []byte("\n./etc type=dir ignore\n")) {
		t.Errorf("the manifest has not what is mounted on /empty, or more of /etc than that:\n%s", m)
	}
	if got, _ := compared(t, m, dir, with); len(got) > 0 {
		t.Errorf("differences %q; want none", got)
	}
	must(t, unix.Unmount(filepath.Join(dir, "etc"), 0))
	if got, _ := compared(t, m, dir, with); len(got) > 0 {
		t.Errorf("what was mounted at the seal, and so is not in it, differs: %q", got)
	}
}

// TestUnreadable: what cannot be read is no manifest, and a difference.
func TestUnreadable(t *testing.T) {
	dir := newTree(t)
	m := sealed(t, dir, plain, Header{})
	must(t, unix.Mount("x", filepath.Join(dir, "proc"), "proc", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(filepath.Join(dir, "proc"), unix.MNT_DETACH)) })
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	// Files of procfs say that they are empty, or fail.
	w := Start(t.Context(), root, Options{With: []string{"/proc"}})
	defer w.Close()
	if _, err := Write(new(bytes.Buffer), Header{}, w); err == nil || !strings.Contains(err.Error(), `"/proc/`) {
		t.Errorf("Write() = %v; want the path of what could not be read", err)
	}
	if got, _ := compared(t, m, dir, plain); len(got) > 0 {
		t.Errorf("differences %q; want none", got)
	}
}

func TestCancelled(t *testing.T) {
	root, err := os.Open(newTree(t))
	must(t, err)
	defer root.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no more")
	w := Start(ctx, root, plain)
	defer w.Close()
	if _, err := w.Next(); err != nil {
		t.Fatal(err)
	}
	cancel(why)
	if e, err := w.Next(); e != nil || !errors.Is(err, why) {
		t.Errorf("Next() = %v, %v; want no entry, and %v", e, err, why)
	}
}
