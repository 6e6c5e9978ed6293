// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newServer serves a small tree to a namespace with the ids below 10.
func newServer(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"etc", "proc/1", "shut"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0\n"), 0o644), os.Symlink("/", filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	o.Empty = []string{"/proc", "/none"}
	if o.Mapped == nil {
		o.Mapped = func(id uint32) bool { return id < 10 }
	}
	if o.Own == nil {
		o.Own = func(uint32) bool { return false }
	}
	s, err := New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

// find looks a path up, name by name, as the kernel does.
func find(s *Server, path string) (entryOut, error) {
	var e entryOut
	e.NodeID = rootNode
	for name := range strings.SplitSeq(path, "/") {
		out, err := s.answer(request{Opcode: opLookup, NodeID: e.NodeID}, append([]byte(name), 0))
		if err != nil {
			return e, err
		}
		if err := decode(out, &e); err != nil {
			return e, err
		}
	}
	return e, nil
}

func TestLookUp(t *testing.T) {
	s, dir := newServer(t, Options{})
	if os.Geteuid() == 0 {
		if err := os.Lchown(filepath.Join(dir, "etc/passwd"), 7, 42); err != nil {
			t.Fatal(err)
		}
	}
	e, err := find(s, "etc/passwd")
	if err != nil || e.Attr.Size != 9 || e.Attr.Mode != unix.S_IFREG|0o644 {
		t.Errorf("etc/passwd = %+v, %v", e, err)
	}
	if os.Geteuid() == 0 && (e.Attr.UID != 7 || e.Attr.GID != 0 || !s.Foreign("/etc/passwd") || s.Foreign("/etc")) {
		t.Errorf("owner %d:%d, foreign %v; want 7:0 for 7:42, which is another owner", e.Attr.UID, e.Attr.GID, s.Foreign("/etc/passwd"))
	}
	for path, want := range map[string]unix.Errno{
		"none": unix.ENOENT, "etc/none": unix.ENOENT, "proc/1": unix.ENOENT, "..": unix.EINVAL, "etc/..": unix.EINVAL, "out/etc": unix.ENOTDIR,
	} {
		if _, err := find(s, path); !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", path, err, want)
		}
	}
	if _, err := s.answer(request{Opcode: opGetattr, NodeID: 99}, nil); !errors.Is(err, unix.ESTALE) {
		t.Errorf("a node that nobody was told of: %v", err)
	}
	for _, op := range []uint32{8, 9, 10, 11, 12, 13, 16, 21, 35} { // mknod … create
		if _, err := s.answer(request{Opcode: op, NodeID: rootNode}, make([]byte, 64)); !errors.Is(err, unix.ENOSYS) {
			t.Errorf("operation %d: %v; want that there is none", op, err)
		}
	}
}

// TestForget holds that a node goes with the last telling of it, and not before.
func TestForget(t *testing.T) {
	s, _ := newServer(t, Options{})
	first, _ := find(s, "etc")
	again, _ := find(s, "etc")
	if first.NodeID != again.NodeID {
		t.Errorf("one path is node %d and node %d", first.NodeID, again.NodeID)
	}
	for _, left := range []string{"etc", ""} {
		if _, err := s.answer(request{Opcode: opForget, NodeID: first.NodeID}, binary.LittleEndian.AppendUint64(nil, 1)); !errors.Is(err, errSilent) {
			t.Errorf("forget is answered: %v", err)
		}
		if got := s.nodes.path(first.NodeID); got != left {
			t.Errorf("the node is %q; want %q", got, left)
		}
	}
}

func TestReadDirectoryInParts(t *testing.T) {
	s, _ := newServer(t, Options{})
	var names []string
	for offset := uint64(0); ; {
		body := binary.LittleEndian.AppendUint64(make([]byte, 8), offset)
		out, err := s.answer(request{Opcode: opReaddir, NodeID: rootNode}, append(binary.LittleEndian.AppendUint32(body, 40), make([]byte, 20)...))
		if err != nil {
			t.Fatal(err)
		}
		if len(out) == 0 {
			break
		}
		offset = binary.LittleEndian.Uint64(out[8:])
		names = append(names, string(out[24:24+binary.LittleEndian.Uint32(out[16:])]))
	}
	if want := []string{"etc", "out", "proc", "shut"}; !slices.Equal(names, want) {
		t.Errorf("names %q; want %q", names, want)
	}
}

// TestRead reads a file from the middle, beyond its end, and after its release.
func TestRead(t *testing.T) {
	s, _ := newServer(t, Options{})
	e, err := find(s, "etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.answer(request{Opcode: opOpen, NodeID: e.NodeID}, make([]byte, 8))
	if err != nil {
		t.Fatal(err)
	}
	fh := out[:8]
	read := func(offset uint64) string {
		body := binary.LittleEndian.AppendUint64(slices.Clone(fh), offset)
		b, err := s.answer(request{Opcode: opRead, NodeID: e.NodeID}, append(binary.LittleEndian.AppendUint32(body, 4096), make([]byte, 20)...))
		if err != nil {
			t.Errorf("read at %d: %v", offset, err)
		}
		return string(b)
	}
	if got := read(5); got != "x:0\n" {
		t.Errorf("read %q", got)
	}
	if got := read(100); got != "" {
		t.Errorf("read %q beyond the end", got)
	}
	if _, err := s.answer(request{Opcode: opRelease, NodeID: e.NodeID}, append(slices.Clone(fh), make([]byte, 16)...)); err != nil {
		t.Error(err)
	}
	if got := read(0); got != "" || len(s.files) != 0 {
		t.Errorf("read %q after the release; %d files are open", got, len(s.files))
	}
}

// TestOwner shows what a user has unpacked as root's.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("this test needs root: it gives files away")
		}
		t.Skip("SKIPPED: this test needs root: it gives files away")
	}
	s, dir := newServer(t, Options{Owner: 1000})
	if err := os.Lchown(filepath.Join(dir, "etc/passwd"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	e, err := find(s, "etc/passwd")
	if err != nil || e.Attr.UID != 0 || e.Attr.GID != 0 || s.Foreign("/etc/passwd") {
		t.Errorf("owner %d:%d, foreign %v, %v; want root's, as in the image", e.Attr.UID, e.Attr.GID, s.Foreign("/etc/passwd"), err)
	}
}
