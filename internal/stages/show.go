// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"io"
	"slices"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// show hands each change that a stage left to a rehearsal's caller, with what the
// path held before: in the root, or by a stage that was rehearsed earlier. Before is
// nil for what is no file, cannot be read or is longer than any configuration.
func (m *Machine) show(stage string, changes []policy.Change) {
	if m.Show == nil {
		return
	}
	for _, c := range changes {
		m.Show(stage, c, m.before(c))
	}
}

func (m *Machine) before(c policy.Change) []byte {
	if i := slices.IndexFunc(m.shown, func(e sandbox.Entry) bool { return e.Path == c.Path && e.Kind == sandbox.ShowFile }); i >= 0 {
		return m.shown[i].Data
	}
	if c.Before == nil || c.TypeBefore != policy.File {
		return nil
	}
	f, err := m.Root.Open(c.Path[1:])
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, policy.MaxChecked+1))
	if err != nil || len(b) > policy.MaxChecked {
		return nil
	}
	return b
}
