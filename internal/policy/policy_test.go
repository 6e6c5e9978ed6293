// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/dist"
)

func defaultPolicy(t *testing.T) *Policy {
	t.Helper()
	p, err := Parse("policy.yaml", dist.Policy)
	if err != nil {
		t.Fatalf("Parse(the default policy): %v", err)
	}
	return p
}

func TestDefaultPolicyParses(t *testing.T) {
	p := defaultPolicy(t)
	sum := sha256.Sum256(dist.Policy)
	if want := hex.EncodeToString(sum[:]); p.Digest() != want {
		t.Errorf("Digest() = %s; want that of the file as it was read, %s", p.Digest(), want)
	}
	if p.Version != 1 || time.Duration(p.Limits.Deadline) != 5*time.Minute || p.Limits.Bytes != 256<<20 || p.Limits.Changes != 5000 {
		t.Errorf("Parse() = version %d, limits %+v; want those of the file", p.Version, p.Limits)
	}
	if len(p.Classes.Syslog.Paths) == 0 || len(p.Classes.Monitoring.Paths) == 0 || len(p.Classes.Batch.Paths) == 0 {
		t.Errorf("a class of the default policy has no path: %+v", p.Classes)
	}
	if p.Media.WritableDisks || p.Network.Require != "route" {
		t.Errorf("Parse() = media %+v, network %+v; want no writable disks and a default route", p.Media, p.Network)
	}
}

// small is a whole policy of few lines; the tests alter one line of it.
const small = `version: 1
classes:
  syslog:
    paths:
      - path: /etc/rsyslog.d/*.conf
        grammar: rsyslog
    units:
      - rsyslog.service
limits:
  deadline: 5m
  bytes: 256MiB
  inodes: 20000
  changes: 5000
  processes: 256
  memory: 512MiB
media:
  wait: 10s
  max_bytes: 128MiB
  max_files: 10000
network:
  timeout: 2m
`

// TestMediaWaitIsToldAlike: whoever lowers media.wait reads in each place that it
// bounds the wait for an announced disc, too.
func TestMediaWaitIsToldAlike(t *testing.T) {
	for name, place := range map[string]string{
		"../../dist/policy.yaml": `(?m)^  wait: .*$`, "../../docs/policy.md": "(?m)^\\| `media.wait` .*$", "../../dist/man/ctxagent-policy.5": `(?m)^\.It Cm wait\n[^.]*\.$`,
	} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		line := regexp.MustCompile(place).FindString(string(b))
		if !strings.Contains(line, "probed") || !strings.Contains(line, "announced") {
			t.Errorf("%s says of media.wait %q; want both, a device that is probed and a disc that is announced", name, line)
		}
	}
}

func TestSmallPolicyParses(t *testing.T) {
	if _, err := Parse("p", []byte(small)); err != nil {
		t.Errorf("Parse(small) = %v; want no error", err)
	}
	anchored := strings.Replace(small, "deadline: 5m", "deadline: 10m0s", 1)
	if _, err := Parse("p", []byte(anchored)); err != nil {
		t.Errorf("Parse(ten minutes) = %v; want no error: it is the bound", err)
	}
}

// What a policy does not say of absent discs and of stages is the first way.
func TestWordsThatMayBeLeftOut(t *testing.T) {
	p, err := Parse("p", []byte(small))
	if err != nil || p.Media.Absent != Keep || p.Stages.Run != EveryBoot {
		t.Errorf("Parse() = %+v, %v; want media.absent keep and stages.run every-boot", p, err)
	}
	p, err = Parse("p", []byte(strings.Replace(small, "  wait: 10s", "  wait: 10s\n  absent: revert", 1)+"stages:\n  run: once-per-context\n"))
	if err != nil || p.Media.Absent != Revert || p.Stages.Run != OncePerContext {
		t.Errorf("Parse() = %+v, %v; want what the policy says", p, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new string   // one change of small
		want     []string // parts of the error
	}{
		{"empty file", small, "", []string{"policy p:", "empty"}},
		{"comments alone", small, "# nothing\n", []string{"empty"}},
		{"two documents", small, small + "---\n" + small, []string{"more than one YAML document"}},
		{"an empty second document", small, small + "---\n", []string{"more than one YAML document"}},
		{"a broken second document", small, small + "---\n}{\n", []string{"more than one YAML document"}},
		{"not a mapping", small, "- 1\n", []string{"line 1"}},
		{"broken YAML", "version: 1", "version: [", []string{"policy p:"}},
		{"unknown key at the top", "version: 1", "version: 1\nallow_all: true", []string{"line 2", `"allow_all"`, "ctxagent policy show"}},
		{"unknown key of a path", "        grammar: rsyslog", "        grammar: rsyslog\n        grammer: rsyslog", []string{"line 7", `"grammer"`}},
		{"unknown key of limits", "  changes: 5000", "  changes: 5000\n  memory: 1GiB", []string{"line 14", `"memory"`}},
		{"unknown class", "  syslog:", "  security:", []string{"line 3", `"security"`}},
		{"a key twice", "version: 1", "version: 1\nversion: 1", []string{"line 2", "version"}},
		{"two unknown keys", "version: 1", "version: 1\nfoo: 1\nbar: 1", []string{`line 2: unknown key "foo"`, `line 3: unknown key "bar"`}},
		{"version 2", "version: 1", "version: 2", []string{"version is 2", "version 1"}},
		{"no version", "version: 1\n", "", []string{"version is 0"}},
		{"a word for a version", "version: 1", "version: one", []string{"line 1"}},

		{"no deadline", "  deadline: 5m\n", "", []string{"limits.deadline"}},
		{"zero deadline", "deadline: 5m", "deadline: 0s", []string{"limits.deadline"}},
		{"endless deadline", "deadline: 5m", "deadline: 61m", []string{"limits.deadline"}},
		{"null deadline", "deadline: 5m", "deadline: ~", []string{"limits.deadline"}},
		{"no bytes", "  bytes: 256MiB\n", "", []string{"limits.bytes"}},
		{"zero bytes", "bytes: 256MiB", "bytes: 0", []string{"limits.bytes"}},
		{"no inodes", "  inodes: 20000\n", "", []string{"limits.inodes"}},
		{"half an inode", "inodes: 20000", "inodes: 20000.5", []string{"limits.inodes is 20000.5; it has to be a whole number"}},
		{"half a version", "version: 1", "version: 1.5", []string{"version is 1.5"}},
		{"negative inodes", "inodes: 20000", "inodes: -1", []string{"limits.inodes"}},
		{"no changes", "  changes: 5000\n", "", []string{"limits.changes"}},
		{"no media.max_bytes", "  max_bytes: 128MiB\n", "", []string{"media.max_bytes"}},
		{"no media.max_files", "  max_files: 10000\n", "", []string{"media.max_files"}},
		{"unknown signature mode", "  max_files: 10000\n", "  max_files: 10000\n  signature: maybe\n", []string{"media.signature is \"maybe\""}},
		{"long wait", "wait: 10s", "wait: 11m", []string{"media.wait"}},
		{"no timeout", "  timeout: 2m\n", "", []string{"network.timeout"}},
		{"no wait", "  wait: 10s\n", "", []string{"media.wait is missing"}},
		{"all limits missing", small[strings.Index(small, "limits:"):], "", []string{"limits.deadline", "limits.bytes", "limits.inodes", "limits.processes", "limits.memory", "limits.changes", "media.max_bytes", "media.max_files", "network.timeout"}},

		{"a duration without unit", "deadline: 5m", "deadline: 300", []string{"line 10", `"300"`, "duration"}},
		{"a negative duration", "deadline: 5m", "deadline: -5m", []string{"line 10", "duration"}},
		{"a list for a duration", "deadline: 5m", "deadline: [5m]", []string{"line 10", "duration"}},
		{"a size in other units", "bytes: 256MiB", "bytes: 256MB", []string{"line 11", `"256MB"`, "size"}},
		{"a negative size", "bytes: 256MiB", "bytes: -1MiB", []string{"line 11", "size"}},
		{"a size that overflows", "bytes: 256MiB", "bytes: 99999999999GiB", []string{"line 11", "size"}},
		{"less memory than it may write", "memory: 512MiB", "memory: 256MiB", []string{"line 15", "limits.memory is 268435456"}},
		{"no process to start", "processes: 256", "processes: 1", []string{"line 14", "limits.processes is 1"}},
		{"a size above its bound", "bytes: 256MiB", "bytes: 9GiB", []string{"line 11", "limits.bytes is 9663676416"}},

		{"relative path", "/etc/rsyslog.d/*.conf", "etc/rsyslog.d/*.conf", []string{"classes.syslog.paths", "absolute"}},
		{"no path", "path: /etc/rsyslog.d/*.conf", "path: ''", []string{"absolute"}},
		{"path with ..", "/etc/rsyslog.d/*.conf", "/etc/x/../shadow", []string{"clean"}},
		{"path with a final slash", "/etc/rsyslog.d/*.conf", "/etc/rsyslog.d/", []string{"clean"}},
		{"the root", "/etc/rsyslog.d/*.conf", "/", []string{`"/"`}},
		{"the whole tree", "/etc/rsyslog.d/*.conf", "/**", []string{`"/**"`}},
		{"** in the middle", "/etc/rsyslog.d/*.conf", "/etc/**/x.conf", []string{"** stands only as the last element"}},
		{"** as a part", "/etc/rsyslog.d/*.conf", "/etc/rsyslog.d/**.conf", []string{"** stands only as the last element"}},
		{"** twice", "/etc/rsyslog.d/*.conf", "/etc/**/**", []string{"** stands only as the last element"}},
		{"open bracket", "/etc/rsyslog.d/*.conf", "'/etc/rsyslog.d/[a.conf'", []string{"balanced"}},
		{"passwd", "/etc/rsyslog.d/*.conf", "/etc/passwd", []string{`"/etc/passwd"`, "whatever the policy says"}},
		{"a unit", "/etc/rsyslog.d/*.conf", "/etc/systemd/system/x.service", []string{"whatever the policy says", "systemctl"}},
		{"units", "/etc/rsyslog.d/*.conf", "/etc/systemd/system/**", []string{"whatever the policy says"}},
		{"its own policy", "/etc/rsyslog.d/*.conf", "/etc/ctxagent/policy.yaml", []string{"ctxagent's own"}},

		{"neither grammar nor content", "        grammar: rsyslog\n", "", []string{"grammar: NAME or content: opaque"}},
		{"both grammar and content", "grammar: rsyslog", "grammar: rsyslog\n        content: opaque\n        max_bytes: 1KiB", []string{"grammar: NAME or content: opaque"}},
		{"unknown grammar", "grammar: rsyslog", "grammar: syslogd", []string{`unknown grammar "syslogd"`, "rsyslog"}},
		{"unknown word for image files", "grammar: rsyslog", "grammar: rsyslog\n        image_files: change", []string{"line 5", `image_files is "change"`, "keep and replace"}},
		{"unknown word for an absent disc", "  wait: 10s", "  wait: 10s\n  absent: remove", []string{`media.absent is "remove"`, "keep and revert", "line"}},
		{"no word for an absent disc", "  wait: 10s", "  wait: 10s\n  absent: ''", []string{"media.absent"}},
		{"unknown word for the stages", "version: 1", "version: 1\nstages: {run: once}", []string{"line 2", `stages.run is "once"`, "every-boot and once-per-context"}},
		{"unknown key of the stages", "version: 1", "version: 1\nstages: {runs: once}", []string{"line 2", `"runs"`}},
		{"unknown content", "grammar: rsyslog", "content: any", []string{`content is "any"`}},
		{"opaque without max_bytes", "grammar: rsyslog", "content: opaque", []string{"max_bytes"}},
		{"opaque with zero max_bytes", "grammar: rsyslog", "content: opaque\n        max_bytes: 0", []string{"max_bytes"}},
		{"opaque with allow", "grammar: rsyslog", "content: opaque\n        max_bytes: 1KiB\n        allow: [x]", []string{"allow"}},

		{"a unit without suffix", "- rsyslog.service", "- rsyslog", []string{"classes.syslog.units", `"rsyslog"`, ".service"}},
		{"a suffix alone", "- rsyslog.service", "- .service", []string{`".service"`}},
		{"a mount unit", "- rsyslog.service", "- home.mount", []string{`"home.mount"`}},
		{"an option as a unit", "- rsyslog.service", "- --force.service", []string{`"--force.service"`}},
		{"a unit with a slash", "- rsyslog.service", "- ../x.service", []string{`"../x.service"`}},
		{"a unit glob", "- rsyslog.service", "- '*.service'", []string{`"*.service"`}},
		{"a unit with a blank", "- rsyslog.service", "- 'a b.service'", []string{`"a b.service"`}},
	} {
		if !strings.Contains(small, tt.old) {
			t.Fatalf("%s: small has no %q", tt.name, tt.old)
		}
		text := strings.Replace(small, tt.old, tt.new, 1)
		p, err := Parse("p", []byte(text))
		if err == nil {
			t.Errorf("%s: Parse() = %+v, nil; want an error", tt.name, p)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: Parse() = %q; want an error with %q", tt.name, err, w)
			}
		}
		if p != nil {
			t.Errorf("%s: Parse() gives a policy beside its error", tt.name)
		}
		if strings.Contains(err.Error(), "not found in type") {
			t.Errorf("%s: Parse() = %q; want the key in plain words", tt.name, err)
		}
	}
}

// Every finding of one policy is told at once.
func TestParseTellsEveryFinding(t *testing.T) {
	text := strings.Replace(small, "/etc/rsyslog.d/*.conf", "/etc/passwd", 1)
	text = strings.Replace(text, "rsyslog.service", "rsyslog", 1)
	text = strings.Replace(text, "changes: 5000", "changes: 0", 1)
	_, err := Parse("p", []byte(text))
	for _, w := range []string{"/etc/passwd", `"rsyslog"`, "limits.changes"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("Parse() = %v; want an error with %q", err, w)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add(dist.Policy)
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := Parse("p", b); err == nil {
			if p.Limits.Changes <= 0 || p.Limits.Deadline <= 0 || p.Limits.Bytes <= 0 {
				t.Errorf("Parse(%q) = %+v; want no policy without limits", b, p)
			}
			_, _ = p.Check(Proposal{Changes: []Change{{Path: "/etc/x", Op: Create, Type: Directory}}}, Accounts{})
		}
	})
}
