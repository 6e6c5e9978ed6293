// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/relay"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// networkError tells that the epilog was not run because of the network.
type networkError struct{ err error }

func (e *networkError) Error() string { return e.err.Error() }
func (e *networkError) Unwrap() error { return e.err }

// hold is what the sandbox waits for before it starts the script.
func (m *Machine) hold(r *report.Receipt, begin func()) func(context.Context) (sandbox.Release, error) {
	return func(ctx context.Context) (sandbox.Release, error) {
		then, err := m.Await(ctx, r)
		if err != nil {
			return sandbox.Release{}, &networkError{err}
		}
		begin()
		return sandbox.Release{Env: networkEnvironment(r.Network), Then: then}, nil
	}
}

// networkEnvironment is what a script is told of the network, nil if there are
// no facts yet. The variables are there, and empty, where nothing is known.
func networkEnvironment(n *report.Network) []string {
	if n == nil {
		return nil
	}
	address := n.Address
	if p, err := netip.ParsePrefix(n.Address); err == nil {
		address = p.Addr().String()
	}
	var all []string
	for _, a := range n.Addresses {
		all = append(all, a.Address)
	}
	return []string{
		"CTX_INTERFACE=" + n.Interface, "CTX_ADDRESS=" + address, "CTX_GATEWAY=" + n.Gateway, "CTX_MAC=" + n.MAC,
		"CTX_ADDRESSES=" + strings.Join(all, " "), "CTX_GATEWAYS=" + strings.Join(n.Gateways, " "), "CTX_DNS=" + strings.Join(n.DNS, " "),
	}
}

// wayOut is the relay of one epilog, if it has one.
type wayOut struct{ relay *relay.Relay }

var errNoNetwork = errors.New("a rehearsal has no network: `ctxagent check --network` lets it use this machine's")

// open gives the script the relay and the variables that lead to it.
func (w *wayOut) open(m *Machine, spec *sandbox.Spec) {
	allow := m.Policy.Network.Reachable
	if m.Local == nil {
		allow = func(string, netip.Addr, uint16) (string, error) { return "", errNoNetwork }
	}
	limits := m.Policy.Network.Relay
	w.relay = &relay.Relay{
		Allow: allow, Local: m.Local,
		Connections: limits.Connections, Bytes: int64(limits.Bytes), Time: time.Duration(limits.Time),
	}
	spec.Relay = w.relay.Serve
	spec.Env = append(spec.Env, relay.Environment(sandbox.RelayAddr)...)
}

// note puts what was asked of the relay into the receipt.
func (w *wayOut) note(r *report.Receipt) {
	if w.relay == nil {
		return
	}
	list, lost := w.relay.Log()
	for _, c := range list {
		r.Connections = append(r.Connections, report.Connection{
			Target: c.Target, Address: c.Address, Protocol: c.Protocol, Rule: c.Rule, Result: c.Result, Count: c.Count,
			Sent: c.Sent, Received: c.Received, DurationMS: c.Duration.Milliseconds(),
		})
	}
	if lost > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d more connections are not listed", lost))
	}
}
