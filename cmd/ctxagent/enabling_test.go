// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/manifest"
)

const wants = "etc/systemd/system/multi-user.target.wants"

// wanting puts the links of enabled units into root.
func wanting(t *testing.T, root string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, wants), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, unit := range names {
		if err := os.Symlink("/lib/systemd/system/"+unit, filepath.Join(root, wants, unit)); err != nil {
			t.Fatal(err)
		}
	}
}

// linkTo is the link of an enabled unit in the journal.
func linkTo(unit string) map[string]string {
	return map[string]string{"path": "/" + wants + "/" + unit, "target": "/lib/systemd/system/" + unit}
}

// wanted are the units that root has links to.
func wanted(t *testing.T, root string) (names []string) {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(root, wants, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		names = append(names, filepath.Base(l))
	}
	return names
}

// A unit that a context enabled is disabled again in a root whose service manager
// does not run: the links of its enabling go, and no other. One that someone else
// changed stays, and in the record, until it is put right.
func TestRevertDisables(t *testing.T) {
	root, _ := revertible(t)
	wanting(t, root, "munge.service", "munge-own.service", "rsyslog.service", "slurmd.service")
	rsyslog := filepath.Join(root, wants, "rsyslog.service")
	if err := errors.Join(os.Remove(rsyslog), os.Symlink("/dev/null", rsyslog)); err != nil {
		t.Fatal(err)
	}
	editRecord(t, root, func(record map[string]any) {
		record["enabled"] = []map[string]any{
			{"unit": "munge.service", "was": "disabled", "links": []map[string]string{linkTo("munge.service")}},
			{"unit": "rsyslog.service", "was": "disabled", "links": []map[string]string{linkTo("rsyslog.service")}},
			{"unit": "slurmd.service", "was": "disabled"}, // its enabling failed
		}
	})
	r := ctxagent(t, "revert", "--dry-run", "--root", root)
	for _, said := range []string{"would disable munge.service: disabled\n", "would disable rsyslog.service: left alone", "would disable slurmd.service: nothing to undo"} {
		if r.status != 1 || !strings.Contains(r.stdout, said) || len(wanted(t, root)) != 4 {
			t.Errorf("revert --dry-run: exit status %d: %s%s; want %q, and nothing done", r.status, r.stdout, r.stderr, said)
		}
	}
	for i := range 2 {
		r = ctxagent(t, "revert", "--root", root)
		if r.status != 1 || !strings.Contains(r.stdout, "disable rsyslog.service: left alone: someone else changed /"+wants+"/rsyslog.service\n") || strings.Contains(r.stdout, "nothing to put back") {
			t.Errorf("revert: exit status %d: %s%s; want rsyslog left alone", r.status, r.stdout, r.stderr)
		}
		for _, said := range []string{"disable munge.service: disabled\n", "disable slurmd.service: nothing to undo"} {
			if strings.Contains(r.stdout, said) != (i == 0) {
				t.Errorf("revert, the %d. time: %s; want %q the first time alone", i+1, r.stdout, said)
			}
		}
		if got := wanted(t, root); !slices.Equal(got, []string{"munge-own.service", "rsyslog.service", "slurmd.service"}) {
			t.Errorf("there are links to %q; want those that enabling munge did not make", got)
		}
		editRecord(t, root, func(record map[string]any) {
			record["pending"] = []map[string]string{{"verb": "disable", "unit": "rsyslog.service"}}
		})
		if r := ctxagent(t, "revert", "--recover", "--root", root); r.status != 1 || !strings.Contains(r.stdout, "disable rsyslog.service: left alone") || strings.Contains(r.stdout, "nothing was left") {
			t.Errorf("revert --recover: exit status %d: %s%s; want 1, and rsyslog left alone", r.status, r.stdout, r.stderr)
		}
		if r := ctxagent(t, "run", "prolog", "--root", root); r.status != 0 || !strings.Contains(fmt.Sprint(receiptFields(t, root, "prolog")["units"]), "left alone") {
			t.Errorf("a boot without a disc: exit status %d: %s; want rsyslog tried again", r.status, r.stderr)
		}
		if r := ctxagent(t, "seal", "--root", root); r.status != 1 || !strings.Contains(r.stderr, "enabling of rsyslog.service could not be undone") {
			t.Errorf("seal: exit status %d: %s; want it to name the unit", r.status, r.stderr)
		}
	}
	if err := os.Remove(rsyslog); err != nil {
		t.Fatal(err)
	}
	if r = ctxagent(t, "revert", "--root", root); r.status != 0 || !strings.Contains(r.stdout, "disable rsyslog.service: disabled\n") {
		t.Errorf("revert after it was put right: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	if r = ctxagent(t, "revert", "--root", root); r.status != 0 || !strings.Contains(r.stdout, "nothing to put back") {
		t.Errorf("revert once more: exit status %d: %s%s; want nothing left", r.status, r.stdout, r.stderr)
	}
}

// Two units of which one enables the other (Also=): taking one back leaves the other
// its own links, and an enabling that was cut off is known by the links that were not
// there before.
func TestEnablingIsCutOff(t *testing.T) {
	root, _ := revertible(t)
	wanting(t, root, "also.service", "munge.service", "rsyslog.service", "slurmd.service", "stranger.service")
	unit := filepath.Join(root, "lib/systemd/system/slurmd.service")
	if err := errors.Join(os.MkdirAll(filepath.Dir(unit), 0o755), os.WriteFile(unit, []byte("[Install]\nWantedBy=multi-user.target\nAlso=rsyslog.service also.service\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	editRecord(t, root, func(record map[string]any) {
		record["enabled"] = []map[string]any{{"unit": "slurmd.service", "was": "disabled"}, {"unit": "munge.service", "was": "disabled"}}
		record["pending"] = []map[string]string{{"verb": "enable", "unit": "slurmd.service"}, {"verb": "enable", "unit": "munge.service"}}
		record["before"] = []map[string]string{linkTo("rsyslog.service")} // the image's, which slurmd's Also= names
	})
	if r := ctxagent(t, "revert", "--recover", "--root", root); r.status != 0 {
		t.Fatalf("revert --recover: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	editRecord(t, root, func(record map[string]any) {
		if record["pending"] != nil || record["before"] != nil {
			t.Errorf("after the recovery the record has %v; want nothing pending", record)
		}
		for _, u := range record["enabled"].([]any) {
			u := u.(map[string]any)
			switch u["unit"] {
			case "slurmd.service": // as if it had munge in Also=, too, and the manager had named both
				u["dropped"], u["links"] = true, append(u["links"].([]any), linkTo("munge.service"))
			case "munge.service":
				if !reflect.DeepEqual(u["links"], []any{map[string]any{"path": "/" + wants + "/munge.service", "target": "/lib/systemd/system/munge.service"}}) {
					t.Errorf("after the recovery munge has the links %v; want its own", u["links"])
				}
				delete(u, "links")
			}
		}
		record["pending"] = []map[string]string{{"verb": "disable", "unit": "slurmd.service"}}
	})
	if r := ctxagent(t, "revert", "--recover", "--root", root); r.status != 0 || !strings.Contains(r.stdout, "disable slurmd.service: disabled\n") {
		t.Fatalf("revert --recover: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	if got := wanted(t, root); !slices.Equal(got, []string{"munge.service", "rsyslog.service", "stranger.service"}) {
		t.Errorf("without slurmd there are links to %q; want munge's, which is wanted, the image's, and the one that somebody else made since", got)
	}
	if r := ctxagent(t, "revert", "--root", root); r.status != 0 {
		t.Fatalf("revert: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	if got := wanted(t, root); !slices.Equal(got, []string{"rsyslog.service", "stranger.service"}) {
		t.Errorf("after the revert there are links to %q; want those that the context did not make", got)
	}
}

// What cannot be listed does not stop a recovery; an image without any link is no
// image whose links nobody noted.
func TestEnablingIsCutOffOddly(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, root string)
		want  []string // what is left in the end
	}{
		"no link before": {func(*testing.T, string) {}, nil},
		"a directory that leads out of the root": {func(t *testing.T, root string) {
			dir := filepath.Join(root, "etc/systemd/system")
			if err := errors.Join(os.Rename(dir, dir+".real"), os.Symlink("/nowhere", dir)); err != nil {
				t.Fatal(err)
			}
		}, nil},
		"a name that is no UTF-8": {func(t *testing.T, root string) {
			dir := filepath.Join(root, "etc/systemd/system/\xff.wants")
			if err := errors.Join(os.Mkdir(dir, 0o755), os.Symlink("/lib/systemd/system/slurmd.service", filepath.Join(dir, "slurmd.service"))); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root, _ := revertible(t)
			wanting(t, root, "slurmd.service")
			tt.spoil(t, root)
			editRecord(t, root, func(record map[string]any) {
				record["enabled"] = []map[string]any{{"unit": "slurmd.service", "was": "disabled"}}
				record["pending"] = []map[string]string{{"verb": "enable", "unit": "slurmd.service"}}
				record["before"] = []map[string]string{}
			})
			for _, args := range [][]string{{"--recover"}, {}} {
				if r := ctxagent(t, append([]string{"revert", "--root", root}, args...)...); r.status != 0 {
					t.Errorf("revert %q: exit status %d: %s%s", args, r.status, r.stdout, r.stderr)
				}
			}
			if got := wanted(t, root); !slices.Equal(got, tt.want) {
				t.Errorf("there are links to %q; want %q", got, tt.want)
			}
		})
	}
}

// The links of a unit that is to be disabled and could not be are no context's any more.
func TestDroppedUnitExplainsNothing(t *testing.T) {
	link := journal.Link{Path: "/etc/systemd/system/a.wants/x.service", Target: "/lib/systemd/system/x.service"}
	d := manifest.Difference{Path: link.Path, Now: &manifest.Entry{Type: manifest.Symlink, Target: link.Target}}
	for _, dropped := range []bool{false, true} {
		x := newExplainer(journal.Record{Enabled: []journal.Unit{{Unit: "x.service", Links: []journal.Link{link}, Dropped: dropped}}}, nil)
		if got := x.explain(d); (got.kind == unexplained) != dropped {
			t.Errorf("dropped %v: explained as %+v", dropped, got)
		}
	}
}
