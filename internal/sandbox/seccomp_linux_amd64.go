// SPDX-License-Identifier: Apache-2.0

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// deniedHere are denied calls that only this architecture has.
var deniedHere = map[uint32]string{
	unix.SYS_IOPL: "iopl", unix.SYS_IOPERM: "ioperm", unix.SYS_MODIFY_LDT: "modify_ldt", unix.SYS_USELIB: "uselib",
	unix.SYS__SYSCTL: "_sysctl", unix.SYS_SYSFS: "sysfs", unix.SYS_CREATE_MODULE: "create_module",
	unix.SYS_GET_KERNEL_SYMS: "get_kernel_syms", unix.SYS_QUERY_MODULE: "query_module",
}

// idCallsHere are the idCalls that this architecture has besides.
var idCallsHere = map[uint32][]uint32{unix.SYS_CHOWN: {1, 2}, unix.SYS_LCHOWN: {1, 2}}
