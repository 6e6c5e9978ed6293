// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"fmt"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// Plan says what the journal would have to do so that the root is what a stage of
// a context made of it: the goal's Results are the approved changes, and what
// another context or a former run of the stage did beside them goes. It writes
// nothing: journal.Commit makes the plan true. There is no way to a plan with
// changes in it but from what was approved.
func Plan(j *journal.Journal, a policy.Approved, g journal.Goal) (*journal.Plan, error) {
	for _, c := range a.Changes() {
		r, err := result(c.Change)
		if err != nil {
			return nil, fmt.Errorf("apply %q: %w", c.Path, err)
		}
		g.Results = append(g.Results, r)
	}
	return j.Plan(g), nil
}

// result is an approved change in the journal's words.
func result(c policy.Change) (journal.Result, error) {
	r := journal.Result{Path: c.Path, Open: c.Open}
	if c.Before != nil {
		r.Before = stateOf(c.TypeBefore, *c.Before)
		r.Before.SHA256, r.Before.Target = c.SHA256Before, c.TargetBefore
	}
	if c.Op == policy.Delete {
		return r, nil
	}
	r.State = stateOf(c.Type, c.Attr)
	switch c.Type {
	case policy.File:
		r.State.SHA256, r.State.Size, r.State.ModTime = c.SHA256After, c.Size, c.ModTime
	case policy.Symlink:
		r.State.Target = c.Target
	case policy.Directory:
	default:
		return r, fmt.Errorf("a %s cannot be applied", c.Type)
	}
	return r, nil
}

func stateOf(t policy.Type, a policy.Attr) journal.State {
	s := journal.State{Type: string(t), Mode: a.Mode, UID: a.UID, GID: a.GID}
	if t == policy.Symlink {
		s.Mode = 0
	}
	return s
}
