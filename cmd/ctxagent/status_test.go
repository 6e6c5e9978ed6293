// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// contextualised is a root in which the prolog and the epilog have run.
func contextualised(t *testing.T) string {
	t.Helper()
	root := busyboxRoot(t)
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", disc(t, map[string]string{"prolog.sh": goodScript})); r.status != 0 {
		t.Fatalf("prolog: exit status %d: %s", r.status, r.stderr)
	}
	if r := ctxagent(t, "run", "epilog", "--root", root); r.status != 0 {
		t.Fatalf("epilog: exit status %d: %s", r.status, r.stderr)
	}
	return root
}

func TestStatusForPeople(t *testing.T) {
	root := contextualised(t)
	plain := ctxagent(t, "status", "--root", root)
	for _, want := range []string{"prolog: applied", "boot: ", " from the ", "prolog runs the script", "█"} {
		if !strings.Contains(plain.stdout, want) {
			t.Errorf("no %q in\n%s", want, plain.stdout)
		}
	}
	for env, want := range map[string]bool{"NO_COLOR=": true, "NO_COLOR=1": false, "TERM=dumb": false} {
		cmd := exec.Command("script", "-qec", binary+" status --root "+root, "/dev/null")
		cmd.Env = append(os.Environ(), "NO_COLOR=", "TERM=xterm", env)
		out, err := cmd.CombinedOutput()
		if got := strings.Contains(string(out), "\x1b[1m\x1b[32mprolog: applied"); err != nil || got != want {
			t.Errorf("on a terminal with %s: colour %v, %v; want %v\n%q", env, got, err, want, out)
		}
	}
	if strings.Contains(plain.stdout, "\x1b") {
		t.Error("colour in a pipe")
	}
	page := filepath.Join(t.TempDir(), "page.html")
	if r := ctxagent(t, "status", "--root", root, "--html", page); r.status != 0 {
		t.Errorf("--html: exit status %d: %s", r.status, r.stderr)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "/etc/rsyslog.d/50-site.conf") {
		t.Errorf("the page: %v\n%s", err, b)
	}
}

func TestStatusSince(t *testing.T) {
	root := contextualised(t)
	for since, want := range map[string]int{"1h": 0, "2000-01-01": 0, "0s": 1, "2100-01-01 00:00": 1, "tomorrow": 2} {
		if r := ctxagent(t, "status", "--root", root, "--since", since); r.status != want {
			t.Errorf("--since %s: exit status %d; want %d: %s%s", since, r.status, want, r.stdout, r.stderr)
		}
	}
}

// TestStatusWait: it ends when both receipts are there, as the first bad one's
// exit status, and not before.
func TestStatusWait(t *testing.T) {
	root := busyboxRoot(t)
	if r := ctxagent(t, "status", "--wait", "--timeout", "100ms", "--root", root); r.status != 1 || !strings.Contains(r.stderr, "wait for the prolog: 100ms passed") {
		t.Errorf("with nothing to come: exit status %d: %s", r.status, r.stderr)
	}
	cmd := exec.Command(binary, "status", "--wait", "--timeout", "20s", "--root", root)
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	still := func(when string) {
		t.Helper()
		select {
		case err := <-done:
			t.Fatalf("%s: it ended: %v\n%s", when, err, out.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	still("before the prolog")
	if r := ctxagent(t, "run", "prolog", "--root", root, "--media", disc(t, map[string]string{"prolog.sh": "#!/bin/sh\necho x >>/etc/passwd\n"})); r.status != 3 {
		t.Fatalf("prolog: exit status %d", r.status)
	}
	still("before the epilog")
	ctxagent(t, "run", "epilog", "--root", root)
	if err := <-done; cmd.ProcessState.ExitCode() != 3 || !strings.Contains(out.String(), "prolog: refused") {
		t.Errorf("exit status %v; want 3, the prolog's\n%s", err, out.String())
	}
	for _, form := range [][]string{{"--json"}, {"--html", filepath.Join(t.TempDir(), "page.html")}} {
		if r := ctxagent(t, append([]string{"status", "--wait", "--root", root}, form...)...); r.status != 3 || r.stderr != "" {
			t.Errorf("%s: exit status %d; want 3: %s", form[0], r.status, r.stderr)
		}
		if r := ctxagent(t, append([]string{"status", "--root", root}, form...)...); r.status != 0 {
			t.Errorf("%s without --wait: exit status %d; want 0: %s", form[0], r.status, r.stderr)
		}
	}
}
