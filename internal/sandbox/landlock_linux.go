// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlock is the ruleset for an ABI version of Documentation/userspace-api/landlock.rst:
// device nodes cannot be made anywhere, nor used but below /dev, and neither
// abstract sockets nor processes outside of the sandbox can be reached. Each of
// that is stopped by a capability or a namespace already; this is for the day
// on which one of those has a hole.
func landlock(abi int) unix.LandlockRulesetAttr {
	rules := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK}
	if abi >= 5 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		rules.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return rules
}

// restrictPaths establishes the ruleset for this thread, the one that starts the
// command. A kernel without Landlock (before Linux 5.13, or
// not among its lsm=) goes without: nothing rests on this layer alone.
func (in *inside) restrictPaths() error {
	if without("landlock") {
		return nil
	}
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP {
		return nil
	}
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	rules := landlock(int(abi))
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	defer unix.Close(int(fd))
	if rules.Handled_access_fs&unix.LANDLOCK_ACCESS_FS_IOCTL_DEV != 0 {
		if err := allowDeviceIoctls(int(fd)); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// allowDeviceIoctls is for the view's own nodes: a shell asks a terminal's size.
func allowDeviceIoctls(ruleset int) error {
	dev, err := os.Open("/dev")
	if err != nil {
		return err
	}
	defer dev.Close()
	rule := unix.LandlockPathBeneathAttr{Allowed_access: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, Parent_fd: int32(dev.Fd())}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_add_rule", errno)
	}
	return nil
}
