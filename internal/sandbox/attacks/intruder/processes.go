// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// process is the pid that an argument names.
func process(arg string) int {
	if arg == "parent" {
		return os.Getppid()
	}
	return number(arg)
}

var _ = add(map[string]func(string) string{
	"kill-all-as": try(func(uid string) error {
		if err := unix.Setuid(number(uid)); err != nil {
			return err
		}
		return unix.Kill(-1, unix.SIGKILL)
	}),
	"sigqueue": try(func(pid string) error {
		info := siginfo()
		return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(process(pid)), uintptr(unix.SIGSEGV), uintptr(unsafe.Pointer(&info)))
	}),
	"tgsigqueue": try(func(pid string) error {
		info := siginfo()
		return call(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(process(pid)), uintptr(process(pid)), uintptr(unix.SIGSEGV), uintptr(unsafe.Pointer(&info)))
	}),
	"pidfd-signal": try(func(pid string) error {
		fd, err := unix.PidfdOpen(process(pid), 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		info := siginfo()
		return call(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(fd), uintptr(unix.SIGSEGV), uintptr(unsafe.Pointer(&info)), 0)
	}),
	"ptrace-attach": try(func(pid string) error { return unix.PtraceAttach(process(pid)) }),
	"ptrace-seize":  try(func(pid string) error { return unix.PtraceSeize(process(pid)) }),
	"ptrace-parent": try(func(string) error { return seizeAndLetGo(os.Getppid()) }),
	"ptrace-child":  try(ptraceChild),
	"vm-read": try(func(pid string) error {
		b := make([]byte, 8)
		local := []unix.Iovec{{Base: &b[0], Len: 8}}
		_, err := unix.ProcessVMReadv(process(pid), local, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
		return ignore(err, unix.EFAULT) // it was let in, and nothing is there
	}),
	"vm-write": try(func(pid string) error {
		b := make([]byte, 8)
		local := []unix.Iovec{{Base: &b[0], Len: 8}}
		_, err := unix.ProcessVMWritev(process(pid), local, []unix.RemoteIovec{{Base: 8, Len: 8}}, 0)
		return ignore(err, unix.EFAULT)
	}),
	"madvise": try(func(pid string) error {
		fd, err := unix.PidfdOpen(process(pid), 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		iov := unix.Iovec{}
		return call(unix.SYS_PROCESS_MADVISE, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, unix.MADV_COLD, 0)
	}),
	"pidfd-getfd": try(func(pid string) error {
		fd, err := unix.PidfdOpen(process(pid), 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.PidfdGetfd(fd, 1, 0)
		return err
	}),
	"kcmp": try(func(pid string) error {
		const file = 0 // KCMP_FILE
		return call(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(process(pid)), file, 1, 1)
	}),
	"prlimit": try(func(arg string) error {
		pid, what := two(arg)
		limits := map[string]struct {
			resource int
			max      uint64
		}{"nofile": {unix.RLIMIT_NOFILE, 0}, "cpu": {unix.RLIMIT_CPU, 1}, "fsize": {unix.RLIMIT_FSIZE, 0}}
		l := limits[what]
		return unix.Prlimit(process(pid), l.resource, &unix.Rlimit{Cur: l.max, Max: l.max}, nil)
	}),
	"nice": try(func(n string) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, number(n)) }),
	"sched-fifo": try(func(string) error {
		p := int32(50)
		return call(unix.SYS_SCHED_SETSCHEDULER, 0, 1, uintptr(unsafe.Pointer(&p)))
	}),
	"ionice-rt": try(func(string) error { return call(unix.SYS_IOPRIO_SET, 1, 0, 1<<13) }),
	"rlimit-raise": try(func(string) error {
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
	}),
	"mlockall": try(func(string) error { return unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE) }),
	"core-limit": func(string) string { // set it to nothing, and ask what it is
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return result(err)
		}
		return coreLimit()
	},
	"core-limit-high": func(string) string {
		var none unix.Rlimit
		if err := call(unix.SYS_PRLIMIT64, 0, 1<<32|unix.RLIMIT_CORE, uintptr(unsafe.Pointer(&none)), 0); err != nil {
			return result(err)
		}
		return coreLimit()
	},
	"personality": try(func(what string) error {
		v := map[string]uintptr{"linux32": 0x8, "uname26": 0x20000, "no-random": 0x40000}[what]
		return call(unix.SYS_PERSONALITY, v)
	}),
	"daemon":  daemon,
	"sleeper": sleeper,
	"victim":  victim,
	"shm-host": try(func(string) error {
		_, err := unix.SysvShmGet(victimKey, 0, 0)
		return err
	}),
	"shm-leave": try(func(string) error {
		_, err := unix.SysvShmGet(0x1badcafe, 1<<16, unix.IPC_CREAT|0o600)
		return err
	}),
	"mqueue": try(func(string) error {
		return descriptor(unix.SYS_MQ_OPEN, name("ctxagent"), unix.O_CREAT|unix.O_RDWR, 0o600, 0)
	}),
	"forks":         try(forks),
	"threads":       try(threads),
	"memory":        memory,
	"tiocsti":       try(func(string) error { return terminal(unix.TIOCSTI) }),
	"tiocsti-high":  try(func(string) error { return terminal(1<<32 | unix.TIOCSTI) }),
	"tioclinux":     try(func(string) error { return terminal(unix.TIOCLINUX) }),
	"denied-flood":  deniedFlood,
	"denied-rename": deniedRename,
})

// victimKey is that of a shared memory segment outside.
const victimKey = 0x0badcafe

// siginfo claims to come from the kernel: si_code SI_USER and above is forged.
func siginfo() [32]uint32 { return [32]uint32{0: uint32(unix.SIGSEGV), 2: ^uint32(0)} }

func coreLimit() string {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &now); err != nil {
		return result(err)
	}
	return fmt.Sprint(now.Cur)
}

func seizeAndLetGo(pid int) error {
	if err := unix.PtraceSeize(pid); err != nil {
		return err
	}
	return unix.PtraceDetach(pid)
}

func ptraceChild(string) error {
	child := exec.Command("/proc/self/exe", "sleeper=5")
	if err := child.Start(); err != nil {
		return err
	}
	err := seizeAndLetGo(child.Process.Pid)
	_ = child.Process.Kill()
	_ = child.Wait()
	return err
}

// daemon leaves a copy of this program in a session of its own.
func daemon(string) string {
	child := exec.Command("/proc/self/exe", "sleeper=1000")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return result(err)
	}
	return ""
}

// sleeper sleeps, deaf to all signals.
func sleeper(seconds string) string {
	signal.Ignore()
	time.Sleep(time.Duration(number(seconds)) * time.Second)
	return ""
}

// victim is the harness's own: a process outside, as long as its parent lives.
func victim(string) string {
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(time.Second)
	}
	return ""
}

// forks starts N processes, tells of the first that cannot be started, and ends
// them all.
func forks(n string) error {
	var pids []int
	defer func() {
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, 0, nil)
		}
	}()
	for range number(n) {
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			for {
				_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			}
		}
		pids = append(pids, int(pid))
	}
	return nil
}

// threads starts N threads. The Go run-time ends the process when it gets none;
// a child tries, and its message tells.
func threads(n string) error {
	if os.Getenv("INTRUDER_THREADS") == "" {
		child := exec.Command("/proc/self/exe", "threads="+n)
		child.Env = []string{"INTRUDER_THREADS=1"}
		out, err := child.CombinedOutput()
		if strings.Contains(string(out), "failed to create new OS thread") {
			return unix.EAGAIN
		}
		return err
	}
	var ready sync.WaitGroup
	hold := make(chan struct{})
	for range number(n) {
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			ready.Done()
			<-hold
		}()
	}
	ready.Wait()
	return nil
}

// memory touches N MiB.
func memory(n string) string {
	var held [][]byte
	for range number(n) {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
	}
	runtime.KeepAlive(held)
	return "ok"
}

// terminal makes a pseudo-terminal its controlling one and sends request to it.
func terminal(request uintptr) error {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	_, _ = unix.Setsid() // a group leader cannot, and may have a session already
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer slave.Close()
	_ = unix.IoctlSetInt(int(slave.Fd()), unix.TIOCSCTTY, 0)
	c := byte('\n')
	if request == unix.TIOCLINUX {
		c = 3 // paste the selection
	}
	return call(unix.SYS_IOCTL, slave.Fd(), request, uintptr(unsafe.Pointer(&c)))
}

// deniedFlood makes a denied call many times.
func deniedFlood(n string) string {
	for range number(n) {
		_ = unix.Unmount("/proc", 0)
	}
	return "ok"
}

// deniedRename does so under ever new names.
func deniedRename(n string) string {
	for i := range number(n) {
		_ = unix.Prctl(unix.PR_SET_NAME, name(fmt.Sprintf("\n\x1b[31m%d", i)), 0, 0, 0)
		_ = unix.Unmount("/proc", 0)
	}
	return "ok"
}
