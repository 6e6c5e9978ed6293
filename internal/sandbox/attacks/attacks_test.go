// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// narrow makes the default policy's limits small enough to run into, and does
// nothing else to it.
var narrow = strings.NewReplacer("bytes: 256MiB", "bytes: 32MiB", "inodes: 20000", "inodes: 4000", "changes: 5000", "changes: 500",
	"processes: 256", "processes: 100", "memory: 512MiB", "memory: 96MiB")

// arena is everything that the attacks are run with.
type arena struct {
	machine  stages.Machine
	root     string
	dirs     []string // that are compared around each attack
	victims  *victims
	intruder string
	factor   time.Duration // for deadlines: a guest in software emulation is slow
	before   outside
}

// watched are compared around each attack in a guest; all the rest is compared
// around the whole suite.
var watched = []string{"etc", "root", "home", "opt", "srv", "boot", "usr/local", "var/spool"}

func newArena(t *testing.T) *arena {
	t.Helper()
	needRoot(t)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	a := &arena{factor: 1, dirs: []string{""}}
	if guestRoot {
		a.factor, a.dirs = 4, watched
	}
	a.intruder = intruder(t)
	a.root = newRoot(t)
	a.victims = newVictims(t, a.root, a.intruder)
	p, err := policy.Parse("policy.yaml", []byte(narrow.Replace(string(dist.Policy))))
	if err != nil {
		t.Fatal(err)
	}
	if p.Limits.Changes != 500 || p.Limits.Bytes != 32<<20 || p.Limits.Inodes != 4000 {
		t.Fatalf("the policy's limits are %+v; want the narrow ones", p.Limits)
	}
	root, err := os.OpenRoot(a.root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	a.machine = stages.Machine{Root: root, RootPath: a.root, Work: t.TempDir(), Policy: p, Activate: func(reqs []policy.UnitRequest) []report.Unit {
		return nil // units are not acted on, nor is the machine's service manager asked
	}}
	return a
}

// outcome is what became of one attack.
type outcome struct {
	Name, Stage string
	LetIn       []string // calls that succeeded and should not have
	Through     []string // what differs outside
	Wrong       []string // anything else that is not as the table says
	Reports     []string
	Outcome     string // of the stage
	Refusals    []string
	Calls       []report.DeniedCall
}

// attack runs one attack in one stage, and looks around before and after.
func (a *arena) attack(t *testing.T, at Attack, stage Stage) outcome {
	t.Helper()
	r, err := a.run(t, at, stage)
	if err != nil {
		t.Fatal(err)
	}
	out := outcome{Name: at.Name, Stage: string(stage)}
	out.Outcome, out.Calls = string(r.Outcome), r.DeniedCalls
	for _, x := range r.Refusals {
		out.Refusals = append(out.Refusals, x.Rule+" "+x.Path+x.Unit+x.Call)
	}
	if r.Script != nil {
		out.Reports = Reports(r.Script.OutputTail)
	}
	out.judgeInside(at)
	out.judgeReceipt(at, r)
	applied := a.judgeApplied(at, r, &out)
	out.Through = append(out.Through, a.compare(t, applied)...)
	a.undo(t, applied)
	if len(out.LetIn)+len(out.Through)+len(out.Wrong) > 0 && r.Script != nil {
		out.Wrong = append(out.Wrong, "receipt: "+string(r.Outcome)+": "+r.Error+"; output: "+r.Script.OutputTail)
	}
	return out
}

// run is a stage of a disc with the attack.
func (a *arena) run(t *testing.T, at Attack, stage Stage) (*report.Receipt, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctxagent-disc-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	files, err := a.fill(dir, at, stage)
	if err != nil {
		return nil, err
	}
	deadline := at.Deadline
	if deadline == 0 {
		deadline = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline*a.factor)
	defer cancel()
	r := &report.Receipt{Stage: string(stage), Disc: &report.Disc{Device: "/dev/sr0"}, Durations: map[string]int64{}}
	if stage == Epilog {
		r.Network = &report.Network{Interface: "eth0", Address: "192.0.2.7/24", Gateway: "192.0.2.1"}
	}
	// A journal of its own, or the next attack would replace what this one did.
	j, err := journal.Open(a.machine.Root, nil)
	if err != nil {
		return nil, err
	}
	a.machine.Journal = j
	defer func() { _ = a.machine.Root.RemoveAll(journal.Dir) }()
	defer j.Close()
	a.machine.Run(ctx, stages.Context{Disc: *r.Disc, Dir: dir, Script: func(name string) string {
		if _, ok := files[name]; ok {
			return name
		}
		return ""
	}}, r)
	_, err = r.Marshal() // whatever the script's names are
	return r, err
}

// fill puts an attack's files into a disc's directory.
func (a *arena) fill(dir string, at Attack, stage Stage) (files map[string]string, err error) {
	files = map[string]string{string(stage) + ".sh": Prelude + at.Script + "\n", "victims": a.victims.variables()}
	if stage == Prolog {
		files["epilog.sh"] = "#!/bin/sh\n"
	}
	maps.Copy(files, at.Files)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	if os.Link(a.intruder, filepath.Join(dir, "intruder")) == nil {
		return files, nil
	}
	b, err := os.ReadFile(a.intruder)
	if err != nil {
		return nil, err
	}
	return files, os.WriteFile(filepath.Join(dir, "intruder"), b, 0o755)
}

// judgeInside compares what the script reported with what it had to.
func (o *outcome) judgeInside(at Attack) {
	for i, want := range at.Inside {
		if i >= len(o.Reports) {
			o.Wrong = append(o.Wrong, fmt.Sprintf("no report %q", want))
			continue
		}
		if LetIn(want, o.Reports[i]) {
			o.LetIn = append(o.LetIn, o.Reports[i])
		} else if !Matches(want, o.Reports[i]) {
			o.Wrong = append(o.Wrong, fmt.Sprintf("reported %q; want %q", o.Reports[i], want))
		}
	}
	if n := len(at.Inside); len(o.Reports) > n {
		o.LetIn = append(o.LetIn, o.Reports[n:]...)
	}
}

// judgeReceipt compares the stage's outcome, refusals and denied calls.
func (o *outcome) judgeReceipt(at Attack, r *report.Receipt) {
	if !slices.Contains(at.Outcomes(), string(r.Outcome)) {
		o.Wrong = append(o.Wrong, fmt.Sprintf("outcome %s (%s); want %q", r.Outcome, r.Error, at.Outcomes()))
	}
	refused := map[string]bool{}
	for _, x := range r.Refusals {
		refused[x.Rule+" "+x.Path+x.Unit+x.Call] = true
	}
	for _, want := range at.Refused {
		if !slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool { return refused[w] }) && r.Outcome == report.Refused {
			o.Wrong = append(o.Wrong, fmt.Sprintf("no refusal %q; there are %v", want, refused))
		}
	}
	calls := map[string]bool{}
	for _, c := range r.DeniedCalls {
		calls[c.Call] = true
	}
	for _, c := range slices.Concat(at.Calls, at.Noted) {
		if !calls[c] {
			o.Wrong = append(o.Wrong, fmt.Sprintf("the denied call %s is not on record; those are %v", c, r.DeniedCalls))
		}
	}
	for _, c := range at.Calls {
		if !refused["call "+c] {
			o.Wrong = append(o.Wrong, fmt.Sprintf("the denied call %s did not refuse the stage", c))
		}
	}
	said := r.Error + strings.Join(r.Warnings, "\n")
	for _, x := range r.Refusals {
		said += x.Reason
	}
	if !strings.Contains(said, at.Says) {
		o.Wrong = append(o.Wrong, fmt.Sprintf("the receipt says %q; want %q in it", said, at.Says))
	}
}

// judgeApplied holds what was written to the root against what may be, and
// returns its paths.
func (a *arena) judgeApplied(at Attack, r *report.Receipt, o *outcome) []string {
	if r.Outcome != report.Applied {
		return nil
	}
	var paths []string
	for _, c := range r.Changes {
		paths = append(paths, c.Path)
		want, ok := at.Applies[c.Path]
		if !ok {
			o.Through = append(o.Through, fmt.Sprintf("%s %q was applied", c.Op, c.Path))
			continue
		}
		b, err := os.ReadFile(filepath.Join(a.root, c.Path))
		if c.Type == policy.File && (err != nil || string(b) != want) {
			o.Through = append(o.Through, fmt.Sprintf("%q was applied with %q, %v", c.Path, b, err))
		}
	}
	return paths
}

// compare waits a moment for what ends by itself, such as a process on its way
// out.
func (a *arena) compare(t *testing.T, applied []string) []string {
	t.Helper()
	for tries := 0; ; tries++ {
		after, err := look(a.root, a.dirs, a.victims)
		if err != nil {
			t.Fatal(err)
		}
		diff := after.differences(a.before, applied)
		if len(diff) == 0 || tries == 20 {
			a.before = after
			return diff
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// undo takes what an accepted stage wrote out of the root, and whatever a missing
// wall let through stays: the next comparison starts from there.
func (a *arena) undo(t *testing.T, applied []string) {
	t.Helper()
	if len(applied) == 0 {
		return
	}
	slices.Reverse(applied)
	for _, p := range applied {
		if err := os.RemoveAll(filepath.Join(a.root, p)); err != nil {
			t.Fatal(err)
		}
	}
	a.look(t)
}

func (a *arena) look(t *testing.T) {
	t.Helper()
	var err error
	if a.before, err = look(a.root, a.dirs, a.victims); err != nil {
		t.Fatal(err)
	}
}

func TestAttacks(t *testing.T) {
	a := newArena(t)
	// A first stage loads what the kernel needs for one: overlayfs may be a module.
	if r, err := a.run(t, Attack{Script: ":"}, Prolog); err != nil || r.Outcome != report.Unchanged {
		t.Fatalf("an honest stage: %s, %v", r.Outcome, errors.Join(err, errors.New(r.Error)))
	}
	a.look(t)
	whole, err := look(a.root, []string{""}, a.victims)
	if err != nil {
		t.Fatal(err)
	}
	var results []outcome
	contained, all := 0, 0
	for _, at := range All() {
		if at.Arch != "" && at.Arch != runtime.GOARCH {
			continue
		}
		for _, stage := range at.Stages() {
			t.Run(at.Name+"/"+string(stage), func(t *testing.T) {
				o := a.attack(t, at, stage)
				results = append(results, o)
				if all++; len(o.LetIn)+len(o.Through) == 0 {
					contained++
				}
				if missingLayer != "" {
					return // what comes through is the answer, no failure
				}
				for _, x := range slices.Concat(o.LetIn, o.Through, o.Wrong) {
					t.Error(x)
				}
			})
		}
	}
	after, err := look(a.root, []string{""}, a.victims)
	if err != nil {
		t.Fatal(err)
	}
	if diff := after.differences(whole, slices.Collect(appliedPaths())); len(diff) > 0 && missingLayer == "" {
		t.Errorf("the root and the machine after all attacks:\n%s", strings.Join(diff, "\n"))
	}
	fmt.Printf("attacks contained: %d of %d\n", contained, all)
	if resultsPath != "" {
		b, err := json.Marshal(results)
		if err := errors.Join(err, os.WriteFile(resultsPath, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// appliedPaths are those that accepted stages wrote, and that were taken away.
func appliedPaths() func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, at := range All() {
			for p := range at.Applies {
				if !yield(p) {
					return
				}
			}
		}
	}
}
