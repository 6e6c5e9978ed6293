// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMapped(t *testing.T) {
	for table, want := range map[string]uint64{
		"": 0, "0 0 4294967295\n": 4294967295, "0 1000 1\n": 1, "1 100000 65536\n": 0,
		"0 1000 1\n1 100000 65536\n": 65537, "1 100000 65536\n0 1000 1\n": 65537, "30 0 5\n10 0 20\n0 0 10\n": 35,
		"0 1000 1\n2 100000 65536\n": 1, "0 0 10\n5 0 10\n": 15, "0 0\n0 0 x\n0 0 3\n": 3,
	} {
		if got := mapped(table); got != want {
			t.Errorf("mapped(%q) = %d; want %d", table, got, want)
		}
	}
}

// namespaceVariable tells the test binary that it runs in a user namespace with that
// many ids.
const namespaceVariable = "CTXAGENT_TEST_IDS"

// TestIDs makes, in user namespaces that have 1 and 106 ids, the calls that give or
// take one: what is not there is on record, and nothing else.
func TestIDs(t *testing.T) {
	if n := os.Getenv(namespaceVariable); n != "" {
		root := newRoot(t)
		for _, tt := range idTests(n) {
			r := run(t, root, fmt.Sprintf("/run/ctxagent/agent %s raw '%s'", probeArg, strings.Join(tt.calls, ";")))
			if slices.Sort(tt.want); !slices.Equal(r.Unmapped, tt.want) || len(r.Denied) > 0 {
				t.Errorf("with %s ids, of the calls %q on record are\n%q; want\n%q; denied are %v", n, tt.calls, r.Unmapped, tt.want, r.Denied)
			}
		}
		return
	}
	newRoot(t) // skips where nothing can be confined
	for _, n := range []int{1, 106} {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestIDs$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", namespaceVariable, n))
		ids := []syscall.SysProcIDMap{{Size: n}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: n > 1}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("with %d ids: %v\n%s", n, err, out)
		}
	}
}

type idTest struct{ calls, want []string }

// idTests are calls in a namespace of n ids; an argument that is no id means nothing.
func idTests(n string) []idTest {
	call := func(nr uint32, args [4]uint32) string { return fmt.Sprint(nr, args[0], args[1], args[2], args[3]) }
	if n == "1" {
		return []idTest{
			{[]string{call(unix.SYS_SETUID, [4]uint32{0})}, nil},
			{[]string{call(unix.SYS_SETUID, [4]uint32{1}), call(unix.SYS_SETGROUPS, [4]uint32{})}, []string{"id 1", "supplementary groups"}},
		}
	}
	positions := map[uint32][]uint32{ // of ids, by the manual pages
		unix.SYS_FCHOWN: {1, 2}, unix.SYS_FCHOWNAT: {2, 3}, unix.SYS_SETUID: {0}, unix.SYS_SETGID: {0}, unix.SYS_SETREUID: {0, 1}, unix.SYS_SETREGID: {0, 1},
		unix.SYS_SETRESUID: {0, 1, 2}, unix.SYS_SETRESGID: {0, 1, 2}, unix.SYS_SETFSUID: {0}, unix.SYS_SETFSGID: {0},
	}
	maps.Copy(positions, idCallsHere)
	there, beyond, next := idTest{calls: []string{call(unix.SYS_SETGROUPS, [4]uint32{})}}, idTest{}, uint32(106)
	for nr, ids := range positions {
		for _, at := range ids {
			var args [4]uint32
			for _, other := range ids {
				args[other] = keepID
			}
			for _, args[at] = range []uint32{0, 105, keepID} {
				there.calls = append(there.calls, call(nr, args))
			}
			args[at] = next
			beyond.calls, beyond.want = append(beyond.calls, call(nr, args)), append(beyond.want, fmt.Sprintf("id %d", next))
			next++
		}
	}
	tests := []idTest{beyond}
	for _, nr := range []uint32{unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT} {
		there.calls = append(there.calls, call(nr, [4]uint32{0, 0, 0, 28}))
		tests = append(tests, idTest{[]string{call(nr, [4]uint32{0, 0, 0, 29})}, []string{"an access control list or another extended attribute"}})
	}
	return append(tests, there)
}
