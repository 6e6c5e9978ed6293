// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

var _ = add(map[string]func(string) string{
	"open":  try(func(p string) error { return opened(p, unix.O_RDONLY) }),
	"write": try(func(p string) error { return opened(p, unix.O_WRONLY) }),
	"open-write-exe": try(func(string) error {
		exe, err := os.Readlink("/proc/self/exe")
		if err != nil {
			return err
		}
		return opened(exe, unix.O_WRONLY)
	}),
	"sysctl": try(sysctl),
	"chmod":  try(func(p string) error { return unix.Chmod(p, 0o600) }),
	"chown":  try(func(p string) error { return unix.Chown(p, 4242, 4242) }),
	"fchmod": try(func(fd string) error { return unix.Fchmod(number(fd), 0o600) }),
	"utimes": try(func(p string) error { return unix.Utimes(p, make([]unix.Timeval, 2)) }),
	"setxattr": try(func(arg string) error {
		attr, p := two(arg)
		return unix.Setxattr(p, attr, []byte("y"), 0)
	}),
	"setcap": try(func(p string) error { // CAP_SYS_ADMIN, permitted and effective: capabilities(7)
		v := binary.LittleEndian.AppendUint32(nil, 0x02000001)
		v = append(v, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		return unix.Setxattr(p, "security.capability", v, 0)
	}),
	"acl": try(func(p string) error { // user::rw- user:4242:rwx group::r-- mask::rwx other::r--: acl(5)
		v := binary.LittleEndian.AppendUint32(nil, 2)
		for _, e := range [][3]uint32{{1, 6, ^uint32(0)}, {2, 7, 4242}, {4, 4, ^uint32(0)}, {0x10, 7, ^uint32(0)}, {0x20, 4, ^uint32(0)}} {
			v = binary.LittleEndian.AppendUint16(v, uint16(e[0]))
			v = binary.LittleEndian.AppendUint16(v, uint16(e[1]))
			v = binary.LittleEndian.AppendUint32(v, e[2])
		}
		return unix.Setxattr(p, "system.posix_acl_access", v, 0)
	}),
	"xattr-flood": func(p string) string {
		for i := range 400 {
			if err := unix.Setxattr(p, fmt.Sprintf("user.%0240d", i), nil, 0); err != nil {
				return result(err)
			}
		}
		return "ok"
	},
	"chattr": try(func(p string) error {
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		const immutable, appendOnly = 0x10, 0x20 // ioctl_iflags(2)
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, immutable|appendOnly)
	}),
	"rename":          try(func(arg string) error { a, b := two(arg); return unix.Rename(a, b) }),
	"link":            try(func(arg string) error { a, b := two(arg); return unix.Link(a, b) }),
	"exchange":        try(func(arg string) error { return rename2(arg, unix.RENAME_EXCHANGE) }),
	"rename-whiteout": try(func(arg string) error { return rename2(arg, unix.RENAME_WHITEOUT) }),
	"whiteout":        try(func(p string) error { return unix.Mknod(p, unix.S_IFCHR, 0) }),
	"truncate": try(func(arg string) error {
		p, size := two(arg)
		f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Truncate(int64(number(size)))
	}),
	"files": try(func(arg string) error { return many(arg, func(p string) error { return os.WriteFile(p, nil, 0o644) }) }),
	"directories": try(func(arg string) error {
		return many(arg, func(p string) error { return os.Mkdir(p+strings.Repeat("x", 200), 0o755) })
	}),
	"deep": try(deep),
	"fifo": try(func(p string) error {
		fd, err := unix.Open(p, unix.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.Write(fd, []byte("intruder\n"))
		return err
	}),
	"lock": try(func(p string) error {
		f, err := os.OpenFile(p, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // held until the end
	}),
	"descriptors":      func(string) string { return descriptors() },
	"descriptors-many": try(descriptorsMany),
	"rewrite":          rewrite,
	"rewrite-mmap":     rewriteMapped,
})

// opened opens p with flags and, so that a hole shows outside, writes back what
// it can read there.
func opened(p string, flags int) error {
	fd, err := unix.Open(p, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// sysctl writes a setting's own value back: that is an errno where it may not be.
func sysctl(name string) error {
	p := path.Join("/proc/sys", name)
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	v, err := os.ReadFile(p)
	if err != nil { // it cannot be read: drop_caches and its like
		return nil
	}
	_, err = f.Write(v)
	return err
}

func rename2(arg string, flags uint) error {
	a, b := two(arg)
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, flags)
}

// many calls f with "DIR/0" … "DIR/N-1" of "DIR:N".
func many(arg string, f func(string) error) error {
	dir, n := two(arg)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range number(n) {
		if err := f(path.Join(dir, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

// deep makes N directories inside each other in the "DIR" of "DIR:N".
func deep(arg string) error {
	dir, n := two(arg)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	for range number(n) {
		if err := unix.Mkdirat(fd, "d", 0o755); err != nil {
			return err
		}
		next, err := unix.Openat(fd, "d", unix.O_PATH|unix.O_DIRECTORY, 0)
		_ = unix.Close(fd)
		if err != nil {
			return err
		}
		fd = next
	}
	return unix.Close(fd)
}

// descriptors are those that were inherited; the run-time's own are close-on-exec.
func descriptors() string {
	var open []string
	for fd := range 1024 {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			open = append(open, strconv.Itoa(fd))
		}
	}
	return strings.Join(open, ",")
}

func descriptorsMany(string) error {
	var held []int
	defer func() {
		for _, fd := range held {
			_ = unix.Close(fd)
		}
	}()
	for range 10000 {
		fd, err := unix.Open("/etc/passwd", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		held = append(held, fd)
	}
	return nil
}

// The two contents have the same length, so that none of them is seen by its size.
var (
	honest  = []byte("*.* @192.0.2.1\n")
	hostile = []byte("*.* ^/opt/evil\n")
)

// rewrite swaps honest and hostile content until it is killed.
func rewrite(p string) string {
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	if err != nil {
		return result(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if _, err := errors2(f.WriteAt(hostile, 0)), errors2(f.WriteAt(honest, 0)); err != nil {
			return result(err)
		}
	}
	return "ok"
}

// errors2 drops the count of a write.
func errors2(_ int, err error) error { return err }

func rewriteMapped(p string) string {
	f, err := os.OpenFile(p, os.O_RDWR, 0)
	if err != nil {
		return result(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, len(honest), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return result(err)
	}
	if err := errors.Join(f.Close()); err != nil {
		return result(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		copy(m, hostile)
		copy(m, slices.Clone(honest))
	}
	return "ok"
}
