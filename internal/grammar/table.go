// SPDX-License-Identifier: Apache-2.0

package grammar

import "sync"

// Every process of the agent starts by initialising this package, and few of
// them check a file: what is built when it is first used costs the others
// nothing (together it took 2.6 ms, of three processes for each stage). What the
// tables call is kept out of line, since inlined a thousand times it would be
// half a megabyte of binary.

// onUse builds a table when it is first asked for.
//
//go:noinline
func onUse[T any](build func() T) func() T { return sync.OnceValue(build) }

// entry is one line of a table.
type entry[V any] struct {
	name  string
	value V
}

// tableOf makes a map of its lines. A map literal as long as ours are is many
// times the code of a list.
//
//go:noinline
func tableOf[V any](entries []entry[V]) map[string]V {
	out := make(map[string]V, len(entries))
	for _, e := range entries {
		out[e.name] = e.value
	}
	return out
}
