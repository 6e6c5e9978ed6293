// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"fmt"
	"io"
	"slices"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// remember turns what a rehearsed stage would have applied into entries for the
// next one, which in a guest would find them in the root.
func remember(shown []sandbox.Entry, changes []policy.Decided) ([]sandbox.Entry, error) {
	for _, c := range changes {
		e := sandbox.Entry{Path: c.Path, Mode: c.Attr.Mode, UID: c.Attr.UID, GID: c.Attr.GID}
		switch {
		case c.Op == policy.Delete:
			e.Kind = sandbox.ShowAbsent
		case c.Type == policy.Directory:
			e.Kind = sandbox.ShowDirectory
		case c.Type == policy.Symlink:
			e.Kind, e.Target = sandbox.ShowSymlink, c.Target
		case c.Type == policy.File:
			e.Kind = sandbox.ShowFile
			var err error
			if e.Data, err = staged(c); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("remember %q: a %s", c.Path, c.Type)
		}
		shown = slices.DeleteFunc(shown, func(old sandbox.Entry) bool { return old.Path == e.Path })
		shown = append(shown, e)
	}
	return shown, nil
}

func staged(c policy.Decided) ([]byte, error) {
	if c.Data != nil || c.Size == 0 {
		return c.Data, nil
	}
	f, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
