// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
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
	out, reqs := a.disable(reqs)
	if a.path != "/" {
		for _, q := range reqs {
			u := report.Unit{Unit: q.Unit, Action: q.Verb, Result: "left out: the root is not this machine's"}
			if q.Verb == "disable" {
				u.Result += ", and it is not noted which links enabling it made: revert on the machine itself"
			}
			out = append(out, u)
		}
		return out
	}
	ctx, cancel := context.WithTimeout(context.Background(), unitDeadline)
	defer cancel()
	var todo []units.Request
	for _, q := range reqs {
		todo = append(todo, units.Request(q))
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

// disable undoes what enabling a unit did, where the journal knows what that was: in
// any root, and no more than that. It returns what is left to ask the service manager
// for; what fails here is asked of it, too.
func (a *agent) disable(reqs []policy.UnitRequest) (done []report.Unit, rest []policy.UnitRequest) {
	for _, q := range reqs {
		links := a.linksOf(q)
		if links == nil {
			rest = append(rest, q)
			continue
		}
		left, err := units.RemoveLinks(a.root, links)
		if err != nil {
			a.log.Warn("the links of the unit stay", "unit", q.Unit, "err", err)
			rest = append(rest, q)
			continue
		}
		u := report.Unit{Unit: q.Unit, Action: q.Verb, Result: report.Disabled}
		if len(left) > 0 {
			u.Result += "; left alone, since someone else changed it: " + strings.Join(left, ", ")
		}
		done = append(done, u)
	}
	if len(done) > 0 && a.path == "/" {
		ctx, cancel := context.WithTimeout(context.Background(), unitDeadline)
		defer cancel()
		if err := units.Reload(ctx); err != nil {
			a.log.Warn("the service manager does not know yet that units are disabled: run systemctl daemon-reload", "err", err)
		}
	}
	return done, rest
}

// linksOf are the links that a request to disable a unit has to take away; nil for
// another request, and where the journal does not know them.
func (a *agent) linksOf(q policy.UnitRequest) []units.Link {
	if q.Verb != "disable" {
		return nil
	}
	enabled := a.journal.Record().Enabled
	i := slices.IndexFunc(enabled, func(u journal.Unit) bool { return u.Unit == q.Unit })
	if i < 0 {
		return nil
	}
	var links []units.Link
	for _, l := range enabled[i].Links {
		links = append(links, units.Link(l))
	}
	return links
}
