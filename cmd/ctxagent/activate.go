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
			out = append(out, a.disable(q.Unit, a.journal.Record().Enabled, units.RemoveLinks))
		case a.path != "/":
			out = append(out, report.Unit{Unit: q.Unit, Action: q.Verb, Result: "left out: the root is not this machine's"})
		default:
			todo = append(todo, units.Request(q))
		}
	}
	if a.path == "/" {
		a.reload(ctx, out)
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
	if err := a.addUnsaid(out); err != nil {
		a.log.Warn("what an enabling made that failed or was cut off is not known", "err", err)
	}
	return out
}

// reload tells the service manager of links that are gone.
func (a *agent) reload(ctx context.Context, done []report.Unit) {
	if !slices.ContainsFunc(done, func(u report.Unit) bool { return u.Result != report.NotEnabled }) {
		return
	}
	if err := units.Reload(ctx); err != nil {
		for i := range done {
			if done[i].Result == report.Disabled {
				done[i].Result += ", but the service manager does not know: " + err.Error()
			}
		}
	}
}

// disable undoes what enabling a unit did, in any root: the links that the journal
// has of it, among those that contexts enabled, and no others. RemoveLinks undoes it;
// units.ChangedLinks only looks.
func (a *agent) disable(unit string, enabled []journal.Unit, undo func(*os.Root, []units.Link) ([]string, error)) report.Unit {
	u := report.Unit{Unit: unit, Action: "disable", Result: report.Disabled}
	i := slices.IndexFunc(enabled, func(e journal.Unit) bool { return e.Unit == unit })
	if i < 0 || len(enabled[i].Links) == 0 {
		u.Result = report.NotEnabled
		return u
	}
	var mine []units.Link
	for _, l := range enabled[i].Links {
		// One that was enabled with it, by Also=, may be wanted for itself.
		if !slices.ContainsFunc(enabled, func(e journal.Unit) bool {
			return !e.Dropped && e.Unit != unit && (e.Unit == path.Base(l.Path) || slices.Contains(e.Links, l))
		}) {
			mine = append(mine, units.Link(l))
		}
	}
	left, err := undo(a.root, mine)
	switch {
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

// addUnsaid gives the units among done that were to be enabled the links that are new
// since the journal noted them, and that the service manager did not name: after an
// error it names none, and after a run that was cut off it has nothing to make. A link
// whose name and target are not among what such a unit enables is somebody else's.
func (a *agent) addUnsaid(done []report.Unit) error {
	before := a.journal.Record().Before
	if before == nil {
		return nil
	}
	links, err := units.Links(a.root)
	if err != nil {
		return err
	}
	enables := make([][]string, len(done))
	for i, u := range done {
		if u.Action == "enable" {
			enables[i] = units.Enables(a.root, u.Unit)
		}
	}
	for _, l := range links {
		if slices.ContainsFunc(before, func(b journal.Link) bool { return b.Path == l.Path }) {
			continue
		}
		i := slices.IndexFunc(enables, func(names []string) bool {
			return slices.Contains(names, path.Base(l.Target)) || slices.Contains(names, path.Base(l.Path))
		})
		said := slices.ContainsFunc(done, func(u report.Unit) bool {
			return slices.ContainsFunc(u.Links, func(made report.Link) bool { return made.Path == l.Path })
		})
		switch {
		case said:
		case i >= 0:
			done[i].Links = append(done[i].Links, report.Link(l))
		default:
			a.log.Warn("a link is new since units were to be enabled, and is not taken for the context's", "link", l.Path)
		}
	}
	return nil
}

// unitLinks lists the links of this machine's units; another root's service manager
// is not asked to make any.
func unitLinks(root *os.Root, path string) func() ([]journal.Link, error) {
	if path != "/" {
		return nil
	}
	return func() ([]journal.Link, error) {
		links, err := units.Links(root)
		if err != nil {
			return nil, err
		}
		out := []journal.Link{} // which is not nil, if it is empty
		for _, l := range links {
			out = append(out, journal.Link(l))
		}
		return out, nil
	}
}
