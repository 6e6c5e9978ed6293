// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// buildAttacks builds the suite of hostile scripts, a test binary, and its helper
// program; tags may be empty.
func buildAttacks(t *testing.T, tags string) []File {
	t.Helper()
	dir := t.TempDir()
	suite, intruder := filepath.Join(dir, "attacks.test"), filepath.Join(dir, "intruder")
	for _, args := range [][]string{
		{"test", "-c", "-trimpath", "-ldflags=-s -w", "-tags", tags, "-o", suite, "../../internal/sandbox/attacks"},
		{"build", "-trimpath", "-ldflags=-s -w", "-o", intruder, "../../internal/sandbox/attacks/intruder"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %q: %v: %s", args, err, out)
		}
	}
	return []File{
		{Path: "/usr/lib/ctxtest/attacks.test", Mode: 0o755, Source: suite},
		{Path: "/usr/lib/ctxtest/intruder", Mode: 0o755, Source: intruder},
		{Path: "/usr/lib/ctxtest/ctxagent", Mode: 0o755, Source: buildAgent(t)},
		{Path: "/usr/lib/ctxtest/attack", Mode: 0o755, Content: attack},
	}
}

// attack runs the suite against the guest's own root, and rehearses some of it there. Units that would write to
// it meanwhile are stopped.
const attack = `#!/bin/sh
udevadm settle --timeout=60 # the suite looks at the list of modules
systemctl stop rsyslog prometheus-node-exporter slurmd munge 2>/dev/null
export CTXAGENT_ATTACKS_AGENT=/usr/lib/ctxtest/ctxagent CTXAGENT_ATTACKS_ROOT=/ CTXAGENT_ATTACKS_INTRUDER=/usr/lib/ctxtest/intruder CTXAGENT_REQUIRE_ROOT=1
exec /usr/lib/ctxtest/attacks.test -test.run '^(TestAttacks|TestCheckSaysTheSame)$' "$@"
`

var verdicts = regexp.MustCompile(`verdicts compared: (\d+)`)

var contained = regexp.MustCompile(`attacks contained: (\d+) of (\d+)`)

// TestAttacks runs the whole suite of hostile scripts in a guest, against "/"
// and with a real systemd as the neighbour.
func TestAttacks(t *testing.T) {
	r, err := Boot(t.Context(), Config{
		Image: needGuest(t), Payload: buildAttacks(t, ""), Timeout: 10 * time.Minute,
		Report: "file attacks /usr/lib/ctxtest/attack\nfile uptime cat /proc/uptime\n", Console: follow(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	out := r.Files["attacks"]
	n := contained.FindSubmatch(out)
	if r.Exits["attacks"] != 0 || n == nil {
		t.Fatalf("the suite ended with status %d:\n%s", r.Exits["attacks"], out)
	}
	compared := verdicts.FindSubmatch(out)
	if compared == nil || number(t, compared[1]) < 8 {
		t.Errorf("check and a stage were not compared:\n%s", out)
	}
	held, all := number(t, n[1]), number(t, n[2])
	t.Logf("attacks contained in the guest: %d of %d, in %.0f s with the boot", held, all, r.Took.Seconds())
	if held != all || all < 120 || bytes.Contains(out, []byte("SKIP")) {
		t.Errorf("%d of %d attacks were contained; want all of at least 120\n%s", held, all, out)
	}
}

func number(t *testing.T, b []byte) int {
	t.Helper()
	n, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
