// SPDX-License-Identifier: Apache-2.0

// Package sarif writes results for a site's continuous integration to annotate
// files with. Input: results with their place; output: one SARIF log, version
// 2.1.0 (OASIS, 2020-03-27). Section numbers are those of that standard.
package sarif

import (
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"slices"
)

// Result is one thing that was found.
type Result struct {
	Rule    string
	Level   string // "error", "warning" or "note" (3.27.10)
	Message string
	Path    string // relative to the top of the tree; "" for no file
	Line    int    // from 1; 0 for the whole file
	Column  int    // from 1; 0 for the whole line
}

// Tool is who found it.
type Tool struct {
	Name, Version, URI string
	Rules              map[string]string // identifier to description
}

type object = map[string]any

// Write writes a log of one run (3.13, 3.14). Rules that a result names and the
// tool does not know are added.
func Write(w io.Writer, tool Tool, results []Result) error {
	rules := maps.Clone(tool.Rules)
	if rules == nil {
		rules = map[string]string{}
	}
	list := []object{}
	for _, r := range results {
		if _, ok := rules[r.Rule]; !ok {
			rules[r.Rule] = r.Rule
		}
		list = append(list, r.object())
	}
	described := []object{}
	for _, id := range slices.Sorted(maps.Keys(rules)) {
		described = append(described, object{"id": id, "shortDescription": object{"text": rules[id]}})
	}
	log := object{
		"$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		"version": "2.1.0",
		"runs": []object{{
			"tool":       object{"driver": object{"name": tool.Name, "version": tool.Version, "informationUri": tool.URI, "rules": described}},
			"columnKind": "unicodeCodePoints",
			"results":    list,
		}},
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(log)
}

// object is a result (3.27) with its location (3.28 to 3.30).
func (r Result) object() object {
	out := object{"ruleId": r.Rule, "level": r.Level, "message": object{"text": r.Message}}
	if r.Path == "" {
		return out
	}
	place := object{"artifactLocation": object{"uri": (&url.URL{Path: r.Path}).String()}}
	if r.Line > 0 {
		region := object{"startLine": r.Line}
		if r.Column > 0 {
			region["startColumn"] = r.Column
		}
		place["region"] = region
	}
	out["locations"] = []object{{"physicalLocation": place}}
	return out
}
