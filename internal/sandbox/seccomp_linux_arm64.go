// SPDX-License-Identifier: Apache-2.0

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// deniedHere are denied calls that only this architecture has.
var deniedHere = map[uint32]string{}

// idCallsHere are the idCalls that this architecture has besides.
var idCallsHere = map[uint32][]uint32{}
