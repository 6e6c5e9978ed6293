// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
)

// testdata/styles holds discs in the shapes that sites have used since 2010. What
// they do beyond syslog, monitoring and batch is refused, and a site admin who
// takes out the lines that the receipt names has a disc that is applied.

var styles = []struct {
	name    string
	refused map[string][]string // by stage: what is refused of the disc as it is
	named   map[string][]int    // by stage: the lines that the receipt names
	applied map[string][]string // by stage: what is changed without those lines
	units   []policy.UnitRequest
}{
	{
		name:    "cern",
		refused: map[string][]string{Prolog: {"/etc/cron.d/update", "/etc/motd", "/root/.ssh", "/root/.ssh/authorized_keys", "sshd.service"}},
		named:   map[string][]int{Prolog: {27, 28, 29, 33, 34}},
		applied: map[string][]string{Prolog: {"/etc/default/prometheus-node-exporter", "/etc/rsyslog.d/10-central.conf"}, Epilog: {"/etc/condor/config.d/10-site.config"}},
		units:   []policy.UnitRequest{{Verb: "restart", Unit: "rsyslog.service"}, {Verb: "restart", Unit: "prometheus-node-exporter.service"}, {Verb: "restart", Unit: "condor.service"}},
	},
	{
		name:    "cernvm",
		refused: map[string][]string{Prolog: {"/etc/cvmfs", "/etc/cvmfs/default.local", "autofs.service"}},
		named:   map[string][]int{Prolog: {12, 13, 16}},
		applied: map[string][]string{Prolog: {"/etc/rsyslog.d/site.conf"}},
		units:   []policy.UnitRequest{{Verb: "reload-or-restart", Unit: "rsyslog.service"}},
	},
	{
		name:    "vac",
		refused: map[string][]string{Prolog: {"/etc/machinefeatures", "/etc/machinefeatures/hs06", "sethostname"}},
		named:   map[string][]int{Prolog: {5, 6, 7}},
		applied: map[string][]string{Prolog: {"/etc/rsyslog.d/vac.conf"}, Epilog: {"/opt/condor", "/opt/condor/bin", "/opt/condor/bin/pilot"}},
		units:   []policy.UnitRequest{{Verb: "restart", Unit: "rsyslog.service"}},
	},
	{
		name:    "stratuslab",
		refused: map[string][]string{Prolog: {"/etc/resolv.conf", "/root/.ssh", "/root/.ssh/authorized_keys"}},
		named:   map[string][]int{Prolog: {7, 8, 9}},
		applied: map[string][]string{Prolog: {"/etc/rsyslog.d/stratus.conf"}, Epilog: {"/etc/default/prometheus-node-exporter"}},
	},
	{
		name:    "cern2010", // sourced from /mnt, with LSF
		refused: map[string][]string{Prolog: {"/etc/hosts", "/etc/sysconfig/network", "/root/.ssh", "/root/.ssh/authorized_keys", "afs.service"}},
		named:   map[string][]int{Prolog: {5, 6, 7, 8, 10}},
		applied: map[string][]string{Prolog: {"/etc/lsf.conf"}, Epilog: {"/etc/rsyslog.d/10-central.conf"}},
		units:   []policy.UnitRequest{{Verb: "restart", Unit: "lsfd.service"}, {Verb: "restart", Unit: "rsyslog.service"}},
	},
	{
		name:    "opennebula", // its mount is a test of its own
		refused: map[string][]string{Prolog: {"/etc/hostname", "/etc/network/interfaces", "umount2"}},
		named:   map[string][]int{Prolog: {8, 9, 13}},
		applied: map[string][]string{Prolog: {"/var/lib/prometheus/node-exporter/vm.prom"}},
	},
}

// style is the disc of a style, by name.
func style(t *testing.T, name string) map[string]string {
	t.Helper()
	dir := filepath.Join("testdata/styles", name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

// oldMachine has what such scripts count on.
func oldMachine(t *testing.T) *Machine {
	t.Helper()
	m := newMachine(t)
	for _, d := range []string{"var/lib/prometheus/node-exporter", "mnt", "etc/default", "etc/cron.d", "etc/network", "etc/sysconfig", "root"} {
		if err := os.MkdirAll(filepath.Join(m.RootPath, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, applet := range []string{"tee", "mount", "umount", "cp", "hostname"} {
		if err := os.Symlink("busybox", filepath.Join(m.RootPath, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	// The image's own, over which the sandbox puts its stand-in.
	if err := errors.Join(os.MkdirAll(filepath.Join(m.RootPath, "usr/sbin"), 0o755), os.WriteFile(filepath.Join(m.RootPath, "usr/sbin/service"), []byte("#!/bin/sh\nexit 1\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	return m
}

// withoutLines takes lines out of a text.
func withoutLines(text string, lines []int) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		if n++; !slices.Contains(lines, n) {
			b.WriteString(line)
		}
	}
	return b.String()
}

var named = regexp.MustCompile(`\(line (\d+) of (\w+\.sh) names it\)$`)

// namedLines are the lines of a script that a receipt names.
func namedLines(t *testing.T, r *report.Receipt) []int {
	t.Helper()
	var out []int
	for _, x := range r.Refusals {
		m := named.FindStringSubmatch(x.Reason)
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || m[2] != r.Script.Path {
			t.Errorf("%v of %s: %v", x, r.Script.Path, err)
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// scriptOf is the name of a stage's script on a disc.
func scriptOf(files map[string]string, stage string) string {
	if _, ok := files["init.sh"]; ok && stage == Prolog {
		return "init.sh"
	}
	return stage + ".sh"
}

func TestHistoricalStyles(t *testing.T) {
	for _, tt := range styles {
		t.Run(tt.name, func(t *testing.T) {
			m := oldMachine(t)
			var asked []policy.UnitRequest
			m.Activate = func(reqs []policy.UnitRequest) []report.Unit { asked = append(asked, reqs...); return nil }
			files := style(t, tt.name)
			if tt.name == "opennebula" {
				files["init.sh"] = strings.Replace(files["init.sh"], "mount -t iso9660", "# mount -t iso9660", 1)
			}
			for _, stage := range []string{Prolog, Epilog} {
				if _, ok := files[scriptOf(files, stage)]; !ok {
					continue
				}
				before := print(t, m.RootPath)
				r := m.files(t, stage, time.Minute, files)
				if want := tt.refused[stage]; len(want) > 0 {
					var got []string
					for _, x := range r.Refusals {
						got = append(got, x.Path+x.Unit+x.Call)
					}
					lines := namedLines(t, r)
					if r.ExitCode != 3 || !slices.Equal(got, want) || !slices.Equal(lines, tt.named[stage]) {
						t.Fatalf("%s is %s (%s), refused %q, named lines %v; want refused, %q, lines %v\noutput: %s", stage, r.Outcome, r.Error, got, lines, want, tt.named[stage], r.Script.OutputTail)
					}
					if after := print(t, m.RootPath); after != before || len(asked) > 0 {
						t.Errorf("a refused %s writes the root or asks for units: %v", stage, asked)
					}
					name := scriptOf(files, stage)
					files[name] = withoutLines(files[name], lines)
					r = m.files(t, stage, time.Minute, files)
				}
				want(t, r, report.Applied, "")
				var got []string
				for _, c := range r.Changes {
					got = append(got, c.Path)
				}
				if !slices.Equal(got, tt.applied[stage]) {
					t.Errorf("%s changes %q; want %q", stage, got, tt.applied[stage])
				}
			}
			if !slices.Equal(asked, tt.units) {
				t.Errorf("units asked for: %v; want %v", asked, tt.units)
			}
		})
	}
}

// The context disc is nothing that a script mounts: it is its directory already.
func TestScriptMountsItsDisc(t *testing.T) {
	m := oldMachine(t)
	before := print(t, m.RootPath)
	r := m.files(t, Prolog, time.Minute, style(t, "opennebula"))
	if r.Outcome != report.Failed && r.Outcome != report.Refused || !strings.Contains(r.Script.OutputTail, "mount: ") {
		t.Errorf("Run() = %s, %q, output %q; want it not applied, and mount's own words", r.Outcome, r.Error, r.Script.OutputTail)
	}
	if after := print(t, m.RootPath); after != before {
		t.Error("the root is written")
	}
}

// A disc may hold less than a stage wants, or more.
func TestScriptsOnTheDisc(t *testing.T) {
	const script = "#!/bin/sh\n[ \"$SITE\" = x ] && echo '*.* @h' >/etc/rsyslog.d/60.conf\n"
	for _, tt := range []struct {
		name    string
		files   map[string]string
		outcome report.Outcome
		warning string
	}{
		{"context.sh alone", map[string]string{"context.sh": "SITE=x\n"}, report.Unchanged, "the disc has no script: context.sh is values"},
		{"context.sh and epilog.sh", map[string]string{"context.sh": "SITE=x\n", "epilog.sh": script}, report.Unchanged, "the disc has no prolog.sh"},
		{"init.sh alone", map[string]string{"init.sh": "#!/bin/sh\necho '*.* @h' >/etc/rsyslog.d/60.conf\n"}, report.Applied, ""},
		{"context.sh and init.sh", map[string]string{"context.sh": "SITE=x\n", "init.sh": script}, report.Applied, ""},
		{"prolog.sh and init.sh", map[string]string{"init.sh": "SITE=x\n", "prolog.sh": ". ./init.sh\n" + script}, report.Applied, "init.sh is not run: prolog.sh is the prolog"},
	} {
		m := newMachine(t)
		r := m.files(t, Prolog, time.Minute, tt.files)
		if r.Outcome != tt.outcome || r.ExitCode != 0 || !strings.Contains(strings.Join(r.Warnings, "\n"), tt.warning) || tt.warning == "" && len(r.Warnings) > 0 {
			t.Errorf("%s: Run() = %s, %q, warnings %q; want %s, %q", tt.name, r.Outcome, r.Error, r.Warnings, tt.outcome, tt.warning)
		}
	}
	if got := missing(disc(t, map[string]string{"init.sh": ""}), Epilog); got != "the disc has no epilog.sh" {
		t.Errorf("missing(epilog) of a disc with init.sh = %q", got)
	}
}
