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
// on which one of those has a hole. everywhere are the rights that a rule gives
// back for the whole view: a ruleset that does not speak of REFER denies to link
// and to rename from one directory to another.
func landlock(abi int) (rules unix.LandlockRulesetAttr, everywhere uint64) {
	rules.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_REFER
	if abi >= 5 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		rules.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return rules, unix.LANDLOCK_ACCESS_FS_REFER
}

// restrictPaths establishes the ruleset for this thread, the one that starts the
// command. A kernel without Landlock (before Linux 5.13, or not among its lsm=)
// goes without, and so does one whose first version (before 5.19) cannot give
// REFER back: nothing rests on this layer alone.
func (in *inside) restrictPaths() error {
	if without("landlock") {
		return nil
	}
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP || errno == 0 && abi < 2 {
		return nil
	}
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	rules, everywhere := landlock(int(abi))
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	defer unix.Close(int(fd))
	if err := allowBeneath(int(fd), "/", everywhere); err != nil {
		return err
	}
	// For the view's own nodes: a shell asks a terminal's size.
	if ioctls := rules.Handled_access_fs & unix.LANDLOCK_ACCESS_FS_IOCTL_DEV; ioctls != 0 {
		if err := allowBeneath(int(fd), "/dev", ioctls); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// allowBeneath adds a rule for a directory and all below it.
func allowBeneath(ruleset int, dir string, rights uint64) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(f.Fd())}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_add_rule", errno)
	}
	return nil
}
