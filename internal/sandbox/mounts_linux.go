// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func makePrivate() error { return mountAt("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }

// mountWorkspace puts one limited tmpfs under everything that is written: the
// uppers of all layers share its limits.
func (in *inside) mountWorkspace() error {
	s := in.conf.Spec
	opts := fmt.Sprintf("mode=0700,size=%d,nr_inodes=%d", s.Bytes, s.Inodes)
	if err := mountAt("ctxagent", s.Work, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		return err
	}
	// From here on names are relative: a root's path may hold what the option
	// string of overlayfs gives a meaning to.
	if err := os.Chdir(s.Work); err != nil {
		return err
	}
	if err := tryMark(); err != nil {
		return err
	}
	return os.Mkdir(in.view, 0o755)
}

// copyAttr gives an upper directory the mode, owner and attributes of its lower
// one: in a merged directory the upper's are the ones that are seen.
func copyAttr(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return &os.PathError{Op: "stat", Path: from, Err: err}
	}
	if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: to, Err: err}
	}
	return copyXattrs(from, to)
}

func copyXattrs(from, to string) error {
	list := make([]byte, 1<<16)
	n, err := unix.Llistxattr(from, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "listxattr", Path: from, Err: err}
	}
	val := make([]byte, 1<<16)
	for k := range bytes.SplitSeq(bytes.TrimRight(list[:n], "\x00"), []byte{0}) {
		name := string(k)
		// user.* is not kept by a tmpfs before Linux 6.6 and not compared.
		if name == "" || strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		m, err := unix.Lgetxattr(from, name, val)
		if err != nil {
			return &os.PathError{Op: "getxattr", Path: from, Err: err}
		}
		if err := unix.Lsetxattr(to, name, val[:m], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return &os.PathError{Op: "setxattr", Path: to, Err: err}
		}
	}
	return nil
}

// pivot makes the view the root and drops the host's tree.
func (in *inside) pivot() error {
	if err := os.Chdir(in.view); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return os.NewSyscallError("umount2", err)
	}
	return os.Chdir("/")
}

// bindReadOnly binds src, without its submounts, and makes the bind read-only.
func bindReadOnly(src, target string) error {
	if err := mountAt(src, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return remountReadOnly(target, unix.MS_NODEV)
}

// remountReadOnly makes a bind read-only. In a user namespace, what its mount
// forbade before has to stay forbidden (MNT_LOCKED in mount_namespaces(7)).
func remountReadOnly(target string, flags uintptr) error {
	if userNamespace() {
		var st unix.Statfs_t
		if err := unix.Statfs(target, &st); err != nil {
			return &os.PathError{Op: "statfs", Path: target, Err: err}
		}
		for is, keep := range map[int64]uintptr{unix.ST_NOEXEC: unix.MS_NOEXEC, unix.ST_NODEV: unix.MS_NODEV} {
			if int64(st.Flags)&is != 0 {
				flags |= keep
			}
		}
	}
	return mountAt("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|flags, "")
}

// mountAt is mount(2) with an error that names everything.
func mountAt(src, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(src, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %q on %q (type %q, flags %#x, %q): %w", src, target, fstype, flags, data, err)
	}
	return nil
}
