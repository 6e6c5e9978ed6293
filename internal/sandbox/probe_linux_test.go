// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A probe is one system call made inside by the test binary itself, which the
// sandbox shows as /run/ctxagent/agent; it prints how the call ended.
const probeArg = "sandbox-probe"

// probes are the calls by name.
var probes = map[string]func(arg string) error{
	"connect": func(arg string) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrUnix{Name: arg})
	},
	"tcp":         func(string) error { return socket(unix.AF_INET, unix.SOCK_STREAM, 0) },
	"mptcp":       func(string) error { return socket(unix.AF_INET, unix.SOCK_STREAM, 262) },
	"sctp":        func(string) error { return socket(unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_SCTP) },
	"vsock":       func(string) error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) },
	"alg":         func(string) error { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) },
	"packet":      func(string) error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) },
	"rtnetlink":   func(string) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE) },
	"uevent":      func(string) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT) },
	"pair":        func(string) error { return pair(unix.AF_UNIX) },
	"pair-vsock":  func(string) error { return pair(unix.AF_VSOCK) },
	"unshare":     func(string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"mount":       func(string) error { return unix.Mount("x", "/etc", "tmpfs", 0, "") },
	"clone-newns": func(string) error { return call(unix.SYS_CLONE, unix.CLONE_NEWNS|uintptr(unix.SIGCHLD), 0, 0) },
	"clone3":      func(string) error { return call(unix.SYS_CLONE3, 0, 0, 0) },
	"keyctl":      func(string) error { return call(unix.SYS_KEYCTL, 0, 0, 0) },
	"bpf":         func(string) error { return call(unix.SYS_BPF, 0, 0, 0) },
	"future":      func(string) error { return call(9999, 0, 0, 0) },
	"x32":         func(string) error { return call(0x40000000+1, 0, 0, 0) },
	"sigqueue":    func(string) error { return call(unix.SYS_RT_SIGQUEUEINFO, 1, uintptr(unix.SIGSEGV), 0) },
	"tiocsti":     func(string) error { return call(unix.SYS_IOCTL, 0, unix.TIOCSTI, 0) },
	// The limit may be "set", and stays what it is.
	"core": func(string) error {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return err
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &now); err != nil {
			return err
		}
		return fmt.Errorf("limit %d", now.Cur)
	},
	"prlimit": func(string) error {
		return unix.Prlimit(1, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 3}, nil)
	},
	// names makes a denied call under that many names.
	"names": func(arg string) error {
		runtime.LockOSThread()
		n, err := strconv.Atoi(arg)
		for i := range n {
			name, _ := unix.ByteSliceFromString(fmt.Sprintf("name%d", i))
			if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); err != nil {
				return err
			}
			_ = unix.Sethostname([]byte("x"))
		}
		return err
	},
	// raw makes calls, given as their number and four arguments, however they end.
	"raw": func(arg string) error {
		for one := range strings.SplitSeq(arg, ";") {
			var nr, a, b, c, d uintptr
			if _, err := fmt.Sscanf(one, "%d %d %d %d %d", &nr, &a, &b, &c, &d); err != nil {
				return err
			}
			_, _, _ = unix.RawSyscall6(nr, a, b, c, d, 0, 0)
		}
		return nil
	},
	"nofile": func(string) error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 100, Max: 100}) },
	"read":   func(arg string) error { _, err := os.ReadFile(arg); return err },
}

func socket(domain, typ, proto int) error {
	_, err := unix.Socket(domain, typ, proto)
	return err
}

func pair(domain int) error {
	_, err := unix.Socketpair(domain, unix.SOCK_STREAM, 0)
	return err
}

func call(nr, a1, a2, a3 uintptr) error {
	if _, _, errno := unix.RawSyscall(nr, a1, a2, a3); errno != 0 {
		return errno
	}
	return nil
}

// probeMain is the probe's process.
func probeMain(args []string) int {
	err := probes[args[0]](args[1])
	var errno unix.Errno
	switch {
	case errors.As(err, &errno):
		fmt.Print(errno.Error())
	case err != nil:
		fmt.Print(err)
	default:
		fmt.Print("ok")
	}
	return 0
}

// probe makes one call inside and returns how it ended.
func probe(t *testing.T, root, name, arg string) string {
	t.Helper()
	return run(t, root, fmt.Sprintf("/run/ctxagent/agent %s %s '%s'", probeArg, name, arg)).Output
}

func TestSystemCalls(t *testing.T) {
	root := newRoot(t)
	for _, tt := range []struct{ probe, arg, want string }{
		{"tcp", "", "ok"}, {"pair", "", "ok"}, {"rtnetlink", "", "ok"}, {"nofile", "", "ok"}, {"core", "", "limit 1"},
		{"mptcp", "", "protocol not supported"}, {"sctp", "", "protocol not supported"},
		{"vsock", "", "address family not supported by protocol"}, {"alg", "", "address family not supported by protocol"},
		{"packet", "", "address family not supported by protocol"}, {"uevent", "", "address family not supported by protocol"},
		{"pair-vsock", "", "address family not supported by protocol"},
		{"unshare", "", "operation not permitted"}, {"mount", "", "operation not permitted"}, {"clone-newns", "", "operation not permitted"},
		{"keyctl", "", "operation not permitted"}, {"bpf", "", "operation not permitted"}, {"sigqueue", "", "operation not permitted"},
		{"tiocsti", "", "operation not permitted"},
		{"clone3", "", "function not implemented"}, {"future", "", "function not implemented"}, {"x32", "", "function not implemented"},
		{"read", "/sys/class/zram-control/hot_add", "no such file or directory"}, {"read", "/sys/firmware/acpi/tables/DSDT", "no such file or directory"},
		{"read", "/proc/keys", "permission denied"}, {"read", "/proc/kallsyms", "permission denied"}, {"read", "/sys/devices/system/cpu/online", "ok"},
	} {
		if runtime.GOARCH != "amd64" && tt.probe == "x32" {
			continue
		}
		if got := probe(t, root, tt.probe, tt.arg); got != tt.want {
			t.Errorf("%s %s: %q; want %q", tt.probe, tt.arg, got, tt.want)
		}
	}
}

// TestFilterIsReachable walks the program: every jump stays inside, and the last
// instruction returns.
func TestFilterIsReachable(t *testing.T) {
	p := filter(auditArch, denied, deniedHere)
	for i, ins := range p {
		if ins.Code&7 == unix.BPF_JMP && i+1+int(max(ins.Jt, ins.Jf)) >= len(p) {
			t.Errorf("instruction %d jumps out of the program", i)
		}
	}
	if last := p[len(p)-1]; last.Code&7 != unix.BPF_RET || len(p) > 4096 || unsafe.Sizeof(last) != 8 {
		t.Errorf("the last of %d instructions is %+v; want a return", len(p), last)
	}
}
