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
	Key    string `json:"key"`              // such as "limits.deadline", "classes.batch.units pbs.service" or "network.reach order"
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
// by key. Both have to be valid. The order of entries counts where the first one
// that fits decides: in paths and in reach.
func Diff(a, b []byte) ([]Difference, error) {
	before, err := settingsOf(a)
	if err != nil {
		return nil, err
	}
	after, err := settingsOf(b)
	if err != nil {
		return nil, err
	}
	keys := maps.Clone(before.values)
	maps.Copy(keys, after.values)
	var out []Difference
	for k := range keys {
		if before.values[k] != after.values[k] {
			out = append(out, Difference{Key: k, Before: before.values[k], After: after.values[k]})
		}
	}
	for k := range before.ordered {
		if was, is, moved := reordered(before.ordered[k], after.ordered[k]); moved {
			out = append(out, Difference{Key: k + " order", Before: was + " before " + is, After: is + " before " + was})
		}
	}
	slices.SortFunc(out, func(x, y Difference) int { return strings.Compare(x.Key, y.Key) })
	return out, nil
}

// reordered finds the first of the members that both lists have which stands
// elsewhere in b: there is comes before was.
func reordered(a, b []string) (was, is string, moved bool) {
	both := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(m string) bool { return !slices.Contains(other, m) })
	}
	a, b = both(a, b), both(b, a)
	for i := range a {
		if a[i] != b[i] {
			return a[i], b[i], true
		}
	}
	return "", "", false
}

// settings are a policy file's, flattened: each rule, unit and plain value is one
// entry. Ordered are the names of the rules in lists whose order decides.
type settings struct {
	values  map[string]string
	ordered map[string][]string
}

func settingsOf(data []byte) (settings, error) {
	s := settings{map[string]string{}, map[string][]string{}}
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return s, err
	}
	if len(tree.Content) > 0 {
		s.flatten("", tree.Content[0])
	}
	return s, nil
}

func (s settings) flatten(key string, n *yaml.Node) {
	n = named(n)
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			s.flatten(strings.TrimPrefix(key+"."+n.Content[i].Value, "."), n.Content[i+1])
		}
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
		s.list(key, n.Content)
	case n.Kind == yaml.SequenceNode:
		s.values[key] = "[]" // for reach the opposite of a key that is left out
	default:
		s.values[key] = fmt.Sprintf("%q", n.Value)
		if n.Value != "" && !strings.ContainsAny(n.Value, "\n\"") {
			s.values[key] = n.Value
		}
	}
}

// list takes the members of a list. Those of one name, such as two rules for one
// target's ports, are numbered: none may hide another.
func (s settings) list(key string, members []*yaml.Node) {
	seen := map[string]int{}
	for _, c := range members {
		name, value := element(c)
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, seen[name])
		}
		s.values[key+" "+name] = value
		if strings.HasSuffix(key, ".paths") || key == "network.reach" {
			s.ordered[key] = append(s.ordered[key], name)
		}
	}
}

// element names a member of a list: a path rule by its path, one of reach by its
// target, and anything else by what it is.
func element(n *yaml.Node) (name, value string) {
	n = named(n)
	if n.Kind != yaml.MappingNode {
		return inline(n), "allowed"
	}
	var rest []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key, v := n.Content[i].Value, named(n.Content[i+1]); {
		case key == "path":
			name = v.Value
		case (key == "allow" || key == "deny") && v.Kind == yaml.ScalarNode && v.Value != "": // a path rule's allow is a list
			name = key + " " + v.Value
		default:
			rest = append(rest, key+": "+inline(v))
		}
	}
	if len(rest) == 0 {
		return name, "all ports"
	}
	slices.Sort(rest)
	return name, strings.Join(rest, ", ")
}

func inline(n *yaml.Node) string {
	n = named(n)
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	var parts []string
	for _, c := range n.Content {
		parts = append(parts, inline(c))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// named is what an alias stands for, and any other node itself.
func named(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
