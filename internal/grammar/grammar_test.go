// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// allowed is a configuration that a site would write.
type allowed struct{ name, text string }

// refused is a configuration that has to be refused, at the line and, unless empty, for the directive.
type refused struct {
	name, text string
	line       int
	directive  string
}

func testAllowed(t *testing.T, format string, tests []allowed) {
	t.Helper()
	for _, tt := range tests {
		t.Run("allowed/"+tt.name, func(t *testing.T) {
			got, err := Check(format, []byte(tt.text), nil)
			if err != nil || len(got) != 0 {
				t.Errorf("Check(%s) = %+v, %v; want no finding", format, got, err)
			}
		})
	}
}

func testRefused(t *testing.T, format string, tests []refused) {
	t.Helper()
	for _, tt := range tests {
		t.Run("refused/"+tt.name, func(t *testing.T) {
			got, err := Check(format, []byte(tt.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(got, func(f Finding) bool {
				return f.Line == tt.line && (tt.directive == "" || f.Directive == tt.directive)
			}) {
				t.Errorf("Check(%s, %q) = %+v; want a finding for %q in line %d", format, tt.text, got, tt.directive, tt.line)
			}
			for _, f := range got {
				if !strings.Contains(f.Reason, ": ") {
					t.Errorf("reason %q does not say what to do", f.Reason)
				}
			}
		})
	}
}

// TestFormats: docs/policy.md says of each format what it allows.
func TestFormats(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := Formats(); !slices.IsSorted(got) || len(got) != len(formats) {
		t.Errorf("Formats() = %q; want all %d, sorted", got, len(formats))
	}
	for _, name := range Formats() {
		if !strings.Contains(string(doc), "\n| `"+name+"`") {
			t.Errorf("docs/policy.md has no row for %q", name)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	for _, name := range []string{"", "RSYSLOG", "rsyslog ", "syslogd"} {
		if _, err := Check(name, nil, nil); !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("Check(%q) = %v; want ErrUnknownFormat", name, err)
		}
	}
}

// neverEmpty are the formats of files that have to say something: without a word, their daemon would do more
// than the allow-list allows.
var neverEmpty = map[string]bool{"netdata": true}

// givesUp are the formats that stop at the first thing they cannot tell the end of.
var givesUp = map[string]bool{"filebeat": true, "gmond": true, "syslog-ng": true}

// TestText checks what holds for every format, before its grammar is asked.
func TestText(t *testing.T) {
	tests := []struct {
		name, text string
		line       int // 0: allowed
	}{
		{"empty", "", 0},
		{"blank lines and a comment", "\n\n# Grüße vom Rechenzentrum\n", 0},
		{"carriage return at the end of a line", "# a\n# b\r\n", 2},
		{"carriage return within a line", "# a\r*.* /etc/passwd\n", 1},
		{"byte order mark", "\ufeff# a\n", 1},
		{"byte order mark further down", "# a\n\ufeff# b\n", 2},
		{"NUL", "# a\n# b\x00c\n", 2},
		{"escape", "# a\x1b[2J\n", 1},
		{"form feed", "# a\n# b\n\f\n", 3},
		{"vertical tab", "\v# a\n", 1},
		{"not UTF-8", "# a\n# \xff\n", 2},
		{"overlong UTF-8", "# \xc0\xaf\n", 1},
		{"UTF-16", "#\x00 \x00a\x00\n", 1},
		{"C1 control", "# \u0085\n", 1},
		{"line separator", "# a\u2028b\n", 1},
		{"right-to-left override", "# \u202eb\n", 1},
		{"no-break space", "# a\u00a0b\n", 1},
		{"too large", strings.Repeat("#\n", maxBytes/2+1), 1},
		{"at the limit", strings.Repeat("#\n", maxBytes/2), 0},
	}
	for _, format := range Formats() {
		for _, tt := range tests {
			got, err := Check(format, []byte(tt.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.line == 0 && neverEmpty[format]:
			case tt.line == 0 && len(got) != 0:
				t.Errorf("%s: %s: %+v; want no finding", format, tt.name, got)
			case tt.line != 0 && (len(got) != 1 || got[0].Line != tt.line):
				t.Errorf("%s: %s: %+v; want one finding in line %d", format, tt.name, got, tt.line)
			}
		}
	}
}

func TestFindingsAreCapped(t *testing.T) {
	for _, text := range []string{strings.Repeat("nonsense\n", 1000), strings.Repeat("\r\n", 1000)} {
		for _, format := range Formats() {
			got, err := Check(format, []byte(text), nil)
			if err != nil || len(got) == 0 || len(got) > maxFindings || len(got) < maxFindings && !givesUp[format] {
				t.Errorf("%s: %d findings, %v; want %d", format, len(got), err, maxFindings)
			}
		}
	}
}

func TestLongDirectiveIsCut(t *testing.T) {
	for _, format := range Formats() {
		got, err := Check(format, []byte(strings.Repeat("é", 100000)), nil)
		if err != nil || len(got) == 0 || len(got[0].Directive) > 100 || len(got[0].Reason) > 500 {
			t.Errorf("%s: %d findings, %v; want one with a short directive and reason", format, len(got), err)
		}
	}
}

// TestExtra adds the directive that each refusal named, and nothing else.
func TestExtra(t *testing.T) {
	tests := []struct {
		format, text, extra string
		ok                  bool
	}{
		{"collectd", "LoadPlugin exec\n<Plugin exec>\nExec \"nobody\" \"/bin/x\"\n</Plugin>\n", "LoadPlugin exec", true},
		{"collectd", "LoadPlugin exec\n", "LoadPlugin python", false},
		{"collectd", "<Plugin network>\nListen \"::\"\n</Plugin>\n", "listen", true},
		{"filebeat", "output.file.path: /srv\n", "output.file.path", true},
		{"filebeat", "output.file.path: \"a\n  # ${X}\"\n", "output.file.path", false},
		{"fluent-bit", "[INPUT]\n  Name exec\n  Command /bin/x\n", "input:exec", true},
		{"fluent-bit", "[INPUT]\n  Name exec\n  Command ${X}\n", "input:exec", false},
		{"fluent-bit", "[SERVICE]\n  HTTP_Server On\n", "http_server", true},
		{"rsyslog", "$WorkDirectory /srv/queue\n", "$workdirectory", true},
		{"rsyslog", "$WorkDirectory /srv/queue\n", "WorkDirectory", false},
		{"rsyslog", `module(load="imtcp")`, "Module", true},
		{"rsyslog", `module(load="om\160rog")`, "module", false},
		{"rsyslog", `action(type="omfwd" target="h" queue.spoolDirectory="/srv")`, "queue.spooldirectory", true},
		{"journald", "[Journal]\nTTYPath=/dev/tty12\n", "TTYPath", true},
		{"journald", "[Journal]\nTTYPath=/dev/tty12\n", "ttypath", false},
		{"node_exporter", `ARGS="--path.rootfs=/host"`, "--path.rootfs", true},
		{"node_exporter", `ARGS="--path.rootfs=/host"`, "--path.procfs", false},
		{"slurm", "Prolog=/etc/slurm/prolog.sh\n", "prolog", true},
		{"slurm", "Licenses=matlab:4\n", "LICENSES", true},
		{"slurm-defaults", `SLURMD_OPTIONS="-f /etc/slurm/other.conf"`, "-f", false},
		{"htcondor", "STARTER = /usr/sbin/other\n", "starter", true},
		{"htcondor", "use feature : gpus\n", "use FEATURE:GPUs", true},
		{"syslog-ng", "rewrite r { set(\"x\" value(\"HOST\")); };\n", "rewrite", true},
		{"syslog-ng", "destination d { file(\"/srv/log\" create_dirs(yes)); };\n", "file", true},
		{"syslog-ng", "destination d { network(\"h\" spoof-source(yes)); };\n", "spoof_source", true},
		{"syslog-ng", "filter f { in-list(\"/etc/list\" value(\"HOST\")) };\n", "in_list", false},
		{"syslog-ng", "filter f { in-list(\"/etc/list\" value(\"HOST\")); };\n", "in_list", true},
		{"telegraf", "[[inputs.exec]]\ncommands = [\"/bin/x\"]\n", "inputs.exec", true},
		{"telegraf", "[agent]\nlogfile = \"/srv/log\"\n", "logfile", true},
		{"htcondor", "LOCAL_DIR = $ENV(HOME)\n", "LOCAL_DIR", false},
	}
	for _, tt := range tests {
		if got, err := Check(tt.format, []byte(tt.text), nil); err != nil || len(got) == 0 {
			t.Errorf("Check(%s, %q) = %+v, %v; want a finding", tt.format, tt.text, got, err)
		}
		got, err := Check(tt.format, []byte(tt.text), []string{tt.extra})
		if err != nil || (len(got) == 0) != tt.ok {
			t.Errorf("Check(%s, %q, %q) = %+v, %v; want allowed %t", tt.format, tt.text, tt.extra, got, err, tt.ok)
		}
	}
}

func ExampleCheck() {
	findings, err := Check("rsyslog", []byte("*.* @@loghost:514\n$ModLoad omprog\n"), nil)
	if err != nil {
		panic(err)
	}
	for _, f := range findings {
		fmt.Printf("line %d: %s\n", f.Line, f.Reason)
	}
	// Output: line 2: "$ModLoad" is not on the allow-list for rsyslog: correct or remove it
}
