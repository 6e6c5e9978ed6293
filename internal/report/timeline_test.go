// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"strings"
	"testing"
)

// booted are the receipts of a boot that took 12 seconds.
func booted() []*Receipt {
	zero := 0
	prolog := &Receipt{Stage: "prolog", Outcome: Applied, Durations: map[string]int64{"media": 1000, "confine": 50, "script": 550, "total": 2000},
		Clock:   Clock{BootID: "b", StartedMonotonic: 3_000_000, ScriptMonotonic: 4_100_000, EndedMonotonic: 5_000_000},
		Script:  &Script{Path: "prolog.sh", ExitStatus: &zero, OutputTail: "<script>alert(1)</script>\n"},
		Changes: []Change{{Path: "/etc/rsyslog.d/<b>.conf", Op: "create", Type: "file", Class: "syslog", Mode: "0644"}}}
	epilog := &Receipt{Stage: "epilog", Outcome: Refused, ExitCode: 3, Error: "the policy refused one thing", Durations: map[string]int64{"network": 4000, "total": 5000},
		Clock:    Clock{BootID: "b", StartedMonotonic: 7_000_000, EndedMonotonic: 12_000_000},
		Refusals: []Refusal{{Path: "/etc/passwd", Rule: "always-refused", Reason: "accounts & credentials"}}}
	return []*Receipt{prolog, epilog}
}

func TestTimeline(t *testing.T) {
	want := []Span{
		{"prolog", "looks for the disc", 3_000_000, 4_000_000}, {"prolog", "confines the script", 4_050_000, 4_100_000},
		{"prolog", "runs the script", 4_100_000, 4_600_000}, {"prolog", "checks and applies", 4_600_000, 5_000_000},
		{"epilog", "waits for the network", 7_000_000, 11_000_000}, {"epilog", "checks", 11_000_000, 12_000_000},
	}
	got := Timeline(booted())
	if len(got) != len(want) {
		t.Fatalf("Timeline() = %v; want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("span %d is %v; want %v", i, got[i], want[i])
		}
	}
	var b strings.Builder
	if err := WriteTimeline(&b, got, 12); err != nil {
		t.Fatal(err)
	}
	for _, l := range []string{
		"boot: 12.00 s from the kernel's start\n",
		"  prolog looks for the disc    ···█········    1.00 s at 3.00 s\n",
		"  prolog runs the script       ····█·······    500 ms at 4.10 s\n",
		"  epilog waits for the network ·······████·    4.00 s at 7.00 s\n",
		"  epilog checks                ···········█    1.00 s at 11.00 s\n",
	} {
		if !strings.Contains(b.String(), l) {
			t.Errorf("no %q in\n%s", l, b.String())
		}
	}
	late := booted()
	for _, r := range late {
		r.Clock.StartedMonotonic += lateStart
		r.Clock.EndedMonotonic += lateStart
		r.Clock.ScriptMonotonic = 0
	}
	b.Reset()
	if err := WriteTimeline(&b, Timeline(late), 12); err != nil || !strings.Contains(b.String(), "boot: 9.00 s from the prolog's start") || !strings.Contains(b.String(), "looks for the disc    █···········") {
		t.Errorf("run by hand: %v\n%s", err, b.String())
	}
	again := booted()
	again[1].Clock.StartedMonotonic, again[1].Clock.EndedMonotonic = 1_000_000, 2_000_000
	if got := Timeline(again); len(got) != 4 || got[3].Stage != "prolog" {
		t.Errorf("with an epilog of before: %v; want the prolog alone", got)
	}
	odd := booted()
	odd[0].Clock.ScriptMonotonic, odd[0].Durations["media"] = 1, -5
	odd[1].Durations["network"] = 1 << 40
	b.Reset()
	if err := errors.Join(WriteTimeline(&b, Timeline(odd), 12), HTML(&b, odd)); err != nil {
		t.Error(err)
	}
	other := booted()
	other[0].Clock.BootID = "a"
	if got := Timeline(other); len(got) != 2 || got[0].Stage != "epilog" {
		t.Errorf("with a prolog of another boot: %v; want the epilog alone", got)
	}
}

// TestHTML: everything is in the page, and nothing that a disc or a script chose
// acts in it.
func TestHTML(t *testing.T) {
	var b strings.Builder
	if err := HTML(&b, booted()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"&lt;script&gt;alert(1)", "/etc/rsyslog.d/&lt;b&gt;.conf", "accounts &amp; credentials", "refused: nothing was changed", "left:58.33%;width:33.33%"} {
		if !strings.Contains(b.String(), s) {
			t.Errorf("no %q in\n%s", s, b.String())
		}
	}
	for _, s := range []string{"<script", "<b>.conf", "http://", "https://", "src="} {
		if strings.Contains(b.String(), s) {
			t.Errorf("%q is in the page", s)
		}
	}
}
