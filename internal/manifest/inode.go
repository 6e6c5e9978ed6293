// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrMoved tells that somebody wrote a path while it was read.
var ErrMoved = errors.New("it was written while it was read")

// statx asks for nothing that would wait for a server: a mount point of a network
// file system that is gone must not hold up a walk that will not enter it.
func statx(dir *os.File, name string, flags int, st *unix.Statx_t) error {
	flags |= unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	if err := unix.Statx(int(dir.Fd()), name, flags, unix.STATX_BASIC_STATS, st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	return nil
}

// mounted tells whether another file system begins here: a mount, one of the same
// device too (statx(2), STATX_ATTR_MOUNT_ROOT), or a subvolume. The device of
// anything but a directory says nothing: overlayfs shows that of a layer.
func mounted(st, parent *unix.Statx_t) bool {
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 || st.Mode&unix.S_IFMT == unix.S_IFDIR && !sameDevice(st, parent)
}

func sameDevice(a, b *unix.Statx_t) bool {
	return a.Dev_major == b.Dev_major && a.Dev_minor == b.Dev_minor
}

// describe fills in what statx tells.
func (p *pending) describe() {
	p.Mode, p.UID, p.GID = uint32(p.st.Mode)&0o7777, p.st.Uid, p.st.Gid
	switch p.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		p.Type, p.Size = File, int64(p.st.Size)
	case unix.S_IFDIR:
		p.Type = Directory
	case unix.S_IFLNK:
		p.Type, p.Mode = Symlink, 0
	case unix.S_IFIFO:
		p.Type = FIFO
	case unix.S_IFSOCK:
		p.Type = Socket
	case unix.S_IFCHR:
		p.Type, p.Device = Char, fmt.Sprintf("%d,%d", p.st.Rdev_major, p.st.Rdev_minor)
	case unix.S_IFBLK:
		p.Type, p.Device = Block, fmt.Sprintf("%d,%d", p.st.Rdev_major, p.st.Rdev_minor)
	}
}

// openAt opens a name in a directory to be read. O_NONBLOCK: what was a file a
// moment ago may be a FIFO now, and O_NOATIME: looking at an image leaves no trace.
func openAt(dir *os.File, name string, flags int) (*os.File, error) {
	flags |= unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) { // some network file systems let the owner alone do so
		fd, err = unix.Openat(int(dir.Fd()), name, flags, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// content reads a file to its end and takes its digest.
func (w *Walk) content(p *pending, buf []byte) {
	defer p.file.Close()
	if p.Err != nil {
		return
	}
	h := sha256.New()
	for left := p.Size; left > 0 && w.ctx.Err() == nil; {
		n, err := unix.Read(int(p.file.Fd()), buf[:min(left, int64(len(buf)))])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			p.Err = fmt.Errorf("read: %w", err)
			return
		}
		h.Write(buf[:n])
		left -= int64(n)
		w.Progress.Bytes.Add(int64(n))
	}
	p.SHA256 = hex.EncodeToString(h.Sum(nil))
	var st unix.Statx_t
	if p.Err = statx(p.file, "", unix.AT_EMPTY_PATH, &st); p.Err == nil && !untouched(&st, &p.st) {
		p.Err = ErrMoved
	}
}

// untouched tells whether two looks are at one inode that nobody has written in
// between: nobody can set a ctime.
func untouched(a, b *unix.Statx_t) bool {
	return a.Ino == b.Ino && sameDevice(a, b) && a.Mode == b.Mode && a.Size == b.Size && a.Ctime.Sec == b.Ctime.Sec && a.Ctime.Nsec == b.Ctime.Nsec
}

func readlink(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", fmt.Errorf("readlink: %w", err)
	}
	return string(buf[:n]), nil
}

// xattrs are the extended attributes of an open file.
func xattrs(f *os.File) (map[string]string, error) {
	fd := int(f.Fd())
	return allXattrs(func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		func(name string, b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) })
}

// xattrsAt are those of what cannot be opened. The directory is named by its
// descriptor: it is the one that was walked, whatever its path leads to now.
func xattrsAt(dir *os.File, name string) (map[string]string, error) {
	p := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
	return allXattrs(func(b []byte) (int, error) { return unix.Llistxattr(p, b) },
		func(name string, b []byte) (int, error) { return unix.Lgetxattr(p, name, b) })
}

func allXattrs(list func([]byte) (int, error), value func(string, []byte) (int, error)) (map[string]string, error) {
	n, err := list(nil)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	names := make([]byte, 1<<16) // XATTR_LIST_MAX
	if n, err = list(names); err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	out, buf := map[string]string{}, make([]byte, 1<<16) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		m, err := value(name, buf)
		if err != nil {
			return nil, fmt.Errorf("read extended attribute %q: %w", name, err)
		}
		out[name] = string(buf[:m])
	}
	return out, nil
}
