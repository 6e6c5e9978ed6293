// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// denied are system calls that a configuration script has no use for and that
// an overstepping one would try, by number. Capabilities stop most of them too;
// each of the two layers has to do alone. The calls get EPERM and are counted.
var denied = map[uint32]string{
	// mounts and namespaces
	unix.SYS_MOUNT: "mount", unix.SYS_UMOUNT2: "umount2", unix.SYS_PIVOT_ROOT: "pivot_root", unix.SYS_CHROOT: "chroot",
	unix.SYS_UNSHARE: "unshare", unix.SYS_SETNS: "setns", unix.SYS_OPEN_TREE: "open_tree", unix.SYS_OPEN_TREE_ATTR: "open_tree_attr",
	unix.SYS_MOVE_MOUNT: "move_mount", unix.SYS_FSOPEN: "fsopen", unix.SYS_FSCONFIG: "fsconfig", unix.SYS_FSMOUNT: "fsmount",
	unix.SYS_FSPICK: "fspick", unix.SYS_MOUNT_SETATTR: "mount_setattr", unix.SYS_QUOTACTL: "quotactl", unix.SYS_QUOTACTL_FD: "quotactl_fd",
	unix.SYS_SWAPON: "swapon", unix.SYS_SWAPOFF: "swapoff",
	// other processes
	unix.SYS_PTRACE: "ptrace", unix.SYS_PROCESS_VM_READV: "process_vm_readv", unix.SYS_PROCESS_VM_WRITEV: "process_vm_writev",
	unix.SYS_KCMP: "kcmp", unix.SYS_PIDFD_GETFD: "pidfd_getfd", unix.SYS_PROCESS_MADVISE: "process_madvise",
	// the kernel
	unix.SYS_KEXEC_LOAD: "kexec_load", unix.SYS_KEXEC_FILE_LOAD: "kexec_file_load", unix.SYS_INIT_MODULE: "init_module",
	unix.SYS_FINIT_MODULE: "finit_module", unix.SYS_DELETE_MODULE: "delete_module", unix.SYS_REBOOT: "reboot", unix.SYS_BPF: "bpf",
	unix.SYS_PERF_EVENT_OPEN: "perf_event_open", unix.SYS_USERFAULTFD: "userfaultfd", unix.SYS_IO_URING_SETUP: "io_uring_setup",
	unix.SYS_IO_URING_ENTER: "io_uring_enter", unix.SYS_IO_URING_REGISTER: "io_uring_register", unix.SYS_SYSLOG: "syslog",
	unix.SYS_ACCT: "acct", unix.SYS_VHANGUP: "vhangup", unix.SYS_FANOTIFY_INIT: "fanotify_init",
	unix.SYS_LOOKUP_DCOOKIE: "lookup_dcookie", unix.SYS_NFSSERVCTL: "nfsservctl",
	// key rings are not in any namespace
	unix.SYS_KEYCTL: "keyctl", unix.SYS_ADD_KEY: "add_key", unix.SYS_REQUEST_KEY: "request_key",
	// clock and names
	unix.SYS_SETTIMEOFDAY: "settimeofday", unix.SYS_CLOCK_SETTIME: "clock_settime", unix.SYS_CLOCK_ADJTIME: "clock_adjtime",
	unix.SYS_ADJTIMEX: "adjtimex", unix.SYS_SETHOSTNAME: "sethostname", unix.SYS_SETDOMAINNAME: "setdomainname",
	// signals with a forged origin: the Go runtime of init takes one for a fault
	unix.SYS_RT_SIGQUEUEINFO: "rt_sigqueueinfo", unix.SYS_RT_TGSIGQUEUEINFO: "rt_tgsigqueueinfo", unix.SYS_PIDFD_SEND_SIGNAL: "pidfd_send_signal",
	// files by handle: not bound to any mount
	unix.SYS_OPEN_BY_HANDLE_AT: "open_by_handle_at", unix.SYS_NAME_TO_HANDLE_AT: "name_to_handle_at",
}

// deniedIoctls are requests of ioctl(2) that are denied: typing into a terminal,
// pasting into a console, and the older way to configure links (netdevice(7)).
var deniedIoctls = map[uint32]string{
	unix.TIOCSTI: "TIOCSTI", unix.TIOCLINUX: "TIOCLINUX",
	unix.SIOCADDRT: "SIOCADDRT", unix.SIOCDELRT: "SIOCDELRT", unix.SIOCSIFFLAGS: "SIOCSIFFLAGS", unix.SIOCSIFADDR: "SIOCSIFADDR",
	unix.SIOCSIFDSTADDR: "SIOCSIFDSTADDR", unix.SIOCSIFBRDADDR: "SIOCSIFBRDADDR", unix.SIOCSIFNETMASK: "SIOCSIFNETMASK",
	unix.SIOCSIFMETRIC: "SIOCSIFMETRIC", unix.SIOCSIFMTU: "SIOCSIFMTU", unix.SIOCSIFNAME: "SIOCSIFNAME",
	unix.SIOCSIFHWADDR: "SIOCSIFHWADDR", unix.SIOCDIFADDR: "SIOCDIFADDR", unix.SIOCSARP: "SIOCSARP", unix.SIOCDARP: "SIOCDARP",
	unix.SIOCBRADDBR: "SIOCBRADDBR", unix.SIOCBRDELBR: "SIOCBRDELBR",
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
	tell    = ret(unix.SECCOMP_RET_USER_NOTIF)
)

// filter is the program for one architecture (a value of AUDIT_ARCH_*).
func filter(arch uint32, calls ...map[uint32]string) program {
	p := slices.Concat(
		load(offArch), jump(unix.BPF_JEQ, arch, 1, 0), kill, // i386 numbers mean other calls
		load(offNr), jump(unix.BPF_JGT, newest, 0, 1), answer(unix.ENOSYS), // x32 (bit 30) falls under it
		when(unix.SYS_CLONE3, answer(unix.ENOSYS)), // its flags are behind a pointer; libc falls back to clone
	)
	for _, c := range calls {
		for _, nr := range slices.Sorted(maps.Keys(c)) {
			p = append(p, when(nr, tell)...)
		}
	}
	return slices.Concat(p, ids(mappedIDs()), looked(), allow)
}

// looked are the calls whose arguments decide.
func looked() program {
	// By type, too: with protocol 0 SOCK_DCCP or SOCK_SEQPACKET would have the
	// kernel look for a module.
	inet := slices.Concat(load(offArg1), stmt(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0xf), jump(unix.BPF_JEQ, unix.SOCK_STREAM, 2, 0),
		jump(unix.BPF_JEQ, unix.SOCK_DGRAM, 1, 0), tell, load(offArg2), when(unix.IPPROTO_IP, allow), when(unix.IPPROTO_TCP, allow), when(unix.IPPROTO_UDP, allow),
		when(unix.IPPROTO_ICMP, allow), when(unix.IPPROTO_ICMPV6, allow), tell)
	ioctls := load(offArg1)
	for _, request := range slices.Sorted(maps.Keys(deniedIoctls)) {
		ioctls = append(ioctls, when(request, tell)...)
	}
	// Told, and let go on: what configures a link is looked at (notify_linux.go).
	send := slices.Concat(load(offArg0), when(backFD, allow), tell)
	return slices.Concat(
		when(unix.SYS_CLONE, load(offArg0), jump(unix.BPF_JSET, namespaceFlags, 0, 1), tell, allow),
		when(unix.SYS_IOCTL, ioctls, allow),
		when(unix.SYS_SENDTO, send), when(unix.SYS_SENDMSG, send), when(unix.SYS_SENDMMSG, send),
		// A core limit of 0 would start a piped core_pattern handler outside, as
		// limitResources says. To set one succeeds and does nothing, for honest
		// scripts do it. prlimit64 without a new limit is a question, and one for
		// another process than the caller could starve sandbox-init.
		when(unix.SYS_SETRLIMIT, load(offArg0), when(unix.RLIMIT_CORE, pretend), allow),
		when(unix.SYS_PRLIMIT64, load(offArg2), jump(unix.BPF_JEQ, 0, 0, 3), load(offArg2High), jump(unix.BPF_JEQ, 0, 0, 1), allow,
			load(offArg0), jump(unix.BPF_JEQ, 0, 1, 0), tell,
			load(offArg1), when(unix.RLIMIT_CORE, pretend), allow),
		// A socket of another family or protocol can make the kernel load a
		// module, and VSOCK reaches the hypervisor. Of netlink, only rtnetlink.
		when(unix.SYS_SOCKETPAIR, load(offArg0), when(unix.AF_UNIX, allow), tell),
		when(unix.SYS_SOCKET, load(offArg0), when(unix.AF_UNIX, allow), when(unix.AF_INET, inet), when(unix.AF_INET6, inet),
			when(unix.AF_NETLINK, load(offArg2), when(unix.NETLINK_ROUTE, allow), tell), tell),
	)
}

// filterCalls establishes the filter on every thread and hands the agent the
// descriptor over which the kernel tells of calls (seccomp_unotify(2)).
func (in *inside) filterCalls() error {
	if without("seccomp") {
		return nil
	}
	p := filter(auditArch, denied, deniedHere)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(p)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	in.send(message{Listener: true}, int(fd))
	return unix.Close(int(fd))
}
