// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// mirrorOf tells of these paths, or that it cannot.
func mirrorOf(unread []string, foreign string, err ...error) *Mirror {
	return &Mirror{
		Unread:  func() ([]string, error) { return unread, errors.Join(err...) },
		Foreign: func([]string) (string, error) { return foreign, errors.Join(err...) },
	}
}

func TestUnsure(t *testing.T) {
	refused := &policy.RefusedError{Refusals: []policy.Refusal{{Path: "/etc/motd"}}}
	noForeign := mirrorOf(nil, "")
	noForeign.Foreign = mirrorOf(nil, "", errors.New("gone")).Foreign
	for _, tt := range []struct {
		name     string
		mirror   *Mirror
		unmapped []string
		err      error  // of the check
		want     string // "" if all is known
	}{
		{"root", nil, nil, fs.ErrPermission, ""},
		{"root of a namespace", nil, []string{"id 105", "id 106"}, nil, "namespace does not have: id 105, id 106"},
		{"all was shown", mirrorOf(nil, ""), nil, nil, ""},
		{"refused", mirrorOf(nil, ""), nil, refused, ""},
		{"unread", mirrorOf([]string{"/1", "/2", "/3", "/4", "/5"}, ""), nil, nil, "only root may read: /1, /2, /3, /4, /5"},
		{"many unread", mirrorOf([]string{"/1", "/2", "/3", "/4", "/5", "/6", "/7"}, ""), nil, nil, "only root may read: /1, /2, /3, /4, /5, and 2 more"},
		{"unread before", mirrorOf(nil, ""), nil, fmt.Errorf("scan: %w", fs.ErrPermission), "before the script can only be read by root: scan: permission denied"},
		{"another owner", mirrorOf(nil, "/etc/a"), nil, nil, "something at /etc/a, whose owner"},
		{"all of it", mirrorOf([]string{"/1"}, "/2"), []string{"id 7"}, fs.ErrPermission, "not known: what was there before the script can only be read by root: permission denied; " +
			"the script used what this user namespace does not have: id 7; the script came to what only root may read: /1; the script changed something at /2,"},
		{"nobody answers", mirrorOf(nil, "", errors.New("gone")), nil, nil, "gone"},
		{"nobody answers about owners", noForeign, nil, nil, "gone"},
	} {
		m := &Machine{Mirror: tt.mirror}
		err := m.unsure(nil, &sandbox.Result{Unmapped: tt.unmapped}, tt.err)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
}

// TestUnsureIsNoVerdict holds that what is not known is told as that, whatever the
// script did: not as applied, refused or failed.
func TestUnsureIsNoVerdict(t *testing.T) {
	for name, script := range map[string]string{"applied": good, "unchanged": ":\n", "refused": "echo x >/etc/motd\n", "failed": "exit 3\n"} {
		m := newMachine(t)
		var asked []string
		m.Rehearse, m.Mirror = true, mirrorOf(nil, "")
		m.Mirror.Of, m.Mirror.Foreign = m.RootPath, func(paths []string) (string, error) { asked = paths; return "", nil }
		want(t, m.script(t, Prolog, script), report.Outcome(name), "")
		if name == "refused" && !slices.Equal(asked, []string{"/etc", "/etc/motd"}) {
			t.Errorf("the owners of %q were asked for; want the file's and its directory's", asked)
		}
		m.Mirror.Unread = mirrorOf([]string{"/x"}, "").Unread
		r := m.script(t, Prolog, script)
		want(t, r, report.Unsupported, "what a guest would say is not known: the script came to what only root may read: /x")
	}
}

func TestTouched(t *testing.T) {
	got := touched([]policy.Change{{Path: "/b"}, {Path: "/etc/a/x"}, {Path: "/etc/a"}})
	if want := []string{"/", "/b", "/etc", "/etc/a", "/etc/a/x"}; !slices.Equal(got, want) {
		t.Errorf("touched = %q; want %q", got, want)
	}
}
