// SPDX-License-Identifier: Apache-2.0

package main

import "golang.org/x/sys/unix"

// x32Bit marks the numbers of the x32 calls (arch/x86/include/uapi/asm/unistd.h).
const x32Bit = 0x40000000

// i386 numbers (arch/x86/entry/syscalls/syscall_32.tbl).
var i386 = map[string]uintptr{"mount": 21, "socketcall": 102, "getpid": 20}

var x32 = map[string]uintptr{"mount": unix.SYS_MOUNT, "getpid": unix.SYS_GETPID, "ptrace": 521, "execve": 520}

// int80 makes a system call by the 32-bit gate.
func int80(nr, a1, a2, a3 uintptr) (r uintptr)

var _ = add(map[string]func(string) string{
	"i386": func(what string) string {
		r := int80(i386[what], 0, 0, 0)
		if r > ^uintptr(4095) || uint32(r) > ^uint32(4095) {
			return result(unix.Errno(-int32(r)))
		}
		return "ok"
	},
	"x32":        try(func(what string) error { return call(x32Bit | x32[what]) }),
	"iopl":       try(func(string) error { return call(unix.SYS_IOPL, 3) }),
	"ioperm":     try(func(string) error { return call(unix.SYS_IOPERM, 0x80, 1, 1) }),
	"modify-ldt": try(func(string) error { return call(unix.SYS_MODIFY_LDT, 0, 0, 0) }),
})
