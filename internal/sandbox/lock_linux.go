// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept are the capabilities of a configuration script: it owns, chmods and
// copies files, and drops to a service's user. CAP_DAC_READ_SEARCH is not among
// them: with it open_by_handle_at(2) reaches every inode (capabilities(7)).
const kept = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
	1<<unix.CAP_KILL | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID

// allThreads makes a system call on every thread: those of the Go runtime must
// not keep what the one that starts the command gives up.
func allThreads(name string, trap, a1, a2, a3 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall(trap, a1, a2, a3)
	if errno == syscall.ENOTSUP {
		return errors.New("this binary was built with cgo: build it with CGO_ENABLED=0")
	}
	if errno != 0 {
		return os.NewSyscallError(name, errno)
	}
	return nil
}

// spareThreads is more than what runs beside the thread that starts the command
// and waits for it: obey, one goroutine of the runtime's (GOMAXPROCS is 1), and
// for a moment a thread that hands over to another.
const spareThreads = 4

// stockThreads makes the threads that the runtime will need. It keeps idle ones
// for good and makes a new one only when there is none: a script that took every
// task of the cgroup cannot have it fail at that, which would be the end of
// sandbox-init ("failed to create new OS thread").
func stockThreads() error {
	var there, gone sync.WaitGroup
	there.Add(spareThreads)
	enough := make(chan struct{})
	for range spareThreads {
		gone.Go(func() {
			runtime.LockOSThread() // a goroutine that keeps its thread while it waits
			defer runtime.UnlockOSThread()
			there.Done()
			<-enough
		})
	}
	there.Wait()
	close(enough)
	gone.Wait()
	return nil
}

// keepThread has this goroutine stay on its thread: what the next steps set for
// one thread alone then holds for the one that starts the command.
func keepThread() error {
	runtime.LockOSThread()
	return nil
}

// dropCapabilities establishes that no thread has, and no program started from
// this one can gain, a capability that is not kept. The bounding set matters at
// execve(2) alone, so that of the other threads may stay.
func dropCapabilities() error {
	if without("capabilities") {
		return nil
	}
	for c := uintptr(0); c <= 63; c++ {
		if kept&(1<<c) != 0 {
			continue
		}
		// Beyond the kernel's last capability it answers EINVAL.
		if on, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
			break
		} else if on == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl(PR_CAPBSET_DROP)", err)
		}
	}
	if err := allThreads("prctl(PR_CAP_AMBIENT)", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil {
		return err
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: kept, Permitted: kept}}
	return allThreads("capset", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&data[0])), 0)
}

func noNewPrivs() error {
	return allThreads("prctl(PR_SET_NO_NEW_PRIVS)", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

// notDumpable closes /proc/1/{mem,fd,root,exe} to the command, which has the
// same uid but no CAP_SYS_PTRACE.
func notDumpable() error {
	return os.NewSyscallError("prctl(PR_SET_DUMPABLE)", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// limitResources sets what getrlimit(2) bounds. A core of 1 byte and not of 0:
// with 0 a piped core_pattern still starts its handler, outside and as root.
func (in *inside) limitResources() error {
	type limit struct {
		what int
		max  uint64
	}
	limits := []limit{
		{unix.RLIMIT_CORE, 1},
		{unix.RLIMIT_FSIZE, uint64(in.conf.Spec.Bytes)},
		{unix.RLIMIT_NOFILE, 1024},
		{unix.RLIMIT_MEMLOCK, 64 << 10},
		{unix.RLIMIT_MSGQUEUE, 0},
	}
	if in.rlimits { // for want of a cgroup: memory for each process alone, processes for all but uid 0
		limits = append(limits, limit{unix.RLIMIT_DATA, uint64(in.conf.Spec.Memory)}, limit{unix.RLIMIT_NPROC, uint64(in.conf.Spec.Processes)})
	}
	for _, l := range limits {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.max, Max: l.max}); err != nil {
			return os.NewSyscallError("setrlimit", err)
		}
	}
	return nil
}
