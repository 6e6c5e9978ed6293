// SPDX-License-Identifier: Apache-2.0

// Package journal makes a set of paths of a root go from one state to another
// as one transaction, and remembers what was there before. Its input is a Goal:
// what a stage of a context wants paths to be; its output is a root that is
// exactly in the state before or in the state after, at whatever instant the
// process dies or the power fails, and a Record from which everything can be put
// back. It knows no policy and starts nothing.
//
// # On disk
//
// Everything lies under /var/lib/ctxagent/journal, for root alone:
//
//	record.json    what the context in force did, and what the image had before
//	images/        contents that the record refers to
//	prepare.json   a transaction that has moved nothing yet: recovery undoes it
//	commit.json    a transaction that is decided: recovery completes it
//	undo.json      a transaction that failed half-way: recovery undoes it
//
// At most one of the last three is there. They are one file whose name says how
// far the transaction is, so that each decision is a single rename(2).
//
// # Order of writes
//
//  1. prepare.json: it names every temporary file before there is one.
//  2. New files and directories under temporary names beside their targets, a
//     second link to each file that will go, pre-images into images/.
//  3. syncfs(2) on every file system that was touched: contents, inodes and
//     directory entries of all of it, for one journal commit of the file system
//     in place of one per file.
//  4. prepare.json becomes commit.json, and the directory is flushed. This is the
//     instant of the decision.
//  5. Names are moved and attributes set. No step here needs room for data.
//  6. syncfs(2) again. It makes durable what a flush of the directories alone
//     would not: a change of mode or owner is in no directory, and btrfs logs
//     for fsync(2) of a directory that directory only.
//  7. The second links and the contents that nothing refers to any more go, and
//     where there were second links syncfs(2) once more: without it the journal
//     could be forgotten on one file system before they are gone on another.
//  8. commit.json becomes record.json, and the directory is flushed.
//
// /var may be another file system than the target: nothing is ever renamed from
// one to the other.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Dir is the journal's directory inside a root.
const Dir = "var/lib/ctxagent/journal"

const (
	recordFile  = "record.json"
	prepareFile = "prepare.json"
	commitFile  = "commit.json"
	undoFile    = "undo.json"
	imagesDir   = "images"
)

// ErrBusy tells that another process has the journal open.
var ErrBusy = errors.New("another ctxagent is at work on this root: wait until it has ended")

// Journal is that of one root. One process has it at a time.
type Journal struct {
	// Recovered says in a sentence what became of a transaction that an earlier
	// process left unfinished; "" if there was none.
	Recovered string
	// Left are the paths that recovery could not finish, because someone else
	// had changed them meanwhile.
	Left []string

	root     *os.File
	dir      *os.File // nil until the root has one
	top      *os.Root
	readOnly bool
	fault    func(op, path string) error
	record   Record
	now      map[string]State    // of the record's paths, by survey
	extra    map[string][]string // strangers' names in the record's directories
}

// Open takes the journal of a root for this process, and finishes whatever an
// earlier one left unfinished. A root without a journal gets one with the first
// Commit. If fault is not nil it is asked before every write, with the name of
// the operation and the path, and an error that it returns is taken for that of
// the write: tests stop the process in it.
func Open(root *os.Root, fault func(op, path string) error) (*Journal, error) {
	j, err := open(root, fault)
	if err != nil {
		return nil, err
	}
	if j.dir != nil {
		err = j.recover()
	}
	if err == nil {
		err = j.load()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal /%s: %w", Dir, err), j.Close())
	}
	return j, nil
}

// Read opens the journal of a root to look at. It takes no lock, recovers
// nothing, and cannot Commit.
func Read(root *os.Root) (*Journal, error) {
	j := &Journal{top: root, readOnly: true}
	var err error
	if j.root, err = root.Open("."); err != nil {
		return nil, err
	}
	if j.dir, err = root.Open(Dir); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = j.load()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal /%s: %w", Dir, err), j.Close())
	}
	return j, nil
}

func open(root *os.Root, fault func(op, path string) error) (*Journal, error) {
	if fault == nil {
		fault = func(string, string) error { return nil }
	}
	j := &Journal{top: root, fault: fault}
	var err error
	if j.root, err = root.Open("."); err != nil {
		return nil, err
	}
	dir, err := root.Open(Dir)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	if err == nil {
		err = j.hold(dir)
	}
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// hold locks the journal's directory; the lock goes with the process.
func (j *Journal) hold(dir *os.File) error {
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrBusy
		}
		return errors.Join(err, dir.Close())
	}
	j.dir = dir
	return nil
}

// create makes the journal's directory. Its entries in the directories above
// have to be durable before anything is written that it is there to undo.
func (j *Journal) create() error {
	if j.dir != nil {
		return nil
	}
	if err := j.fault("mkdir", Dir); err != nil {
		return err
	}
	if err := j.top.MkdirAll(Dir+"/"+imagesDir, 0o700); err != nil {
		return err
	}
	dir, err := j.top.Open(Dir)
	if err != nil {
		return err
	}
	if err := j.hold(dir); err != nil {
		return err
	}
	return j.syncfs(j.dir, Dir)
}

// Close gives the journal back.
func (j *Journal) Close() error {
	err := j.root.Close()
	if j.dir != nil {
		err = errors.Join(err, j.dir.Close())
	}
	return err
}

// Record is what the journal knows of the context in force.
func (j *Journal) Record() Record { return j.record }

// load reads the record and looks at what became of its paths.
func (j *Journal) load() error {
	var f file
	if _, err := j.readJSON(recordFile, &f); err != nil {
		return err
	}
	j.record = f.Record
	return j.survey()
}

// readJSON reads one of the journal's files; ok tells whether it is there.
func (j *Journal) readJSON(name string, v any) (ok bool, err error) {
	if j.dir == nil {
		return false, nil
	}
	f, err := openAt(j.dir, name, unix.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return false, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return false, fmt.Errorf("%s: %w: it was written by another version, or damaged", name, err)
	}
	return true, nil
}

// writeJSON replaces one of the journal's files, whole or not at all. The
// content is flushed before the name, and the name before it returns.
func (j *Journal) writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := j.writeTemp(name+".new", b); err != nil {
		return err
	}
	return j.rename(name+".new", name)
}

func (j *Journal) writeTemp(name string, b []byte) (err error) {
	at := path.Join(Dir, name)
	if err := j.fault("create", at); err != nil {
		return err
	}
	f, err := openAt(j.dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	half := len(b) / 2 // so that a test can stop with half of it written
	for _, part := range [][]byte{b[:half], b[half:]} {
		if err := j.fault("write", at); err != nil {
			return err
		}
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
	if err := j.fault("fsync", at); err != nil {
		return err
	}
	return f.Sync()
}

// rename moves a file of the journal's directory and makes that durable:
// without the flush of the directory the old name may come back with the power
// (fsync(2), NOTES).
func (j *Journal) rename(from, to string) error {
	if err := j.fault("rename", path.Join(Dir, to)); err != nil {
		return err
	}
	if err := unix.Renameat(int(j.dir.Fd()), from, int(j.dir.Fd()), to); err != nil {
		return &os.PathError{Op: "rename", Path: path.Join(Dir, to), Err: err}
	}
	return j.syncDir()
}

// forget removes a file of the journal's directory, durably.
func (j *Journal) forget(name string) error {
	if err := j.fault("remove", path.Join(Dir, name)); err != nil {
		return err
	}
	if err := unix.Unlinkat(int(j.dir.Fd()), name, 0); err != nil {
		return &os.PathError{Op: "remove", Path: path.Join(Dir, name), Err: err}
	}
	return j.syncDir()
}

func (j *Journal) syncDir() error {
	if err := j.fault("fsync", Dir); err != nil {
		return err
	}
	return j.dir.Sync()
}

// syncfs flushes the whole file system that dir lies on. dir was opened before
// anything was written: an error of a write-back since then is returned here
// (syncfs(2), since Linux 5.8).
func (j *Journal) syncfs(dir *os.File, at string) error {
	if err := j.fault("syncfs", at); err != nil {
		return err
	}
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: at, Err: err}
	}
	return nil
}

// Update replaces the record without a transaction: nothing but what it says of
// units may differ.
func (j *Journal) Update(rec Record) error {
	if err := j.create(); err != nil {
		return err
	}
	if err := j.writeJSON(recordFile, file{Schema: Schema, Record: rec}); err != nil {
		return err
	}
	j.record = rec
	return nil
}
