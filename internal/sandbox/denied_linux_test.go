// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDeniedCallsAreCounted makes calls that the filter denies, under a name of
// the command's own, and reads what is told of them outside.
func TestDeniedCallsAreCounted(t *testing.T) {
	res := run(t, newRoot(t), `
		mount -t tmpfs none /etc
		mount -t tmpfs none /etc
		hostname other.example.org
		ip link set lo up
		ip address add 192.0.2.1/24 dev lo
		ip route add 198.51.100.0/24 dev lo
		ip link show
		/run/ctxagent/agent `+probeArg+` vsock x
		/run/ctxagent/agent `+probeArg+` tiocsti x
		/run/ctxagent/agent `+probeArg+` clone-newns x
		/run/ctxagent/agent `+probeArg+` prlimit x
		exit 0
	`)
	want := []Denied{
		{"agent", "clone(namespace)", 1}, {"agent", "ioctl(TIOCSTI)", 1}, {"agent", "prlimit64(other process)", 1}, {"agent", "socket(AF_VSOCK)", 1},
		{"hostname", "sethostname", 1}, {"ip", "ioctl(SIOCSIFFLAGS)", 1}, {"ip", "rtnetlink(address)", 1}, {"ip", "rtnetlink(route)", 1},
		{"mount", "mount", 2},
	}
	if !slices.Equal(res.Denied, want) {
		t.Errorf("denied %v\nwant   %v\noutput: %s", res.Denied, want, res.Output)
	}
}

// TestDeniedCallsAreBounded makes calls under more names than are kept.
func TestDeniedCallsAreBounded(t *testing.T) {
	res := run(t, newRoot(t), `/run/ctxagent/agent `+probeArg+` names 230`)
	total := 0
	for _, d := range res.Denied {
		total += d.Count
	}
	last := res.Denied[len(res.Denied)-1]
	if len(res.Denied) != maxDenied+1 || last.Comm != "others" || total != 230 {
		t.Errorf("%d entries, the last %v, %d calls; want %d, a sum for the others, 230", len(res.Denied), last, total, maxDenied+1)
	}
}

// TestFloodOfDeniedCalls keeps the watcher busy until the deadline, from several
// processes that die while they wait for an answer.
func TestFloodOfDeniedCalls(t *testing.T) {
	res := run(t, newRoot(t), `
		for i in 1 2 3 4; do (while :; do mount x /y; done) 2>/dev/null & done
		sleep 0.5
	`)
	if res.ExitStatus != 0 || len(res.Denied) == 0 || !strings.HasPrefix(res.Denied[0].Comm, "mount") {
		t.Errorf("exit status %d, denied %v", res.ExitStatus, res.Denied)
	}
}

// TestDeniedCallsAreDocumented: docs/policy.md says of each what becomes of it.
func TestDeniedCallsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, calls := range []map[uint32]string{denied, deniedHere} {
		for nr, name := range calls {
			if !strings.Contains(string(doc), "`"+name+"`") {
				t.Errorf("docs/policy.md does not have %s, system call %d", name, nr)
			}
		}
	}
}
