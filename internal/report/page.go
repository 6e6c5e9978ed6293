// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Page writes the receipt for a person: what happened, what was changed by
// class, what was refused and why. Names are quoted where they could mislead.
func (r *Receipt) Page(w io.Writer) error {
	p := &page{w: w}
	p.head(r)
	p.script(r.Script)
	p.changes(r)
	p.refusals(r.Refusals)
	p.deniedCalls(r.DeniedCalls)
	p.units(r)
	p.connections(r.Connections)
	for _, warning := range r.Warnings {
		p.f("  note      %s\n", OneLine(warning))
	}
	return p.err
}

type page struct {
	w   io.Writer
	err error
}

func (p *page) f(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, a...)
	}
}

// verdicts say in words what an outcome means.
var verdicts = map[Outcome]string{
	Applied:     "applied: every change was made",
	Unchanged:   "unchanged: there was nothing to change",
	NoMedia:     "no context disc: the image stays as it is",
	Late:        "a context disc came too late: it was not used",
	Ambiguous:   "more than one context disc: none was used",
	Unusable:    "the disc cannot be used: nothing was run",
	Refused:     "refused: nothing was changed",
	Failed:      "failed: nothing was changed",
	Timeout:     "timed out: nothing was changed",
	NoNetwork:   "the network did not come up: the script was not run",
	Unsupported: "this system cannot confine scripts: nothing was run",
}

func (p *page) head(r *Receipt) {
	verdict := verdicts[r.Outcome]
	if r.Rehearsal && r.Outcome == Applied {
		verdict = "would be applied: every change below"
	}
	if r.Rehearsal && r.Outcome == Unsupported && r.Script != nil && r.Script.ExitStatus != nil {
		verdict = "not known: this rehearsal could not do all that a guest does"
	}
	p.f("%s: %s (exit status %d, %d ms)\n", r.Stage, verdict, r.ExitCode, r.Durations["total"])
	if r.Error != "" {
		p.f("  why       %s\n", OneLine(r.Error))
	}
	if d := r.Disc; d != nil {
		p.f("  disc      %s, label %q, %s, %s, digest %.16s…\n", OneLine(d.Device), d.Label, d.Flavour, d.Contract, d.Digest)
	}
	if n := r.Network; n != nil && n.Address == "" {
		missing := ": " + OneLine(n.Missing)
		if n.Missing == r.Error {
			missing = "" // it has been said
		}
		p.f("  network   not up after %d ms and %d events%s\n", n.WaitedMS, n.Events, missing)
	} else if n != nil {
		p.f("  network   %s has %s", OneLine(n.Interface), n.Address)
		if n.Gateway != "" {
			p.f(", gateway %s", n.Gateway)
		}
		if r.Rehearsal {
			p.f(" (an example: the guest's own is not known here)\n")
		} else {
			p.f(" (waited %d ms)\n", n.WaitedMS)
		}
	}
}

func (p *page) script(s *Script) {
	if s == nil {
		return
	}
	p.f("  script    %s, digest %.16s…", OneLine(s.Path), s.Digest)
	switch {
	case s.ExitStatus != nil:
		p.f(", exit status %d", *s.ExitStatus)
	case s.Signal != "":
		p.f(", ended by %s", s.Signal)
	}
	p.f("\n")
	lines := strings.Split(strings.TrimRight(s.OutputTail, "\n"), "\n")
	const shown = 20
	if len(lines) > shown {
		p.f("  output    (the last %d of %d lines)\n", shown, len(lines))
		lines = lines[len(lines)-shown:]
	}
	for _, l := range lines {
		if l != "" {
			p.f("  output    %s\n", OneLine(l))
		}
	}
	if len(s.LeftOver) > 0 {
		p.f("  ended     processes that it left behind: %s\n", strings.Join(s.LeftOver, ", "))
	}
}

// changes are listed by class; those of a refused stage have none.
func (p *page) changes(r *Receipt) {
	classes := []string{"syslog", "monitoring", "batch", ""}
	for _, class := range classes {
		if !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Class == class }) {
			continue
		}
		title := class
		if class == "" {
			title = "changed by the script, not applied"
		}
		p.f("  %s\n", title)
		for _, c := range r.Changes {
			if c.Class == class {
				p.f("    %-8s  %-9s %s  %d:%d  %s%s\n", c.Op, c.Type, c.Mode, c.UID, c.GID, OneLine(c.Path), detail(c))
			}
		}
	}
}

func detail(c Change) string {
	switch {
	case c.Target != "":
		return " -> " + OneLine(c.Target)
	case c.SHA256After != "":
		return fmt.Sprintf("  %d bytes, sha256 %.12s…", c.Size, c.SHA256After)
	}
	return ""
}

func (p *page) refusals(refusals []Refusal) {
	if len(refusals) == 0 {
		return
	}
	p.f("  refused\n")
	for _, x := range refusals {
		what := x.Path + x.Call
		if x.Unit != "" {
			what = "unit " + x.Unit
		}
		if x.Line > 0 {
			what = fmt.Sprintf("%s line %d", what, x.Line)
		}
		p.f("    %s\n      %s [%s]\n", OneLine(what), OneLine(x.Reason), x.Rule)
	}
}

func (p *page) deniedCalls(calls []DeniedCall) {
	for _, c := range calls {
		p.f("  denied    %s: %s, %d×\n", OneLine(c.Comm), OneLine(c.Call), c.Count)
	}
}

func (p *page) units(r *Receipt) {
	for _, u := range r.Units {
		p.f("  unit      %s %s: %s\n", u.Action, u.Unit, OneLine(u.Result))
	}
}

// connections are those that the script asked the relay for.
func (p *page) connections(list []Connection) {
	for _, c := range list {
		target := c.Target
		if c.Address != "" && !strings.HasPrefix(c.Target, c.Address) && !strings.HasPrefix(c.Target, "["+c.Address) {
			target += " (" + c.Address + ")"
		}
		if c.Count > 1 {
			target += fmt.Sprintf(", %d times", c.Count)
		}
		p.f("  reached   %s by %s: %s", OneLine(target), c.Protocol, OneLine(c.Result))
		if c.Sent+c.Received > 0 {
			p.f(", %d bytes sent, %d received", c.Sent, c.Received)
		}
		p.f("\n")
	}
}
