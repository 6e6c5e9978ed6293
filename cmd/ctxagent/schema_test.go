// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/internal/report"
)

type schema struct {
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Ref        string            `json:"$ref"`
	Items      *schema           `json:"items"`
	Defs       map[string]schema `json:"$defs"`
}

// TestSchemaIsTheReceipt holds the published schema against the Go type, field
// by field: others rely on the names.
func TestSchemaIsTheReceipt(t *testing.T) {
	b, err := os.ReadFile("../../docs/receipt.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var top schema
	if err := json.Unmarshal(b, &top); err != nil {
		t.Fatal(err)
	}
	compare(t, "receipt", reflect.TypeFor[report.Receipt](), top, top.Defs)
}

func compare(t *testing.T, at string, typ reflect.Type, s schema, defs map[string]schema) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Slice && s.Items != nil {
		compare(t, at+"[]", typ.Elem(), *s.Items, defs)
		return
	}
	if typ.Kind() != reflect.Struct || typ.PkgPath() == "time" {
		return
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		s = defs[name]
	}
	var names, required []string
	for f := range typ.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if option == "" {
			required = append(required, name)
		}
		compare(t, at+"."+name, f.Type, s.Properties[name], defs)
	}
	slices.Sort(names)
	slices.Sort(required)
	if got := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(got, names) {
		t.Errorf("%s: the schema has %q; want %q", at, got, names)
	}
	if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, required) {
		t.Errorf("%s: the schema requires %q; want %q", at, got, required)
	}
}
