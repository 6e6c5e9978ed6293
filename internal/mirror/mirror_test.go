// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
	if o.Empty == nil {
		o.Empty = []string{"/proc", "/none"}
	}
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
	s, _ := newServer(t, Options{})
	e, err := find(s, "etc/passwd")
	if err != nil || e.Attr.Size != 9 || e.Attr.Mode != unix.S_IFREG|0o644 {
		t.Errorf("etc/passwd = %+v, %v", e, err)
	}
	for path, want := range map[string]unix.Errno{
		"none": unix.ENOENT, "etc/none": unix.ENOENT, "proc/1": unix.ENOENT, "..": unix.EINVAL, "etc/..": unix.EINVAL, "out/etc": unix.ENOTDIR,
	} {
		if _, err := find(s, path); !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", path, err, want)
		}
	}
	for _, name := range []string{"", ".", "..", "/", "/etc", "etc/passwd", "etc/"} {
		if _, err := s.answer(request{Opcode: opLookup, NodeID: rootNode}, append([]byte(name), 0)); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%q: %v; want that it is no name", name, err)
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

// TestBeneath holds that nothing outside the directory and nothing behind a symlink
// is opened, whatever a path has become since the kernel looked it up.
func TestBeneath(t *testing.T) {
	s, dir := newServer(t, Options{})
	if err := os.Symlink("etc", filepath.Join(dir, "in")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]unix.Errno{
		"in/passwd": unix.ELOOP, "out/etc": unix.ELOOP, "etc/../in/passwd": unix.ELOOP, "..": unix.EXDEV, "etc/../../x": unix.EXDEV, dir: unix.EXDEV,
	} {
		if fd, err := s.beneath(path, unix.O_PATH); !errors.Is(err, want) {
			t.Errorf("%s: descriptor %d, %v; want %v", path, fd, err, want)
		}
	}
}

// TestBecomesFIFO replaces a file by a FIFO that nobody writes to: nothing hangs.
func TestBecomesFIFO(t *testing.T) {
	s, dir := newServer(t, Options{})
	e, err := find(s, "etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(dir, "etc/passwd")
	if err := errors.Join(os.Remove(p), unix.Mkfifo(p, 0o644)); err != nil {
		t.Fatal(err)
	}
	hangs := time.AfterFunc(10*time.Second, func() { panic("the open of a FIFO hangs") })
	defer hangs.Stop()
	if _, err := s.answer(request{Opcode: opOpen, NodeID: e.NodeID}, make([]byte, 8)); err != nil {
		t.Error(err)
	}
}

// TestEmpty holds that what is to look empty is never looked at.
func TestEmpty(t *testing.T) {
	s, dir := newServer(t, Options{Empty: []string{"/proc", "/etc/passwd"}})
	if err := os.Chmod(filepath.Join(dir, "proc"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]attr{"proc": {Mode: unix.S_IFDIR | 0o755, Nlink: 2}, "etc/passwd": {Mode: unix.S_IFREG | 0o444, Nlink: 1}} {
		e, err := find(s, path)
		want.Ino = e.NodeID
		if err != nil || e.Attr != want {
			t.Errorf("%s = %+v, %v; want %+v", path, e.Attr, err, want)
		}
		for _, op := range []uint32{opOpen, opRead, opReaddir} { // a file handle 0, a size of 64 KiB
			out, err := s.answer(request{Opcode: op, NodeID: e.NodeID}, binary.LittleEndian.AppendUint64(make([]byte, 16), 64<<10))
			if err != nil || slices.ContainsFunc(out, func(b byte) bool { return b != 0 }) {
				t.Errorf("%s, operation %d: %q, %v; want nothing", path, op, out, err)
			}
		}
	}
	if len(s.files) != 0 {
		t.Errorf("%d files are open", len(s.files))
	}
}

// TestForget holds that a node goes with the last telling of it, and not before:
// by one request or by one for many.
func TestForget(t *testing.T) {
	u64 := binary.LittleEndian.AppendUint64
	for name, forget := range map[string]func(id uint64) request{
		"forget":       func(id uint64) request { return request{Opcode: opForget, NodeID: id} },
		"batch forget": func(uint64) request { return request{Opcode: opBatchForget} },
	} {
		s, _ := newServer(t, Options{})
		first, _ := find(s, "etc")
		again, _ := find(s, "etc")
		if first.NodeID != again.NodeID {
			t.Errorf("one path is node %d and node %d", first.NodeID, again.NodeID)
		}
		for _, step := range []struct {
			id   uint64
			left string
		}{{first.NodeID, "etc"}, {first.NodeID, ""}, {rootNode, "."}} {
			r, body := forget(step.id), u64(nil, 1)
			if r.Opcode == opBatchForget {
				body = u64(u64(u64(nil, 1), step.id), 1)
			}
			if _, err := s.answer(r, body); !errors.Is(err, errSilent) {
				t.Errorf("%s is answered: %v", name, err)
			}
			if got := s.nodes.path(step.id); got != step.left {
				t.Errorf("%s: the node is %q; want %q", name, got, step.left)
			}
		}
		if e, err := find(s, "etc"); err != nil || s.nodes.path(e.NodeID) != "etc" {
			t.Errorf("%s: looked up again, etc is %q, %v", name, s.nodes.path(e.NodeID), err)
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
	f := s.files[binary.LittleEndian.Uint64(fh)]
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
	if got, err := read(0), f.Close(); got != "" || len(s.files) != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("read %q after the release; %d files are open, the one: %v", got, len(s.files), err)
	}
}

// needRoot skips a test; CI sets CTXAGENT_REQUIRE_ROOT and fails instead.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
		t.Fatal("this test needs root: it gives files away")
	}
	t.Skip("SKIPPED: this test needs root: it gives files away")
}

// TestOwner shows owners as a namespace with the ids below 10 has them, and what a
// user has unpacked as root's.
func TestOwner(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		owner            uint32 // of the root
		uid, gid         int
		wantUID, wantGID uint32
		foreign          bool
	}{
		{0, 0, 0, 0, 0, false},
		{0, 7, 8, 7, 8, false},
		{0, 7, 42, 7, 0, true},
		{0, 42, 7, 0, 7, true},
		{0, 10, 9, 0, 9, true},
		{1000, 1000, 1000, 0, 0, false},
		{1000, 1000, 7, 0, 0, false}, // the one group that the user has
		{1000, 7, 7, 7, 0, false},
		{1000, 42, 1000, 0, 0, true},
	} {
		s, dir := newServer(t, Options{Owner: tt.owner})
		if err := os.Lchown(filepath.Join(dir, "etc/passwd"), tt.uid, tt.gid); err != nil {
			t.Fatal(err)
		}
		e, err := find(s, "etc/passwd")
		if foreign := s.Foreign("/etc/passwd"); err != nil || e.Attr.UID != tt.wantUID || e.Attr.GID != tt.wantGID || foreign != tt.foreign {
			t.Errorf("%+v: shown as %d:%d, foreign %v, %v", tt, e.Attr.UID, e.Attr.GID, foreign, err)
		}
		if s.Foreign("/etc") || s.Foreign("/none/x") {
			t.Errorf("%+v: root's own directory, or none, is foreign", tt)
		}
	}
}

// TestUnread keeps on record what nobody may not read, of the threads that are not
// the mirror's own, and not without bound.
func TestUnread(t *testing.T) {
	needRoot(t)
	s, dir := newServer(t, Options{Own: func(thread uint32) bool { return thread == 7 }})
	shut, secret := filepath.Join(dir, "shut"), filepath.Join(dir, "etc/secret")
	if err := errors.Join(os.Mkdir(filepath.Join(shut, "in"), 0o755), os.WriteFile(secret, nil, 0o600), os.Chmod(shut, 0o700)); err != nil {
		t.Fatal(err)
	}
	etc, err := find(s, "etc/secret")
	if err != nil {
		t.Fatal(err)
	}
	dirNode, err := find(s, "shut")
	if err != nil {
		t.Fatal(err)
	}
	in, err := find(s, "shut/in")
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // setfsuid(2) is the thread's
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setfsuid(0) }()
	for _, s.asks = range []uint32{7, 8} {
		for _, r := range []request{
			{Opcode: opOpen, NodeID: etc.NodeID}, {Opcode: opOpendir, NodeID: dirNode.NodeID}, {Opcode: opGetattr, NodeID: in.NodeID},
		} {
			if _, err := s.answer(r, nil); !errors.Is(err, unix.EACCES) {
				t.Errorf("operation %d: %v; want that it is not permitted", r.Opcode, err)
			}
		}
		var want []string
		if s.asks != 7 {
			want = []string{"/etc/secret", "/shut", "/shut/in"}
		}
		if got := s.Unread(); !slices.Equal(got, want) {
			t.Errorf("asked by %d: not read were %q; want %q", s.asks, got, want)
		}
	}
	for i := range mostNoted {
		s.note(strconv.Itoa(i))
	}
	if got := len(s.Unread()); got != mostNoted {
		t.Errorf("%d paths are on record; want %d", got, mostNoted)
	}
}
