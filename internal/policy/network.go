// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// The words of the network section, the default first (docs/network.md gives
// the reasons).
var (
	families  = []string{"any", "ipv4", "ipv6", "both"}
	requires  = []string{"route", "address", "gateway-resolved"}
	onTimeout = []string{"fail", "run-anyway"}
)

// complete fills in what the file leaves out and lists what is wrong with the
// rest. A key that is there with nothing in it is an error: it could be read as
// the default or as its opposite.
func (n *Network) complete(tree *yaml.Node) []string {
	var faults []string
	fault := func(format string, at []any, a ...any) {
		faults = append(faults, fmt.Sprintf("line %d: ", lineOf(tree, at...))+fmt.Sprintf(format, a...))
	}
	has := func(keys ...string) bool { return node(tree, append([]string{"network"}, keys...)...) != nil }
	for _, w := range []struct {
		key   string
		value *string
		words []string
	}{{"family", &n.Family, families}, {"require", &n.Require, requires}, {"on_timeout", &n.OnTimeout, onTimeout}} {
		if *w.value == "" && !has(w.key) {
			*w.value = w.words[0]
		}
		if !slices.Contains(w.words, *w.value) {
			fault("network.%s is %q; it is one of %s", []any{"network", w.key}, w.key, *w.value, strings.Join(w.words, ", "))
		}
	}
	for i, glob := range n.Interfaces {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			fault("network.interfaces: %q is no pattern such as ens* or eth0", []any{"network", "interfaces", i}, glob)
		}
	}
	if n.Interfaces == nil && has("interfaces") || n.Interfaces != nil && len(n.Interfaces) == 0 {
		fault("network.interfaces names none: leave the key out for every Ethernet-like link", []any{"network", "interfaces"})
	}
	switch {
	case n.Reach == nil && has("reach"):
		fault("network.reach is empty: write [] for no way out, or leave the key out for any", []any{"network", "reach"})
	case n.Reach == nil:
		n.Reach = []ReachRule{{Allow: "any"}}
	}
	for i := range n.Reach {
		if err := n.Reach[i].parse(); err != nil {
			fault("network.reach: %v", []any{"network", "reach", i}, err)
		}
		if list := node(tree, "network", "reach"); list != nil && noPorts(node(member(list, i), "ports")) {
			fault("network.reach: %s: ports names none, or one with nothing in it: leave the key out for all ports", []any{"network", "reach", i}, &n.Reach[i])
		}
	}
	n.Relay.complete(has)
	return faults
}

// complete gives a limit that is left out its default, never none.
func (r *Relay) complete(has func(...string) bool) {
	if r.Connections == 0 && !has("relay", "connections") {
		r.Connections = 1000
	}
	if r.Bytes == 0 && !has("relay", "bytes") {
		r.Bytes = 4 << 30
	}
	if r.Time == 0 && !has("relay", "time") {
		r.Time = Duration(5 * time.Minute)
	}
}

// noPorts tells of a list that could be read as all ports, or as none.
func noPorts(list *yaml.Node) bool {
	return list != nil && (len(list.Content) == 0 || slices.ContainsFunc(list.Content, func(n *yaml.Node) bool { return n.ShortTag() == "!!null" }))
}

// member is one of a list.
func member(list *yaml.Node, i int) *yaml.Node {
	if n := list.Content[i]; n.Kind != yaml.AliasNode {
		return n
	}
	return list.Content[i].Alias
}

// node is what the keys lead to; nil if the file does not have it.
func node(n *yaml.Node, keys ...string) *yaml.Node {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	for _, key := range keys {
		var next *yaml.Node
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		if n = next; n == nil {
			return nil
		}
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
	}
	return n
}
