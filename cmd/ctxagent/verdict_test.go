// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

// told is what a receipt says that a desk and a guest have to agree on.
type told struct {
	Outcome  string `json:"outcome"`
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
	Changes  []struct {
		Path, Op, Type, Class, Rule, Mode string
		SHA256After                       string `json:"sha256_after"`
	}
	Refusals []struct{ Path, Unit, Call, Rule, Reason string }
	Units    []struct{ Unit, Action string }
}

// verdictDiscs are discs of every kind: what we hand out, what the field wrote,
// and what oversteps in each way that has a rule of its own.
func verdictDiscs(t *testing.T) map[string]string {
	t.Helper()
	discs := map[string]string{}
	add := func(name, from string, more map[string]string) {
		dir := write(t, t.TempDir(), more)
		if from != "" {
			if out, err := exec.Command("cp", "-r", from+"/.", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		discs[name] = dir
	}
	add("example", "../../examples", map[string]string{"munge.key": "a key"})
	add("htcondor", "../../examples/htcondor", map[string]string{"pool.token": "a token", "prolog.sh": goodScript, "context.sh": "SITE_CONDOR_HOST=c.example.org\n"})
	styles, err := filepath.Glob("../../internal/stages/testdata/styles/*")
	if err != nil || len(styles) < 4 {
		t.Fatal(styles, err)
	}
	for _, s := range styles {
		add(filepath.Base(s), s, nil)
	}
	for name, script := range map[string]string{
		"account": "echo x >>/etc/passwd\n", "unit": goodScript + "systemctl restart sshd\n", "mode": "echo x >/etc/rsyslog.d/a.conf; chmod 4755 /etc/rsyslog.d/a.conf\n",
		"grammar": "printf 'module(load=\"omp\\\\162og\")\\n' >/etc/rsyslog.d/a.conf\n", "link": "ln -s /etc/shadow /etc/rsyslog.d/a.conf\n", "fifo": "busybox mkfifo /etc/rsyslog.d/a.conf\n",
		"fails": goodScript + "exit 7\n", "crlf": "#!/bin/sh\r\n", "nothing": "#!/bin/sh\n:\n", "call": "busybox mount -t tmpfs none /mnt || true\n", "many": goodScript + "echo y >/etc/motd; echo z >>/etc/group\n",
	} {
		add(name, "", map[string]string{"prolog.sh": script})
	}
	return discs
}

// verdictRoot is a root with all that the discs' scripts call.
func verdictRoot(t *testing.T) string {
	t.Helper()
	root := busyboxRoot(t)
	for _, applet := range []string{"id", "nproc", "awk", "cp", "chmod", "chown", "ln", "grep", "sed", "hostname", "tr", "cut", "rm", "touch", "date", "ls", "test", "tar", "wget"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root, map[string]string{"mnt/.keep": "", "etc/default/.keep": "", "etc/motd": "hello\n"})
	return root
}

// TestCheckIsWhatAGuestSays rehearses each disc and then runs its prolog on an
// equal root: the same verdict, the same changes to the digest, the same refusals
// and requests, word for word.
func TestCheckIsWhatAGuestSays(t *testing.T) {
	for name, disc := range verdictDiscs(t) {
		t.Run(name, func(t *testing.T) {
			root := verdictRoot(t)
			var desk map[string]json.RawMessage
			c := ctxagent(t, "check", "--json", "--root", root, disc)
			if err := json.Unmarshal([]byte(c.stdout), &desk); err != nil {
				t.Fatalf("%v: %s%s", err, c.stdout, c.stderr)
			}
			r := ctxagent(t, "run", "prolog", "--root", root, "--media", disc)
			b, err := os.ReadFile(filepath.Join(root, "run/ctxagent/prolog.json"))
			if err != nil {
				t.Fatalf("%v: %s", err, r.stderr)
			}
			var want, got told
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(desk["prolog"], &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the desk says\n%+v\nthe guest says\n%+v", got, want)
			}
			if r.status != got.ExitCode || want.ExitCode != 0 && c.status != want.ExitCode {
				t.Errorf("exit status %d at the desk, %d in the guest", c.status, r.status)
			}
			t.Logf("%s: %s (%s), %d changes, %d refusals", name, want.Outcome, want.Error, len(want.Changes), len(want.Refusals))
		})
	}
}
