// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// name is a C string for a raw call.
func name(s string) uintptr {
	p, err := unix.BytePtrFromString(s)
	if err != nil {
		return 0
	}
	return uintptr(unsafe.Pointer(p))
}

var _ = add(map[string]func(string) string{
	// Without segments it unloads what is loaded: nothing.
	"kexec-load":      try(func(string) error { return call(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0) }),
	"kexec-file-load": try(func(string) error { return call(unix.SYS_KEXEC_FILE_LOAD, ^uintptr(0), ^uintptr(0), 0, 0, 2) }),
	"init-module":     try(func(string) error { return unix.InitModule([]byte("no module"), "") }),
	"finit-module": try(func(string) error {
		f, err := os.Open("/etc/passwd")
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.FinitModule(int(f.Fd()), "", 0)
	}),
	"delete-module": try(func(string) error { return unix.DeleteModule("ctxagent_none", unix.O_NONBLOCK) }),
	"exec-unknown": try(func(string) error {
		if err := os.WriteFile("/tmp/unknown", []byte("\x01\x02\x03\x04 no format"), 0o755); err != nil {
			return err
		}
		return exec.Command("/tmp/unknown").Run()
	}),
	"bpf-prog": try(bpfProgram),
	"bpf-map": try(func(string) error {
		attr := [16]uint32{2, 4, 4, 1} // BPF_MAP_TYPE_ARRAY
		return descriptor(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}),
	"perf": try(func(what string) error {
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Bits: unix.PerfBitExcludeKernel}
		pid, cpu := 0, -1
		if what == "machine" {
			pid, cpu = -1, 0
		}
		_, err := unix.PerfEventOpen(&attr, pid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		return err
	}),
	"userfaultfd": try(func(string) error { return descriptor(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|1) }), // UFFD_USER_MODE_ONLY
	"io-uring-setup": try(func(string) error {
		var params [120]byte
		return descriptor(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)))
	}),
	"io-uring-enter":    try(func(string) error { return call(unix.SYS_IO_URING_ENTER, ^uintptr(0), 0, 0, 0, 0, 0) }),
	"io-uring-register": try(func(string) error { return call(unix.SYS_IO_URING_REGISTER, ^uintptr(0), 0, 0, 0) }),
	"keyctl-session":    try(func(string) error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true); return err }),
	"keyctl-join":       try(func(string) error { _, err := unix.KeyctlJoinSessionKeyring("ctxagent"); return err }),
	"add-key": try(func(string) error {
		_, err := unix.AddKey("user", "ctxagent", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
		return err
	}),
	"request-key": try(func(string) error {
		_, err := unix.RequestKey("user", "ctxagent", "", 0)
		return ignore(err, unix.ENOKEY)
	}),
	"memfd-exec": memfdExec,
	"clock-settime": try(func(string) error {
		t := ahead()
		return call(unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, uintptr(unsafe.Pointer(&t)))
	}),
	"settimeofday": try(func(string) error {
		t := unix.NsecToTimeval(time.Now().Add(2 * time.Second).UnixNano())
		return unix.Settimeofday(&t)
	}),
	"adjtimex": try(func(string) error {
		_, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_TICK, Tick: 10000})
		return err
	}),
	"clock-adjtime": try(func(string) error {
		_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &unix.Timex{Modes: unix.ADJ_TICK, Tick: 10000})
		return err
	}),
	"sethostname":   try(func(string) error { return unix.Sethostname([]byte("intruder.example.org")) }),
	"setdomainname": try(func(string) error { return unix.Setdomainname([]byte("intruder.example.org")) }),
	"reboot": try(func(how string) error {
		if how == "cad" { // whether Ctrl-Alt-Del restarts at once: as it is
			return unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)
		}
		return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // of the pid namespace, at most
	}),
	"acct":    try(func(p string) error { return unix.Acct(p) }),
	"vhangup": try(func(string) error { return call(unix.SYS_VHANGUP) }),
	"fanotify": try(func(string) error {
		_, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, 0)
		return err
	}),
	"syslog-read": try(func(string) error {
		b := make([]byte, 1<<16)
		_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, b)
		return err
	}),
	"future": try(func(nr string) error { return call(uintptr(number(nr))) }),
	"number": try(func(nr string) error { return call(uintptr(number(nr)), 0, 0, 0, 0, 0, 0) }),

	"capabilities": func(string) string {
		caps, err := capabilities()
		if err != nil {
			return result(err)
		}
		return fmt.Sprintf("%#x", caps)
	},
	"no-new-privs": func(string) string {
		n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		if err != nil {
			return result(err)
		}
		return fmt.Sprint(n)
	},
	"undo-no-new-privs": try(func(string) error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) }),
	"capset-all": try(func(string) error {
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		d := [2]unix.CapUserData{{Effective: ^uint32(0), Permitted: ^uint32(0)}, {Effective: 0x1ff, Permitted: 0x1ff}}
		return unix.Capset(&h, &d[0])
	}),
	"ambient": try(func(string) error {
		return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0)
	}),
	"securebits": try(func(string) error { return unix.Prctl(unix.PR_SET_SECUREBITS, 0x3, 0, 0, 0) }),
	"bounding":   try(func(string) error { return unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_CHOWN, 0, 0, 0) }),
	// If init could be made dumpable again, its files would open.
	"dumpable-init": try(func(string) error {
		f, err := os.Open("/proc/1/auxv")
		if err != nil {
			return err
		}
		return f.Close()
	}),
	"seccomp-allow-mount": try(func(string) error {
		if err := ownFilter(0); err != nil {
			return err
		}
		return unix.Mount("none", "/etc", "tmpfs", 0, "")
	}),
	"seccomp-listener": try(func(string) error { return ownFilter(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER) }),
})

// descriptor makes a call that answers with a descriptor, and closes that.
func descriptor(nr uintptr, a ...uintptr) error {
	var full [6]uintptr
	copy(full[:], a)
	fd, _, errno := unix.RawSyscall6(nr, full[0], full[1], full[2], full[3], full[4], full[5])
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// ignore takes one errno as a success: the call was let in.
func ignore(err error, errno unix.Errno) error {
	if errors.Is(err, errno) {
		return nil
	}
	return err
}

func ahead() unix.Timespec { return unix.NsecToTimespec(time.Now().Add(2 * time.Second).UnixNano()) }

// bpfProgram loads "return 0" as a socket filter.
func bpfProgram(string) error {
	code := [2]uint64{0xb7, 0x95} // r0 = 0; exit
	license := []byte("GPL\x00")
	attr := struct {
		kind, n        uint32
		insns, license uint64
		rest           [15]uint64
	}{kind: 1, n: 2, insns: uint64(uintptr(unsafe.Pointer(&code))), license: uint64(uintptr(unsafe.Pointer(&license[0])))}
	err := descriptor(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(&code)
	return err
}

func capabilities() (uint64, error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return 0, err
	}
	return uint64(d[0].Effective|d[0].Permitted) | uint64(d[1].Effective|d[1].Permitted)<<32, nil
}

// ownFilter loads a filter that allows everything.
func ownFilter(flags uintptr) error {
	code := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	prog := unix.SockFprog{Len: 1, Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// memfdExec runs this program from memory, for another attempt.
func memfdExec(arg string) string {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return result(err)
	}
	fd, err := unix.MemfdCreate("intruder", 0)
	if err != nil {
		return result(err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	defer f.Close()
	if _, err := f.Write(self); err != nil {
		return result(err)
	}
	out, err := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fd), arg).Output()
	if err != nil {
		return result(err)
	}
	fmt.Print(string(out)) // it reports for itself
	return ""
}
