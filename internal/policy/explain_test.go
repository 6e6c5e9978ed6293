// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/dist"
	"go.yaml.in/yaml/v3"
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

// TestSchemaKnowsTheDefault walks the default policy: every key is in the schema.
func TestSchemaKnowsTheDefault(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(dist.Policy, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(at string, n *yaml.Node, s map[string]any)
	walk = func(at string, n *yaml.Node, s map[string]any) {
		switch n.Kind {
		case yaml.MappingNode:
			if s["additionalProperties"] != false {
				t.Errorf("%s: unknown keys are let through", at)
			}
			for i := 0; i < len(n.Content); i += 2 {
				key := n.Content[i].Value
				next, ok := s["properties"].(map[string]any)[key].(map[string]any)
				if !ok {
					t.Errorf("%s.%s is not in the schema", at, key)
					continue
				}
				walk(at+"."+key, n.Content[i+1], next)
			}
		case yaml.SequenceNode:
			for _, c := range n.Content {
				walk(at+"[]", c, s["items"].(map[string]any))
			}
		default:
			if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, any(n.Value)) {
				t.Errorf("%s: %q is not among %v", at, n.Value, enum)
			}
		}
	}
	walk("policy", tree.Content[0], schema)
}
