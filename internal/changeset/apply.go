// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// Apply makes the approved changes in root, all of them or none. First
// everything that can fail for want of space, permission or agreement is done
// beside the targets: each file is written to a temporary name in its own
// directory, its digest compared with the approved one, and flushed. Only then
// are names moved. An error at any point undoes what was done, but for a
// *LeftoverError, which comes after all is done; what could not be undone is
// part of the returned error.
//
// No path element is followed through a symlink, so that nobody can lead a
// write elsewhere between the check and now.
func Apply(root *os.Root, a policy.Approved) (err error) {
	tx := &transaction{root: root, id: strings.ToLower(rand.Text()[:8]), dirs: map[string]*os.Root{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.undo())
		}
		err = errors.Join(err, tx.close())
	}()
	var steps []*step
	for i, c := range a.Changes() {
		s := &step{Change: c.Change, temp: fmt.Sprintf(".ctxagent-%s-%d.new", tx.id, i), backup: fmt.Sprintf(".ctxagent-%s-%d.old", tx.id, i)}
		if err := tx.prepare(s); err != nil {
			return fmt.Errorf("apply %q: %w", c.Path, err)
		}
		steps = append(steps, s)
	}
	for _, s := range steps {
		if err := tx.commit(s); err != nil {
			return fmt.Errorf("apply %q: %w", s.Path, err)
		}
	}
	return tx.finish(steps)
}

// transaction is one Apply under way.
type transaction struct {
	root  *os.Root
	id    string
	dirs  map[string]*os.Root // directories of the changes, by path
	undos []func() error      // in the order of what they undo
}

// step is one change with its place. The names beside the target are short, so
// that a target of 255 bytes still has room for them.
type step struct {
	policy.Change
	dir          *os.Root
	name         string
	temp, backup string
	kept         bool // backup exists
}

func (t *transaction) onUndo(f func() error) { t.undos = append(t.undos, f) }

// undo takes everything back, newest first.
func (t *transaction) undo() error {
	var errs []error
	for _, f := range slices.Backward(t.undos) {
		if err := f(); err != nil {
			errs = append(errs, fmt.Errorf("undo: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (t *transaction) close() error {
	var errs []error
	for _, d := range t.dirs {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// prepare does for one change everything that can fail and yet leaves every
// visible file as it is. New directories are made here: they are empty until
// commit, and the files in them need a place for their temporary names.
func (t *transaction) prepare(s *step) error {
	var err error
	if s.dir, s.name, err = t.at(s.Path); err != nil {
		return err
	}
	if err := s.unchanged(); err != nil {
		return err
	}
	switch {
	case s.Op == policy.Metadata:
		return nil
	case s.Op == policy.Delete:
		return errors.New("a delete cannot be applied")
	case s.Type == policy.Directory:
		return t.makeDirectory(s)
	case s.Type == policy.Symlink:
		t.onUndo(func() error { return removeIfThere(s.dir, s.temp) })
		if err := s.dir.Symlink(s.Target, s.temp); err != nil {
			return err
		}
		return s.dir.Lchown(s.temp, int(s.Attr.UID), int(s.Attr.GID))
	case s.Type == policy.File:
		t.onUndo(func() error { return removeIfThere(s.dir, s.temp) })
		return s.writeFile()
	}
	return fmt.Errorf("a %s cannot be applied", s.Type)
}

func (t *transaction) makeDirectory(s *step) error {
	if err := s.dir.Mkdir(s.name, 0o700); err != nil {
		return err
	}
	t.onUndo(func() error { return s.dir.Remove(s.name) })
	if err := s.dir.Chmod(s.name, fileMode(s.Attr.Mode)); err != nil {
		return err
	}
	return s.dir.Lchown(s.name, int(s.Attr.UID), int(s.Attr.GID))
}

// commit moves one change into its place. Nothing here needs space for data.
func (t *transaction) commit(s *step) error {
	switch {
	case s.Op == policy.Metadata:
		return t.metadata(s)
	case s.Type == policy.Directory:
		return nil
	case s.Op == policy.Create:
		// link(2) and not rename(2): it does not replace what came meanwhile.
		if err := s.dir.Link(s.temp, s.name); err != nil {
			return err
		}
		t.onUndo(func() error { return s.dir.Remove(s.name) })
		return s.dir.Remove(s.temp)
	}
	if err := s.dir.Link(s.name, s.backup); err != nil {
		return err
	}
	s.kept = true
	t.onUndo(func() error { return removeIfThere(s.dir, s.backup) })
	if err := s.dir.Rename(s.temp, s.name); err != nil {
		return err
	}
	t.onUndo(func() error { return s.dir.Rename(s.backup, s.name) })
	return nil
}

func (t *transaction) metadata(s *step) error {
	t.onUndo(func() error { return setAttr(s, *s.Before) })
	return setAttr(s, s.Attr)
}

// setAttr sets the owner first: chown(2) clears setuid and setgid bits.
func setAttr(s *step, a policy.Attr) error {
	if err := s.dir.Lchown(s.name, int(a.UID), int(a.GID)); err != nil {
		return err
	}
	if s.Type == policy.Symlink {
		return nil
	}
	return s.dir.Chmod(s.name, fileMode(a.Mode))
}

// LeftoverError tells that all changes are made and durable, and that files
// which they replaced are still there under temporary names.
type LeftoverError struct{ Err error }

func (e *LeftoverError) Error() string {
	return fmt.Sprintf("all changes are made, but what they replaced is still there: %v", e.Err)
}

// Unwrap gives the reason.
func (e *LeftoverError) Unwrap() error { return e.Err }

// finish makes the new names durable and drops the pre-images. The change has
// happened by then: a failure to remove a pre-image is reported, not undone.
func (t *transaction) finish(steps []*step) error {
	if err := t.syncDirs(); err != nil {
		return err
	}
	t.undos = nil
	var errs []error
	for _, s := range steps {
		if s.kept {
			errs = append(errs, s.dir.Remove(s.backup))
		}
	}
	if err := errors.Join(append(errs, t.syncDirs())...); err != nil {
		return &LeftoverError{err}
	}
	return nil
}

// syncDirs flushes the directories: without it a rename may be lost with the
// power although the file's own data is not (fsync(2), NOTES).
func (t *transaction) syncDirs() error {
	for p, d := range t.dirs {
		f, err := d.Open(".")
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return fmt.Errorf("flush %q: %w", p, err)
		}
	}
	return nil
}

func removeIfThere(dir *os.Root, name string) error {
	if err := dir.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
