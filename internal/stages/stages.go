// SPDX-License-Identifier: Apache-2.0

// Package stages carries one stage through its order: read the script, run it
// confined, scan what it left, check that against the policy, apply all of it
// or nothing, act on units, and write down what happened. Its input is a root, a
// policy and the disc's content; its output is a receipt. It does not look for
// discs, wait for networks or talk to the service manager: its caller does.
package stages

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/changeset"
	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// The stages, and the argument with which their scripts are called (CernVM's
// amiconfig-hepix; CERN's scripts of 2010 ignore it).
const (
	Prolog = "prolog"
	Epilog = "epilog"

	start = "start"
)

// Machine is what a stage works on.
type Machine struct {
	Root     *os.Root
	RootPath string // the same, for the sandbox
	Work     string // an empty directory for the sandbox's workspace
	Policy   *policy.Policy
	Journal  *journal.Journal
	ID       string // of the machine, its DMI product UUID; "" where it has none
	// Activate acts on accepted unit requests; nil leaves them undone.
	Activate func([]policy.UnitRequest) []report.Unit
	// FileState tells how a unit is enabled, so that it can be put back; nil
	// where there is no service manager.
	FileState func(unit string) (string, error)
	// Line is called for each line of a script's output.
	Line func(stage, line string)
	// Rehearse ends a stage before anything is applied.
	Rehearse bool
	// Show is called in a rehearsal for each change that a script left, with the
	// path's content before it (see show); it may be nil.
	Show func(stage string, c policy.Change, before []byte)
	// Await waits for the network and notes in the receipt what it found, while
	// the epilog's confinement is being set up; then is called when the script has
	// been released. It is nil if the wait has been done.
	Await func(context.Context, *report.Receipt) (then func(), err error)
	// Local says whether an address is this machine's own; nil leaves an epilog
	// without a way out.
	Local func(netip.Addr) (bool, error)

	// Mirror is set where RootPath is a mirror, in a rehearsal without root.
	Mirror *Mirror
	// Cannot is why no script can be confined here, if that is known before.
	Cannot error

	// shown is what stages that were rehearsed before would have left.
	shown []sandbox.Entry
	early *early // by Prepare
}

// Context is the disc as it was read.
type Context struct {
	Disc report.Disc
	Dir  string // its files, a copy that nobody else can write
	// Script is the path, inside Dir, of the file in the root directory that is
	// called so but for case; "" if there is none.
	Script func(name string) string
}

// Run runs one stage and fills in its receipt, which already says what the
// caller knows. The end of ctx ends the script, and so does the policy's
// deadline, which does not count the wait for the network. What Prepare began is
// used, or ended.
func (m *Machine) Run(ctx context.Context, c Context, r *report.Receipt) {
	began := time.Now()
	defer func() { r.Durations["stage"] = time.Since(began).Milliseconds() }()
	defer m.Close()
	goal := journal.Goal{Context: journal.Context{Disc: c.Disc.Digest, Machine: m.ID}, Stage: rank(r.Stage)}
	if m.done(goal) {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the %s has succeeded on this machine with this disc before, and the policy's stages.run is %s: it is not run again", r.Stage, policy.OncePerContext))
		r.End(report.Unchanged, nil)
		return
	}
	s, err := load(c, r.Stage)
	if err != nil {
		r.End(report.Failed, err)
		return
	}
	if s == nil {
		r.Warnings = append(r.Warnings, missing(c, r.Stage))
		m.accept(r, policy.Approved{}, goal) // what another disc did goes all the same
		return
	}
	view, err := m.Journal.View(goal.Context, goal.Stage)
	if err != nil {
		r.End(report.Failed, err)
		return
	}
	r.Script = &report.Script{Path: s.name, Digest: s.digest}
	r.Warnings = append(r.Warnings, s.warnings...)
	if m.Cannot != nil {
		endUnrun(r, s, fmt.Errorf("%w: %w", sandbox.ErrUnsupported, m.Cannot))
		return
	}
	since, err := m.since()
	if err != nil {
		endUnrun(r, s, fmt.Errorf("%w: %w", sandbox.ErrUnsupported, err))
		return
	}
	seen := changeset.Seen{Shown: view, Since: since}
	res, err := m.run(ctx, c, s, r, view)
	if err != nil {
		endUnrun(r, s, err)
		return
	}
	defer func() {
		if err := res.Close(); err != nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("close the staging tree: %v", err))
		}
	}()
	m.conclude(ctx, c, r, s, res, seen, goal)
}

// stamp is the present by the clock from which inodes get their ctime: it runs
// behind that of time(2) by up to a tick.
func (m *Machine) stamp() (time.Time, error) {
	name := filepath.Join(m.Work, "stamp")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return time.Time{}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), os.Remove(name)
}

// rank is a stage's place in the order.
func rank(stage string) int {
	if stage == Epilog {
		return 1
	}
	return 0
}

// done tells that a stage is not to be run again.
func (m *Machine) done(g journal.Goal) bool {
	rec := m.Journal.Record()
	return m.Policy.Stages.Run == policy.OncePerContext && !m.Rehearse && rec.Context == g.Context && slices.Contains(rec.Done, g.Stage)
}

// run starts the script and notes in the receipt how it ended.
func (m *Machine) run(ctx context.Context, c Context, s *script, r *report.Receipt, view []journal.Shown) (*sandbox.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	env, warnings := environment(c, r)
	r.Warnings = append(r.Warnings, warnings...)
	began := time.Now()
	var res *sandbox.Result
	var err error
	if m.early != nil {
		began = m.early.began
		m.begin(m.early.cancel)
		res, err = m.early.finish(sandbox.Release{Command: s.command, Else: s.other, Env: env})
	} else {
		spec := m.spec(r.Stage, c.Dir, view)
		spec.Command, spec.Else, spec.Env = s.command, s.other, env
		way := &wayOut{}
		if r.Stage == Epilog {
			way.open(m, &spec)
		}
		if r.Stage == Epilog && m.Await != nil {
			spec.Hold = m.hold(r, func() { m.begin(cancel) })
		} else {
			m.begin(cancel)
		}
		res, err = sandbox.Run(ctx, spec)
		way.note(r)
	}
	r.Durations["script"] = time.Since(began).Milliseconds()
	if err != nil {
		return nil, err
	}
	m.record(r, s, res, began)
	return res, nil
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
func (m *Machine) record(r *report.Receipt, s *script, res *sandbox.Result, began time.Time) {
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
	r.Warnings = append(r.Warnings, m.warnings(res)...)
	if s.mounted() && !res.Also {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s has paths below %s, and the disc is not there: that is no empty directory of the image, or the policy has paths in it: use $CONTEXT_DIR", s.name, mountDir))
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

// conclude reads what the script left and decides. A script that failed has its
// changes listed too: they tell how far it came.
func (m *Machine) conclude(ctx context.Context, c Context, r *report.Receipt, s *script, res *sandbox.Result, seen changeset.Seen, goal journal.Goal) {
	began := time.Now()
	var (
		approved policy.Approved
		changes  []policy.Change
		refused  *policy.RefusedError
		err      error
	)
	if !res.Full { // a file that was cut off says nothing about the script
		approved, changes, err = m.check(r, s, res, seen)
	}
	if unsure := m.unsure(changes, res, err); unsure != nil {
		r.End(report.Unsupported, unsure)
		return
	}
	if err == nil && res.ExitStatus == 0 && !res.TimedOut {
		approved, err = m.confirm(ctx, c, r, s, seen.Shown, approved)
	}
	r.Durations["check"] = time.Since(began).Milliseconds()
	switch {
	case res.TimedOut && errors.Is(ctx.Err(), context.Canceled):
		r.End(report.Failed, fmt.Errorf("%s was ended because the agent was asked to end", s.name))
	case res.TimedOut:
		r.End(report.Timeout, fmt.Errorf("%s ran longer than %v, the policy's limits.deadline", s.name, time.Duration(m.Policy.Limits.Deadline)))
	case res.NoMemory > 0: // some of its processes are missing, whatever the rest made of it
		r.End(report.Failed, fmt.Errorf("%s ran out of memory, the policy's limits.memory", s.name))
	case res.Signal != "":
		r.End(report.Failed, fmt.Errorf("%s was ended by %s", s.name, res.Signal))
	case res.ExitStatus != 0:
		r.End(report.Failed, fmt.Errorf("%s ended with exit status %d", s.name, res.ExitStatus))
	case res.Full:
		r.End(report.Failed, fmt.Errorf("%s filled the memory for its changes, the policy's limits.bytes or limits.inodes: a file may be cut off", s.name))
	case errors.As(err, &refused):
		r.End(report.Refused, fmt.Errorf("the policy refused %s that %s did", things(len(refused.Refusals)), s.name))
	case err != nil:
		r.End(report.Failed, err)
	default:
		m.accept(r, approved, goal)
	}
}

// check scans the staging tree and holds it against the policy.
func (m *Machine) check(r *report.Receipt, s *script, res *sandbox.Result, seen changeset.Seen) (policy.Approved, []policy.Change, error) {
	var layers []changeset.Layer
	for _, l := range res.Layers {
		layers = append(layers, changeset.Layer(l))
	}
	changes, err := changeset.Scan(layers, seen, changeset.Limits{Changes: m.Policy.Limits.Changes, Bytes: int64(m.Policy.Limits.Bytes)})
	var limit *changeset.LimitError
	if errors.As(err, &limit) {
		err = &policy.RefusedError{Refusals: []policy.Refusal{{Path: limit.Path, Rule: "limits", Reason: limit.Reason + " (the scan stopped at this path)"}}}
	}
	if err != nil {
		note(r, s, err)
		return policy.Approved{}, nil, err
	}
	m.show(r.Stage, changes)
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
		r.Changes = append(r.Changes, report.FromChange(c))
	}
	note(r, s, err)
	return approved, changes, err
}

// confirm asks the validators about what the policy accepted.
func (m *Machine) confirm(ctx context.Context, c Context, r *report.Receipt, s *script, view []journal.Shown, a policy.Approved) (policy.Approved, error) {
	refusals, err := m.validate(ctx, c, r, view, a)
	if len(refusals) > 0 {
		err = &policy.RefusedError{Refusals: refusals}
		note(r, s, err)
	}
	if err != nil {
		return policy.Approved{}, err
	}
	return a, nil
}

func note(r *report.Receipt, s *script, err error) {
	var refused *policy.RefusedError
	if errors.As(err, &refused) {
		for _, x := range refused.Refusals {
			x.Reason += s.names(x)
			r.Refusals = append(r.Refusals, report.FromRefusal(x))
		}
	}
}

func things(n int) string {
	if n == 1 {
		return "one thing"
	}
	return fmt.Sprintf("%d things", n)
}

// Monotonic is CLOCK_MONOTONIC in microseconds, the time of a receipt's clock.
func Monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // it cannot fail for this clock: clock_gettime(2)
	}
	return ts.Nano() / 1000
}
