// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What someone else writes once everything is checked and staged, and before its
// own name is moved, stays; and nothing else is changed.
func TestWrittenAtTheLastMoment(t *testing.T) {
	s := newTwoStates(t)
	for _, p := range []string{"/etc/modified", "/etc/created", "/etc/new", "/etc/link", "/opt/old/a", "/opt/old/stranger", "/opt/new", "/opt/file-dir", "/opt/dir-file/stranger"} {
		t.Run(p, func(t *testing.T) {
			dir := copyOf(t, s.before)
			j, err := openTest(t, dir, func(op, at string) error {
				if op != "rename" || at != Dir+"/"+commitFile {
					return nil
				}
				name := filepath.Join(dir, p)
				if err := os.WriteFile(name+".dpkg-new", []byte("stranger\n"), 0o644); err != nil {
					return err
				}
				return os.Rename(name+".dpkg-new", name)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer shut(t, j)
			err = j.Commit(j.Plan(goal(t, j, contextTwo, 0, second)))
			if err == nil {
				t.Error("Commit() = nil; want an error")
			}
			if _, unfinished := errors.AsType[*UnfinishedError](err); unfinished {
				t.Errorf("Commit() = %v; want it undone", err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, p)); err != nil || string(b) != "stranger\n" {
				t.Errorf("the stranger's file has %q, %v; want it left alone", b, err)
			}
			now, want := manifest(t, dir), s.a
			delete(now, p)
			if _, had := want[p]; had {
				now[p] = want[p]
			}
			if d := differ(now, want); d != "" {
				t.Errorf("Commit() = %v, and the root is changed:\n%s", err, d)
			}
		})
	}
}
