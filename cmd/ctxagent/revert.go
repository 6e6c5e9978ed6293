// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
	"github.com/ctxagent/ctxagent/internal/units"
)

// revert is `ctxagent revert`: the image's own files back in their places.
func revert(args []string, stdout io.Writer, log *slog.Logger) (err error) {
	fs := flag.NewFlagSet("revert", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	dryRun := fs.Bool("dry-run", false, "")
	recoverOnly := fs.Bool("recover", false, "")
	if err := parse(fs, args, 0, 0); err != nil {
		return err
	}
	if *dryRun && *recoverOnly {
		return fmt.Errorf("%w: revert: --dry-run and --recover exclude each other", errUsage)
	}
	if os.Geteuid() != 0 {
		return &exitError{report.Unsupported.ExitCode(), errors.New("run it as root")}
	}
	a := &agent{log: log}
	if a.root, a.path, err = openRoot(*rootDir); err != nil {
		return &exitError{2, err}
	}
	defer func() { err = errors.Join(err, a.root.Close()) }()
	if *dryRun {
		return a.wouldRevert(stdout)
	}
	if err := a.root.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	lock, err := lockStage(a.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	out := &printer{w: stdout}
	undone, err := a.recoverAloud(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.journal.Close(), out.err) }()
	if *recoverOnly {
		return leftAlone(len(a.journal.Left) + undone)
	}
	return a.revert(out)
}

// printer keeps the first error of a list of lines.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, a ...any) {
	if _, err := fmt.Fprintf(p.w, format+"\n", a...); p.err == nil {
		p.err = err
	}
}

// wouldRevert says what revert would do. A transaction that was cut off stays as
// it is.
func (a *agent) wouldRevert(stdout io.Writer) (err error) {
	j, err := journal.Read(a.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	out := &printer{w: stdout}
	a.journal = j
	plan := j.Plan(journal.Goal{})
	n := printPlan(out, plan, "would be ")
	enabled := slices.Clone(j.Record().Enabled)
	for i := range enabled {
		enabled[i].Dropped = true // as a revert does
	}
	var would []report.Unit
	for _, q := range plan.Units() {
		would = append(would, a.disable(q.Unit, enabled, units.ChangedLinks))
	}
	n += printUnits(out, would, "would ")
	if len(j.Record().Pending) > 0 {
		out.line("units were to be asked for when a run was cut off: a revert does that first")
	}
	return errors.Join(out.err, leftAlone(n))
}

// recoverAloud finishes an earlier run, and says so. It returns how many units were to
// be disabled and are not.
func (a *agent) recoverAloud(out *printer) (undone int, err error) {
	r := &report.Receipt{}
	err = a.recover(r)
	for _, w := range r.Warnings {
		out.line("%s", w)
	}
	undone = printUnits(out, r.Units, "")
	if err == nil && a.journal.Recovered == "" && len(r.Units) == 0 {
		out.line("nothing was left unfinished")
	}
	return undone, err
}

func (a *agent) revert(out *printer) error {
	plan := a.journal.Plan(journal.Goal{})
	err := a.journal.Commit(plan)
	if leftover, ok := errors.AsType[*journal.LeftoverError](err); ok {
		out.line("%v", leftover)
		err = nil
	}
	if err != nil {
		return err
	}
	n := printPlan(out, plan, "")
	done := a.activate(requests(plan.Units()))
	n += printUnits(out, done, "")
	if err := stages.Settle(a.journal, done); err != nil {
		return err
	}
	return leftAlone(n)
}

// printPlan prints what a plan does to each path, and returns how many it leaves.
func printPlan(out *printer, p *journal.Plan, would string) int {
	for _, act := range p.Actions() {
		name, _ := report.Name(act.Path)
		if act.To.Type == journal.Absent {
			out.line("%sremoved   %s", would, name)
		} else {
			out.line("%srestored  %s", would, name)
		}
	}
	for _, path := range p.Left {
		name, _ := report.Name(path)
		out.line("left alone %s: someone else changed it, or put something into it, since", name)
	}
	if p.Empty() && len(p.Left)+len(p.Units()) == 0 {
		out.line("nothing to put back: no context has changed this root")
	}
	return len(p.Left)
}

// printUnits prints what became of units, and returns how many were to be disabled and
// are not.
func printUnits(out *printer, done []report.Unit, would string) (n int) {
	for _, u := range done {
		out.line("%s%s %s: %s", would, u.Action, u.Unit, u.Result)
		if u.Action == "disable" && !u.Disabled() {
			n++
		}
	}
	return n
}

func leftAlone(n int) error {
	if n == 0 {
		return nil
	}
	return &exitError{1, fmt.Errorf("%d paths or units are left alone: put them right by hand, then run revert again", n)}
}
