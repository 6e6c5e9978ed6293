// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// config is what the agent tells sandbox-init, over a pipe.
type config struct {
	Spec  Spec
	Agent string // path of this binary, for the shims
	Relay bool   // a loopback listener is wanted
	Hold  bool   // a Release follows
}

// The configuration travels as JSON, whose strings are UTF-8. Paths, variables and
// a script's first line may be any bytes: as []byte they arrive as they are.
// encoding/gob would keep them too, at a millisecond for each of our processes,
// which start by building its tables.
type (
	wireConfig struct {
		Root, Mirrors, Work, Context, Also, Agent []byte
		Command, Env                              [][]byte
		Else                                      [][][]byte
		Show                                      []wireEntry
		Bytes, Memory                             int64
		Inodes, Processes                         int
		Relay, Hold                               bool
	}
	wireEntry struct {
		Path, Data, From, Target []byte
		Kind                     Kind
		Mode, UID, GID           uint32
	}
)

func (c config) MarshalJSON() ([]byte, error) {
	s := c.Spec
	w := wireConfig{
		Root: []byte(s.Root), Mirrors: []byte(s.Mirrors), Work: []byte(s.Work), Context: []byte(s.Context), Also: []byte(s.Also), Agent: []byte(c.Agent),
		Command: octets(s.Command), Env: octets(s.Env),
		Bytes: s.Bytes, Memory: s.Memory, Inodes: s.Inodes, Processes: s.Processes, Relay: c.Relay, Hold: c.Hold,
	}
	for _, argv := range s.Else {
		w.Else = append(w.Else, octets(argv))
	}
	for _, e := range s.Show {
		w.Show = append(w.Show, wireEntry{[]byte(e.Path), e.Data, []byte(e.From), []byte(e.Target), e.Kind, e.Mode, e.UID, e.GID})
	}
	return json.Marshal(w)
}

func (c *config) UnmarshalJSON(b []byte) error {
	var w wireConfig
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*c = config{
		Spec: Spec{
			Root: string(w.Root), Mirrors: string(w.Mirrors), Work: string(w.Work), Context: string(w.Context), Also: string(w.Also),
			Command: text(w.Command), Env: text(w.Env),
			Bytes: w.Bytes, Memory: w.Memory, Inodes: w.Inodes, Processes: w.Processes,
		},
		Agent: string(w.Agent), Relay: w.Relay, Hold: w.Hold,
	}
	for _, argv := range w.Else {
		c.Spec.Else = append(c.Spec.Else, text(argv))
	}
	for _, e := range w.Show {
		c.Spec.Show = append(c.Spec.Show, Entry{Path: string(e.Path), Kind: e.Kind, Mode: e.Mode, UID: e.UID, GID: e.GID, Data: e.Data, From: string(e.From), Target: string(e.Target)})
	}
	return nil
}

// bytes is a release as it travels, after the configuration: words that each end
// with a NUL byte, which none can hold. The first says how many follow. Nothing
// has to be learnt to read it: it is read while all is there and nothing runs yet.
func (r Release) bytes() []byte {
	words := counted(nil, r.Command)
	words = append(words, strconv.Itoa(len(r.Else)))
	for _, argv := range r.Else {
		words = counted(words, argv)
	}
	words = append(words, r.Env...)
	return []byte(strings.Join(counted(nil, words), "\x00") + "\x00")
}

// counted appends a list behind its length.
func counted(words, list []string) []string {
	return append(append(words, strconv.Itoa(len(list))), list...)
}

// readRelease reads a release, and nothing behind it: not even the end of the
// pipe, which is one more wake-up away. A pipe that ends without a release is the
// agent's way to say that there will be none.
func readRelease(from io.Reader) (r Release, err error) {
	var b []byte
	for !whole(b) {
		b = slices.Grow(b, 4096)
		n, err := from.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case whole(b):
		case errors.Is(err, io.EOF):
			return r, errAsked
		case err != nil:
			return r, err
		}
	}
	words := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	r.Command, words = list(words[1:])
	n, _ := strconv.Atoi(words[0]) // as bytes wrote it
	words = words[1:]
	for range n {
		var argv []string
		argv, words = list(words)
		r.Else = append(r.Else, argv)
	}
	r.Env = words
	return r, nil
}

// whole tells whether all words of a release have come.
func whole(b []byte) bool {
	first, rest, ok := bytes.Cut(b, []byte{0})
	n, err := strconv.Atoi(string(first))
	return ok && err == nil && bytes.Count(rest, []byte{0}) == n
}

// list takes what counted has put there off the words.
func list(words []string) (first, rest []string) {
	n, _ := strconv.Atoi(words[0])
	return words[1 : 1+n], words[1+n:]
}

func octets(list []string) [][]byte {
	var out [][]byte
	for _, s := range list {
		out = append(out, []byte(s))
	}
	return out
}

func text(list [][]byte) []string {
	var out []string
	for _, b := range list {
		out = append(out, string(b))
	}
	return out
}
