// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recorder notes every write to a set of disks and every flush of one, in the
// order in which they arrive. Kernels for virtual machines seldom have
// dm-log-writes; they all have loop devices and FUSE.
type recorder struct {
	mu        sync.Mutex
	log       []event
	committed []event // the part of log that stop has found
	brokenAt  int     // from this event on every write and flush fails; 0: none does
}

// broken tells whether the disks are broken by now.
func (r *recorder) broken() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.brokenAt > 0 && len(r.log) >= r.brokenAt
}

// breakAt lets the disks fail from an event on; 0 mends them.
func (r *recorder) breakAt(n int) {
	r.mu.Lock()
	r.brokenAt = n
	r.mu.Unlock()
}

// event is a write, or a flush if data is nil.
type event struct {
	disk int
	off  int64
	data []byte
}

func (r *recorder) add(e event) {
	r.mu.Lock()
	r.log = append(r.log, e)
	r.mu.Unlock()
}

// stop keeps what is in the log now.
func (r *recorder) stop() {
	r.mu.Lock()
	r.committed = r.log[:len(r.log):len(r.log)]
	r.mu.Unlock()
}

// The operations of linux/fuse.h that a loop device needs of its file.
const (
	fuseGetattr = 3
	fuseSetattr = 4
	fuseOpen    = 14
	fuseRead    = 15
	fuseWrite   = 16
	fuseRelease = 18
	fuseFsync   = 20
	fuseFlush   = 25
	fuseInit    = 26
	fuseForget  = 2
	fuseInt     = 36
	fuseBatch   = 42
)

const maxWrite = 128 << 10

// serve mounts a FUSE file system that is one file, a disk that hands its writes
// to a recorder. Reads and writes go to the file image, which stays what a disk
// with all that was written would be.
func (r *recorder) serve(t *testing.T, disk int, image string) string {
	t.Helper()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		unable(t, "%v", err)
	}
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := image + ".fuse"
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opts := fmt.Sprintf("fd=%d,rootmode=100600,user_id=0,group_id=0,allow_other", dev.Fd())
	if err := unix.Mount("recorder", at, "fuse", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		unable(t, "mount fuse: %v", err)
	}
	done := make(chan struct{})
	s := &server{r, disk, int(dev.Fd()), file}
	go func() { defer close(done); s.loop() }()
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Errorf("%s is still mounted somewhere, a minute after it was unmounted", at)
		}
		dev.Close()
		file.Close()
	})
	return at
}

// server answers one disk's requests, one after another. It uses the descriptor
// itself: the runtime's poller does not know /dev/fuse.
type server struct {
	*recorder
	disk, dev int
	file      *os.File
}

func (s *server) loop() {
	buf := make([]byte, maxWrite+4096)
	for {
		n, err := unix.Read(s.dev, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n < 40 {
			return // ENODEV: it was unmounted
		}
		opcode, unique := binary.NativeEndian.Uint32(buf[4:]), binary.NativeEndian.Uint64(buf[8:])
		if opcode == fuseForget || opcode == fuseBatch || opcode == fuseInt {
			continue // no answer is expected
		}
		body, errno := s.answer(opcode, buf[40:n])
		out := make([]byte, 16, 16+len(body))
		binary.NativeEndian.PutUint32(out, uint32(16+len(body)))
		binary.NativeEndian.PutUint32(out[4:], uint32(-int32(errno)))
		binary.NativeEndian.PutUint64(out[8:], unique)
		if _, err := unix.Write(s.dev, append(out, body...)); err != nil && !errors.Is(err, unix.ENOENT) {
			return
		}
	}
}

func (s *server) answer(opcode uint32, in []byte) ([]byte, unix.Errno) {
	le := binary.NativeEndian
	if (opcode == fuseWrite || opcode == fuseFsync) && s.broken() {
		return nil, unix.EIO
	}
	switch opcode {
	case fuseInit:
		out := make([]byte, 64)
		le.PutUint32(out, 7)
		le.PutUint32(out[4:], 31)
		le.PutUint32(out[12:], 1<<5) // FUSE_BIG_WRITES
		le.PutUint16(out[16:], 12)
		le.PutUint16(out[18:], 9)
		le.PutUint32(out[20:], maxWrite)
		return out, 0
	case fuseGetattr, fuseSetattr:
		info, err := s.file.Stat()
		if err != nil {
			return nil, unix.EIO
		}
		out := make([]byte, 104)
		le.PutUint64(out[16:], 1)                   // inode
		le.PutUint64(out[24:], uint64(info.Size())) // size
		le.PutUint32(out[76:], unix.S_IFREG|0o600)
		le.PutUint32(out[80:], 1)
		return out, 0
	case fuseOpen:
		out := make([]byte, 16)
		le.PutUint32(out[8:], 1) // FOPEN_DIRECT_IO: no cache of the kernel's in between
		return out, 0
	case fuseRead:
		out := make([]byte, le.Uint32(in[16:]))
		n, _ := s.file.ReadAt(out, int64(le.Uint64(in[8:])))
		return out[:n], 0
	case fuseWrite:
		data := append([]byte(nil), in[40:40+le.Uint32(in[16:])]...)
		off := int64(le.Uint64(in[8:]))
		if _, err := s.file.WriteAt(data, off); err != nil {
			return nil, unix.EIO
		}
		s.add(event{s.disk, off, data})
		out := make([]byte, 8)
		le.PutUint32(out, uint32(len(data)))
		return out, 0
	case fuseFsync:
		s.add(event{disk: s.disk})
		return nil, 0
	case fuseFlush, fuseRelease:
		return nil, 0
	}
	return nil, unix.ENOSYS
}

// mkfs makes a file system in a file, all of it: a kernel thread that went on
// making it later would be in the way of a power cut.
func mkfs(t testing.TB, kind, image string) {
	t.Helper()
	size, args := int64(64<<20), []string{"mke2fs", "-q", "-t", "ext4", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"}
	switch kind {
	case "xfs":
		size, args = 320<<20, []string{"mkfs.xfs", "-q", "-K"}
	case "btrfs":
		size, args = 128<<20, []string{"mkfs.btrfs", "-q", "-K"}
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(args[0], append(args[1:], image)...).CombinedOutput(); err != nil {
		unable(t, "%s: %v: %s", args[0], err, out)
	}
}

// mountLoop mounts a file system from a file; unmount is to be called once.
func mountLoop(t testing.TB, image, dir string) (unmount func()) {
	t.Helper()
	options := "loop"
	if magic := make([]byte, 4); readFile(image, magic) && string(magic) == "XFSB" {
		options += ",nouuid" // the last one of that name may still be on its way out
	}
	if out, err := exec.Command("mount", "-o", options, image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount %s: %v: %s", filepath.Base(image), err, out)
	}
	done := false
	t.Cleanup(func() {
		if !done { // the test has failed on its way
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	return func() {
		t.Helper()
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Fatalf("umount: %v: %s", err, out)
		}
		done = true
	}
}

// readFile reads the start of a file, which may be one that this process serves.
// Not by package os: that asks the file by epoll_ctl(2) whether it can be polled,
// FUSE asks its server, and the thread that waits for the answer counts as running
// Go. A garbage collection that begins just then stops the server and waits for
// that thread, for ever.
func readFile(name string, b []byte) bool {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.Read(fd, b)
	return err == nil
}
