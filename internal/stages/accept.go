// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/changeset"
	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
)

// accept makes the root what was approved, unless this is a rehearsal, and then
// asks for the units. The requests are in the journal with the changes: dying in
// between loses none.
func (m *Machine) accept(r *report.Receipt, a policy.Approved, goal journal.Goal) {
	began := time.Now()
	plan, err := changeset.Plan(m.Journal, a, goal)
	if err != nil {
		r.End(report.Failed, err)
		return
	}
	changed := !plan.Empty()
	goal.Units = m.todo(r, a.Units(), changed)
	if goal.Enabled, err = m.enabled(goal.Units); err != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("what is enabled now may not be put back by a revert after a power cut: %v", err))
	}
	if goal.Links, err = m.linksBefore(goal); err != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("what is enabled now may not be put back by a revert after a power cut: %v", err))
	}
	if plan, err = changeset.Plan(m.Journal, a, goal); err == nil {
		r.Changes = Changes(plan, a)
		warn(r, plan)
		err = m.commit(r, a, plan)
	}
	r.Durations["apply"] = time.Since(began).Milliseconds()
	if err != nil {
		r.Changes, r.Units = nil, nil
		r.End(report.Failed, err)
		return
	}
	done := m.act(plan.Units())
	r.Units = append(r.Units, done...)
	if !m.Rehearse {
		if err := Settle(m.Journal, done); err != nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the next run asks for the units again: %v", err))
		}
	}
	if changed {
		r.End(report.Applied, nil)
	} else {
		r.End(report.Unchanged, nil)
	}
}

func (m *Machine) commit(r *report.Receipt, a policy.Approved, plan *journal.Plan) (err error) {
	if m.Rehearse {
		m.shown, err = remember(m.shown, a.Changes())
		return err
	}
	err = m.Journal.Commit(plan)
	if leftover, ok := errors.AsType[*journal.LeftoverError](err); ok {
		r.Warnings, err = append(r.Warnings, leftover.Error()), nil
	}
	return err
}

// Settle notes that the pending requests were made, and which links they made. A unit
// that could not be disabled stays in the record: whoever plans next asks again.
func Settle(j *journal.Journal, done []report.Unit) error {
	rec := j.Record()
	rec.Pending, rec.Before = nil, nil
	var enabled []journal.Unit
	for _, u := range rec.Enabled {
		u.Links = slices.Clone(u.Links)
		enabled = append(enabled, u)
	}
	for _, d := range done {
		if len(d.Links) == 0 {
			continue
		}
		i := slices.IndexFunc(enabled, func(u journal.Unit) bool { return u.Unit == d.Unit })
		if i < 0 { // it was enabled, and not with all its links: by the image, or with a unit that is dropped
			i = len(enabled)
			enabled = append(enabled, journal.Unit{Unit: d.Unit, Was: "enabled"})
		}
		for _, l := range d.Links {
			enabled[i].Made(journal.Link(l))
		}
	}
	// What one unit names in Also= was enabled with it: its own links are its own.
	for i := range enabled {
		for _, other := range enabled {
			for _, l := range other.Links {
				if path.Base(l.Path) == enabled[i].Unit {
					enabled[i].Made(l)
				}
			}
		}
	}
	rec.Enabled = slices.DeleteFunc(enabled, func(u journal.Unit) bool {
		return u.Dropped && slices.ContainsFunc(done, func(d report.Unit) bool {
			return d.Unit == u.Unit && d.Disabled()
		})
	})
	if len(rec.Enabled) == 0 {
		rec.Enabled = nil
	}
	if reflect.DeepEqual(rec, j.Record()) {
		return nil
	}
	return j.Update(rec)
}

// warn says what someone else did to the paths of a plan.
func warn(r *report.Receipt, p *journal.Plan) {
	const most = 20
	for _, w := range []struct {
		paths []string
		text  string
	}{
		{p.Rewritten, "was changed by someone else since, and is the context's again"},
		{p.Left, "is of a former context and was changed by someone else since: it is left as it is"},
	} {
		for i, path := range w.paths {
			if i == most {
				r.Warnings = append(r.Warnings, fmt.Sprintf("%d more paths: each %s", len(w.paths)-most, w.text))
				break
			}
			r.Warnings = append(r.Warnings, fmt.Sprintf("%q %s", path, w.text))
		}
	}
}

// Changes are what a plan does to the root, in a receipt's words: the approved
// changes that are not there already, and what is put back to the image's own,
// which has a rule of that name and no class.
func Changes(p *journal.Plan, a policy.Approved) []report.Change {
	approved := map[string]policy.Decided{}
	for _, c := range a.Changes() {
		approved[c.Path] = c
	}
	var out []report.Change
	for _, act := range p.Actions() {
		if c, ok := approved[act.Path]; ok {
			rc := report.FromChange(c.Change)
			rc.Class, rc.Rule = c.Class, c.Rule
			out = append(out, rc)
			continue
		}
		rc := report.FromChange(putBack(act))
		rc.Rule = "put-back"
		out = append(out, rc)
	}
	return out
}

// putBack describes an action that no approved change asks for.
func putBack(act journal.Action) policy.Change {
	s := act.To
	c := policy.Change{Path: act.Path, Op: policy.Modify}
	switch {
	case act.To.Type == journal.Absent:
		c.Op, s = policy.Delete, act.From
	case act.From.Type == journal.Absent:
		c.Op = policy.Create
	case act.From.SHA256 == act.To.SHA256 && act.From.Target == act.To.Target && act.From.Type == act.To.Type:
		c.Op = policy.Metadata
	}
	c.Type, c.Size, c.Target = policy.Type(s.Type), s.Size, s.Target
	c.Attr = policy.Attr{Mode: s.Mode, UID: s.UID, GID: s.GID}
	c.SHA256Before, c.SHA256After = act.From.SHA256, act.To.SHA256
	return c
}

// todo are the requests to be made. A restart or reload is for a changed
// configuration: where nothing changed, nothing is restarted.
func (m *Machine) todo(r *report.Receipt, reqs []policy.UnitRequest, changed bool) []journal.Request {
	var out []journal.Request
	for _, q := range reqs {
		if !changed && q.Verb != "start" && q.Verb != "enable" {
			r.Units = append(r.Units, report.Unit{Unit: q.Unit, Action: q.Verb, Result: "left out: nothing changed"})
			continue
		}
		out = append(out, journal.Request(q))
	}
	return out
}

// enabled are the units that the requests enable and that are not enabled yet.
func (m *Machine) enabled(reqs []journal.Request) (out []journal.Unit, err error) {
	for _, q := range reqs {
		if q.Verb != "enable" || m.FileState == nil || m.Rehearse {
			continue
		}
		was, stateErr := m.FileState(q.Unit)
		if stateErr != nil {
			err = errors.Join(err, stateErr)
		} else if !strings.HasPrefix(was, "enabled") {
			out = append(out, journal.Unit{Unit: q.Unit, Was: was})
		}
	}
	return out, err
}

// linksBefore are the links of units that are there before one is enabled; nil where
// no link is made: enabling a unit that is static, masked or not there does nothing.
func (m *Machine) linksBefore(g journal.Goal) ([]journal.Link, error) {
	if m.UnitLinks == nil || !slices.ContainsFunc(g.Enabled, func(u journal.Unit) bool {
		return slices.Contains([]string{"disabled", "indirect", "linked", "linked-runtime", "alias"}, u.Was)
	}) {
		return nil, nil
	}
	return m.UnitLinks()
}

// act asks for units.
func (m *Machine) act(reqs []journal.Request) []report.Unit {
	if m.Rehearse || m.Activate == nil {
		var out []report.Unit
		for _, q := range reqs {
			out = append(out, report.Unit{Unit: q.Unit, Action: q.Verb, Result: "would be asked for"})
		}
		return out
	}
	if len(reqs) == 0 {
		return nil
	}
	todo := make([]policy.UnitRequest, len(reqs))
	for i, q := range reqs {
		todo[i] = policy.UnitRequest(q)
	}
	return m.Activate(todo)
}
