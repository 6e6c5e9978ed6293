// SPDX-License-Identifier: Apache-2.0

// Package stages carries one stage through its order: read the script, run it
// confined, scan what it left, check that against the policy, apply all of it
// or nothing, act on units, and write down what happened. Its input is a root, a
// policy and the disc's content; its output is a receipt. It does not look for
// discs, wait for networks or talk to the service manager: its caller does.
package stages

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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
	// UnitLinks lists the links of enabled units; nil where FileState is.
	UnitLinks func() ([]journal.Link, error)
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
	a := &attempt{m: m, c: c, r: r, s: s, goal: goal, seen: changeset.Seen{Shown: view, Since: since}}
	if err := a.run(ctx); err != nil {
		endUnrun(r, s, err)
		return
	}
	defer func() {
		if err := a.res.Close(); err != nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("close the staging tree: %v", err))
		}
	}()
	a.conclude(ctx)
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

// Monotonic is CLOCK_MONOTONIC in microseconds, the time of a receipt's clock.
func Monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // it cannot fail for this clock: clock_gettime(2)
	}
	return ts.Nano() / 1000
}
