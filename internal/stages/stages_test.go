// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// The test binary is the agent: the sandbox starts it again.
func TestMain(m *testing.M) {
	if status, done := sandbox.Main(os.Args, os.Stderr); done {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// newMachine is a small root, busybox with its applets, under the default policy.
func newMachine(t *testing.T) *Machine {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	fillRoot(t, dir)
	return machineOn(t, dir)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
		t.Fatal("confinement needs root")
	}
	t.Skip("SKIPPED: confinement needs root, and nothing was confined")
}

// fillRoot puts the files of a small root into dir.
func fillRoot(t *testing.T, dir string) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("busybox is needed (apt-get install busybox-static): %v", err)
	}
	for _, d := range []string{"bin", "etc/rsyslog.d", "etc/condor/config.d", "etc/default", "etc/munge", "opt"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nmunge:x:105:105::/:/bin/false\n", "etc/group": "root:x:0:\nmunge:x:115:\n",
		"etc/shadow": "root:secret:1::::::\n", "etc/rsyslog.d/50-default.conf": "*.* @old.example.org\n", "etc/motd": "hello\n",
		"etc/default/slurmd": "SLURMD_OPTIONS=\"-v\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", busybox, filepath.Join(dir, "bin/busybox")).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	for _, applet := range []string{"sh", "cat", "ls", "echo", "mkdir", "rm", "ln", "sleep", "chmod", "chown", "touch", "kill", "dd", "env", "grep", "truncate", "awk", "seq", "mkfifo"} {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
}

// machineOn works on the root in dir.
func machineOn(t *testing.T, dir string) *Machine {
	t.Helper()
	p, err := policy.Parse("policy.yaml", dist.Policy)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	m := &Machine{Root: root, RootPath: dir, Work: t.TempDir(), Policy: p}
	m.reopen(t)
	return m
}

// reopen takes the journal as the next process does.
func (m *Machine) reopen(t *testing.T) {
	t.Helper()
	if m.Journal != nil {
		if err := m.Journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j, err := journal.Open(m.Root, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Journal = j
	t.Cleanup(func() { j.Close() })
}

// run runs a stage whose script is text.
func (m *Machine) script(t *testing.T, stage, text string) *report.Receipt {
	t.Helper()
	return m.files(t, stage, 30*time.Second, map[string]string{stage + ".sh": text})
}

func (m *Machine) files(t *testing.T, stage string, deadline time.Duration, files map[string]string) *report.Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c := disc(t, files)
	r := &report.Receipt{Stage: stage, Disc: &c.Disc, Durations: map[string]int64{}}
	m.Run(ctx, c, r)
	if r.ExitCode != r.Outcome.ExitCode() {
		t.Errorf("Run() = %s with exit code %d; want %d", r.Outcome, r.ExitCode, r.Outcome.ExitCode())
	}
	if _, err := r.Marshal(); err != nil {
		t.Errorf("Marshal() = %v; want a receipt", err)
	}
	return r
}

// print is everything about a root that a write would alter, times included.
func print(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(&b, strings.TrimPrefix(p, dir), info.Mode(), st.Uid, st.Gid, st.Ino, st.Nlink, st.Size, st.Mtim, st.Ctim)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func want(t *testing.T, r *report.Receipt, o report.Outcome, reason string) {
	t.Helper()
	if r.Outcome != o || !strings.Contains(r.Error, reason) || o == report.Applied && r.Error != "" {
		out := ""
		if r.Script != nil {
			out = r.Script.OutputTail
		}
		t.Errorf("Run() = %s, %q, refusals %+v; want %s, %q\noutput: %s", r.Outcome, r.Error, r.Refusals, o, reason, out)
	}
}

func content(t *testing.T, m *Machine, name string) string {
	t.Helper()
	b, err := m.Root.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func paths(r *report.Receipt) []string {
	var out []string
	for _, c := range r.Changes {
		out = append(out, string(c.Op)+" "+c.Path)
	}
	return out
}

const good = `#!/bin/sh
umask 022
echo '*.* @@logs.example.org:6514' >/etc/rsyslog.d/60-site.conf
echo 'SLURMD_OPTIONS="-vv"' >/etc/default/slurmd
echo key >/etc/munge/munge.key; chmod 400 /etc/munge/munge.key; chown 105:115 /etc/munge/munge.key
mkdir -p /opt/condor/bin; echo '#!/bin/sh' >/opt/condor/bin/x; chmod 755 /opt/condor/bin/x; ln -s x /opt/condor/bin/y
systemctl restart rsyslog
systemctl enable munge
`

func TestAppliedThenUnchanged(t *testing.T) {
	m := newMachine(t)
	var asked []policy.UnitRequest
	m.Activate = func(reqs []policy.UnitRequest) (out []report.Unit) {
		asked = append(asked, reqs...)
		for _, q := range reqs {
			out = append(out, report.Unit{Unit: q.Unit, Action: q.Verb, Result: "queued"})
		}
		return out
	}
	r := m.script(t, Prolog, good)
	want(t, r, report.Applied, "")
	wantPaths := []string{"modify /etc/default/slurmd", "create /etc/munge/munge.key", "create /etc/rsyslog.d/60-site.conf",
		"create /opt/condor", "create /opt/condor/bin", "create /opt/condor/bin/x", "create /opt/condor/bin/y"}
	if got := paths(r); !slices.Equal(got, wantPaths) {
		t.Errorf("Run() changes %q; want %q", got, wantPaths)
	}
	for _, c := range r.Changes {
		if c.Class == "" || c.Rule == "" {
			t.Errorf("the receipt has no class or rule for %+v", c)
		}
	}
	if got := content(t, m, "etc/default/slurmd"); got != "SLURMD_OPTIONS=\"-vv\"\n" {
		t.Errorf("the changed file has %q; want what the script wrote", got)
	}
	info, err := m.Root.Lstat("etc/munge/munge.key")
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o400 || st.Uid != 105 || st.Gid != 115 {
		t.Errorf("the key has mode %v, owner %d:%d; want 0400, 105:115", info.Mode(), st.Uid, st.Gid)
	}
	if want := []policy.UnitRequest{{Verb: "restart", Unit: "rsyslog.service"}, {Verb: "enable", Unit: "munge.service"}}; !slices.Equal(asked, want) {
		t.Errorf("Activate was asked for %v; want %v", asked, want)
	}
	if r.Script.ExitStatus == nil || *r.Script.ExitStatus != 0 || r.Script.Digest == "" || r.Clock.ScriptMonotonic == 0 {
		t.Errorf("the receipt's script is %+v, clock %+v; want exit status 0, a digest and a time", r.Script, r.Clock)
	}
	for _, k := range []string{"stage", "script", "confine", "check", "apply"} {
		if _, ok := r.Durations[k]; !ok {
			t.Errorf("the receipt has no duration of %s: %v", k, r.Durations)
		}
	}

	// The same disc again: nothing is written, nothing restarted.
	before := print(t, m.RootPath)
	asked = nil
	r = m.script(t, Prolog, good)
	want(t, r, report.Unchanged, "")
	if after := print(t, m.RootPath); after != before {
		t.Errorf("a second run writes the root:\n%s\nwas\n%s", after, before)
	}
	if len(r.Changes) != 0 {
		t.Errorf("a second run lists the changes %q; want none", paths(r))
	}
	if want := []policy.UnitRequest{{Verb: "enable", Unit: "munge.service"}}; !slices.Equal(asked, want) {
		t.Errorf("Activate was asked for %v on a second run; want %v", asked, want)
	}
	if len(r.Units) != 2 || !strings.Contains(r.Units[0].Result, "nothing changed") {
		t.Errorf("the receipt's units are %+v; want the restart left out", r.Units)
	}
}

func TestRefusedListsAllAndChangesNothing(t *testing.T) {
	m := newMachine(t)
	m.Activate = func(reqs []policy.UnitRequest) []report.Unit {
		t.Errorf("Activate(%v) is called for a refused stage", reqs)
		return nil
	}
	before := print(t, m.RootPath)
	r := m.script(t, Prolog, good+`
		echo 'intruder::0:0::/:/bin/sh' >>/etc/passwd
		echo x >/etc/shadow
		rm /etc/motd
		echo '*.* ^/bin/sh' >/etc/rsyslog.d/70.conf
		chmod 4755 /opt/condor/bin/x
		ln -s /etc/shadow /opt/condor/s
		mkfifo /opt/condor/p
		systemctl restart sshd
		systemctl stop rsyslog
	`)
	want(t, r, report.Refused, "refused 9 things that prolog.sh did")
	var got []string
	for _, x := range r.Refusals {
		got = append(got, x.Path+x.Unit+" "+x.Rule)
	}
	wants := []string{"/etc/motd path", "/etc/passwd always-refused", "/etc/rsyslog.d/70.conf grammar:rsyslog", "/etc/shadow always-refused",
		"/opt/condor/bin/x mode", "/opt/condor/p type", "/opt/condor/s symlink", "sshd.service units", "rsyslog.service units"}
	if !slices.Equal(got, wants) {
		t.Errorf("Run() refuses %q; want %q", got, wants)
	}
	if len(r.Changes) != 13 || r.Changes[0].Class != "" {
		t.Errorf("Run() lists the changes %q; want all 13, without a class", paths(r))
	}
	if after := print(t, m.RootPath); after != before {
		t.Errorf("a refused stage writes the root:\n%s\nwas\n%s", after, before)
	}
}

func TestFailedScripts(t *testing.T) {
	m := newMachine(t)
	before := print(t, m.RootPath)
	write := "echo '*.* @h' >/etc/rsyslog.d/60-site.conf\n"
	for _, tt := range []struct {
		name, text string
		outcome    report.Outcome
		reason     string
		status     int // -1 for none
	}{
		{"exit 7", "#!/bin/sh\n" + write + "exit 7\n", report.Failed, "prolog.sh ended with exit status 7", 7},
		{"return 3 at top level", "#!/bin/sh\n" + write + "return 3\n", report.Failed, "exit status 3", 3},
		{"-e of the #! line", "#!/bin/sh -e\n" + write + "cat /none\nexit 0\n", report.Failed, "exit status 1", 1},
		{"the last command's status", "#!/bin/sh\n" + write + "cat /none\n", report.Failed, "exit status 1", 1},
		{"signal", "#!/bin/sh\n" + write + "kill -9 $$\n", report.Failed, "ended by SIGKILL", -1},
		{"syntax error", "#!/bin/sh\n" + write + "if\n", report.Failed, "exit status 2", 2},
		{"missing interpreter", "#!/usr/bin/python3\n", report.Failed, "name one in its first line that the image has", -1},
		{"missing interpreter of env", "#!/usr/bin/env perl\n", report.Failed, "not in this image", -1},
		{"CRLF", "#!/bin/sh\r\n", report.Failed, "CR LF", -1},
		{"a failed script that is refused too", "#!/bin/sh\necho x >/etc/motd\nexit 7\n", report.Failed, "exit status 7", 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := m.script(t, Prolog, tt.text)
			want(t, r, tt.outcome, tt.reason)
			switch {
			case r.Script == nil && tt.status >= 0, tt.status >= 0 && (r.Script.ExitStatus == nil || *r.Script.ExitStatus != tt.status):
				t.Errorf("the receipt's script is %+v; want exit status %d", r.Script, tt.status)
			case r.Script != nil && tt.status < 0 && r.Script.ExitStatus != nil:
				t.Errorf("the receipt has exit status %d; want none", *r.Script.ExitStatus)
			}
			for _, c := range r.Changes {
				if c.Class != "" {
					t.Errorf("the receipt gives a class to %+v, which was not applied", c)
				}
			}
			if len(r.Units) > 0 {
				t.Errorf("the receipt has the units %+v; want none", r.Units)
			}
			if after := print(t, m.RootPath); after != before {
				t.Errorf("a failed stage writes the root:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

func TestAcceptedWaysToEnd(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"exit 0", "#!/bin/sh\necho '*.* @h' >/etc/rsyslog.d/60.conf\nexit 0\nexit 7\n"},
		{"return 0 at top level", "#!/bin/sh\necho '*.* @h' >/etc/rsyslog.d/60.conf\nreturn 0\nexit 7\n"},
		{"no #! line", "echo '*.* @h' >/etc/rsyslog.d/60.conf\n"},
		{"busybox by name", "#!/bin/busybox sh\necho '*.* @h' >/etc/rsyslog.d/60.conf\n"},
		{"env", "#!/usr/bin/env sh\necho '*.* @h' >/etc/rsyslog.d/60.conf\n"},
		{"an interpreter that is no shell", "#!/bin/awk -f\nBEGIN { print \"*.* @h\" >\"/etc/rsyslog.d/60.conf\" }\n"},
		{"its argument and directory", "#!/bin/sh\n[ \"$1\" = start ] && [ \"$PWD\" = \"$CONTEXT_DIR\" ] && [ -f prolog.sh ] && echo '*.* @h' >/etc/rsyslog.d/60.conf\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			want(t, m.script(t, Prolog, "#!/bin/sh\n"), report.Unchanged, "")
			want(t, m.script(t, Prolog, tt.text), report.Applied, "")
			if got := content(t, m, "etc/rsyslog.d/60.conf"); got != "*.* @h\n" {
				t.Errorf("the file has %q; want %q", got, "*.* @h\n")
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	m := newMachine(t)
	before := print(t, m.RootPath)
	began := time.Now()
	m.Policy.Limits.Deadline = policy.Duration(time.Second)
	r := m.files(t, Prolog, time.Minute, map[string]string{"prolog.sh": "#!/bin/sh\ntrap '' TERM\necho '*.* @h' >/etc/rsyslog.d/60.conf\necho here\nwhile :; do sleep 1; done\n"})
	want(t, r, report.Timeout, "limits.deadline")
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("Run() took %v; want it to end with its deadline", d)
	}
	if r.Script.ExitStatus != nil || !strings.Contains(r.Script.OutputTail, "here") {
		t.Errorf("the receipt's script is %+v; want no exit status, and its output", r.Script)
	}
	if after := print(t, m.RootPath); after != before {
		t.Errorf("a stage that timed out writes the root:\n%s\nwas\n%s", after, before)
	}
	if r := m.files(t, Prolog, 0, map[string]string{"prolog.sh": "#!/bin/sh\n"}); r.Outcome != report.Timeout {
		t.Errorf("Run() after its deadline = %s, %q; want timeout", r.Outcome, r.Error)
	}
}

// A daemon that the script leaves running neither holds up the stage nor
// survives it.
func TestDaemonIsEnded(t *testing.T) {
	m := newMachine(t)
	r := m.script(t, Prolog, "#!/bin/sh\n(while :; do sleep 1; done) &\necho '*.* @h' >/etc/rsyslog.d/60.conf\n")
	want(t, r, report.Applied, "")
	if len(r.Script.LeftOver) == 0 {
		t.Errorf("the receipt names no process left over: %+v", r.Script)
	}
}

func TestRehearsal(t *testing.T) {
	m := newMachine(t)
	m.Rehearse = true
	m.Activate = func(reqs []policy.UnitRequest) []report.Unit {
		t.Errorf("Activate(%v) is called in a rehearsal", reqs)
		return nil
	}
	before := print(t, m.RootPath)
	r := m.script(t, Prolog, good)
	want(t, r, report.Applied, "")
	if len(r.Changes) != 7 || len(r.Units) != 2 || r.Units[0].Result != "would be asked for" {
		t.Errorf("Run() rehearses %q, units %+v; want 7 changes and 2 units that would be asked for", paths(r), r.Units)
	}
	r = m.script(t, Epilog, `#!/bin/sh -e
		[ "$(cat /etc/rsyslog.d/60-site.conf)" = '*.* @@logs.example.org:6514' ]
		[ "$(cat /etc/default/slurmd)" = 'SLURMD_OPTIONS="-vv"' ]
		[ "$(ls -ln /etc/munge/munge.key | awk '{ print $1, $3, $4 }')" = '-r-------- 105 115' ]
		[ -x /opt/condor/bin/y ]
		echo '*.* @more' >>/etc/rsyslog.d/60-site.conf
		echo ok
	`)
	want(t, r, report.Applied, "")
	if !strings.Contains(r.Script.OutputTail, "ok") || !slices.Contains(paths(r), "create /etc/rsyslog.d/60-site.conf") {
		t.Errorf("the epilog printed %q and changes %q; want it to see and to go on from the prolog's files", r.Script.OutputTail, paths(r))
	}
	// Refused by the epilog alone: the first stage's files are still there for it.
	want(t, m.script(t, Epilog, "#!/bin/sh\ngrep -q more /etc/rsyslog.d/60-site.conf && echo x >/etc/motd\n"), report.Refused, "")
	if after := print(t, m.RootPath); after != before {
		t.Errorf("a rehearsal writes the root:\n%s\nwas\n%s", after, before)
	}
}

func TestUnits(t *testing.T) {
	m := newMachine(t)
	for _, tt := range []struct {
		name, text string
		want       string // the units of the receipt
	}{
		{"restart without a change", "systemctl restart rsyslog", "restart rsyslog.service: left out: nothing changed"},
		{"reload without a change", "service rsyslog reload", "reload rsyslog.service: left out: nothing changed"},
		{"start and enable without a change", "systemctl enable --now slurmd", "enable slurmd.service: asked, start slurmd.service: asked"},
		{"restart with a change, twice", "echo '*.* @h' >/etc/rsyslog.d/60.conf; systemctl restart rsyslog; service rsyslog restart", "restart rsyslog.service: asked"},
		{"a query", "systemctl is-active rsyslog; systemctl daemon-reload; systemctl status munge; :", ""},
	} {
		m.Activate = func(reqs []policy.UnitRequest) (out []report.Unit) {
			for _, q := range reqs {
				out = append(out, report.Unit{Unit: q.Unit, Action: q.Verb, Result: "asked"})
			}
			return out
		}
		r := m.script(t, Prolog, "#!/bin/sh\n"+tt.text+"\n")
		var got []string
		for _, u := range r.Units {
			got = append(got, u.Action+" "+u.Unit+": "+u.Result)
		}
		if strings.Join(got, ", ") != tt.want || r.ExitCode != 0 {
			t.Errorf("%s: Run() = %s, %q, units %q; want %q", tt.name, r.Outcome, r.Error, got, tt.want)
		}
	}
	m.Activate = nil
	if r := m.script(t, Prolog, "#!/bin/sh\nsystemctl start munge\n"); len(r.Units) != 1 || r.Units[0].Result != "would be asked for" {
		t.Errorf("Run() without Activate has the units %+v; want one that would be asked for", r.Units)
	}
	for _, text := range []string{"systemctl start sshd", "systemctl disable rsyslog", "systemctl mask munge", "systemctl enable /opt/condor/x.service", "/run/ctxagent/bin/reboot", "systemd-run sh",
		"systemctl restart rsyslog sshd", "busctl call x"} {
		r := m.script(t, Prolog, "#!/bin/sh\n"+text+"\n:\n")
		if r.Outcome != report.Refused || len(r.Refusals) == 0 || r.Refusals[0].Rule != "units" {
			t.Errorf("Run(%q) = %s, refusals %+v; want it refused by units", text, r.Outcome, r.Refusals)
		}
	}
}

func TestLimitsRefuse(t *testing.T) {
	m := newMachine(t)
	m.Policy.Limits.Changes, m.Policy.Limits.Bytes = 20, 8<<20
	before := print(t, m.RootPath)
	for _, tt := range []struct{ name, text string }{
		{"changes", "mkdir /opt/condor; for i in $(seq 30); do echo x >/opt/condor/$i; done"},
		{"depth", "mkdir /opt/condor; cd /opt/condor; for i in $(seq 150); do mkdir d; cd d; done"},
		{"sparse files", "mkdir /opt/condor; truncate -s 6M /opt/condor/x; truncate -s 6M /opt/condor/y"},
	} {
		r := m.script(t, Prolog, "#!/bin/sh\numask 022\n"+tt.text+"\n")
		want(t, r, report.Refused, "")
		if len(r.Refusals) != 1 || r.Refusals[0].Rule != "limits" || r.Refusals[0].Path == "" {
			t.Errorf("%s: Run() refuses %+v; want one refusal by limits with its path", tt.name, r.Refusals)
		}
	}
	if after := print(t, m.RootPath); after != before {
		t.Errorf("a refused stage writes the root:\n%s\nwas\n%s", after, before)
	}
}

func TestApplyFails(t *testing.T) {
	m := newMachine(t)
	m.Activate = func(reqs []policy.UnitRequest) []report.Unit {
		t.Errorf("Activate(%v) is called although nothing was applied", reqs)
		return nil
	}
	other, err := os.OpenRoot(t.TempDir()) // not the root that the script was shown
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	m.Root = other
	m.reopen(t)
	r := m.script(t, Prolog, "#!/bin/sh\necho '*.* @h' >/etc/rsyslog.d/60.conf\nsystemctl restart rsyslog\n")
	want(t, r, report.Failed, `apply "/etc/rsyslog.d/60.conf"`)
	if len(r.Units) != 0 {
		t.Errorf("the receipt has the units %+v; want none", r.Units)
	}
}

func TestNoScriptForTheStage(t *testing.T) {
	m := newMachine(t)
	r := m.files(t, Epilog, time.Minute, map[string]string{"prolog.sh": "#!/bin/sh\nexit 1\n"})
	want(t, r, report.Unchanged, "")
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "no epilog.sh") || r.Script != nil {
		t.Errorf("the receipt has warnings %q, script %+v; want it to say that there is no script", r.Warnings, r.Script)
	}
}

func TestUnsupportedSystem(t *testing.T) {
	m := newMachine(t)
	m.Work = "/nonexistent"
	r := m.script(t, Prolog, good)
	want(t, r, report.Unsupported, sandbox.ErrUnsupported.Error())
	if r.ExitCode != 6 {
		t.Errorf("Run() has exit code %d; want 6", r.ExitCode)
	}
	if _, err := m.Root.Lstat("opt/condor"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the script ran without confinement")
	}
}

// What the script sees is what the stage knows, not what the disc claims.
func TestScriptEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_AGENT", "1")
	m := newMachine(t)
	r := m.files(t, Prolog, time.Minute, map[string]string{
		"context.sh": "SITE='a \"b\" $c'\nLANG=xx\nLD_PRELOAD=/x\nCTX_STAGE=forged\nQUIT=$(exit 9)\n",
		"prolog.sh":  "#!/bin/sh\necho \"site=$SITE stage=$CTX_STAGE label=$CTX_LABEL device=$CTX_DEVICE digest=$CTX_DIGEST lang=$LANG preload=$LD_PRELOAD quit=$QUIT secret=$SECRET_OF_THE_AGENT\"\n",
	})
	want(t, r, report.Unchanged, "")
	// A test binary built with -cover says a word of its own at the end.
	if got, want := r.Script.OutputTail, "site=a \"b\" $c stage=prolog label=CONTEXT device=/dev/sr0 digest=d15c lang=C preload= quit= secret=\n"; !strings.HasPrefix(got, want) {
		t.Errorf("the script sees %q; want %q", got, want)
	}
	if len(r.Warnings) != 3 {
		t.Errorf("Run() warns %q; want the two reserved names and the value that needs a shell", r.Warnings)
	}
}

func TestOutputLines(t *testing.T) {
	m := newMachine(t)
	var lines []string
	m.Line = func(stage, line string) { lines = append(lines, stage+": "+line) }
	r := m.script(t, Prolog, "#!/bin/sh\necho one; echo two >&2; printf '\\377'\n")
	want(t, r, report.Unchanged, "")
	if len(lines) != 3 || lines[0] != "prolog: one" || lines[1] != "prolog: two" {
		t.Errorf("Line is called with %q; want each line", lines)
	}
	if got := r.Script.OutputTail; !strings.HasPrefix(got, "one\ntwo\n\uFFFD") {
		t.Errorf("the receipt's output is %q; want valid UTF-8", got)
	}
}

func TestRememberReplaces(t *testing.T) {
	first := []policy.Decided{{Change: policy.Change{Path: "/a", Type: policy.File, Size: 1, Data: []byte("1")}}, {Change: policy.Change{Path: "/b", Type: policy.Symlink, Target: "a"}}}
	shown, err := remember(nil, first)
	if err != nil {
		t.Fatal(err)
	}
	shown, err = remember(shown, []policy.Decided{{Change: policy.Change{Path: "/a", Type: policy.File, Size: 1, Data: []byte("2")}}})
	if err != nil || len(shown) != 2 || shown[1].Path != "/a" || string(shown[1].Data) != "2" || shown[0].Target != "a" {
		t.Errorf("remember() = %+v, %v; want the later content of /a and the link", shown, err)
	}
	if _, err := remember(nil, []policy.Decided{{Change: policy.Change{Path: "/d", Type: policy.Device}}}); err == nil {
		t.Error("remember(a device) = nil; want an error")
	}
}
