// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestCalls(t *testing.T) {
	tests := []struct {
		call   Call
		reason string // of the refusal; "" if the call is only noted
	}{
		{Call{"mount", "mount", 2}, `"mount" tried to mount a file system (mount, refused 2 times)`},
		{Call{"ip", "rtnetlink(link)", 3}, `"ip" tried to configure a link (rtnetlink(link), refused 3 times)`},
		{Call{"ifconfig", "ioctl(SIOCSIFADDR)", 1}, `"ifconfig" tried to configure a link (ioctl(SIOCSIFADDR), refused once)`},
		{Call{"brctl", "ioctl(SIOCBRADDBR)", 1}, `configure a bridge`},
		{Call{"x", "ioctl(TIOCSTI)", 1}, `type into a terminal`},
		{Call{"nsenter", "setns", 1}, `enter a namespace`},
		{Call{"unshare", "clone(namespace)", 1}, `make a namespace`},
		{Call{"insmod", "finit_module", 1}, `load a kernel module`},
		{Call{"gdb", "ptrace", 1}, `trace another process`},
		{Call{"date", "clock_settime", 1}, `set the clock`},
		{Call{"reboot", "reboot", 1}, `reboot the machine`},
		{Call{"hostname", "sethostname", 1}, `set the host name`},
		{Call{"x", "a call of next year", 1}, `make a call that is not allowed`},
		{Call{"x", "socketpair of next year", 1}, `make a call that is not allowed`},
		{Call{"", "kexec_load", 1}, `"?" tried to load another kernel`},
		{Call{"x\nforged", "mount", 1}, `"x\nforged" tried to`},
		{Call{"runuser", "keyctl", 9}, ""}, {Call{"dmesg", "syslog", 1}, ""}, {Call{"ss", "socket(AF_NETLINK, protocol 4)", 1}, ""},
		{Call{"node", "io_uring_setup", 1}, ""}, {Call{"ntpq", "adjtimex", 1}, ""},
	}
	for _, tt := range tests {
		_, err := defaultPolicy(t).Check(Proposal{Calls: []Call{tt.call}}, Accounts{})
		var refused *RefusedError
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%v is refused: %v", tt.call, err)
		case tt.reason == "":
		case !errors.As(err, &refused) || len(refused.Refusals) != 1:
			t.Errorf("%v: %v; want one refusal", tt.call, err)
		default:
			if r := refused.Refusals[0]; r.Call != tt.call.Call || r.Rule != "call" || !strings.Contains(r.Reason, tt.reason) {
				t.Errorf("%v: %+v; want %q", tt.call, r, tt.reason)
			}
		}
	}
}

// TestNotedCallsAreDocumented: docs/policy.md lists each, in its right column.
func TestNotedCallsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var right strings.Builder
	_, section, _ := strings.Cut(string(doc), "## Refused system calls")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			right.WriteString(cells[2])
		}
	}
	for _, n := range noted {
		if !strings.Contains(right.String(), "`"+n) {
			t.Errorf("docs/policy.md does not have %q among the calls that are only noted", n)
		}
	}
}
