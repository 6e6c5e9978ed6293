// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// The types of what the journal can put in a place, inode(7) in words. A path
// that holds anything else has type Other: it is never written or removed.
const (
	Absent    = ""
	File      = "file"
	Directory = "directory"
	Symlink   = "symlink"
	Other     = "other"
)

// State is what a path is, or is to be. The zero State is a path that is not
// there.
type State struct {
	Type    string `json:"type,omitempty"`
	Mode    uint32 `json:"mode,omitempty"` // permission bits, mask 07777
	UID     uint32 `json:"uid,omitempty"`
	GID     uint32 `json:"gid,omitempty"`
	Size    int64  `json:"size,omitempty"`
	SHA256  string `json:"sha256,omitempty"` // of a file, lower-case hex
	Target  string `json:"target,omitempty"` // of a symlink
	ModTime int64  `json:"mtime,omitempty"`  // nanoseconds since 1970; compared with nothing
	// Image is the name in images/ that has a file's content, where that is not
	// in place.
	Image string `json:"image,omitempty"`
}

// Same tells whether two states are one and the same for a reader of the path.
// Times do not count, nor does where the content is kept. A symlink has no mode
// of its own, and a directory no size.
func (s State) Same(o State) bool {
	return s.sameContent(o) && s.UID == o.UID && s.GID == o.GID && (s.Type == Symlink || s.Mode == o.Mode)
}

// sameContent leaves mode and owner out.
func (s State) sameContent(o State) bool {
	return s.Type == o.Type && s.Type != Other && s.SHA256 == o.SHA256 && s.Target == o.Target
}

// ident tells one inode from another and a written one from one that was left
// alone: nobody can set a ctime.
type ident struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func identOf(st *unix.Stat_t) ident {
	return ident{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
}

// sameInode tells whether two names are of one inode. An overlay that copied it
// up for the second name shows each name with a number of its own (Documentation/
// filesystems/overlayfs.rst, "Non-standard behavior"), and all the rest alike.
func sameInode(a, b *unix.Stat_t) bool {
	if a.Dev == b.Dev && a.Ino == b.Ino {
		return true
	}
	return a.Nlink > 1 && a.Nlink == b.Nlink && a.Ctim == b.Ctim && a.Mtim == b.Mtim && a.Size == b.Size &&
		a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid
}

func lstat(dir *os.File, name string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return &st, nil
}

// look reads the state of a name in a directory; one that is not there is no
// error.
func look(dir *os.File, name string) (State, error) {
	st, err := lstat(dir, name)
	if errors.Is(err, os.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	s := State{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, ModTime: st.Mtim.Nano()}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		s.Type, s.Size = File, st.Size
		s.SHA256, err = digestOf(dir, name)
	case unix.S_IFDIR:
		s.Type = Directory
	case unix.S_IFLNK:
		s.Type, s.Mode = Symlink, 0
		s.Target, err = readlink(dir, name)
	default:
		s.Type = Other
	}
	return s, err
}

func readlink(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

func digestOf(dir *os.File, name string) (string, error) {
	f, err := openAt(dir, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if err := copySparse(nil, f, h, -1); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// openAt opens a name in a directory, never through a symlink.
func openAt(dir *os.File, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openDir opens a directory of the root; no element on the way may be a
// symlink, so that nobody can lead a write elsewhere.
func openDir(root *os.File, at string) (*os.File, error) {
	rel := strings.TrimPrefix(at, "/")
	if rel == "" {
		rel = "."
	}
	fd, err := unix.Openat2(int(root.Fd()), rel, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open directory", Path: at, Err: err}
	}
	return os.NewFile(uintptr(fd), at), nil
}

// survey reads the state of every path of the record as it is now.
func (j *Journal) survey() error {
	j.now, j.extra = map[string]State{}, map[string][]string{}
	var dir *os.File
	defer func() {
		if dir != nil {
			dir.Close()
		}
	}()
	for _, e := range j.record.Entries {
		parent := path.Dir(e.Path)
		if dir == nil || dir.Name() != parent {
			if dir != nil {
				dir.Close()
			}
			var err error
			if dir, err = openDir(j.root, parent); err != nil {
				dir = nil
				if missing(err) {
					continue // no directory: the path is not there either
				}
				return err
			}
		}
		s, err := look(dir, path.Base(e.Path))
		if err != nil {
			return err
		}
		j.now[e.Path] = s
		if s.Type == Directory && e.Base.Type == Absent {
			if err := j.strangers(dir, e.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing tells that a directory is not there, or that what is there leads
// elsewhere.
func missing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// strangers notes what a directory that a context made holds beside what the
// record knows.
func (j *Journal) strangers(parent *os.File, at string) error {
	dir, err := openAt(parent, path.Base(at), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, n := range names {
		if _, known := j.record.entry(path.Join(at, n)); !known {
			j.extra[at] = append(j.extra[at], n)
		}
	}
	return nil
}
