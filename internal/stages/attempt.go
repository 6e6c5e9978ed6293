// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/changeset"
	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// attempt is one run of a stage's script, from its start to the verdict.
type attempt struct {
	m    *Machine
	c    Context
	r    *report.Receipt
	s    *script
	goal journal.Goal
	seen changeset.Seen
	res  *sandbox.Result // of run; the caller's to close
}

// run starts the script and notes in the receipt how it ended.
func (a *attempt) run(ctx context.Context) (err error) {
	m, r := a.m, a.r
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	env, warnings := environment(a.c, r)
	r.Warnings = append(r.Warnings, warnings...)
	began := time.Now()
	if m.early != nil {
		began = m.early.began
		m.begin(m.early.cancel)
		a.res, err = m.early.finish(sandbox.Release{Command: a.s.command, Else: a.s.other, Env: env})
	} else {
		spec := m.spec(r.Stage, a.c.Dir, a.seen.Shown)
		spec.Command, spec.Else, spec.Env = a.s.command, a.s.other, env
		way := &wayOut{}
		if r.Stage == Epilog {
			way.open(m, &spec)
		}
		if r.Stage == Epilog && m.Await != nil {
			spec.Hold = m.hold(r, func() { m.begin(cancel) })
		} else {
			m.begin(cancel)
		}
		a.res, err = sandbox.Run(ctx, spec)
		way.note(r)
	}
	r.Durations["script"] = time.Since(began).Milliseconds()
	if err != nil {
		return err
	}
	a.record(began)
	return nil
}

// spec is what the sandbox is told of any script of a stage.
func (m *Machine) spec(stage, dir string, view []journal.Shown) sandbox.Spec {
	return sandbox.Spec{
		Root: m.RootPath, Mirrors: m.mirrored(), Work: m.Work, Context: dir, Also: m.alsoAt(),
		Show:  slices.Concat(secrets, without(m.shown, view, m.RootPath), m.shown),
		Bytes: int64(m.Policy.Limits.Bytes), Inodes: m.Policy.Limits.Inodes,
		Processes: m.Policy.Limits.Processes, Memory: int64(m.Policy.Limits.Memory),
		Line: func(l string) {
			if m.Line != nil {
				m.Line(stage, l)
			}
		},
	}
}

// begin starts the clock of the policy's deadline.
func (m *Machine) begin(cancel context.CancelCauseFunc) {
	time.AfterFunc(time.Duration(m.Policy.Limits.Deadline), func() { cancel(context.DeadlineExceeded) })
}

// record notes in the receipt how the script ended, whose confinement was begun
// at the time began.
func (a *attempt) record(began time.Time) {
	r, res := a.r, a.res
	r.Durations["confine"] = res.Confined.Sub(began).Milliseconds()
	if !res.Released.IsZero() {
		r.Durations["script"] = time.Since(res.Released).Milliseconds()
		r.Clock.ReleasedMonotonic = Monotonic() - time.Since(res.Released).Microseconds()
	}
	r.Clock.ScriptMonotonic = Monotonic() - time.Since(res.Started).Microseconds()
	r.Script.OutputTail, r.Script.OutputLost = strings.ToValidUTF8(res.Output, "\uFFFD"), res.Lost
	r.Script.LeftOver, r.Script.Signal = res.LeftOver, res.Signal
	noteUncovered(r, res.Uncovered)
	for _, d := range res.Denied {
		r.DeniedCalls = append(r.DeniedCalls, report.DeniedCall(d))
	}
	r.Warnings = append(r.Warnings, a.m.warnings(res)...)
	if a.s.mounted() && !res.Also {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s has paths below %s, and the disc is not there: that is no empty directory of the image, or the policy has paths in it: use $CONTEXT_DIR", a.s.name, mountDir))
	}
	if res.Signal == "" {
		r.Script.ExitStatus = &res.ExitStatus
	}
}

// noteUncovered says which parts of the root the script could not write, and why.
func noteUncovered(r *report.Receipt, uncovered []sandbox.Uncovered) {
	for _, u := range uncovered {
		name, _ := report.Name(u.At)
		r.Script.ReadOnly = append(r.Script.ReadOnly, name)
		how := "was read-only"
		if u.Empty {
			how = "was empty and read-only"
		}
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s %s for the script: %s", name, how, u.Reason))
	}
}

// warnings are what a reader should know of a script's end beside its status.
func (m *Machine) warnings(res *sandbox.Result) []string {
	var out []string
	if len(res.LeftOver) > 0 {
		out = append(out, "processes that the script left behind were ended, and what they were writing may be half written: start a service by systemctl")
	}
	if res.NoProcess > 0 {
		out = append(out, fmt.Sprintf("the script wanted more than %d processes at one time, the policy's limits.processes: %d were not started", m.Policy.Limits.Processes, res.NoProcess))
	}
	if res.NoMemory > 0 {
		out = append(out, fmt.Sprintf("the script's processes and what they wrote came to %d bytes, the policy's limits.memory", m.Policy.Limits.Memory))
	}
	switch {
	case res.Unbounded != "" && m.Mirror != nil: // nobody is the machine's root there
		out = append(out, res.Unbounded+": limits.memory held for each process alone")
	case res.Unbounded != "":
		out = append(out, res.Unbounded+": limits.memory held for each process alone, and limits.processes for none of root's")
	}
	return out
}

// endUnrun ends a stage whose script never started.
func endUnrun(r *report.Receipt, s *script, err error) {
	var network *networkError
	switch {
	case errors.As(err, &network):
		r.End(report.NoNetwork, network.err)
	case errors.Is(err, sandbox.ErrUnsupported):
		r.End(report.Unsupported, err)
	case errors.Is(err, sandbox.ErrNotFound):
		r.End(report.Failed, fmt.Errorf("%s: %w: name one in its first line that the image has", s.name, err))
	case errors.Is(err, context.DeadlineExceeded):
		r.End(report.Timeout, err)
	default:
		r.End(report.Failed, err)
	}
}
