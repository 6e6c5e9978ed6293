// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ctxagent/ctxagent/dist"
)

// parsedSchema is the schema as another program reads it.
func parsedSchema(t *testing.T) map[string]any {
	t.Helper()
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is a YAML text as JSON's types.
func asJSON(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// understood are the keywords that rejects knows, and those that reject nothing.
var understood = strings.Fields("type enum const pattern minimum maximum minLength minItems required oneOf properties additionalProperties items $schema title examples")

// rejects says what a schema has against a value; "" for nothing.
func rejects(t *testing.T, at string, v any, s map[string]any) string {
	t.Helper()
	for k := range s {
		if !slices.Contains(understood, k) {
			t.Fatalf("%s: %s is no keyword that this test knows", at, k)
		}
	}
	if types, ok := s["type"]; ok && !slices.ContainsFunc(typesOf(v), func(is string) bool { return is == types || slices.Contains(list(types), any(is)) }) {
		return fmt.Sprintf("%s: %v is not of type %v", at, v, types)
	}
	if words, ok := s["enum"]; ok && !slices.Contains(list(words), v) {
		return fmt.Sprintf("%s: %v is not among %v", at, v, words)
	}
	if c, ok := s["const"]; ok && c != v {
		return fmt.Sprintf("%s: %v is not %v", at, v, c)
	}
	fit := 0
	for _, one := range list(s["oneOf"]) {
		if rejects(t, at, v, one.(map[string]any)) == "" {
			fit++
		}
	}
	if s["oneOf"] != nil && fit != 1 {
		return fmt.Sprintf("%s: %d of oneOf fit", at, fit)
	}
	switch v := v.(type) {
	case string:
		least, _ := s["minLength"].(float64)
		pattern, _ := s["pattern"].(string)
		if !regexp.MustCompile(pattern).MatchString(v) || utf8.RuneCountInString(v) < int(least) {
			return fmt.Sprintf("%s: %q does not match %q", at, v, pattern)
		}
	case float64:
		if least, ok := s["minimum"].(float64); ok && v < least {
			return fmt.Sprintf("%s: %v is below %v", at, v, least)
		}
		if most, ok := s["maximum"].(float64); ok && v > most {
			return fmt.Sprintf("%s: %v is above %v", at, v, most)
		}
	case []any:
		if least, ok := s["minItems"].(float64); ok && len(v) < int(least) {
			return fmt.Sprintf("%s: fewer than %v members", at, least)
		}
		for i, m := range v {
			if items, ok := s["items"].(map[string]any); ok {
				if why := rejects(t, fmt.Sprintf("%s[%d]", at, i), m, items); why != "" {
					return why
				}
			}
		}
	case map[string]any:
		return rejectsObject(t, at, v, s)
	}
	return ""
}

func rejectsObject(t *testing.T, at string, v map[string]any, s map[string]any) string {
	for _, key := range list(s["required"]) {
		if _, ok := v[key.(string)]; !ok {
			return fmt.Sprintf("%s: no %s", at, key)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(v)) {
		p, ok := properties[key].(map[string]any)
		if !ok && s["additionalProperties"] == false {
			return fmt.Sprintf("%s: there is no key %s", at, key)
		}
		if !ok {
			continue
		}
		if why := rejects(t, at+"."+key, v[key], p); why != "" {
			return why
		}
	}
	return ""
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func typesOf(v any) []string {
	switch v := v.(type) {
	case nil:
		return []string{"null"}
	case bool:
		return []string{"boolean"}
	case string:
		return []string{"string"}
	case float64:
		if v == math.Trunc(v) {
			return []string{"number", "integer"}
		}
		return []string{"number"}
	case []any:
		return []string{"array"}
	}
	return []string{"object"}
}

// TestSchemaTakesOurPolicies: the default one, and those that the documents show.
func TestSchemaTakesOurPolicies(t *testing.T) {
	texts := map[string][]byte{"dist/policy.yaml": dist.Policy}
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("../../examples/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	for _, name := range append(documents, examples...) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range block.FindAllSubmatch(b, -1) {
			if !bytes.HasPrefix(m[1], []byte("spec:")) { // KubeVirt's
				texts[fmt.Sprintf("%s, block %d", name, i+1)] = m[1]
			}
		}
	}
	if len(texts) < 2 {
		t.Error("the documents show no policy")
	}
	s := parsedSchema(t)
	for name, text := range texts {
		if why := rejects(t, name, asJSON(t, text), s); why != "" {
			t.Error(why)
		}
	}
}

// TestSchemaTakesWhatParseTakes puts other values in each place of a policy: what
// Parse takes, the schema has to take.
func TestSchemaTakesWhatParseTakes(t *testing.T) {
	const every = `version: 1
classes:
  syslog:
    paths:
      - {path: /etc/a, grammar: rsyslog, owners: [a], allow: [b], image_files: keep, exec: true, max_bytes: 1KiB}
      - {path: /etc/b, content: opaque, max_bytes: 1KiB}
    units: [a.service]
    validators: [[/bin/a, -n]]
  monitoring: {}
  batch: {}
limits: {deadline: 5m, bytes: 1MiB, inodes: 20000, processes: 256, memory: 512MiB, changes: 5000}
media: {wait: 1s, label: a, writable_disks: false, max_bytes: 1KiB, max_files: 9, signature: warn, absent: keep}
stages: {run: every-boot}
network:
  timeout: 2m
  interfaces: [eth0]
  family: any
  require: route
  settle: 0s
  on_timeout: fail
  reach: [{allow: any, ports: ["1"]}, {deny: 192.0.2.1, ports: [1-2]}]
  relay: {connections: 1, bytes: 1KiB, time: 5m}
mutable: [/tmp/**]
`
	values := []any{nil, "", 0, 443, 5000, 2000.5, true, false, "a", "a.service", "/etc/a", "443", "1-2", "0", "1s", "1.5h", ".5m", "1m30s", "+5m", "1KiB", "512 MiB", "yes", "off", "N",
		[]any{}, []any{443}, []any{"a"}, map[string]any{}}
	s := parsedSchema(t)
	for _, w := range []string{"keep", "replace", "revert", "off", "warn", "require", EveryBoot, OncePerContext, "opaque", "slurm"} {
		values = append(values, w)
	}
	for _, words := range [][]string{families, requires, onTimeout} {
		for _, w := range words {
			values = append(values, w)
		}
	}
	taken := 0
	eachPlace(asJSON(t, []byte(every)), func(at string, whole, was any, set func(any)) {
		_, count := was.(float64)
		member := strings.HasSuffix(at, "]")
		for _, v := range values {
			if count && v == 2000.5 || member && v == nil {
				continue // slips that Parse passes over
			}
			set(v)
			text, err := yaml.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse("a", text); err != nil {
				continue
			}
			taken++
			if why := rejects(t, "policy", asJSON(t, text), s); why != "" {
				t.Errorf("%s: %v: the schema rejects what Parse takes: %s", at, v, why)
			}
		}
	})
	if taken < 200 {
		t.Errorf("Parse took only %d", taken)
	}
}

// eachPlace calls f for each value below v, with what puts another in its place.
func eachPlace(whole any, f func(at string, whole, was any, set func(any))) {
	var walk func(at string, v any, set func(any))
	walk = func(at string, v any, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(at+"."+k, v[k], func(other any) { v[k] = other })
			}
		case []any:
			for i := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), v[i], func(other any) { v[i] = other })
			}
		}
		if at != "" {
			f(at, whole, v, set)
			set(v)
		}
	}
	walk("", whole, nil)
}

// TestSchemaKnowsTheWords: a value that has to be one of some words is an enum of
// them, and one that is none is rejected.
func TestSchemaKnowsTheWords(t *testing.T) {
	s := parsedSchema(t)
	for _, tt := range []struct {
		at   string
		want []any
	}{
		{"media.signature", []any{"off", "warn", "require", nil}},
		{"media.absent", []any{"keep", "revert", nil}},
		{"stages.run", []any{"every-boot", "once-per-context", nil}},
		{"network.family", []any{"any", "ipv4", "ipv6", "both"}},
		{"network.require", []any{"route", "address", "gateway-resolved"}},
		{"network.on_timeout", []any{"fail", "run-anyway"}},
		{"classes.batch.paths.image_files", []any{"keep", "replace", "", nil}},
		{"classes.batch.paths.content", []any{"opaque", "", nil}},
	} {
		at := s
		for key := range strings.SplitSeq(tt.at, ".") {
			if items, ok := at["items"].(map[string]any); ok {
				at = items
			}
			at, _ = at["properties"].(map[string]any)[key].(map[string]any)
		}
		if !reflect.DeepEqual(list(at["enum"]), tt.want) {
			t.Errorf("%s: %v; want %v", tt.at, at["enum"], tt.want)
		}
	}
	for text, part := range map[string]string{
		"media: {signature: maybe}": "not among", "network: {famliy: any}": "no key", "network: {reach: [{allow: any, ports: [0]}]}": "below",
		"network: {reach: [{allow: any, ports: [http]}]}": "match", "network: {reach: [{allow: any, ports: }]}": "not", "network: {reach: [{allow: any, ports: []}]}": "fewer", "limits: {deadline: 5}": "above", "limits: {bytes: 5 MB}": "match", "limits: {inodes: many}": "type",
		"classes: {batch: {paths: [{path: /etc/a, grammar: none}]}}": "not among", "classes: {batch: {paths: [{path: /etc/a}]}}": "oneOf",
		"classes: {batch: {paths: [{grammar: slurm}]}}": "no path", "mutable: {}": "type", "version: 2": "is not 1",
	} {
		if why := rejects(t, "policy", asJSON(t, []byte(text)), s); !strings.Contains(why, part) {
			t.Errorf("%s: %q; want %q", text, why, part)
		}
	}
}
