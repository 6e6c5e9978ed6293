// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// config is what the agent tells sandbox-init, over a pipe.
type config struct {
	Spec  Spec
	Agent string // path of this binary, for the shims
	Relay bool   // a loopback listener is wanted
	Hold  bool   // the command's last variables follow
}

// release is what the agent tells sandbox-init when the command may start.
type release struct{ Env []string }

// The configuration travels as JSON, whose strings are UTF-8. Paths, variables and
// a script's first line may be any bytes: as []byte they arrive as they are.
// encoding/gob would keep them too, at a millisecond for each of our processes,
// which start by building its tables.
type (
	wireConfig struct {
		Root, Work, Context, Agent []byte
		Command, Env               [][]byte
		Else                       [][][]byte
		Show                       []wireEntry
		Bytes, Memory              int64
		Inodes, Processes          int
		Relay, Hold                bool
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
		Root: []byte(s.Root), Work: []byte(s.Work), Context: []byte(s.Context), Agent: []byte(c.Agent),
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
			Root: string(w.Root), Work: string(w.Work), Context: string(w.Context),
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

// bytes is the release as it travels, after the configuration: each variable with
// a NUL byte, which none can hold, and one more at the end. Nothing has to be
// learnt to read it: it is read while the network is up and nothing runs yet.
func (r release) bytes() []byte {
	var b []byte
	for _, v := range r.Env {
		b = append(append(b, v...), 0)
	}
	return append(b, 0)
}

// readRelease reads to the end of the pipe. One that ends without a release is
// the agent's way to say that there will be none.
func readRelease(from io.Reader) (r release, err error) {
	b, err := io.ReadAll(from)
	if err != nil {
		return r, err
	}
	vars, whole := bytes.CutSuffix(b, []byte{0})
	if whole && len(vars) == 0 {
		return r, nil
	}
	if vars, last := bytes.CutSuffix(vars, []byte{0}); whole && last {
		r.Env = strings.Split(string(vars), "\x00")
		return r, nil
	}
	return r, errAsked
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
