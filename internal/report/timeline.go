// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Span is one step of a boot. Times are microseconds of CLOCK_MONOTONIC, which
// begins with the kernel.
type Span struct {
	Stage, Name string
	Begin, End  int64
}

// Timeline lists the steps of stages that ran in one boot, in order. A receipt of
// another boot than the last one's has no place in it, nor has one of an epilog
// that ran before the prolog was run again.
func Timeline(receipts []*Receipt) []Span {
	var (
		out  []Span
		boot string
		last time.Time
	)
	for _, r := range receipts {
		if !r.Clock.Started.Before(last) {
			boot, last = r.Clock.BootID, r.Clock.Started
		}
	}
	end := int64(0)
	for _, r := range receipts {
		c := r.Clock
		if c.BootID != boot || c.StartedMonotonic < end || c.EndedMonotonic <= c.StartedMonotonic {
			continue
		}
		out = append(out, r.spans()...)
		end = c.EndedMonotonic
	}
	return out
}

// spans are the steps of one stage, none of them beyond its end.
func (r *Receipt) spans() []Span {
	var out []Span
	at := r.Clock.StartedMonotonic
	add := func(name string, begin, end int64) {
		begin, end = max(begin, at), min(end, r.Clock.EndedMonotonic)
		if end > begin {
			out = append(out, Span{r.Stage, name, begin, end})
			at = end
		}
	}
	add("looks for the disc", at, at+r.Durations["media"]*1000)
	add("waits for the network", at, at+r.Durations["network"]*1000)
	if script := r.Clock.ScriptMonotonic; script > 0 {
		add("confines the script", script-r.Durations["confine"]*1000, script)
		add("runs the script", script, script+(r.Durations["script"]-r.Durations["confine"])*1000)
	}
	name := "checks and applies"
	if r.Outcome != Applied && r.Outcome != Unchanged {
		name = "checks"
	}
	if len(out) == 0 {
		name = "all of it"
	}
	add(name, at, r.Clock.EndedMonotonic)
	return out
}

// lateStart is when a first step no longer belongs to the boot: a stage that
// somebody runs by hand is drawn from its own start.
const lateStart = 10 * 60 * 1_000_000 // microseconds

// scale is what a drawing begins with, in words and in microseconds, and how
// long it is.
func scale(spans []Span) (from string, origin, length int64) {
	from, end := "the kernel's start", spans[len(spans)-1].End
	if spans[0].Begin > lateStart {
		from, origin = "the "+spans[0].Stage+"'s start", spans[0].Begin
	}
	return from, origin, end - origin
}

// WriteTimeline draws the steps to scale, from the kernel's start to the last
// step's end, width columns wide.
func WriteTimeline(w io.Writer, spans []Span, width int) error {
	if len(spans) == 0 {
		return nil
	}
	from, origin, length := scale(spans)
	column := func(at int64) int { return int((at - origin) * int64(width) / length) }
	if _, err := fmt.Fprintf(w, "boot: %s from %s\n", seconds(length), from); err != nil {
		return err
	}
	for _, s := range spans {
		begin := min(column(s.Begin), width-1)
		cells := max(1, column(s.End)-begin)
		bar := strings.Repeat("·", begin) + strings.Repeat("█", cells) + strings.Repeat("·", max(0, width-begin-cells))
		if _, err := fmt.Fprintf(w, "  %-6s %-21s %s %9s at %s\n", s.Stage, s.Name, bar, seconds(s.End-s.Begin), seconds(s.Begin-origin)); err != nil {
			return err
		}
	}
	return nil
}

// seconds is a time in a form that is read at a glance.
func seconds(us int64) string {
	if us < 1_000_000 {
		return fmt.Sprintf("%.0f ms", float64(us)/1000)
	}
	return fmt.Sprintf("%.2f s", float64(us)/1e6)
}
