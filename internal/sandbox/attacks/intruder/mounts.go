// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

var namespaceFlags = map[string]uintptr{
	"user": unix.CLONE_NEWUSER, "mount": unix.CLONE_NEWNS, "pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET,
	"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
}

var _ = add(map[string]func(string) string{
	"mount": try(func(arg string) error {
		kind, at := two(arg)
		opts := ""
		if kind == "overlay" {
			opts = "lowerdir=/etc,upperdir=/tmp,workdir=/tmp"
		}
		return unix.Mount("none", at, kind, 0, opts)
	}),
	"remount": try(func(at string) error { return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND, "") }),
	"bind": try(func(arg string) error {
		from, at := two(arg)
		return unix.Mount(from, at, "", unix.MS_BIND, "")
	}),
	"make-shared": try(func(string) error { return unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, "") }),
	"umount":      try(func(at string) error { return unix.Unmount(at, unix.MNT_DETACH) }),
	"pivot-root":  try(func(string) error { return unix.PivotRoot(".", ".") }),
	"chroot-escape": try(func(string) error {
		root, err := os.Open("/")
		if err != nil {
			return err
		}
		defer root.Close()
		return unix.Chroot("/tmp")
	}),
	"fsopen":     try(func(string) error { _, err := unix.Fsopen("tmpfs", 0); return err }),
	"fspick":     try(func(string) error { _, err := unix.Fspick(unix.AT_FDCWD, "/", 0); return err }),
	"open-tree":  try(func(string) error { _, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE); return err }),
	"move-mount": try(func(string) error { return unix.MoveMount(unix.AT_FDCWD, "/tmp", unix.AT_FDCWD, "/etc", 0) }),
	"mount-setattr": try(func(string) error {
		return unix.MountSetattr(unix.AT_FDCWD, "/proc", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	}),
	"unshare":    try(func(kind string) error { return inChild(unix.SYS_UNSHARE, namespaceFlags[kind]) }),
	"clone":      try(func(kind string) error { return clone(namespaceFlags[kind]) }),
	"clone-high": func(kind string) string { return cloneHigh(namespaceFlags[kind]) },
	"clone3":     try(func(kind string) error { return clone3(namespaceFlags[kind]) }),
	"setns": try(func(p string) error {
		fd, err := unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Setns(fd, 0)
	}),
	"setns-pidfd": try(func(string) error {
		fd, err := unix.PidfdOpen(os.Getppid(), 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Setns(fd, unix.CLONE_NEWNET|unix.CLONE_NEWUTS)
	}),
	"name-to-handle": try(func(string) error { _, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/etc", 0); return err }),
	"open-by-handle": try(openByHandle),
	"dotdot":         func(string) string { return dotdot() },
	"quotactl":       try(func(string) error { return call(unix.SYS_QUOTACTL, 0x800001<<8, 0, 0, 0) }), // Q_SYNC of all file systems
	"swapon": try(func(p string) error {
		b, err := unix.BytePtrFromString(p)
		if err != nil {
			return err
		}
		return call(unix.SYS_SWAPON, uintptr(unsafe.Pointer(b)), 0)
	}),
	"swapoff": try(func(p string) error {
		b, err := unix.BytePtrFromString(p)
		if err != nil {
			return err
		}
		return call(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(b)))
	}),
})

// inChild makes a call in a child with one thread, as some calls ask for.
func inChild(nr, arg uintptr) error {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		_, _, errno := unix.RawSyscall(nr, arg, 0, 0)
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(int(pid), &ws, 0, nil); err != nil {
		return err
	}
	if ws.ExitStatus() != 0 {
		return unix.Errno(ws.ExitStatus())
	}
	return nil
}

// clone makes a child in new namespaces, which ends at once.
func clone(flags uintptr) error {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	_, _ = unix.Wait4(int(pid), nil, 0, nil)
	return nil
}

// cloneHigh puts the flags into the upper half, which the kernel ignores: a child
// may come of it, but one in the same namespace.
func cloneHigh(flags uintptr) string {
	r, w, err := pipe()
	if err != nil {
		return result(err)
	}
	before, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return result(err)
	}
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags<<32|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return result(errno)
	}
	if pid == 0 { // wait until the parent has looked
		var b [1]byte
		_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(r), uintptr(unsafe.Pointer(&b)), 1)
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	after, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
	_, _ = unix.Write(w, []byte{0})
	_, _ = unix.Wait4(int(pid), nil, 0, nil)
	if err != nil {
		return result(err)
	}
	if after == before {
		return "same-namespace"
	}
	return "ok"
}

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

func clone3(flags uintptr) error {
	args := [11]uint64{0: uint64(flags), 4: uint64(unix.SIGCHLD)} // struct clone_args
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	_, _ = unix.Wait4(int(pid), nil, 0, nil)
	return nil
}

// openByHandle forges the handle of inode 2, the root directory of an ext4.
func openByHandle(mount string) error {
	fd, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const fileidIno32Gen = 1 // include/linux/exportfs.h
	h := unix.NewFileHandle(fileidIno32Gen, []byte{2, 0, 0, 0, 0, 0, 0, 0})
	_, err = unix.OpenByHandleAt(fd, h, unix.O_RDONLY)
	return err
}

// dotdot climbs from each descriptor that it has.
func dotdot() string {
	var root unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		return result(err)
	}
	for fd := range 64 {
		up, err := unix.Openat(fd, "../../../../../../../../../..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if err := unix.Fstat(up, &st); err == nil && (st.Dev != root.Dev || st.Ino != root.Ino) {
			return fmt.Sprintf("descriptor-%d-leads-out", fd)
		}
		_ = unix.Close(up)
	}
	return "contained"
}
