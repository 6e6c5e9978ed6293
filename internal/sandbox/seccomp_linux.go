// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// denied are system calls that a configuration script has no use for and that
// an overstepping one would try. Capabilities stop most of them too; each of
// the two layers has to do alone. The calls get EPERM.
var denied = []uint32{
	// mounts and namespaces
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_TREE,
	unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_OPEN_TREE_ATTR, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
	// other processes
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE,
	// the kernel
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT, unix.SYS_BPF,
	unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_SYSLOG, unix.SYS_ACCT, unix.SYS_VHANGUP, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
	// key rings are not in any namespace
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	// clock and names
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	// files by handle: not bound to any mount
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
}

// newest is the newest system call that was known when denied was written. A
// newer one gets ENOSYS, as on an older kernel.
const newest = unix.SYS_RSEQ_SLICE_YIELD

const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS |
	unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// Offsets in struct seccomp_data (include/uapi/linux/seccomp.h); both
// architectures are little-endian, so an argument's low word comes first.
const (
	offNr   = 0
	offArch = 4
	offArg0 = 16
	offArg1 = 24
	offArg2 = 32
)

func stmt(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, K: k, Jt: yes, Jf: no}
}

func load(off uint32) unix.SockFilter { return stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off) }

func answer(errno unix.Errno) unix.SockFilter {
	return stmt(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(errno))
}

var (
	allow = stmt(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	kill  = stmt(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_KILL_PROCESS)
)

// filter is the program for one architecture (a value of AUDIT_ARCH_*).
func filter(arch uint32, extra []uint32) []unix.SockFilter {
	p := []unix.SockFilter{
		load(offArch), jump(unix.BPF_JEQ, arch, 1, 0), kill, // i386 numbers mean other calls
		load(offNr), jump(unix.BPF_JGT, newest, 0, 1), answer(unix.ENOSYS), // x32 (bit 30) falls under it
		jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), answer(unix.ENOSYS), // its flags are behind a pointer; libc falls back to clone
	}
	for _, nr := range append(append([]uint32(nil), denied...), extra...) {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 1), answer(unix.EPERM))
	}
	p = append(p,
		jump(unix.BPF_JEQ, unix.SYS_CLONE, 0, 4), load(offArg0),
		jump(unix.BPF_JSET, namespaceFlags, 0, 1), answer(unix.EPERM), allow,
		// TIOCSTI types into a terminal, TIOCLINUX pastes into a console.
		jump(unix.BPF_JEQ, unix.SYS_IOCTL, 0, 5), load(offArg1),
		jump(unix.BPF_JEQ, unix.TIOCSTI, 1, 0), jump(unix.BPF_JEQ, unix.TIOCLINUX, 0, 1), answer(unix.EPERM), allow,
		// A socket of another family can make the kernel load a module, and
		// VSOCK reaches the hypervisor. Of netlink, only rtnetlink.
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 1, 0), allow, load(offArg0),
		jump(unix.BPF_JEQ, unix.AF_UNIX, 7, 0), jump(unix.BPF_JEQ, unix.AF_INET, 6, 0), jump(unix.BPF_JEQ, unix.AF_INET6, 5, 0),
		jump(unix.BPF_JEQ, unix.AF_NETLINK, 1, 0), answer(unix.EAFNOSUPPORT), load(offArg2),
		jump(unix.BPF_JEQ, unix.NETLINK_ROUTE, 1, 0), answer(unix.EAFNOSUPPORT), allow,
	)
	return p
}

// loadFilter establishes the filter on every thread (SECCOMP_FILTER_FLAG_TSYNC).
func loadFilter() error {
	p := filter(auditArch, deniedHere)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(p)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	if r != 0 { // a thread that could not be synchronised: seccomp(2)
		return os.NewSyscallError("seccomp", unix.ESRCH)
	}
	return nil
}
