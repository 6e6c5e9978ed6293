// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"path"
	"path/filepath"
	"slices"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// without lays over the root what makes it the image without the context that is
// in force: a script never sees what it has made itself, or another disc's did.
// What a rehearsal shows at a path goes before.
func without(rehearsed []sandbox.Entry, view []journal.Shown, root string) []sandbox.Entry {
	var out []sandbox.Entry
	hidden := map[string]bool{} // with everything below
	for _, v := range view {
		again := slices.ContainsFunc(rehearsed, func(e sandbox.Entry) bool { return e.Path == v.Path })
		hidden[v.Path] = hidden[path.Dir(v.Path)]
		if v.InPlace || again || hidden[v.Path] {
			continue
		}
		e := sandbox.Entry{Path: v.Path, Mode: v.State.Mode, UID: v.State.UID, GID: v.State.GID}
		switch v.State.Type {
		case journal.Absent:
			e.Kind, hidden[v.Path] = sandbox.ShowAbsent, true
		case journal.File:
			e.Kind, e.From = sandbox.ShowFile, filepath.Join(root, v.Source)
		case journal.Directory:
			e.Kind = sandbox.ShowAttributes
		case journal.Symlink:
			e.Kind, e.Target = sandbox.ShowSymlink, v.State.Target
		}
		out = append(out, e)
	}
	return out
}
