// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
)

// comes runs a prolog whose disc comes once its confinement stands.
func (m *Machine) comes(t *testing.T, ctx context.Context, after time.Duration, files map[string]string) *report.Receipt {
	t.Helper()
	c := disc(t, nil)
	if err := m.Prepare(ctx, c.Dir); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	later := disc(t, files)
	later.Dir = c.Dir
	r := &report.Receipt{Stage: Prolog, Disc: &later.Disc, Durations: map[string]int64{}}
	m.Run(ctx, later, r)
	if m.early != nil {
		t.Error("what Prepare began is neither used nor ended")
	}
	return r
}

// TestDiscComesToAConfinementThatStands: the outcome is that of a disc that was
// there, and only the release is left to do.
func TestDiscComesToAConfinementThatStands(t *testing.T) {
	good := map[string]string{"prolog.sh": "#!/bin/sh\n. ./values\n. /mnt/values\necho \"*.* @$LOGHOST\" >/etc/rsyslog.d/60.conf\necho ran as $CTX_STAGE\n", "values": "LOGHOST=log.example.org\n", "context.sh": "A=b\n"}
	for _, tt := range []struct {
		name    string
		files   map[string]string
		outcome report.Outcome
		says    string
	}{
		{"a sound disc", good, report.Applied, ""},
		{"one that oversteps", map[string]string{"prolog.sh": "#!/bin/sh\necho x >>/etc/passwd\n"}, report.Refused, "refused one thing"},
		{"one that fails", map[string]string{"prolog.sh": "#!/bin/sh\nexit 7\n"}, report.Failed, "exit status 7"},
		{"an interpreter that the image lacks", map[string]string{"prolog.sh": "#!/usr/bin/none\n"}, report.Failed, "the image has"},
		{"the second shell", map[string]string{"prolog.sh": ":\n"}, report.Unchanged, ""},
		{"CR LF", map[string]string{"prolog.sh": "#!/bin/sh\r\n"}, report.Failed, "CR LF"},
		{"no prolog", map[string]string{"epilog.sh": "#!/bin/sh\n"}, report.Unchanged, ""},
	} {
		m := newMachine(t)
		if err := os.Mkdir(filepath.Join(m.RootPath, "mnt"), 0o755); err != nil {
			t.Fatal(err)
		}
		m.Policy.Limits.Deadline = policy.Duration(10 * time.Second)
		r := m.comes(t, t.Context(), 300*time.Millisecond, tt.files)
		if r.Outcome != tt.outcome || !strings.Contains(r.Error, tt.says) {
			t.Errorf("%s: Run() = %s, %q; want %s, %q", tt.name, r.Outcome, r.Error, tt.outcome, tt.says)
		}
		if ran := r.Script != nil && r.Script.ExitStatus != nil; ran && r.Clock.ReleasedMonotonic == 0 {
			t.Errorf("%s: the receipt has no time of the release", tt.name)
		}
		if tt.outcome == report.Applied && !strings.Contains(r.Script.OutputTail, "ran as prolog") {
			t.Errorf("%s: output %q", tt.name, r.Script.OutputTail)
		}
	}
}

// The deadline is the script's: the wait for a disc does not count, and a script
// that runs too long is ended all the same.
func TestDeadlineOfADiscThatComesLate(t *testing.T) {
	m := newMachine(t)
	m.Policy.Limits.Deadline = policy.Duration(600 * time.Millisecond)
	if r := m.comes(t, t.Context(), time.Second, map[string]string{"prolog.sh": "#!/bin/sh\n"}); r.Outcome != report.Unchanged {
		t.Errorf("Run() = %s, %q; want unchanged", r.Outcome, r.Error)
	}
	m = newMachine(t)
	m.Policy.Limits.Deadline = policy.Duration(600 * time.Millisecond)
	if r := m.comes(t, t.Context(), 0, map[string]string{"prolog.sh": "#!/bin/sh\nsleep 60\n"}); r.Outcome != report.Timeout {
		t.Errorf("Run() = %s, %q; want a timeout", r.Outcome, r.Error)
	}
}

// Nothing is left of a confinement whose disc never came, nor of one that was
// asked to end.
func TestNoDiscComes(t *testing.T) {
	m := newMachine(t)
	before := print(t, m.RootPath)
	if err := m.Prepare(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	m.Close()
	m.Close()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %v", took)
	}
	if after := print(t, m.RootPath); after != before {
		t.Error("the root is written")
	}
	if err := os.Remove(m.Work); err != nil {
		t.Errorf("the workspace is still in use: %v", err)
	}

	m = newMachine(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(errors.New("asked to end")) })
	if r := m.comes(t, ctx, 500*time.Millisecond, map[string]string{"prolog.sh": "#!/bin/sh\necho LEAK\n"}); r.Outcome != report.Failed || r.Script.OutputTail != "" {
		t.Errorf("Run() = %s, %q, output %q; want that it failed, unrun", r.Outcome, r.Error, r.Script.OutputTail)
	}
}

// A script of 2010 finds its disc at /mnt, where nothing else lies.
func TestDiscAtMnt(t *testing.T) {
	files := map[string]string{"prolog.sh": "#!/bin/sh\n. /mnt/site.conf\necho \"*.* @$LOGHOST\" >/etc/rsyslog.d/60.conf\n", "site.conf": "LOGHOST=log.example.org\n"}
	for _, tt := range []struct {
		name    string
		set     func(m *Machine) error
		outcome report.Outcome
	}{
		{"an empty directory", func(m *Machine) error { return os.Mkdir(filepath.Join(m.RootPath, "mnt"), 0o755) }, report.Applied},
		{"the image's files", func(m *Machine) error { return os.MkdirAll(filepath.Join(m.RootPath, "mnt/data"), 0o755) }, report.Failed},
		{"no directory", func(*Machine) error { return nil }, report.Failed},
		{"a place of the policy's", func(m *Machine) error {
			m.Policy.Classes.Batch.Paths = append(m.Policy.Classes.Batch.Paths, policy.PathRule{Path: "/mnt/client/**", Content: "opaque"})
			return os.Mkdir(filepath.Join(m.RootPath, "mnt"), 0o755)
		}, report.Failed},
	} {
		m := newMachine(t)
		if err := tt.set(m); err != nil {
			t.Fatal(err)
		}
		r := m.files(t, Prolog, time.Minute, files)
		warned := strings.Contains(strings.Join(r.Warnings, "\n"), "paths below /mnt, and the disc is not there")
		if r.Outcome != tt.outcome || warned != (tt.outcome == report.Failed) {
			t.Errorf("%s: Run() = %s, %q, warnings %q; want %s", tt.name, r.Outcome, r.Error, r.Warnings, tt.outcome)
		}
	}
}
