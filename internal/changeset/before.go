// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"errors"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// before is what the script saw at a path: what the root has, or what was shown
// in its place.
type before struct {
	at, name string
	kind     policy.Type
	attr     policy.Attr
	size     int64
	rdev     uint64
	changed  time.Time      // the root's inode; zero for what was shown
	own      bool           // the context made it
	shown    *journal.Shown // nil if it is the root's
}

// before reads what the script saw; nil if it saw nothing. A nil lower has no
// names.
func (s *scanner) before(at, name string, lower *os.File) (*before, error) {
	v, known := s.shown[at]
	if known && !v.InPlace {
		if v.State.Type == journal.Absent {
			return nil, nil
		}
		return &before{
			at: at, name: name, kind: policy.Type(v.State.Type), attr: policy.Attr{Mode: modeOf(v.State), UID: v.State.UID, GID: v.State.GID}, size: v.State.Size,
			own: v.Own, shown: &v,
		}, nil
	}
	st, err := lstat(lower, name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &before{at: at, name: name, kind: typeOf(st), attr: attrOf(st), size: st.Size, rdev: st.Rdev, changed: time.Unix(st.Ctim.Unix()), own: known && v.Own}, nil
}

// modeOf is what lstat(2) says: a symlink has every permission.
func modeOf(s journal.State) uint32 {
	if s.Type == journal.Symlink {
		return 0o777
	}
	return s.Mode
}

// digest is that of a regular file, "" for everything else.
func (b *before) digest(lower *os.File) (string, error) {
	if b.kind != policy.File {
		return "", nil
	}
	if b.shown != nil {
		return b.shown.State.SHA256, nil
	}
	sum, _, err := digest(lower, b.name, -1)
	return sum, err
}

// readlink is the target of a symlink, "" for everything else.
func (b *before) readlink(lower *os.File) (string, error) {
	if b.kind != policy.Symlink {
		return "", nil
	}
	if b.shown != nil {
		return b.shown.State.Target, nil
	}
	return readlink(lower, b.name)
}

// open opens the root's directory of the name, if the script saw one there; nil
// if it did not, or if the root has none.
func (b *before) open(lower *os.File) (*os.File, error) {
	if b == nil || b.kind != policy.Directory || lower == nil {
		return nil, nil
	}
	dir, err := openDir(lower, b.name)
	if b.shown != nil && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) {
		return nil, nil
	}
	return dir, err
}

// below lists what the script saw in a directory of the root, sorted.
func (s *scanner) below(at string, lower *os.File) ([]string, error) {
	names, err := readNames(lower)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		v, known := s.shown[path.Join(at, n)]
		return known && v.State.Type == journal.Absent
	})
	for p, v := range s.shown {
		if path.Dir(p) == at && v.State.Type != journal.Absent {
			names = append(names, path.Base(p))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
