// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/dist"
)

func TestExplain(t *testing.T) {
	p, err := Parse("default", dist.Policy)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct{ always, class, rule, directory string }{
		"/etc/passwd":                 {always: "accounts"},
		"/etc/rsyslog.d/50-site.conf": {class: "syslog", rule: "/etc/rsyslog.d/*.conf"},
		"/etc/munge/munge.key":        {class: "batch", rule: "/etc/munge/munge.key"},
		"/opt/condor/bin/x":           {class: "batch", rule: "/opt/condor/**"},
		"/etc/rsyslog.d":              {directory: "syslog"},
		"/etc/motd":                   {},
		"/etc/rsyslog.d/../passwd":    {always: "accounts"},
	} {
		e := p.Explain(path)
		rule := ""
		if e.Rule != nil {
			rule = e.Rule.Path
		}
		if (e.Always == "") != (want.always == "") || !strings.Contains(e.Always, want.always) || e.Class != want.class || rule != want.rule || e.DirectoryFor != want.directory {
			t.Errorf("Explain(%q) = %+v, rule %q; want %+v", path, e, rule, want)
		}
	}
}

// TestExplainIsCheck: what Explain says of a path is what Check does with it.
func TestExplainIsCheck(t *testing.T) {
	p, err := Parse("default", dist.Policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.classes() {
		for _, r := range c.Paths {
			name := strings.NewReplacer("/**", "/x", "*", "x").Replace(r.Path)
			e := p.Explain(name)
			if e.Rule == nil || e.Class != c.name {
				t.Errorf("Explain(%q) = %+v; want class %s", name, e, c.name)
			}
		}
	}
	for _, a := range always {
		for pattern := range strings.FieldsSeq(a.patterns) {
			name := strings.NewReplacer("/**", "/x", "*", "x", "?", "5").Replace(pattern)
			_, err := p.Check(Proposal{Changes: []Change{{Path: name, Op: Create, Type: File, Attr: Attr{Mode: 0o644}}}}, Accounts{})
			if e := p.Explain(name); e.Always == "" || err == nil {
				t.Errorf("%q: Explain %q, Check %v; want both refused", name, e.Always, err)
			}
		}
	}
}

func TestDiff(t *testing.T) {
	after := strings.NewReplacer("deadline: 5m", "deadline: 10m", "      - rsyslog.service\n", "      - rsyslog.service\n      - vector.service\n",
		"      - path: /etc/rsyslog.d/*.conf\n        grammar: rsyslog\n", "").Replace(string(dist.Policy))
	got, err := Diff(dist.Policy, []byte(after))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range got {
		lines = append(lines, d.String())
	}
	want := []string{
		"- classes.syslog.paths /etc/rsyslog.d/*.conf: grammar: rsyslog",
		"+ classes.syslog.units vector.service: allowed",
		"~ limits.deadline: 10m, was 5m",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("Diff = %q; want %q", lines, want)
	}
	if same, err := Diff(dist.Policy, dist.Policy); err != nil || len(same) > 0 {
		t.Errorf("a policy and itself: %v, %v", same, err)
	}
}

// TestDiffSeesEachRule: of reach, too, whose rules have no path, and where rules
// are about one target; and the order where it decides.
func TestDiffSeesEachRule(t *testing.T) {
	const (
		anyone = "    - allow: any\n"
		two    = "    - deny: 192.0.2.0/24\n    - allow: host.example.org\n      ports: [443]\n"
		pbs    = "      - path: /opt/pbs/**\n        content: opaque\n        max_bytes: 64MiB\n        exec: true\n"
		cond   = "      - condor.service\n"
		mung   = "      - munge.service\n      - slurmd.service\n"
	)
	sge := strings.Replace(pbs, "pbs", "sge", 1)
	for _, tt := range []struct {
		name, inDefault, before, after string
		want                           []string
	}{
		{"added", anyone, anyone, two + anyone, []string{"+ network.reach allow host.example.org: ports: [443]", "+ network.reach deny 192.0.2.0/24: all ports"}},
		{"taken away", anyone, two + anyone, anyone, []string{"- network.reach allow host.example.org: ports: [443]", "- network.reach deny 192.0.2.0/24: all ports"}},
		{"changed", anyone, two, strings.Replace(two, "443", "443, 9600-9700", 1), []string{"~ network.reach allow host.example.org: ports: [443, 9600-9700], was ports: [443]"}},
		{"turned round", anyone, anyone, "    - deny: any\n", []string{"- network.reach allow any: all ports", "+ network.reach deny any: all ports"}},
		{"another rule for one target", anyone, two, two + "    - allow: host.example.org\n      ports: [80]\n", []string{"+ network.reach allow host.example.org (2): ports: [80]"}},
		{"order", anyone, two + anyone, anyone + two, []string{"~ network.reach order: allow any before deny 192.0.2.0/24, was deny 192.0.2.0/24 before allow any"}},
		{"order beside a change", anyone, two, "    - allow: host.example.org\n    - deny: 192.0.2.0/24\n", []string{
			"~ network.reach allow host.example.org: all ports, was ports: [443]",
			"~ network.reach order: allow host.example.org before deny 192.0.2.0/24, was deny 192.0.2.0/24 before allow host.example.org"}},
		{"rules around one, in no other order", anyone, anyone, "    - deny: 192.0.2.0/24\n" + anyone + "    - deny: any\n", []string{"+ network.reach deny 192.0.2.0/24: all ports", "+ network.reach deny any: all ports"}},
		{"no way out", anyone, anyone, "    []\n", []string{"+ network.reach: []", "- network.reach allow any: all ports"}},
		{"by an alias", anyone, "    - &a {allow: any, ports: [1]}\n    - *a\n", "    - &a {allow: any, ports: [2]}\n    - *a\n", []string{
			"~ network.reach allow any: ports: [2], was ports: [1]", "~ network.reach allow any (2): ports: [2], was ports: [1]"}},
		{"order of paths", pbs + "      - path: /opt/sge/**\n", pbs + "      - path: /opt/sge/**\n", sge + "      - path: /opt/pbs/**\n", []string{
			"~ classes.batch.paths order: /opt/sge/** before /opt/pbs/**, was /opt/pbs/** before /opt/sge/**"}},
		{"order of units", mung + cond, mung + cond, cond + mung, nil},
	} {
		var texts [2][]byte
		for i, part := range []string{tt.before, tt.after} {
			texts[i] = []byte(strings.Replace(string(dist.Policy), tt.inDefault, part, 1))
			if _, err := Parse(tt.name, texts[i]); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		var lines []string
		got, err := Diff(texts[0], texts[1])
		for _, d := range got {
			lines = append(lines, d.String())
		}
		if err != nil || !slices.Equal(lines, tt.want) || string(texts[0]) == string(texts[1]) {
			t.Errorf("%s: Diff = %q, %v; want %q", tt.name, lines, err, tt.want)
		}
	}
}
