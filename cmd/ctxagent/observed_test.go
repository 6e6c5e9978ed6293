// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// siteScript writes a public file, changes one, and puts a key where only root
// reads it.
const siteScript = `#!/bin/sh
echo '*.* @@192.0.2.1:514' >/etc/rsyslog.d/50-site.conf
echo 'ARGS="--log.level=warn"' >/etc/default/prometheus-node-exporter
mkdir -p /etc/munge
(umask 077; cat "$CONTEXT_DIR/munge.key" >/etc/munge/munge.key)
`

func TestCheckShowsDiffs(t *testing.T) {
	root := busyboxRoot(t)
	old := filepath.Join(write(t, root, map[string]string{"etc/default/prometheus-node-exporter": "# before\nARGS=\"\"\n"}), "etc/default/prometheus-node-exporter")
	if err := os.Chmod(old, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := write(t, t.TempDir(), map[string]string{"prolog.sh": siteScript, "munge.key": "not-for-your-eyes",
		"epilog.sh": "#!/bin/sh\necho '*.* @@192.0.2.3:514' >/etc/rsyslog.d/50-site.conf\n"})
	r := ctxagent(t, "check", "--root", root, dir)
	if r.status != 0 {
		t.Fatalf("exit status %d:\n%s%s", r.status, r.stdout, r.stderr)
	}
	for _, want := range []string{
		"    --- /dev/null\n    +++ /etc/rsyslog.d/50-site.conf\n    @@ -0,0 +1 @@\n    +*.* @@192.0.2.1:514\n",
		"    --- /etc/default/prometheus-node-exporter\n    +++ /etc/default/prometheus-node-exporter\n    @@ -1,2 +1 @@\n    -# before\n    -ARGS=\"\"\n    +ARGS=\"--log.level=warn\"\n",
		"    -*.* @@192.0.2.1:514\n    +*.* @@192.0.2.3:514\n", // the epilog, against what the prolog would leave
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	asJSON := ctxagent(t, "check", "--root", root, "--json", dir).stdout
	if strings.Contains(r.stdout+asJSON, "not-for-your-eyes") {
		t.Errorf("a key is shown:\n%s", r.stdout)
	}
	var all struct {
		Lint   []any
		Diffs  []fileDiff
		Prolog map[string]any
	}
	if err := json.Unmarshal([]byte(asJSON), &all); err != nil || len(all.Diffs) != 3 || all.Diffs[0].Stage != "prolog" || all.Prolog["outcome"] != "applied" || all.Lint == nil {
		t.Errorf("--json: %v: %+v", err, all)
	}
}

// TestCheckLints: findings come before the rehearsal, and change nothing about
// the verdict; alone they need no rights.
func TestCheckLints(t *testing.T) {
	root := busyboxRoot(t)
	dir := write(t, t.TempDir(), map[string]string{"prolog.sh": "#!/bin/sh\nif false; then\n  useradd condor\nfi\necho x >>/etc/passwd\n"})
	out := filepath.Join(t.TempDir(), "out.sarif")
	r := ctxagent(t, "check", "--root", root, "--sarif", out, dir)
	for _, want := range []string{"prolog.sh:3:3: warning: useradd can only be refused", "prolog.sh:5:10: warning: /etc/passwd is refused whatever", "prolog: refused"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	if r.status != 3 {
		t.Errorf("exit status %d; want 3, the guest's", r.status)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID, Level string
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(b, &log); err != nil {
		t.Fatal(err)
	}
	levels := map[string]string{}
	for _, x := range log.Runs[0].Results {
		levels[x.RuleID] = x.Level
		at := x.Locations[0].PhysicalLocation
		if at.ArtifactLocation.URI != filepath.Join(dir, "prolog.sh") || at.Region.StartLine == 0 {
			t.Errorf("%s is at %+v; want a line of %s", x.RuleID, at, dir)
		}
	}
	if levels["command"] != "warning" || levels["path"] != "warning" || levels["always-refused"] != "error" {
		t.Errorf("SARIF has %v", levels)
	}
	broken := write(t, t.TempDir(), map[string]string{"prolog.sh": "#!/bin/sh\nif\n"})
	for tree, want := range map[string]int{dir: 0, broken: 1} {
		if r := ctxagent(t, "check", "--lint", "--root", root, tree); r.status != want || strings.Contains(r.stdout, "prolog:") {
			t.Errorf("--lint: exit status %d; want %d, and no rehearsal:\n%s", r.status, want, r.stdout)
		}
	}
}

// TestPatience: who waits at a terminal is told once, and nobody else.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		done := (&observed{terminal: &out}).patience("prolog.sh", 5*time.Minute, 10*time.Second)
		time.Sleep(time.Minute)
		done()
		if want := "prolog.sh still runs: limits.deadline is 5m0s, Ctrl-C ends it\n"; out.String() != want {
			t.Errorf("after a minute: %q; want %q", out.String(), want)
		}
		done = (&observed{terminal: &out}).patience("epilog.sh", 5*time.Minute, 10*time.Second)
		time.Sleep(9 * time.Second)
		done()
		(&observed{}).patience("epilog.sh", 5*time.Minute, 0)()
		time.Sleep(time.Minute)
		if strings.Contains(out.String(), "epilog") {
			t.Errorf("a script of nine seconds, or no terminal: %q", out.String())
		}
	})
}
