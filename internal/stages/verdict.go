// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ctxagent/ctxagent/internal/changeset"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
)

// conclude reads what the script left and decides. A script that failed has its
// changes listed too: they tell how far it came.
func (a *attempt) conclude(ctx context.Context) {
	m, r, res, name := a.m, a.r, a.res, a.s.name
	began := time.Now()
	var (
		approved policy.Approved
		changes  []policy.Change
		refused  *policy.RefusedError
		err      error
	)
	if !res.Full { // a file that was cut off says nothing about the script
		approved, changes, err = a.check()
	}
	if unsure := m.unsure(changes, res, err); unsure != nil {
		r.End(report.Unsupported, unsure)
		return
	}
	if err == nil && res.ExitStatus == 0 && !res.TimedOut {
		approved, err = a.confirm(ctx, approved)
	}
	r.Durations["check"] = time.Since(began).Milliseconds()
	switch {
	case res.TimedOut && errors.Is(ctx.Err(), context.Canceled):
		r.End(report.Failed, fmt.Errorf("%s was ended because the agent was asked to end", name))
	case res.TimedOut:
		r.End(report.Timeout, fmt.Errorf("%s ran longer than %v, the policy's limits.deadline", name, time.Duration(m.Policy.Limits.Deadline)))
	case res.NoMemory > 0: // some of its processes are missing, whatever the rest made of it
		r.End(report.Failed, fmt.Errorf("%s ran out of memory, the policy's limits.memory", name))
	case res.Signal != "":
		r.End(report.Failed, fmt.Errorf("%s was ended by %s", name, res.Signal))
	case res.ExitStatus != 0:
		r.End(report.Failed, fmt.Errorf("%s ended with exit status %d", name, res.ExitStatus))
	case res.Full:
		r.End(report.Failed, fmt.Errorf("%s filled the memory for its changes, the policy's limits.bytes or limits.inodes: a file may be cut off", name))
	case errors.As(err, &refused):
		r.End(report.Refused, fmt.Errorf("the policy refused %s that %s did", things(len(refused.Refusals)), name))
	case err != nil:
		r.End(report.Failed, err)
	default:
		m.accept(r, approved, a.goal)
	}
}

// check scans the staging tree and holds it against the policy.
func (a *attempt) check() (policy.Approved, []policy.Change, error) {
	m, res := a.m, a.res
	var layers []changeset.Layer
	for _, l := range res.Layers {
		layers = append(layers, changeset.Layer(l))
	}
	changes, err := changeset.Scan(layers, a.seen, changeset.Limits{Changes: m.Policy.Limits.Changes, Bytes: int64(m.Policy.Limits.Bytes)})
	var limit *changeset.LimitError
	if errors.As(err, &limit) {
		err = &policy.RefusedError{Refusals: []policy.Refusal{{Path: limit.Path, Rule: "limits", Reason: limit.Reason + " (the scan stopped at this path)"}}}
	}
	if err != nil {
		a.note(err)
		return policy.Approved{}, nil, err
	}
	m.show(a.r.Stage, changes)
	all := policy.Proposal{Changes: changes}
	for _, q := range res.Requests {
		all.Units = append(all.Units, policy.UnitRequest(q))
	}
	for _, d := range res.Denied {
		all.Calls = append(all.Calls, policy.Call(d))
	}
	acc, err := accounts(m.Root)
	if err != nil {
		return policy.Approved{}, changes, err
	}
	approved, err := m.Policy.Check(all, acc)
	for _, c := range changes {
		a.r.Changes = append(a.r.Changes, report.FromChange(c))
	}
	a.note(err)
	return approved, changes, err
}

// confirm asks the validators about what the policy accepted.
func (a *attempt) confirm(ctx context.Context, approved policy.Approved) (policy.Approved, error) {
	refusals, err := a.validate(ctx, approved)
	if len(refusals) > 0 {
		err = &policy.RefusedError{Refusals: refusals}
		a.note(err)
	}
	if err != nil {
		return policy.Approved{}, err
	}
	return approved, nil
}

// note puts refusals into the receipt, with the script's lines that name them.
func (a *attempt) note(err error) {
	var refused *policy.RefusedError
	if errors.As(err, &refused) {
		for _, x := range refused.Refusals {
			x.Reason += a.s.names(x)
			a.r.Refusals = append(a.r.Refusals, report.FromRefusal(x))
		}
	}
}

func things(n int) string {
	if n == 1 {
		return "one thing"
	}
	return fmt.Sprintf("%d things", n)
}
