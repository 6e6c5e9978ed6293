// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/units"
)

// unitDeadline bounds the asking for units; no job is waited for.
const unitDeadline = 20 * time.Second

// activate acts on the units of this machine. With another root there is no
// service manager to ask: its units start with the new configuration anyway.
func (a *agent) activate(reqs []policy.UnitRequest) []report.Unit {
	ctx, cancel := context.WithTimeout(context.Background(), unitDeadline)
	defer cancel()
	var out []report.Unit
	var todo []units.Request
	for _, q := range reqs {
		switch {
		case q.Verb == "disable":
			out = append(out, a.disable(q.Unit))
		case a.path != "/":
			out = append(out, report.Unit{Unit: q.Unit, Action: q.Verb, Result: "left out: the root is not this machine's"})
		default:
			todo = append(todo, units.Request(q))
		}
	}
	if a.path == "/" && slices.ContainsFunc(out, report.Unit.Disabled) {
		if err := units.Reload(ctx); err != nil {
			for i := range out { // all are of units to be disabled
				out[i].Result += ", but not for the service manager: " + err.Error()
			}
		}
	}
	for _, res := range units.Act(ctx, todo) {
		u := report.Unit{Unit: res.Unit, Action: res.Verb, Result: res.Result}
		for _, l := range res.Links {
			u.Links = append(u.Links, report.Link(l))
		}
		if res.Err != nil {
			u.Result = "error: " + res.Err.Error()
			a.log.Warn("the unit is left as it is", "unit", res.Unit, "err", res.Err)
		}
		out = append(out, u)
	}
	return out
}

// disable undoes what enabling a unit did, in any root: the links that the journal
// has of it, and no others.
func (a *agent) disable(unit string) report.Unit {
	u := report.Unit{Unit: unit, Action: "disable", Result: report.Disabled}
	enabled := a.journal.Record().Enabled
	var mine []units.Link
	made := 0
	if i := slices.IndexFunc(enabled, func(e journal.Unit) bool { return e.Unit == unit }); i >= 0 {
		made = len(enabled[i].Links)
		for _, l := range enabled[i].Links {
			// One that was enabled with it, by Also=, may be wanted for itself.
			if !slices.ContainsFunc(enabled, func(e journal.Unit) bool { return !e.Dropped && e.Unit == path.Base(l.Path) }) {
				mine = append(mine, units.Link(l))
			}
		}
	}
	left, err := units.RemoveLinks(a.root, mine)
	switch {
	case made == 0:
		u.Result = report.NotEnabled
		return u
	case err != nil:
		u.Result = "error: " + err.Error()
	case len(left) > 0:
		u.Result = "left alone: someone else changed " + strings.Join(left, ", ")
	default:
		return u
	}
	a.log.Warn("the unit stays enabled", "unit", unit, "result", u.Result)
	return u
}

// noteCutOff gives the links that an enabling made which was cut off, and that nobody
// noted, to the first unit among done that was to be enabled: the service manager does
// not name them again. Settle shares them out.
func noteCutOff(root *os.Root, rec journal.Record, done []report.Unit) error {
	i := slices.IndexFunc(done, func(u report.Unit) bool {
		return u.Action == "enable" && slices.ContainsFunc(rec.Enabled, func(e journal.Unit) bool { return e.Unit == u.Unit })
	})
	if i < 0 || rec.Before == nil {
		return nil
	}
	links, err := units.Links(root)
	if err != nil {
		return err
	}
	for _, l := range links {
		if !slices.Contains(rec.Before, journal.Link(l)) {
			done[i].Links = append(done[i].Links, report.Link(l))
		}
	}
	return nil
}

// unitLinks lists the links of this machine's units.
func unitLinks(root *os.Root) func() ([]journal.Link, error) {
	return func() (out []journal.Link, err error) {
		links, err := units.Links(root)
		for _, l := range links {
			out = append(out, journal.Link(l))
		}
		return out, err
	}
}
