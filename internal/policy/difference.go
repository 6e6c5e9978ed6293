// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Difference is one setting in which a policy differs from another.
type Difference struct {
	Key    string `json:"key"`              // such as "limits.deadline" or "classes.batch.units pbs.service"
	Before string `json:"before,omitempty"` // "" if it is added
	After  string `json:"after,omitempty"`  // "" if it is taken away
}

// String is the difference in one line, which begins with +, - or ~.
func (d Difference) String() string {
	switch {
	case d.Before == "":
		return fmt.Sprintf("+ %s: %s", d.Key, d.After)
	case d.After == "":
		return fmt.Sprintf("- %s: %s", d.Key, d.Before)
	}
	return fmt.Sprintf("~ %s: %s, was %s", d.Key, d.After, d.Before)
}

// Diff lists what policy file b adds to a, takes away or sets otherwise, sorted
// by key. Both have to be valid. The order of entries counts for nothing here,
// though the first path rule that covers a path decides about it.
func Diff(a, b []byte) ([]Difference, error) {
	before, err := settings(a)
	if err != nil {
		return nil, err
	}
	after, err := settings(b)
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for k := range before {
		keys[k] = true
	}
	for k := range after {
		keys[k] = true
	}
	var out []Difference
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if before[k] != after[k] {
			out = append(out, Difference{Key: k, Before: before[k], After: after[k]})
		}
	}
	return out, nil
}

// settings flattens a policy file: each path rule, unit and plain value is one
// entry.
func settings(data []byte) (map[string]string, error) {
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	out := map[string]string{}
	if len(tree.Content) > 0 {
		flatten(out, "", tree.Content[0])
	}
	return out, nil
}

func flatten(out map[string]string, key string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			flatten(out, strings.TrimPrefix(key+"."+n.Content[i].Value, "."), n.Content[i+1])
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			name, value := element(c)
			out[key+" "+name] = value
		}
	default:
		out[key] = fmt.Sprintf("%q", n.Value)
		if n.Value != "" && !strings.ContainsAny(n.Value, "\n\"") {
			out[key] = n.Value
		}
	}
}

// element names a member of a list: a path rule by its path, and anything else by
// what it is.
func element(n *yaml.Node) (name, value string) {
	if n.Kind != yaml.MappingNode {
		return inline(n), "allowed"
	}
	var rest []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "path" {
			name = n.Content[i+1].Value
			continue
		}
		rest = append(rest, n.Content[i].Value+": "+inline(n.Content[i+1]))
	}
	slices.Sort(rest)
	return name, strings.Join(rest, ", ")
}

func inline(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	var parts []string
	for _, c := range n.Content {
		parts = append(parts, inline(c))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
