// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// errMoved tells that somebody else wrote the target since the script saw it.
var errMoved = errors.New("the file was changed by someone else meanwhile: run the stage again")

// at opens the directory of a path, element by element. A sub-root that is not
// the very directory that its name shows was reached through a symlink or
// swapped meanwhile, and ends the transaction.
func (t *transaction) at(p string) (*os.Root, string, error) {
	dir, err := t.directory(path.Dir(p))
	return dir, path.Base(p), err
}

func (t *transaction) directory(p string) (*os.Root, error) {
	if d, ok := t.dirs[p]; ok {
		return d, nil
	}
	if p == "/" {
		d, err := t.root.OpenRoot(".")
		if err == nil {
			t.dirs[p] = d
		}
		return d, err
	}
	parent, err := t.directory(path.Dir(p))
	if err != nil {
		return nil, err
	}
	name := path.Base(p)
	want, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !want.IsDir() {
		return nil, &os.PathError{Op: "open directory", Path: p, Err: syscall.ENOTDIR}
	}
	sub, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	got, err := sub.Stat(".")
	if err == nil && !os.SameFile(want, got) {
		err = &os.PathError{Op: "open directory", Path: p, Err: syscall.ELOOP}
	}
	if err != nil {
		return nil, errors.Join(err, sub.Close())
	}
	t.dirs[p] = sub
	return sub, nil
}

// unchanged holds the target against what the scan saw there.
func (s *step) unchanged() error {
	info, err := s.dir.Lstat(s.name)
	if errors.Is(err, os.ErrNotExist) && s.Before == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if s.Before == nil || typeOfMode(info.Mode()) != s.TypeBefore {
		return errMoved
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || (policy.Attr{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid}) != *s.Before {
		return errMoved
	}
	switch {
	case s.SHA256Before != "":
		sum, err := s.digest()
		if err != nil {
			return err
		}
		if sum != s.SHA256Before {
			return errMoved
		}
	case s.Type == policy.Symlink && s.Op != policy.Modify:
		if target, err := s.dir.Readlink(s.name); err != nil || target != s.Target {
			return errors.Join(err, errMoved)
		}
	}
	return nil
}

func (s *step) digest() (string, error) {
	f, err := s.dir.OpenFile(s.name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writeFile writes the approved bytes under the temporary name, with their
// final owner and mode, and flushes them: the rename that follows must never
// be durable before the data is.
func (s *step) writeFile() (err error) {
	in, err := s.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := s.dir.OpenFile(s.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, s.Size+1)); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != s.SHA256After {
		return fmt.Errorf("the staged bytes are not the approved ones: digest %s, approved %s", sum, s.SHA256After)
	}
	if err := out.Chown(int(s.Attr.UID), int(s.Attr.GID)); err != nil {
		return err
	}
	if s.Before != nil {
		if err := s.keepXattrs(out); err != nil {
			return err
		}
	}
	if err := out.Chmod(fileMode(s.Attr.Mode)); err != nil {
		return err
	}
	return out.Sync()
}

// keepXattrs gives the new file the extended attributes of the one it replaces,
// its ACL and label among them: the policy lets no script change them, so what
// the image had stays.
func (s *step) keepXattrs(out *os.File) error {
	old, err := s.dir.OpenFile(s.name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer old.Close()
	list := make([]byte, 1<<16) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(int(old.Fd()), list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "listxattr", Path: s.Path, Err: err}
	}
	value := make([]byte, 1<<16) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		n, err := unix.Fgetxattr(int(old.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(out.Fd()), name, value[:n], 0)
		}
		if err != nil {
			return &os.PathError{Op: "keep xattr " + name, Path: s.Path, Err: err}
		}
	}
	return nil
}

// fileMode turns permission bits of chmod(2) into Go's.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, goBit := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= goBit
		}
	}
	return m
}

func typeOfMode(m fs.FileMode) policy.Type {
	switch m.Type() {
	case 0:
		return policy.File
	case fs.ModeDir:
		return policy.Directory
	case fs.ModeSymlink:
		return policy.Symlink
	case fs.ModeNamedPipe:
		return policy.FIFO
	case fs.ModeSocket:
		return policy.Socket
	}
	return policy.Device
}
