// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/netwait"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// waitFile is there while an epilog waits for the network, for `ctxagent status`.
const waitFile = runDir + "/epilog.waiting"

// waiting is what waitFile holds.
type waiting struct {
	BootID  string          `json:"boot_id"`
	Since   int64           `json:"since_monotonic_us"`
	Timeout policy.Duration `json:"timeout_ns"`
}

func criteria(n policy.Network) netwait.Criteria {
	return netwait.Criteria{
		Interfaces: n.Interfaces, Family: netwait.Family(n.Family), Require: netwait.Require(n.Require), Settle: time.Duration(n.Settle),
	}
}

// await waits for the network and notes what it found. What others are told of it
// can wait until the script has been released.
func (a *agent) await(ctx context.Context, r *report.Receipt) (then func(), err error) {
	n := a.policy.Network
	timeout := time.Duration(n.Timeout)
	wait, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%v passed, the policy's network.timeout", timeout))
	defer cancel()
	b, err := json.Marshal(waiting{bootID(), stages.Monotonic(), n.Timeout})
	if err == nil {
		err = a.root.WriteFile(waitFile, b, 0o600)
	}
	if err != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("`ctxagent status` cannot tell of the wait: %v", err))
	}
	f, err := netwait.Kernel(criteria(n)).Wait(wait)
	over := func() { _ = a.root.Remove(waitFile) } // a later status sees that nobody holds the lock
	r.Durations["network"] = f.Waited.Milliseconds()
	if err == nil {
		r.Network = networkReport(f)
		r.Network.DNS = netwait.Nameservers(a.root.FS())
		return func() {
			over()
			a.log.Info("network configured", "stage", r.Stage, "iface", f.Interface, "dur", f.Waited)
		}, nil
	}
	r.Network = &report.Network{Missing: err.Error(), WaitedMS: f.Waited.Milliseconds(), Events: f.Events}
	if n.OnTimeout != "run-anyway" || ctx.Err() != nil || !errors.Is(wait.Err(), context.DeadlineExceeded) {
		over()
		return nil, err
	}
	r.Warnings = append(r.Warnings, "the network was not up in time, and the epilog is run anyway: network.on_timeout of the policy says so")
	a.log.Warn("the epilog is run without a network", "stage", r.Stage, "err", err)
	return over, nil
}

func networkReport(f netwait.Facts) *report.Network {
	n := &report.Network{
		Interface: f.Interface, Index: f.Index, MAC: f.MAC, Operstate: f.Operstate, Address: f.Address.String(),
		RouteTable: f.RouteTable, Events: f.Events, WaitedMS: f.Waited.Milliseconds(), DecidedUS: monotonic(f.DecidedAt), EventUS: monotonic(f.EventAt),
	}
	for _, a := range f.Addresses {
		n.Addresses = append(n.Addresses, report.Address{Address: a.Prefix.String(), Scope: a.Scope})
	}
	for _, g := range f.Gateways {
		n.Gateways = append(n.Gateways, g.String())
	}
	if f.Gateway.IsValid() {
		n.Gateway = f.Gateway.String()
	}
	return n
}

// monotonic is a time as a receipt's clock has it; 0 for none.
func monotonic(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return stages.Monotonic() - time.Since(t).Microseconds()
}

// explain is `ctxagent run epilog --explain`: is the network up, by the policy's
// criteria, and why or why not?
func explain(root *os.Root, stdout io.Writer) error {
	p, _, err := loadPolicy(root)
	if err != nil {
		return &exitError{2, err}
	}
	text, up, err := networkWords(p)
	if err != nil {
		return err
	}
	verdict := "the network is up: "
	if !up {
		verdict = "the network is not up yet: "
	}
	if _, err := fmt.Fprintln(stdout, verdict+text); err != nil {
		return err
	}
	if !up {
		return &exitError{status: report.NoNetwork.ExitCode()}
	}
	return nil
}

func networkWords(p *policy.Policy) (text string, up bool, err error) {
	c := criteria(p.Network)
	s, err := netwait.List(c)
	if err != nil {
		return "", false, err
	}
	text, up = netwait.Explain(s, c)
	return text, up, nil
}

// waitingNow tells in words what an epilog waits for; "" if none does.
func waitingNow(root *os.Root) (string, error) {
	b, err := root.ReadFile(waitFile)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	var w waiting
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	if err != nil {
		return "", err
	}
	if w.BootID != bootID() || !stageRuns(root) {
		return "", nil // left by one that was killed
	}
	p, _, err := loadPolicy(root)
	if err != nil {
		return "", err
	}
	text, _, err := networkWords(p)
	if err != nil {
		return "", err
	}
	since := time.Duration(stages.Monotonic()-w.Since) * time.Microsecond
	return fmt.Sprintf("%s (waiting %.1f s of %.0f s)", text, since.Seconds(), time.Duration(w.Timeout).Seconds()), nil
}

// stageRuns tells whether a stage holds the lock.
func stageRuns(root *os.Root) bool {
	f, err := root.Open(runDir + "/lock")
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
