// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"os/signal"
	"unsafe"

	"golang.org/x/sys/unix"
)

// surviveSignals establishes that no signal from inside ends this process. Pid 1
// gets no default actions (pid_namespaces(7)), but the Go runtime installs its own:
// a SIGTERM would end it. Ignoring them all would break wait4(2).
//
// The runtime leaves 32 and 34 to the C library (golang.org/issue/6997), and for them
// the kernel does not keep its word: a signal that the first thread blocks, as it
// does while it handles another one, is not dropped, and is then fatal for the
// whole process by another thread (sig_ignored and complete_signal in
// kernel/signal.c). They are ignored, and so they are for the command at first: a
// C library sets its own handlers before it uses them.
func surviveSignals() error {
	signal.Notify(make(chan os.Signal, 1))
	for _, sig := range []unix.Signal{32, 34} {
		if err := ignore(sig); err != nil {
			return err
		}
	}
	return nil
}

// ignore is rt_sigaction(2): package os/signal has no name for these.
func ignore(sig unix.Signal) error {
	const sigIgn = 1
	action := struct{ handler, flags, restorer, mask uint64 }{handler: sigIgn} // struct sigaction of amd64 and arm64
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	return nil
}
