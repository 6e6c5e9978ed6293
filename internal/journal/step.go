// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// check holds a path against what the plan was made for.
func (t *transaction) check(s *step) error {
	if s.Inside {
		return nil // its directory is not there yet
	}
	dir, name, err := t.at(s.Path)
	if err != nil {
		return err
	}
	now, err := look(dir, name)
	if err != nil {
		return err
	}
	if !now.Same(s.From) {
		return ErrMoved
	}
	return nil
}

// stage makes what comes under its temporary name, complete, and gives what goes
// a second one.
func (t *transaction) stage(s *step) error {
	if s.Old != "" {
		if err := t.link(s.Path, s.Old); err != nil {
			return err
		}
		if err := t.remember(s); err != nil {
			return err
		}
	}
	if s.New == "" {
		return nil
	}
	dir, name, err := t.at(s.New)
	if err != nil {
		return err
	}
	switch s.To.Type {
	case Directory:
		err = t.do("mkdir", s.New, func() error { return unix.Mkdirat(int(dir.Fd()), name, 0o700) })
	case Symlink:
		err = t.do("symlink", s.New, func() error { return unix.Symlinkat(s.To.Target, int(dir.Fd()), name) })
	case File:
		if s.Image != "" {
			return t.restoreImage(s, dir, name)
		}
		return t.writeFile(s, dir, name)
	default:
		return fmt.Errorf("a %s cannot be applied", s.To.Type)
	}
	if err != nil {
		return err
	}
	return t.setNew(s.New, dir, name, s.To)
}

// remember keeps what tells whether somebody else writes the path from here on.
// Making the link has set the ctime; nothing of ours does so again.
func (t *transaction) remember(s *step) error {
	kept, err := t.stat(s.Old)
	if err != nil {
		return err
	}
	now, err := t.stat(s.Path)
	if err != nil {
		return err
	}
	if !sameInode(kept, now) {
		return ErrMoved
	}
	s.seen = identOf(now)
	return nil
}

func (t *transaction) stat(p string) (*unix.Stat_t, error) {
	dir, name, err := t.at(p)
	if err != nil {
		return nil, err
	}
	return lstat(dir, name)
}

// link gives a file or symlink a second name; the target is not followed.
func (t *transaction) link(from, to string) error {
	a, name, err := t.at(from)
	if err != nil {
		return err
	}
	b, second, err := t.at(to)
	if err != nil {
		return err
	}
	return t.do("link", to, func() error { return unix.Linkat(int(a.Fd()), name, int(b.Fd()), second, 0) })
}

// do is every write but those of contents: fault is asked first.
func (t *transaction) do(op, at string, f func() error) error {
	if err := t.fault(op, at); err != nil {
		return &os.PathError{Op: op, Path: at, Err: err}
	}
	if err := f(); err != nil {
		return &os.PathError{Op: op, Path: at, Err: err}
	}
	return nil
}

// setNew gives mode, owner and time to what was made. The time of a directory
// is that of its last entry.
func (t *transaction) setNew(at string, dir *os.File, name string, s State) error {
	if err := t.setAttr(at, dir, name, s); err != nil || s.Type == Directory || s.ModTime == 0 {
		return err
	}
	ts := []unix.Timespec{unix.NsecToTimespec(s.ModTime), unix.NsecToTimespec(s.ModTime)}
	return t.do("utimes", at, func() error { return unix.UtimesNanoAt(int(dir.Fd()), name, ts, unix.AT_SYMLINK_NOFOLLOW) })
}

// setAttr sets the owner first: chown(2) clears setuid and setgid bits. The mode
// goes by a descriptor, for fchmodat(2) would follow a symlink.
func (t *transaction) setAttr(at string, dir *os.File, name string, s State) error {
	err := t.do("chown", at, func() error {
		return unix.Fchownat(int(dir.Fd()), name, int(s.UID), int(s.GID), unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil || s.Type == Symlink {
		return err
	}
	f, err := openAt(dir, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.do("chmod", at, func() error { return unix.Fchmod(int(f.Fd()), s.Mode) })
}

// writeFile writes the approved bytes, and no others, with the extended
// attributes of the file that they replace: its ACL and label among them. No
// script can change those, so what the image had stays.
func (t *transaction) writeFile(s *step, dir *os.File, name string) (err error) {
	in, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	var out *os.File
	err = t.do("create", s.New, func() error {
		out, err = openAt(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := t.fill(out, in, s); err != nil {
		return err
	}
	if s.From.Type == File {
		if err := t.xattrsOf(s.Path, out, s.New); err != nil {
			return err
		}
	}
	return t.setNew(s.New, dir, name, s.To)
}

// fill copies a content into a new file and compares its digest.
func (t *transaction) fill(out *os.File, in io.Reader, s *step) error {
	h := sha256.New()
	err := t.do("write", s.New, func() error { return copySparse(out, in, h, s.To.Size) })
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != s.To.SHA256 {
		return fmt.Errorf("the staged bytes are not the approved ones: digest %s, approved %s", sum, s.To.SHA256)
	}
	return nil
}

// move puts one step into its place. It can be called again for one that is done.
func (t *transaction) move(s *step) error {
	if s.Inside {
		return nil // moved with its directory
	}
	dir, name, err := t.at(s.Path)
	if t.recover && missing(err) {
		if s.removes() {
			return nil
		}
		return errors.Join(ErrMoved, err)
	}
	if err != nil {
		return err
	}
	switch {
	case s.removes():
		return t.remove(s, dir, name)
	case s.New == "":
		return t.turn(s.Path, dir, name, s.To)
	}
	fresh := path.Base(s.New)
	if _, err := lstat(dir, fresh); t.recover && errors.Is(err, os.ErrNotExist) {
		return nil // moved already
	}
	switch {
	case s.From.Type == Absent:
		return t.moveNew(dir, s.New, s.Path)
	case s.From.Type == Directory || s.To.Type == Directory:
		if err := t.remove(s, dir, name); err != nil {
			return err
		}
		return t.moveNew(dir, s.New, s.Path)
	}
	if err := t.untouched(s, dir, name); err != nil {
		return err
	}
	return t.do("rename", s.Path, func() error { return unix.Renameat(int(dir.Fd()), fresh, int(dir.Fd()), name) })
}

// turn gives mode and owner to what is in place, if they are others.
func (t *transaction) turn(at string, dir *os.File, name string, to State) error {
	st, err := lstat(dir, name)
	if err != nil || typeOf(st) != to.Type {
		return errors.Join(ErrMoved, err)
	}
	if st.Uid == to.UID && st.Gid == to.GID && (to.Type == Symlink || st.Mode&0o7777 == to.Mode) {
		return nil
	}
	return t.setAttr(at, dir, name, to)
}

// untouched tells ErrMoved for a name that is not the inode that was kept, or
// whose inode was written since.
func (t *transaction) untouched(s *step, dir *os.File, name string) error {
	now, err := lstat(dir, name)
	if errors.Is(err, os.ErrNotExist) {
		return ErrMoved
	}
	if err != nil {
		return err
	}
	if !t.recover {
		if identOf(now) != s.seen {
			return ErrMoved
		}
		return nil
	}
	kept, err := t.stat(s.Old)
	if err != nil || !sameInode(kept, now) {
		return ErrMoved
	}
	return nil
}

// remove takes a name away, once.
func (t *transaction) remove(s *step, dir *os.File, name string) error {
	st, err := lstat(dir, name)
	if errors.Is(err, os.ErrNotExist) && t.recover {
		return nil
	}
	if err != nil {
		return errors.Join(ErrMoved, err)
	}
	if s.From.Type == Directory {
		if typeOf(st) != Directory {
			return ErrMoved
		}
		err := t.do("rmdir", s.Path, func() error { return unix.Unlinkat(int(dir.Fd()), name, unix.AT_REMOVEDIR) })
		if errors.Is(err, unix.ENOTEMPTY) {
			return errors.Join(ErrMoved, err) // someone put a file there
		}
		return errors.Join(err, t.forgetDir(s.Path))
	}
	if err := t.untouched(s, dir, name); err != nil {
		return err
	}
	return t.do("unlink", s.Path, func() error { return unix.Unlinkat(int(dir.Fd()), name, 0) })
}

// moveNew gives a name to what has none yet, in the same directory.
func (t *transaction) moveNew(dir *os.File, from, to string) error {
	if err := t.do("rename", to, func() error { return renameNew(dir, path.Base(from), path.Base(to)) }); err != nil {
		return err
	}
	return t.forgetDir(from)
}

// renameNew never replaces what came meanwhile.
func renameNew(dir *os.File, from, to string) error {
	fd := int(dir.Fd())
	err := unix.Renameat2(fd, from, fd, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	// NFS and 9p know no flags. link(2) does not replace either, and rename(2)
	// replaces a directory only by a directory, if it is empty.
	if err := unix.Linkat(fd, from, fd, to, 0); !errors.Is(err, unix.EPERM) {
		if err != nil {
			return err
		}
		return unix.Unlinkat(fd, from, 0)
	}
	return unix.Renameat(fd, from, fd, to)
}

// back undoes the move of one step. It can be called again for one that is
// undone, and for one that was never moved.
func (t *transaction) back(s *step) error {
	if s.Inside {
		return nil
	}
	dir, name, err := t.at(s.Path)
	if err != nil {
		return err
	}
	if s.New == "" && !s.removes() {
		return t.turn(s.Path, dir, name, s.From)
	}
	if s.New != "" {
		if done, err := t.moveBack(s, dir, name); done || err != nil {
			return err
		}
	}
	return t.bringBack(s, dir, name)
}

// moveBack takes what a step put in place out again. done tells that nothing
// more is to be undone.
func (t *transaction) moveBack(s *step, dir *os.File, name string) (done bool, err error) {
	fresh := path.Base(s.New)
	if _, err := lstat(dir, fresh); err == nil {
		return false, nil // not moved
	}
	now, err := look(dir, name)
	if err != nil {
		return false, err
	}
	if now.Type == Absent || now.Same(s.From) {
		return false, nil
	}
	if !now.Same(s.To) {
		return false, ErrMoved
	}
	if s.keeps() && s.To.Type != Directory {
		old := path.Base(s.Old)
		return true, t.do("rename", s.Path, func() error { return unix.Renameat(int(dir.Fd()), old, int(dir.Fd()), name) })
	}
	return false, t.moveNew(dir, s.Path, s.New)
}

// bringBack makes again what a step has taken away.
func (t *transaction) bringBack(s *step, dir *os.File, name string) error {
	if _, err := lstat(dir, name); !errors.Is(err, os.ErrNotExist) {
		return err // nothing was taken away, or someone put something there
	}
	switch {
	case s.From.Type == Directory:
		if err := t.do("mkdir", s.Path, func() error { return unix.Mkdirat(int(dir.Fd()), name, 0o700) }); err != nil {
			return err
		}
		return t.setAttr(s.Path, dir, name, s.From)
	case s.keeps():
		return t.link(s.Old, s.Path)
	}
	return nil
}

func typeOf(st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return File
	case unix.S_IFDIR:
		return Directory
	case unix.S_IFLNK:
		return Symlink
	}
	return Other
}
