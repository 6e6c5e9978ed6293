// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

const inEtc = `#!/bin/sh
umask 022
echo '*.* @@logs.example.org:6514' >/etc/rsyslog.d/60-site.conf
echo '*.* @new.example.org' >/etc/rsyslog.d/50-default.conf
`

const inOptAndVar = `
mkdir -p /opt/condor/bin; echo '#!/bin/sh' >/opt/condor/bin/x; chmod 755 /opt/condor/bin/x
mkdir -p /var/lib/prometheus/node-exporter; echo 'site 1' >/var/lib/prometheus/node-exporter/site.prom
`

// alias are the paths that a bind mount shows a second time.
var alias = map[string]string{"/etc/rsyslog.d/": "/srv/rsyslog/", "/opt/": "/srv/opt/"}

// onEachRoot runs a test on every kind of root.
func onEachRoot(t *testing.T, f func(t *testing.T, i int)) {
	for i := range roots {
		t.Run(roots[i].name, func(t *testing.T) { f(t, i) })
	}
}

func TestRootsApplyHonestScripts(t *testing.T) {
	onEachRoot(t, func(t *testing.T, i int) {
		m, _ := newRoot(t, i)
		wants := []string{"/etc/rsyslog.d/50-default.conf", "/etc/rsyslog.d/60-site.conf"}
		text := inEtc
		if !roots[i].fixed {
			text += inOptAndVar
			wants = append(wants, "/opt/condor", "/opt/condor/bin", "/opt/condor/bin/x")
			for _, p := range []string{"/var/lib/prometheus", "/var/lib/prometheus/node-exporter"} {
				if _, err := os.Lstat(m.RootPath + p); err != nil {
					wants = append(wants, p)
				}
			}
			wants = append(wants, "/var/lib/prometheus/node-exporter/site.prom")
		}
		before := contents(t, m.RootPath)
		labelled := attached(t, m.RootPath+"/etc/rsyslog.d/50-default.conf")
		r := m.script(t, Prolog, text)
		want(t, r, report.Applied, "")
		var got []string
		for _, c := range r.Changes {
			got = append(got, c.Path)
		}
		if !slices.Equal(got, wants) || len(r.Script.ReadOnly) > 0 {
			t.Errorf("Run() changes %q, read-only %q; want %q and none", got, r.Script.ReadOnly, wants)
		}
		if roots[i].name == "bind mounts" {
			for _, p := range wants {
				for at, other := range alias {
					if rest, ok := strings.CutPrefix(p, at); ok {
						wants = append(wants, other+rest)
					}
				}
			}
			slices.Sort(wants)
		}
		if got := differences(before, contents(t, m.RootPath)); !slices.Equal(got, wants) {
			t.Errorf("the root differs in %q; want %q", got, wants)
		}
		if got := content(t, m, "etc/rsyslog.d/50-default.conf"); got != "*.* @new.example.org\n" {
			t.Errorf("the changed file has %q; want what the script wrote", got)
		}
		if got := attached(t, m.RootPath+"/etc/rsyslog.d/50-default.conf"); got != labelled || !strings.Contains(got, "syslog_conf_t") || !strings.Contains(got, "system.posix_acl_access") {
			t.Errorf("the changed file has the attributes %s; want those of the image, %s", got, labelled)
		}
		if got := attached(t, m.RootPath+"/etc/rsyslog.d/60-site.conf"); got != "" {
			t.Errorf("the new file has the attributes %s; want none where no SELinux runs", got)
		}
		want(t, m.script(t, Prolog, text), report.Unchanged, "")
	})
}

// A hostile script goes for each mount, in each way that leaves a trace.
func TestRootsRefuseHostileScripts(t *testing.T) {
	onEachRoot(t, func(t *testing.T, i int) {
		m, mounts := newRoot(t, i)
		text, wants := inEtc, []string(nil)
		for _, at := range append([]string{""}, mounts...) {
			dir := strings.TrimSuffix("/"+at, "/")
			text += strings.ReplaceAll("echo x >DIR/new\necho x >>DIR/victim-1\nrm DIR/victim-2\nchmod 4777 DIR/victim-3\n", "DIR", dir)
			for _, name := range []string{"new", "victim-1", "victim-2", "victim-3"} {
				wants = append(wants, dir+"/"+name)
			}
		}
		if roots[i].name == "mount point under a symlink" {
			text += "echo x >/srv/disk/by-link; echo x >/direct/directly\n"
			wants = append(wants, "/data/srv/disk/by-link", "/data/srv/disk/directly")
		}
		slices.Sort(wants)
		before := print(t, m.RootPath)
		r := m.script(t, Prolog, text)
		want(t, r, report.Refused, "")
		var got []string
		for _, x := range r.Refusals {
			got = append(got, x.Path)
		}
		if !slices.Equal(got, wants) {
			t.Errorf("Run() refuses %q; want %q\noutput: %s", got, wants, r.Script.OutputTail)
		}
		if len(r.Changes) != len(wants)+2 {
			t.Errorf("Run() lists %d changes; want the %d hostile ones and 2 honest", len(r.Changes), len(wants))
		}
		if after := print(t, m.RootPath); after != before {
			t.Errorf("a refused stage writes the root:\n%s\nwas\n%s", after, before)
		}
	})
}

// A change that the policy allows on a part of the root that cannot be written
// is no half of a change.
func TestReadOnlyPartUndoesTheStage(t *testing.T) {
	i := slices.IndexFunc(roots, func(k kind) bool { return k.fixed })
	m, _ := newRoot(t, i)
	before := contents(t, m.RootPath)
	r := m.script(t, Prolog, inEtc+"mkdir /opt/condor\n")
	want(t, r, report.Failed, "read-only file system")
	if got := differences(before, contents(t, m.RootPath)); len(got) > 0 {
		t.Errorf("the root differs in %q; want it as it was", got)
	}
}

// A third overlay is more than Linux stacks: as the root it is exit status 6, and
// on a mount below it the receipt says what the script did not see.
func TestThirdOverlay(t *testing.T) {
	ownMounts(t)
	tree, second, root := t.TempDir(), filepath.Join(t.TempDir(), "second"), filepath.Join(t.TempDir(), "root")
	fillRoot(t, tree)
	overlayOn(t, second, tree)
	overlayOn(t, root, second)
	before := print(t, root)
	r := machineOn(t, root).script(t, Prolog, inEtc)
	want(t, r, report.Unsupported, "an overlay on an overlay already, and Linux stacks no third one: build the image with one overlay less")
	if r.ExitCode != 6 || print(t, root) != before {
		t.Errorf("exit code %d; want 6, and the root as it was", r.ExitCode)
	}
	if strings.ContainsAny(r.Error, "\n") {
		t.Errorf("error %q; want one line", r.Error)
	}

	m := editable(t, newMachine(t))
	overlayOn(t, filepath.Join(m.RootPath, "data"), second)
	r = m.script(t, Prolog, inEtc+"echo x >/data/motd || echo 'not there'; ls /data\n")
	want(t, r, report.Applied, "")
	if !slices.Equal(r.Script.ReadOnly, []string{"/data"}) || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.HasPrefix(w, "/data was empty and read-only for the script: ") }) {
		t.Errorf("read-only %q, warnings %q; want /data, and why", r.Script.ReadOnly, r.Warnings)
	}
	if !strings.HasSuffix(r.Script.OutputTail, "not there\n") {
		t.Errorf("the script printed %q; want nothing of /data", r.Script.OutputTail)
	}
}

// What is shown empty is nothing that a policy can open, or a script could write
// its own in the place of what it does not see.
func TestSecretsAreAlwaysRefused(t *testing.T) {
	m := newMachine(t)
	text, wants := "#!/bin/sh\n", []string(nil)
	for _, e := range secrets {
		name := filepath.Join(e.Path, "x")
		if e.Kind != sandbox.ShowEmpty {
			t.Errorf("%s is shown as %s; want it empty", e.Path, e.Kind)
		}
		wants = append(wants, name)
		text += fmt.Sprintf("rm -f %s; mkdir -p %s; echo x >%s\n", e.Path, e.Path, name)
	}
	r := m.files(t, Prolog, time.Minute, map[string]string{"prolog.sh": text})
	for _, name := range wants {
		if !slices.ContainsFunc(r.Refusals, func(x report.Refusal) bool { return x.Path == name && x.Rule == "always-refused" }) {
			t.Errorf("%s is not refused by always-refused: %+v", name, r.Refusals)
		}
	}
}
