// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
)

// TestTheWaitIsNotTheScriptsTime: limits.deadline counts from the release.
func TestTheWaitIsNotTheScriptsTime(t *testing.T) {
	m := newMachine(t)
	m.Policy.Limits.Deadline = policy.Duration(time.Second)
	m.Await = func(_ context.Context, r *report.Receipt) (func(), error) {
		time.Sleep(1500 * time.Millisecond)
		r.Network = &report.Network{Interface: "ens3", Address: "192.0.2.7/24"}
		return func() {}, nil
	}
	r := m.script(t, Epilog, "#!/bin/sh\necho \"<$CTX_INTERFACE $CTX_ADDRESS>\"\n")
	if r.Outcome != report.Unchanged || !strings.Contains(r.Script.OutputTail, "<ens3 192.0.2.7>") {
		t.Errorf("Run() = %s, %q, output %q; want it to have run", r.Outcome, r.Error, r.Script.OutputTail)
	}
	r = m.script(t, Epilog, "#!/bin/sh\nwhile :; do sleep 1; done\n")
	want(t, r, report.Timeout, "limits.deadline")
}

func TestWithoutNetworkNothingIsRun(t *testing.T) {
	m := newMachine(t)
	m.Await = func(context.Context, *report.Receipt) (func(), error) { return nil, errors.New("ens3: down") }
	r := m.script(t, Epilog, "#!/bin/sh\necho ran\n")
	want(t, r, report.NoNetwork, "ens3: down")
	if r.Script.ExitStatus != nil || r.Script.OutputTail != "" {
		t.Errorf("the script has run: %+v", r.Script)
	}
	prolog := m.script(t, Prolog, "#!/bin/sh\necho \"<$http_proxy$CTX_INTERFACE>\"\n")
	if !strings.Contains(prolog.Script.OutputTail, "<>") {
		t.Errorf("the prolog printed %q; want no way out, and no wait", prolog.Script.OutputTail)
	}
}

// TestRehearsalReachesNothing: the script of a foreign disc would be on the
// network of whoever checks it.
func TestRehearsalReachesNothing(t *testing.T) {
	for _, own := range []func(netip.Addr) (bool, error){nil, func(netip.Addr) (bool, error) { return true, nil }} {
		m := newMachine(t)
		m.Rehearse, m.Local = true, own
		r := m.script(t, Epilog, "#!/bin/sh\nprintf 'CONNECT 192.0.2.1:80 HTTP/1.1\\r\\n\\r\\n' | /bin/busybox nc 127.0.0.1 1080\n")
		want := "refused: a rehearsal has no network"
		if own != nil {
			want = "refused: 192.0.2.1 is this machine's own address" // asked for, with --network
		}
		if len(r.Connections) != 1 || !strings.HasPrefix(r.Connections[0].Result, want) || !strings.Contains(r.Script.OutputTail, "HTTP/1.1 403") {
			t.Errorf("connections %+v, output %q; want %q", r.Connections, r.Script.OutputTail, want)
		}
	}
}
