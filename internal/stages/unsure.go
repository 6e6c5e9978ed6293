// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// Mirror is how a rehearsal sees a root that is not its own to read.
type Mirror struct {
	Of string // the directory that the root is a mirror of
	// Unread are the paths that were asked for and that this user may not read.
	Unread func() ([]string, error)
	// Foreign tells of which path the owner could not be shown, if of any of these.
	Foreign func(paths []string) (string, error)
}

// mirrored is the directory whose mounts count, for the sandbox; "" for the root's own.
func (m *Machine) mirrored() string {
	if m.Mirror == nil {
		return ""
	}
	return m.Mirror.Of
}

// unsure tells in what a rehearsal was not what a guest does, and its verdict so
// not a guest's. The check ended with err.
func (m *Machine) unsure(changes []policy.Change, res *sandbox.Result, err error) error {
	var why []string
	if m.Mirror != nil && errors.Is(err, fs.ErrPermission) {
		why = append(why, fmt.Sprintf("what was there before the script can only be read by root: %v", err))
	}
	if len(res.Unmapped) > 0 {
		why = append(why, fmt.Sprintf("the script used what this user namespace does not have: %s", strings.Join(res.Unmapped, ", ")))
	}
	if m.Mirror != nil {
		unread, err := m.Mirror.Unread()
		if err != nil {
			return err
		}
		if len(unread) > 0 {
			why = append(why, "the script came to what only root may read: "+few(unread))
		}
		paths := touched(changes)
		foreign, err := m.Mirror.Foreign(paths)
		if err != nil {
			return err
		}
		if foreign != "" {
			why = append(why, fmt.Sprintf("the script changed something at %s, whose owner could not be shown to it", quoted(foreign)))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return errors.New("what a guest would say is not known: " + strings.Join(why, "; "))
}

// touched are the paths of changes and the directories around them, which hand
// their group on.
func touched(changes []policy.Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Path, c.Path[:max(1, strings.LastIndexByte(c.Path, '/'))])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// few names the first paths of a list.
func few(paths []string) string {
	const most = 5
	var out []string
	for _, p := range paths[:min(most, len(paths))] {
		out = append(out, quoted(p))
	}
	if len(paths) > most {
		out = append(out, "and "+strconv.Itoa(len(paths)-most)+" more")
	}
	return strings.Join(out, ", ")
}

// quoted is a path as receipts have it.
func quoted(p string) string {
	name, _ := report.Name(p)
	return name
}
