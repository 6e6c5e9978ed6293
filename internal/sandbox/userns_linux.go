// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// In a user namespace (user_namespaces(7)) the confinement is the same, step by
// step, and what differs is here: no device can be made, overlayfs keeps its marks
// in user.overlay.*, and an id may have no place.

// mappedIDs is how many ids, from 0 on, this process's user namespace has; 0 is
// for the first namespace, which has them all.
var mappedIDs = sync.OnceValue(func() uint32 {
	n := uint64(math.MaxUint32)
	for _, file := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		b, err := os.ReadFile(file)
		if err != nil {
			return 0 // a kernel without user namespaces
		}
		n = min(n, mapped(string(b)))
	}
	if n == math.MaxUint32 {
		return 0
	}
	return uint32(n)
})

// mapped is how many ids from 0 on a map has: lines of inside, outside, length.
func mapped(table string) uint64 {
	var n uint64
	for range strings.Count(table, "\n") { // the lines need not be in order
		for line := range strings.Lines(table) {
			f := strings.Fields(line)
			if len(f) != 3 {
				continue
			}
			inside, err1 := strconv.ParseUint(f[0], 10, 32)
			length, err2 := strconv.ParseUint(f[2], 10, 32)
			if err1 == nil && err2 == nil && inside <= n {
				n = max(n, inside+length)
			}
		}
	}
	return n
}

func userNamespace() bool { return mappedIDs() != 0 }

func markPrefix() string {
	if userNamespace() {
		return "user.overlay."
	}
	return "trusted.overlay."
}

// tryMark tries whether the workspace keeps overlayfs's marks: in a user namespace
// a tmpfs does from Linux 6.6 on.
func tryMark() error {
	if !userNamespace() {
		return nil
	}
	err := unix.Setxattr(".", markPrefix()+"try", []byte("y"), 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return errors.New("in a user namespace this takes Linux 6.6 or newer: run it as root")
	}
	if err != nil {
		return &os.PathError{Op: "setxattr", Path: markPrefix() + "try", Err: err}
	}
	return unix.Removexattr(".", markPrefix()+"try")
}

// idCalls are the system calls that give or take an id, and which of their
// arguments are ids.
var idCalls = map[uint32][]uint32{
	unix.SYS_FCHOWN: {1, 2}, unix.SYS_FCHOWNAT: {2, 3}, unix.SYS_SETUID: {0}, unix.SYS_SETGID: {0}, unix.SYS_SETREUID: {0, 1}, unix.SYS_SETREGID: {0, 1},
	unix.SYS_SETRESUID: {0, 1, 2}, unix.SYS_SETRESGID: {0, 1, 2}, unix.SYS_SETFSUID: {0}, unix.SYS_SETFSGID: {0},
}

// allIDCalls are those of this architecture.
func allIDCalls() map[uint32][]uint32 {
	all := maps.Clone(idCalls)
	maps.Copy(all, idCallsHere)
	return all
}

// keepID is the id that leaves an owner as it is: (uid_t) -1.
const keepID = math.MaxUint32

// attributeCalls set an extended attribute of a file. What is larger than an access
// control list of a mode's nine bits (struct posix_acl_xattr_header and three entries),
// which cp -p sets, may name an id, or be one that a namespace cannot set.
var attributeCalls = []uint32{unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT}

const plainACL = 4 + 3*8

// ids has the kernel tell of calls with an id beyond those that are mapped: what
// such a call would do in a guest is not known then, and must be on record.
func ids(mapped uint32) program {
	if mapped == 0 {
		return nil
	}
	var p program
	calls := allIDCalls()
	for _, nr := range slices.Sorted(maps.Keys(calls)) {
		var body program
		for _, arg := range calls[nr] {
			body = slices.Concat(body, load(offArg0+8*arg), jump(unix.BPF_JGE, mapped, 0, 2), jump(unix.BPF_JEQ, keepID, 1, 0), tell)
		}
		p = append(p, when(nr, body, allow)...)
	}
	for _, nr := range attributeCalls {
		p = append(p, when(nr, load(offArg0+8*3), jump(unix.BPF_JGT, plainACL, 0, 1), tell, allow)...)
	}
	if mapped == 1 { // the namespace has no groups to give: setgroups in user_namespaces(7)
		p = append(p, when(unix.SYS_SETGROUPS, tell)...)
	}
	return p
}

// wantedID says for what a call of ids is told, "" for another call.
func wantedID(n notification) string {
	mapped := mappedIDs()
	switch {
	case mapped == 0:
		return ""
	case n.Nr == unix.SYS_SETGROUPS:
		return "supplementary groups"
	case slices.Contains(attributeCalls, uint32(n.Nr)):
		return "an access control list or another extended attribute"
	}
	for _, arg := range allIDCalls()[uint32(n.Nr)] {
		if id := uint32(n.Args[arg]); id >= mapped && id != keepID {
			return fmt.Sprintf("id %d", id)
		}
	}
	return ""
}
