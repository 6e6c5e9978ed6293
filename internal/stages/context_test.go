// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
)

// stage runs a stage of the disc that is called so, as a process of its own
// would.
func (m *Machine) stage(t *testing.T, name, stage, text string) *report.Receipt {
	t.Helper()
	m.reopen(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	files := map[string]string{}
	if text != "" {
		files[stage+".sh"] = "#!/bin/sh -e\numask 022\n" + text
	}
	c := disc(t, files)
	c.Disc.Digest = name
	r := &report.Receipt{Stage: stage, Disc: &c.Disc, Durations: map[string]int64{}}
	m.Run(ctx, c, r)
	return r
}

// tree is all that a reader can tell of a root, but for the journal and for the
// times and sizes of directories.
func tree(t *testing.T, m *Machine) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(m.RootPath, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(p, m.RootPath)
		if rel == "/var" {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		line := info.Mode().String() + " " + string(rune('0'+st.Uid%10)) + string(rune('0'+st.Gid%10))
		switch info.Mode().Type() {
		case 0:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += " " + string(b)
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " " + target
		}
		out[rel] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameTree(t *testing.T, when string, got, want map[string]string) {
	t.Helper()
	for p := range want {
		if got[p] != want[p] {
			t.Errorf("%s: %s is %.100q; want %.100q", when, p, got[p], want[p])
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: there is %s", when, p)
		}
	}
}

// revert puts everything back.
func (m *Machine) revert(t *testing.T) *journal.Plan {
	t.Helper()
	m.reopen(t)
	p := m.Journal.Plan(journal.Goal{})
	if err := m.Journal.Commit(p); err != nil {
		t.Fatal(err)
	}
	return p
}

const prologOne = `
	echo 'SLURMD_OPTIONS="-vv"' >>/etc/default/slurmd
	echo '*.* @one.example.org' >/etc/rsyslog.d/60-site.conf
	mkdir -p /opt/condor/bin; echo one >/opt/condor/bin/x; chmod 755 /opt/condor/bin/x; echo one >/opt/condor/one; ln -s one /opt/condor/l
	echo key >/etc/munge/munge.key; chmod 400 /etc/munge/munge.key
`

const epilogOne = `
	[ "$(cat /etc/rsyslog.d/60-site.conf)" = '*.* @one.example.org' ]
	echo '*.* @more.example.org' >>/etc/rsyslog.d/60-site.conf
	echo '*.* @epilog.example.org' >/etc/rsyslog.d/70-site.conf
	rm /opt/condor/one
`

// A context's second boot writes nothing, although its scripts append: each sees
// the image and what the stage before it did, never what it left itself.
func TestTheSameDiscWritesNothing(t *testing.T) {
	m := newMachine(t)
	image := tree(t, m)
	want(t, m.stage(t, "one", Prolog, prologOne), report.Applied, "")
	want(t, m.stage(t, "one", Epilog, epilogOne), report.Applied, "")
	if got := content(t, m, "etc/rsyslog.d/60-site.conf"); got != "*.* @one.example.org\n*.* @more.example.org\n" {
		t.Errorf("the file of both stages has %q", got)
	}
	if _, err := m.Root.Lstat("opt/condor/one"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the epilog's removal of the prolog's file: %v; want it gone", err)
	}
	before := print(t, m.RootPath)
	for range 2 {
		for stage, text := range map[string]string{Prolog: prologOne, Epilog: epilogOne} {
			r := m.stage(t, "one", stage, text)
			want(t, r, report.Unchanged, "")
			if len(r.Changes) > 0 {
				t.Errorf("%s lists the changes %q; want none", stage, paths(r))
			}
		}
	}
	if after := print(t, m.RootPath); after != before {
		t.Errorf("the same disc again writes the root:\n%s\nwas\n%s", after, before)
	}
	if p := m.revert(t); len(p.Left) > 0 {
		t.Errorf("revert leaves %q", p.Left)
	}
	sameTree(t, "after revert", tree(t, m), image)
}

// Another disc's context takes the place of the former one: the root is what it
// would be if the former one had never been there.
func TestAnotherDiscReplaces(t *testing.T) {
	const prologTwo = `
		[ "$(cat /etc/default/slurmd)" = 'SLURMD_OPTIONS="-v"' ]
		[ ! -e /etc/rsyslog.d/60-site.conf ] && [ ! -e /etc/rsyslog.d/70-site.conf ] && [ ! -e /opt/condor ] && [ ! -e /etc/munge/munge.key ]
		mkdir -p /opt/condor; echo two >/opt/condor/one; mkdir /opt/condor/l
		chmod 600 /etc/default/slurmd
	`
	fresh := newMachine(t)
	want(t, fresh.stage(t, "two", Prolog, prologTwo), report.Applied, "")
	m := newMachine(t)
	image := tree(t, m)
	want(t, m.stage(t, "one", Prolog, prologOne), report.Applied, "")
	want(t, m.stage(t, "one", Epilog, epilogOne), report.Applied, "")
	r := m.stage(t, "two", Prolog, prologTwo)
	want(t, r, report.Applied, "")
	sameTree(t, "after the second disc", tree(t, m), tree(t, fresh))
	for _, p := range []string{"delete /etc/munge/munge.key", "delete /etc/rsyslog.d/60-site.conf", "delete /opt/condor/bin/x", "create /opt/condor/one"} {
		if !slices.Contains(paths(r), p) {
			t.Errorf("the receipt has %q; want %q, too", paths(r), p)
		}
	}
	for _, c := range r.Changes {
		if (c.Class == "") != (c.Rule == "put-back") {
			t.Errorf("the receipt says of %s class %q, rule %q; want a class, or that it is put back", c.Path, c.Class, c.Rule)
		}
	}
	m.revert(t)
	sameTree(t, "after revert", tree(t, m), image)
}

// A disc without a script for the prolog ends the former one's context as well.
func TestADiscWithoutAPrologReplacesToo(t *testing.T) {
	m := newMachine(t)
	image := tree(t, m)
	want(t, m.stage(t, "one", Prolog, prologOne), report.Applied, "")
	want(t, m.stage(t, "two", Prolog, ""), report.Applied, "")
	sameTree(t, "after the second disc", tree(t, m), image)
}

// A clone of the machine's disk is another machine: nothing is taken for done.
func TestOncePerContext(t *testing.T) {
	m := newMachine(t)
	m.Policy.Stages.Run, m.ID = policy.OncePerContext, "uuid-1"
	ran := func(r *report.Receipt) bool { return r.Script != nil }
	for _, tt := range []struct {
		name, disc, id, stage, text string
		runs                        bool
	}{
		{"first boot", "one", "uuid-1", Prolog, "echo '*.* @h' >/etc/rsyslog.d/60.conf", true},
		{"first boot", "one", "uuid-1", Epilog, "exit 1", true},
		{"a stage that failed is run again", "one", "uuid-1", Epilog, "echo '*.* @h' >/etc/rsyslog.d/70.conf", true},
		{"second boot", "one", "uuid-1", Prolog, "exit 1", false},
		{"second boot", "one", "uuid-1", Epilog, "exit 1", false},
		{"a clone", "one", "uuid-2", Prolog, "echo '*.* @h' >/etc/rsyslog.d/60.conf", true},
		{"a clone", "one", "uuid-2", Epilog, "echo '*.* @h' >/etc/rsyslog.d/70.conf", true},
		{"another disc", "two", "uuid-2", Prolog, "echo '*.* @h' >/etc/rsyslog.d/60.conf", true},
		{"the first one again", "one", "uuid-2", Prolog, "echo '*.* @h' >/etc/rsyslog.d/60.conf", true},
	} {
		m.ID = tt.id
		r := m.stage(t, tt.disc, tt.stage, tt.text)
		if ran(r) != tt.runs {
			t.Errorf("%s, %s: ran %v; want %v (%s %s)", tt.name, tt.stage, ran(r), tt.runs, r.Outcome, r.Error)
		}
		if !tt.runs && (r.Outcome != report.Unchanged || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "once-per-context")) {
			t.Errorf("%s, %s: %s, warnings %q; want unchanged, and why", tt.name, tt.stage, r.Outcome, r.Warnings)
		}
	}
}

// What someone else changed since is theirs, unless the context wants it again.
func TestSomeoneElseChangedIt(t *testing.T) {
	m := newMachine(t)
	want(t, m.stage(t, "one", Prolog, prologOne), report.Applied, "")
	for name, text := range map[string]string{"etc/rsyslog.d/60-site.conf": "mine\n", "opt/condor/stranger": "mine\n", "etc/default/slurmd": "mine\n"} {
		if err := m.Root.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := m.stage(t, "one", Prolog, prologOne)
	want(t, r, report.Applied, "")
	if got := paths(r); !slices.Equal(got, []string{"modify /etc/default/slurmd", "create /etc/rsyslog.d/60-site.conf"}) || len(r.Warnings) != 2 {
		t.Errorf("the same disc: changes %q, warnings %q; want both files written again and named", got, r.Warnings)
	}
	if got := content(t, m, "etc/default/slurmd"); got != "SLURMD_OPTIONS=\"-v\"\nSLURMD_OPTIONS=\"-vv\"\n" {
		t.Errorf("the file has %q; want the image's with the context's line", got)
	}
	if err := m.Root.WriteFile("etc/rsyslog.d/60-site.conf", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r = m.stage(t, "two", Prolog, "[ ! -e /etc/rsyslog.d/60-site.conf ]")
	want(t, r, report.Applied, "")
	if len(r.Warnings) != 2 || content(t, m, "etc/rsyslog.d/60-site.conf") != "mine\n" || content(t, m, "opt/condor/stranger") != "mine\n" {
		t.Errorf("another disc: warnings %q; want two, and the stranger's files left", r.Warnings)
	}
	p := m.revert(t)
	if want := []string{"/etc/rsyslog.d/60-site.conf", "/opt/condor"}; !slices.Equal(p.Left, want) {
		t.Errorf("revert leaves %q; want %q", p.Left, want)
	}
	if content(t, m, "opt/condor/stranger") != "mine\n" {
		t.Error("revert removes a stranger's file")
	}
	for _, name := range []string{"opt/condor/stranger", "etc/rsyslog.d/60-site.conf"} {
		if err := m.Root.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if p := m.revert(t); len(p.Left) > 0 {
		t.Errorf("revert leaves %q once the strangers' files are gone", p.Left)
	}
	if _, err := m.Root.Lstat("opt/condor"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("/opt/condor: %v; want it gone", err)
	}
}

// A file that someone writes while the script runs is not overwritten: the whole
// stage fails.
func TestSomeoneElseChangesItMeanwhile(t *testing.T) {
	for name, first := range map[string]string{"a path of no context yet": "", "a path of the context in force": prologOne} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if first != "" {
				want(t, m.stage(t, "one", Prolog, first), report.Applied, "")
			}
			var before map[string]string
			m.Line = func(_, line string) {
				if line != "now" {
					return
				}
				if err := m.Root.WriteFile("etc/default/slurmd", []byte("package\n"), 0o644); err != nil {
					t.Error(err)
				}
				before = tree(t, m)
			}
			r := m.stage(t, "two", Prolog, "echo now; sleep 1; echo '*.* @two' >/etc/rsyslog.d/60-site.conf; echo 'SLURMD_OPTIONS=\"-vvv\"' >/etc/default/slurmd")
			want(t, r, report.Failed, `"/etc/default/slurmd": the file was changed by someone else meanwhile`)
			sameTree(t, "after the failure", tree(t, m), before)
		})
	}
}

// The requests are noted with the change, and are gone once they are made.
func TestUnitsAreInTheJournal(t *testing.T) {
	m := newMachine(t)
	m.FileState = func(unit string) (string, error) { return map[string]string{"munge.service": "disabled"}[unit], nil }
	before := []journal.Link{{Path: "/etc/other", Target: "/lib/other"}}
	m.UnitLinks = func() ([]journal.Link, error) { return before, nil }
	var pending []journal.Request
	var noted []journal.Link
	m.Activate = func(reqs []policy.UnitRequest) (out []report.Unit) {
		pending, noted = m.Journal.Record().Pending, m.Journal.Record().Before
		for _, q := range reqs {
			u := report.Unit{Unit: q.Unit, Action: q.Verb, Result: "queued"}
			if q.Verb == "enable" {
				u.Links = []report.Link{{Path: "/etc/link", Target: "/lib/unit"}}
			}
			out = append(out, u)
		}
		return out
	}
	link := []journal.Link{{Path: "/etc/link", Target: "/lib/unit"}}
	want(t, m.stage(t, "one", Prolog, prologOne+"systemctl enable munge; systemctl restart rsyslog\n"), report.Applied, "")
	all := []journal.Request{{Verb: "enable", Unit: "munge.service"}, {Verb: "restart", Unit: "rsyslog.service"}}
	if !slices.Equal(pending, all) {
		t.Errorf("while the units are asked for the journal has %v; want %v", pending, all)
	}
	if !slices.Equal(noted, before) {
		t.Errorf("while the units are asked for the journal has the links %v; want %v", noted, before)
	}
	m.reopen(t)
	if rec := m.Journal.Record(); len(rec.Pending)+len(rec.Before) > 0 || !reflect.DeepEqual(rec.Enabled, []journal.Unit{{Unit: "munge.service", Was: "disabled", Links: link}}) {
		t.Errorf("afterwards the journal has %+v; want nothing pending, and what was not enabled before, with the links", rec)
	}
	p := m.Journal.Plan(journal.Goal{})
	if want := []journal.Request{{Verb: "disable", Unit: "munge.service"}}; !slices.Equal(p.Units(), want) {
		t.Errorf("revert asks for %v; want %v", p.Units(), want)
	}
	// Another disc that asks for it, too, keeps it enabled.
	r := m.stage(t, "two", Prolog, "systemctl enable munge\n")
	if rec := m.Journal.Record(); len(rec.Enabled) != 1 || slices.ContainsFunc(r.Units, func(u report.Unit) bool { return u.Action == "disable" }) {
		t.Errorf("another disc that enables the unit: %+v, units %v; want it to stay enabled", rec.Enabled, r.Units)
	}
	r = m.stage(t, "three", Prolog, "")
	if !slices.ContainsFunc(r.Units, func(u report.Unit) bool { return u.Action == "disable" && u.Unit == "munge.service" }) {
		t.Errorf("a disc that does not ask for the unit: units %v; want it disabled", r.Units)
	}
	// It was not ("queued"), so each plan asks again, of another disc, the same and
	// none; it may be wanted after all meanwhile.
	disable := []journal.Request{{Verb: "disable", Unit: "munge.service"}}
	dropped := func() {
		t.Helper()
		m.reopen(t)
		if rec := m.Journal.Record(); len(rec.Enabled) != 1 || !rec.Enabled[0].Dropped || !reflect.DeepEqual(rec.Enabled[0].Links, link) {
			t.Errorf("a unit that could not be disabled: %+v; want it dropped, with its links", rec.Enabled)
		}
		for _, c := range []journal.Context{{}, m.Journal.Record().Context} {
			if p := m.Journal.Plan(journal.Goal{Context: c}); !slices.Equal(p.Units(), disable) {
				t.Errorf("the next plan asks for %v; want %v", p.Units(), disable)
			}
		}
	}
	dropped()
	m.stage(t, "three", Prolog, "")
	dropped()
	r = m.stage(t, "two", Prolog, "systemctl enable munge\n")
	if rec := m.Journal.Record(); len(rec.Enabled) != 1 || rec.Enabled[0].Dropped || slices.ContainsFunc(r.Units, func(u report.Unit) bool { return u.Action == "disable" }) {
		t.Errorf("a disc that wants it after all: %+v, units %v; want it to stay enabled", rec.Enabled, r.Units)
	}
	m.stage(t, "three", Prolog, "")
	dropped()
	m.Activate = func(reqs []policy.UnitRequest) []report.Unit {
		return []report.Unit{{Unit: "munge.service", Action: "disable", Result: report.Disabled}}
	}
	m.stage(t, "three", Prolog, "") // nothing else changes
	m.reopen(t)
	if rec := m.Journal.Record(); len(rec.Enabled) > 0 {
		t.Errorf("once it is disabled the record has %+v; want nothing", rec.Enabled)
	}
	// One that the image had enabled, and not with all its links, has those that are new.
	m.FileState = func(string) (string, error) { return "enabled", nil }
	m.Activate = func(reqs []policy.UnitRequest) []report.Unit {
		return []report.Unit{{Unit: "munge.service", Action: "enable", Result: "enabled", Links: []report.Link{{Path: "/etc/link", Target: "/lib/unit"}}}}
	}
	m.stage(t, "four", Prolog, "systemctl enable munge\n")
	if rec := m.Journal.Record(); len(rec.Enabled) != 1 || !reflect.DeepEqual(rec.Enabled[0].Links, link) {
		t.Errorf("a unit that was enabled in part: %+v; want the new link noted", rec.Enabled)
	}
	// The same disc once more, and nothing changes: the request is in the journal all the same.
	m.FileState = func(string) (string, error) { return "disabled", nil }
	m.Activate = func([]policy.UnitRequest) []report.Unit {
		noted, pending = m.Journal.Record().Before, m.Journal.Record().Pending
		return nil
	}
	m.stage(t, "four", Prolog, "systemctl enable munge\n")
	if !slices.Equal(noted, before) || len(pending) != 1 {
		t.Errorf("while the unit is asked for again the journal has %v and the links %v; want the request, and %v", pending, noted, before)
	}
}
