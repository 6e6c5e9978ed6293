// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/ctxagent/ctxagent/internal/grammar"
)

// Schema is a JSON Schema (2020-12) of policy files, for editors. It is made of
// the types that Parse fills, and so has every key that Parse knows; what it
// cannot say, such as bounds and the paths that are always refused, Parse says.
// What Parse takes it does not reject, but for slips that Parse passes over: a
// fraction of a count, and a list's member with nothing in it.
func Schema() ([]byte, error) {
	s := object(reflect.TypeFor[Policy]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "ctxagent policy"
	s["properties"].(map[string]any)["version"] = map[string]any{"const": 1}
	return json.MarshalIndent(s, "", "  ")
}

// schemaOf has null wherever Parse takes a key with nothing in it as left out, and
// for a text each scalar: `ports: [443]` and `label: 2026` are numbers in YAML.
func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[Duration]():
		return map[string]any{"type": []string{"string", "integer", "null"}, "pattern": `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^[+-]?0$`,
			"minimum": 0, "maximum": 0, "examples": []string{"90s", "2m"}} // without a unit there is only 0
	case reflect.TypeFor[Size]():
		return map[string]any{"type": []string{"integer", "string", "null"}, "minimum": 0, "pattern": `^\+?[0-9]+\s*(KiB|MiB|GiB)?$`, "examples": []string{"512KiB", "64MiB"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return object(t)
	case reflect.Slice:
		return map[string]any{"type": []string{"array", "null"}, "items": schemaOf(t.Elem())}
	case reflect.Bool: // with YAML 1.1's words for it
		return map[string]any{"enum": []any{true, false, nil, "yes", "no", "on", "off", "y", "n", "Y", "N"}}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": []string{"integer", "null"}, "minimum": 0}
	}
	return map[string]any{"type": []string{"string", "number", "boolean", "null"}}
}

func object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || !f.IsExported() {
			continue
		}
		properties[key] = schemaOf(f.Type)
		if words, empty := wordsOf(t, key); words != nil {
			properties[key] = enum(words, empty)
		}
	}
	s := map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
	switch t {
	case reflect.TypeFor[PathRule]():
		properties["path"] = map[string]any{"type": "string", "pattern": "^/."}
		s["required"] = []string{"path"}
		s["oneOf"] = []any{filled("grammar"), filled("content")}
	case reflect.TypeFor[ReachRule]():
		properties["ports"].(map[string]any)["items"] = map[string]any{
			"type": []string{"integer", "string"}, "minimum": 1, "maximum": 65535, "pattern": "^[0-9]+(-[0-9]+)?$"}
		properties["ports"].(map[string]any)["type"], properties["ports"].(map[string]any)["minItems"] = "array", 1
	}
	return s
}

// filled is that a key is there, with something in it.
func filled(key string) map[string]any {
	return map[string]any{"required": []string{key}, "properties": map[string]any{key: map[string]any{"type": "string", "minLength": 1}}}
}

// wordsOf are all words of a key that Parse restricts to some (none if it does not),
// and what it takes for a key with nothing in it.
func wordsOf(t reflect.Type, key string) (words []string, empty []any) {
	switch t {
	case reflect.TypeFor[PathRule]():
		return map[string][]string{"grammar": grammar.Formats(), "content": {"opaque"}, "image_files": imageFiles}[key], []any{"", nil}
	case reflect.TypeFor[Network]():
		return map[string][]string{"family": families, "require": requires, "on_timeout": onTimeout}[key], nil
	}
	for _, c := range new(Policy).words() {
		if c.key == strings.ToLower(t.Name())+"."+key {
			return c.known, []any{nil}
		}
	}
	return nil, nil
}

func enum(words []string, empty []any) map[string]any {
	var all []any
	for _, w := range words {
		all = append(all, w)
	}
	return map[string]any{"enum": append(all, empty...)}
}
