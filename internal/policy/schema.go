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
func Schema() ([]byte, error) {
	s := object(reflect.TypeFor[Policy]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "ctxagent policy"
	s["properties"].(map[string]any)["version"] = map[string]any{"const": 1}
	return json.MarshalIndent(s, "", "  ")
}

func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`, "examples": []string{"90s", "2m"}}
	case reflect.TypeFor[Size]():
		return map[string]any{"type": []string{"integer", "string"}, "pattern": "^[0-9]+ *(KiB|MiB|GiB)?$", "examples": []string{"512KiB", "64MiB"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Struct:
		return object(t)
	case reflect.Slice:
		return map[string]any{"type": []string{"array", "null"}, "items": schemaOf(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint32:
		return map[string]any{"type": "integer", "minimum": 0}
	}
	return map[string]any{"type": "string"}
}

func object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || !f.IsExported() {
			continue
		}
		s := schemaOf(f.Type)
		switch {
		case t == reflect.TypeFor[PathRule]() && key == "grammar":
			s["enum"] = grammar.Formats()
		case t == reflect.TypeFor[PathRule]() && key == "content":
			s["enum"] = []string{"opaque"}
		case t == reflect.TypeFor[PathRule]() && key == "path":
			s["pattern"] = "^/."
		}
		properties[key] = s
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if t == reflect.TypeFor[PathRule]() {
		s["required"] = []string{"path"}
		s["oneOf"] = []any{map[string]any{"required": []string{"grammar"}}, map[string]any{"required": []string{"content"}}}
	}
	return s
}
