// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"runtime"
	"slices"
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
	// signals with a forged origin: the Go runtime of init takes one for a fault
	unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_SEND_SIGNAL,
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
	offNr       = 0
	offArch     = 4
	offArg0     = 16
	offArg1     = 24
	offArg2     = 32
	offArg2High = 36
)

// program is a piece of a classic BPF program (bpf(2), seccomp(2)).
type program []unix.SockFilter

func stmt(code uint16, k uint32) program { return program{{Code: code, K: k}} }

func jump(op uint16, k uint32, yes, no uint8) program {
	return program{{Code: unix.BPF_JMP | op | unix.BPF_K, K: k, Jt: yes, Jf: no}}
}

func load(off uint32) program { return stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off) }

func ret(action uint32) program { return stmt(unix.BPF_RET|unix.BPF_K, action) }

func answer(errno unix.Errno) program { return ret(unix.SECCOMP_RET_ERRNO | uint32(errno)) }

// when runs body, which has to return, if the loaded word is k.
func when(k uint32, body ...program) program {
	b := slices.Concat(body...)
	return append(jump(unix.BPF_JEQ, k, 0, uint8(len(b))), b...)
}

var (
	allow   = ret(unix.SECCOMP_RET_ALLOW)
	kill    = ret(unix.SECCOMP_RET_KILL_PROCESS)
	pretend = answer(0) // the call is not made and returns 0
)

// filter is the program for one architecture (a value of AUDIT_ARCH_*).
func filter(arch uint32, extra []uint32) program {
	p := slices.Concat(
		load(offArch), jump(unix.BPF_JEQ, arch, 1, 0), kill, // i386 numbers mean other calls
		load(offNr), jump(unix.BPF_JGT, newest, 0, 1), answer(unix.ENOSYS), // x32 (bit 30) falls under it
		when(unix.SYS_CLONE3, answer(unix.ENOSYS)), // its flags are behind a pointer; libc falls back to clone
	)
	for _, nr := range slices.Concat(denied, extra) {
		p = append(p, when(nr, answer(unix.EPERM))...)
	}
	return slices.Concat(p, looked(), allow)
}

// looked are the calls whose arguments decide.
func looked() program {
	inet := slices.Concat(load(offArg2), when(unix.IPPROTO_IP, allow), when(unix.IPPROTO_TCP, allow), when(unix.IPPROTO_UDP, allow),
		when(unix.IPPROTO_ICMP, allow), when(unix.IPPROTO_ICMPV6, allow), answer(unix.EPROTONOSUPPORT))
	return slices.Concat(
		when(unix.SYS_CLONE, load(offArg0), jump(unix.BPF_JSET, namespaceFlags, 0, 1), answer(unix.EPERM), allow),
		// TIOCSTI types into a terminal, TIOCLINUX pastes into a console.
		when(unix.SYS_IOCTL, load(offArg1), when(unix.TIOCSTI, answer(unix.EPERM)), when(unix.TIOCLINUX, answer(unix.EPERM)), allow),
		// A core limit of 0 would start a piped core_pattern handler outside, as
		// limitResources says. To set one succeeds and does nothing, for honest
		// scripts do it. prlimit64 without a new limit is a question.
		when(unix.SYS_SETRLIMIT, load(offArg0), when(unix.RLIMIT_CORE, pretend), allow),
		when(unix.SYS_PRLIMIT64, load(offArg1), jump(unix.BPF_JEQ, unix.RLIMIT_CORE, 1, 0), allow,
			load(offArg2), jump(unix.BPF_JEQ, 0, 1, 0), pretend, load(offArg2High), jump(unix.BPF_JEQ, 0, 1, 0), pretend, allow),
		// A socket of another family or protocol can make the kernel load a
		// module, and VSOCK reaches the hypervisor. Of netlink, only rtnetlink.
		when(unix.SYS_SOCKETPAIR, load(offArg0), when(unix.AF_UNIX, allow), answer(unix.EAFNOSUPPORT)),
		when(unix.SYS_SOCKET, load(offArg0), when(unix.AF_UNIX, allow), when(unix.AF_INET, inet), when(unix.AF_INET6, inet),
			when(unix.AF_NETLINK, load(offArg2), when(unix.NETLINK_ROUTE, allow), answer(unix.EAFNOSUPPORT)), answer(unix.EAFNOSUPPORT)),
	)
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
