// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// ErrMoved tells that somebody else wrote a path between the plan and now.
var ErrMoved = errors.New("the file was changed by someone else meanwhile: run the stage again")

// LeftoverError tells that all changes are made and durable, and that the
// journal still has something to tidy up: the next Open does.
type LeftoverError struct{ Err error }

func (e *LeftoverError) Error() string {
	return fmt.Sprintf("all changes are made, but the journal is not tidied up, which the next run does: %v", e.Err)
}

// Unwrap gives the reason.
func (e *LeftoverError) Unwrap() error { return e.Err }

// UnfinishedError tells that a failed transaction could not be undone either, as
// on a disk that takes no more writes. The next Open undoes it, or completes
// it if not even the decision to undo it could be written.
type UnfinishedError struct{ Err, Undo error }

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("%v; it could not be undone: %v: `ctxagent revert --recover` does, once the disk takes writes again", e.Err, e.Undo)
}

// Unwrap gives both reasons.
func (e *UnfinishedError) Unwrap() []error { return []error{e.Err, e.Undo} }

// file is the journal's file under each of its names: the record that is in force
// once the steps are done. The steps stay in record.json, where nothing reads
// them.
type file struct {
	Schema int     `json:"schema"`
	Record Record  `json:"record"`
	Steps  []*step `json:"steps,omitempty"`
	Images []image `json:"images,omitempty"`
}

// transaction is one under way.
type transaction struct {
	*Journal
	file
	dirs
	systems map[uint64]*os.File // a directory of each file system, by device
	recover bool                // another process began it
}

// Commit carries a plan out, all of it or nothing. A plan that has nothing to
// do writes nothing. An error that is neither a *LeftoverError nor an
// *UnfinishedError means that the root is as it was.
func (j *Journal) Commit(p *Plan) error {
	if j.readOnly {
		return errors.New("the journal was opened for reading alone")
	}
	if p.Empty() && len(p.images) == 0 {
		if !j.recordChanges(p) {
			return nil
		}
		return j.Update(p.next)
	}
	if err := j.create(); err != nil {
		return err
	}
	t := &transaction{Journal: j, file: file{Schema, p.next, p.steps, p.images}, dirs: dirs{root: j.root}}
	err := t.run()
	if errs := t.end(); err == nil && errs != nil {
		err = &LeftoverError{errs}
	}
	if err == nil {
		j.remember(p)
	}
	return err
}

// remember takes over what a plan has made true.
func (j *Journal) remember(p *Plan) {
	j.record = p.next
	for _, s := range p.steps {
		j.now[s.Path] = s.To
	}
	for _, e := range p.next.Entries {
		if _, known := j.now[e.Path]; !known {
			j.now[e.Path] = e.Top()
		}
	}
}

// end lets go of all descriptors.
func (t *transaction) end() error {
	errs := []error{t.close()}
	for _, f := range t.systems {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// run takes the transaction through the order of the package comment.
func (t *transaction) run() error {
	if err := t.writeJSON(prepareFile, t.file); err != nil {
		return t.abandon(prepareFile, err)
	}
	if err := t.prepare(); err != nil {
		return t.abandon(prepareFile, err)
	}
	if err := t.rename(prepareFile, commitFile); err != nil {
		return t.abandon(commitFile, err)
	}
	if err := t.forward(); err != nil {
		return t.abandon(commitFile, err)
	}
	if err := t.finish(); err != nil {
		return &LeftoverError{err}
	}
	return nil
}

// prepare does everything that can fail for want of space, permission or
// agreement, and leaves every visible file as it is.
func (t *transaction) prepare() error {
	for _, s := range t.Steps {
		if err := t.check(s); err != nil {
			return fmt.Errorf("apply %q: %w", s.Path, err)
		}
	}
	for _, im := range t.Images {
		if err := t.keepImage(im); err != nil {
			return fmt.Errorf("keep what %q was: %w", im.Path, err)
		}
	}
	for _, s := range t.Steps {
		if err := t.stage(s); err != nil {
			return fmt.Errorf("apply %q: %w", s.Path, err)
		}
	}
	return t.flush()
}

// forward moves every name and flushes. A transaction that another process began
// goes on where that one stopped; what someone else changed meanwhile stays.
func (t *transaction) forward() error {
	for _, s := range t.Steps {
		err := t.move(s)
		if t.recover && errors.Is(err, ErrMoved) {
			t.Left, err = append(t.Left, s.Path), nil
		}
		if err != nil {
			return fmt.Errorf("apply %q: %w", s.Path, err)
		}
	}
	return t.flush()
}

// finish tidies up behind a transaction that is in place and durable. What it
// fails to do the next Open does: the decision stands.
func (t *transaction) finish() error {
	removed, err := t.tidy()
	if err != nil {
		return err
	}
	if err := t.dropImages(t.file.Record.images()); err != nil {
		return err
	}
	if removed {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return t.rename(commitFile, recordFile)
}

// abandon undoes what was done, from wherever the transaction is, and returns
// why. First the decision is made durable: until it is, recovery may complete
// what this process would be undoing.
func (t *transaction) abandon(mark string, why error) error {
	err := func() error {
		if mark == commitFile {
			err := t.rename(commitFile, undoFile)
			if errors.Is(err, os.ErrNotExist) { // the rename to commitFile was not done
				return t.undoPrepared()
			}
			if err != nil {
				return err
			}
			return t.undo()
		}
		return t.undoPrepared()
	}()
	if err != nil {
		return &UnfinishedError{why, err}
	}
	return why
}

// undo takes back the moves of a transaction that was decided. What is left then
// is one that has moved nothing.
//
// A step that cannot be undone does not keep the others from it: as much as can
// be is as it was, and the next Open tries the rest again.
func (t *transaction) undo() error {
	var errs []error
	for _, s := range slices.Backward(t.Steps) {
		err := t.back(s)
		if errors.Is(err, ErrMoved) {
			t.Left, err = append(t.Left, s.Path), nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("undo %q: %w", s.Path, err))
		}
	}
	if err := errors.Join(append(errs, t.flush())...); err != nil {
		return err
	}
	if err := t.rename(undoFile, prepareFile); err != nil {
		return err
	}
	return t.undoPrepared()
}

// undoPrepared removes what a transaction made that has moved nothing. The
// removals are durable before the journal forgets that there is anything to
// remove.
func (t *transaction) undoPrepared() error {
	if _, err := t.tidy(); err != nil {
		return err
	}
	var f file
	if _, err := t.readJSON(recordFile, &f); err != nil {
		return err
	}
	if err := t.dropImages(f.Record.images()); err != nil {
		return err
	}
	if err := t.flush(); err != nil {
		return err
	}
	if _, err := lstat(t.dir, prepareFile); errors.Is(err, os.ErrNotExist) {
		return nil // it was never written
	}
	return t.forget(prepareFile)
}

// flush makes everything durable that was done on the file systems of the
// transaction.
func (t *transaction) flush() error {
	for _, dir := range t.systems {
		if err := t.syncfs(dir, dir.Name()); err != nil {
			return err
		}
	}
	return t.syncfs(t.dir, Dir)
}

// at opens the directory of a path, and notes its file system for flush.
func (t *transaction) at(p string) (*os.File, string, error) {
	dir, name, err := t.dirs.at(p)
	if err != nil {
		return nil, "", err
	}
	return dir, name, t.note(dir)
}

func (t *transaction) note(dir *os.File) error {
	var st, own unix.Stat_t
	if err := errors.Join(unix.Fstat(int(dir.Fd()), &st), unix.Fstat(int(t.dir.Fd()), &own)); err != nil {
		return err
	}
	dev := uint64(st.Dev)
	if _, known := t.systems[dev]; known || st.Dev == own.Dev {
		return nil
	}
	f, err := openAt(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	if t.systems == nil {
		t.systems = map[uint64]*os.File{}
	}
	t.systems[dev] = f
	return nil
}

// complete goes on with a transaction that was decided.
func (t *transaction) complete() error {
	if err := t.forward(); err != nil {
		return err
	}
	return t.finish()
}

// recover finishes what an earlier process left: a transaction that was not
// decided is undone, one that was is completed.
func (j *Journal) recover() error {
	for _, c := range []struct {
		file, said string
		do         func(*transaction) error
	}{
		{undoFile, "a change that had failed was undone", (*transaction).undo},
		{commitFile, "a change that was cut off half-way was completed", (*transaction).complete},
		{prepareFile, "a change that was cut off before it began was undone", (*transaction).undoPrepared},
	} {
		t := &transaction{Journal: j, dirs: dirs{root: j.root}, recover: true}
		there, err := j.readJSON(c.file, &t.file)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if err := errors.Join(c.do(t), t.end()); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		j.Recovered = c.said
		return nil
	}
	return nil
}
