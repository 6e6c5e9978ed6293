// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/dist"
)

const revertScript = "#!/bin/sh\necho '*.* @@192.0.2.1:514' >/etc/rsyslog.d/50-site.conf\nmkdir -p /opt/condor/etc\necho x >/opt/condor/etc/x\necho 'SLURMD_OPTIONS=\"-v\"' >>/etc/default/slurmd\n"

// revertible is a root with a context applied, and what it was before.
func revertible(t *testing.T) (root string, before []string) {
	t.Helper()
	root = busyboxRoot(t)
	write(t, root, map[string]string{"etc/default/slurmd": "# the image's\n"})
	if err := errors.Join(os.Chmod(filepath.Join(root, "etc/default/slurmd"), 0o644), os.Mkdir(filepath.Join(root, "opt"), 0o755)); err != nil {
		t.Fatal(err)
	}
	before = files(t, root)
	applyDisc(t, root, disc(t, map[string]string{"prolog.sh": revertScript}))
	if slices.Equal(files(t, root), before) {
		t.Fatal("the context changes nothing: nothing is tested")
	}
	return root, before
}

func applyDisc(t *testing.T, root, iso string) {
	t.Helper()
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso); r.status != 0 {
		t.Fatalf("prolog: exit status %d: %s", r.status, r.stderr)
	}
}

// files is treeOf without the times of directories.
func files(t *testing.T, root string) []string {
	t.Helper()
	out := treeOf(t, root)
	for i, line := range out {
		if name, _, _ := strings.Cut(line, " "); strings.Contains(line, " d") {
			f := strings.Fields(line)
			out[i] = name + " " + f[1]
		}
	}
	return out
}

func TestRevert(t *testing.T) {
	root, before := revertible(t)
	after := files(t, root)
	want := []string{"restored  /etc/default/slurmd", "removed   /etc/rsyslog.d/50-site.conf", "removed   /opt/condor/etc/x", "removed   /opt/condor\n"}
	dry := ctxagent(t, "revert", "--root", root, "--dry-run")
	for _, w := range want {
		if !strings.Contains(dry.stdout, "would be "+w) {
			t.Errorf("revert --dry-run does not say %q:\n%s", w, dry.stdout)
		}
	}
	if dry.status != 0 || !slices.Equal(files(t, root), after) {
		t.Errorf("revert --dry-run: exit status %d, and the root is %q; want 0 and no change", dry.status, files(t, root))
	}
	r := ctxagent(t, "revert", "--root", root)
	for _, w := range want {
		if !strings.Contains(r.stdout, w) {
			t.Errorf("revert does not say %q:\n%s", w, r.stdout)
		}
	}
	if got := files(t, root); r.status != 0 || !slices.Equal(got, before) {
		t.Errorf("revert: exit status %d, and the root is\n%q; want 0 and\n%q\n%s", r.status, got, before, r.stderr)
	}
	if r := ctxagent(t, "revert", "--root", root); r.status != 0 || !strings.Contains(r.stdout, "nothing to put back") {
		t.Errorf("a second revert: exit status %d: %s; want 0 and that there is nothing", r.status, r.stdout)
	}
}

func TestRevertLeavesWhatSomeoneElseChanged(t *testing.T) {
	root, before := revertible(t)
	write(t, root, map[string]string{"etc/rsyslog.d/50-site.conf": "mine\n", "opt/condor/stranger": "mine\n"})
	for _, args := range [][]string{{"revert", "--dry-run", "--root", root}, {"revert", "--root", root}, {"revert", "--root", root}} {
		r := ctxagent(t, args...)
		for _, w := range []string{"left alone /etc/rsyslog.d/50-site.conf", "left alone /opt/condor:"} {
			if r.status != 1 || !strings.Contains(r.stdout, w) || !strings.Contains(r.stderr, "2 paths or units are left alone") {
				t.Errorf("%q: exit status %d: %s%s; want 1 and %q", args, r.status, r.stdout, r.stderr, w)
			}
		}
	}
	for _, name := range []string{"etc/rsyslog.d/50-site.conf", "opt/condor/stranger"} {
		if b, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(b) != "mine\n" {
			t.Errorf("%s has %q, %v; want it left alone", name, b, err)
		}
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if r := ctxagent(t, "revert", "--root", root); r.status != 0 || !slices.Equal(files(t, root), before) {
		t.Errorf("revert once the strangers' files are gone: exit status %d: %s; root %q", r.status, r.stdout, files(t, root))
	}
}

// A boot without a disc keeps what the last one did, and says so; or not, if the
// policy says so.
func TestDiscGone(t *testing.T) {
	root, before := revertible(t)
	after := files(t, root)
	r := ctxagent(t, "run", "prolog", "--root", root)
	got := receiptFields(t, root, "prolog")
	if warnings, _ := json.Marshal(got["warnings"]); r.status != 0 || got["outcome"] != "no-media" || !strings.Contains(string(warnings), "media.absent") {
		t.Errorf("no disc: exit status %d, outcome %v, warnings %s; want no-media, and that the context stays", r.status, got["outcome"], warnings)
	}
	if !slices.Equal(files(t, root), after) {
		t.Errorf("no disc: the root is %q; want it kept", files(t, root))
	}
	write(t, root, map[string]string{"etc/ctxagent/policy.yaml": strings.Replace(string(dist.Policy), "absent: keep", "absent: revert", 1)})
	r = ctxagent(t, "run", "prolog", "--root", root)
	if err := os.RemoveAll(filepath.Join(root, "etc/ctxagent")); err != nil {
		t.Fatal(err)
	}
	got = receiptFields(t, root, "prolog")
	if changes, _ := got["changes"].([]any); r.status != 0 || got["outcome"] != "no-media" || len(changes) != 5 {
		t.Errorf("no disc, media.absent: revert: exit status %d, outcome %v, changes %v; want no-media and 5 changes\n%s", r.status, got["outcome"], changes, r.stderr)
	}
	if !slices.Equal(files(t, root), before) {
		t.Errorf("no disc, media.absent: revert: the root is %q; want %q", files(t, root), before)
	}
}

// Of two that want the same root one works, and the other says why it does not.
func TestOneAtATime(t *testing.T) {
	root, _ := revertible(t)
	slow := disc(t, map[string]string{"prolog.sh": "#!/bin/sh\nsleep 3\n" + goodScript})
	cmd := exec.Command(binary, "run", "prolog", "--root", root, "--media", slow)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(root, "run/ctxagent/lock")
	time.Sleep(time.Second) // the script sleeps by now
	for _, args := range [][]string{{"run", "prolog", "--media", slow}, {"run", "epilog"}, {"revert"}, {"revert", "--recover"}} {
		if r := ctxagent(t, append(args, "--root", root)...); r.status != 1 || !strings.Contains(r.stderr, "another stage is running") {
			t.Errorf("%q meanwhile: exit status %d: %s%s; want 1 and the reason", args, r.status, r.stdout, r.stderr)
		}
	}
	// The journal has a lock of its own: /run may be another mount for each.
	if err := os.Rename(lock, lock+".old"); err != nil {
		t.Fatal(err)
	}
	if r := ctxagent(t, "revert", "--root", root); r.status != 1 || !strings.Contains(r.stderr, "another ctxagent is at work") {
		t.Errorf("revert without the first lock: exit status %d: %s%s; want 1 and the reason", r.status, r.stdout, r.stderr)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the first one: %v; want it undisturbed", err)
	}
	if b, err := os.ReadFile(filepath.Join(root, "etc/rsyslog.d/50-site.conf")); err != nil || !strings.Contains(string(b), "192.0.2.1") {
		t.Errorf("the first one's change is %q, %v", b, err)
	}
}

// editRecord changes the journal's record of root by hand.
func editRecord(t *testing.T, root string, edit func(record map[string]any)) {
	t.Helper()
	name := filepath.Join(root, "var/lib/ctxagent/journal/record.json")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	edit(f["record"].(map[string]any))
	if b, err = json.Marshal(f); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Requests that a stage did not come to are made by whoever comes next.
func TestPendingUnits(t *testing.T) {
	root, _ := revertible(t)
	editRecord(t, root, func(record map[string]any) {
		record["pending"] = []map[string]string{{"verb": "restart", "unit": "rsyslog.service"}}
	})
	r := ctxagent(t, "revert", "--recover", "--root", root)
	if r.status != 0 || !strings.Contains(r.stdout, "restart rsyslog.service") {
		t.Errorf("revert --recover: exit status %d: %s%s; want the restart asked for", r.status, r.stdout, r.stderr)
	}
	if r := ctxagent(t, "revert", "--recover", "--root", root); r.status != 0 || strings.Contains(r.stdout, "rsyslog") {
		t.Errorf("revert --recover again: exit status %d: %s; want nothing left", r.status, r.stdout)
	}
}

// A damaged journal stops everything, with a word on what to do.
func TestDamagedJournal(t *testing.T) {
	root, _ := revertible(t)
	after := files(t, root)
	name := filepath.Join(root, "var/lib/ctxagent/journal/record.json")
	if err := os.Truncate(name, 100); err != nil {
		t.Fatal(err)
	}
	iso := disc(t, map[string]string{"prolog.sh": goodScript})
	for _, args := range [][]string{{"run", "prolog", "--media", iso}, {"revert"}, {"revert", "--recover"}, {"revert", "--dry-run"}} {
		if r := ctxagent(t, append(args, "--root", root)...); r.status != 1 || !strings.Contains(r.stderr, "record.json") {
			t.Errorf("%q: exit status %d: %s%s; want 1 and the file's name", args, r.status, r.stdout, r.stderr)
		}
	}
	if !slices.Equal(files(t, root), after) {
		t.Errorf("the root was changed: %q", files(t, root))
	}
}

// TestKilledAtRandom kills the real binary at random moments of a stage that
// replaces another disc's context; what it leaves is one of the two contexts.
func TestKilledAtRandom(t *testing.T) {
	root, _ := revertible(t)
	first := disc(t, map[string]string{"prolog.sh": revertScript})
	second := disc(t, map[string]string{"prolog.sh": "#!/bin/sh\nmkdir -p /opt/condor\nfor i in 1 2 3 4 5 6 7 8 9; do echo $i >/opt/condor/$i; done\necho 'SLURMD_OPTIONS=\"-vv\"' >/etc/default/slurmd\n"})
	names := func() []string {
		var out []string
		for _, line := range files(t, root) {
			out = append(out, strings.Join(strings.Fields(line)[:2], " "))
		}
		return out
	}
	a := names()
	began := time.Now()
	applyDisc(t, root, second)
	whole := time.Since(began)
	b := names()
	counts := map[string]int{}
	for range 12 {
		applyDisc(t, root, first)
		cmd := exec.Command(binary, "run", "prolog", "--root", root, "--media", second)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.Duration(rand.Int64N(int64(whole)))
		time.Sleep(after)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		r := ctxagent(t, "revert", "--recover", "--root", root)
		for deadline := time.Now().Add(10 * time.Second); strings.Contains(r.stderr, "another stage is running") && time.Now().Before(deadline); {
			// A child that was being started holds the lock until it is gone, too.
			time.Sleep(20 * time.Millisecond)
			r = ctxagent(t, "revert", "--recover", "--root", root)
		}
		if r.status != 0 {
			t.Fatalf("revert --recover: exit status %d: %s%s", r.status, r.stdout, r.stderr)
		}
		switch now := names(); {
		case slices.Equal(now, a):
			counts["before"]++
		case slices.Equal(now, b):
			counts["after"]++
		default:
			t.Errorf("killed after %v the root is neither:\n%q\nnor\n%q\nbut\n%q", after, a, b, now)
		}
	}
	t.Logf("killed 12 times within %v: %v", whole, counts)
}
