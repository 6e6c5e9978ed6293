// SPDX-License-Identifier: Apache-2.0

// Package changeset turns a staging tree into a list of changes, and applies an
// approved list to a root. Scan reads pairs of overlayfs lower and upper
// directories and returns every difference from what the script was shown; Plan
// turns what policy.Check approved into a transaction of the journal's. It decides nothing: whether a change may be made is the policy's word.
package changeset

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// Layer is one mount of the root: what it held (Lower) and what the script
// left over it (Upper), both as open directories. At is the mount point inside
// the root, "/" for the root itself. Nobody else may write Upper any more.
type Layer struct {
	At           string
	Lower, Upper *os.File
	// UserMarks says that overlayfs's marks are user.overlay.*, as in a user namespace.
	UserMarks bool
}

// Seen is what the script saw beside the layers. Since is when that began, by the
// clock of inodes; the zero time is never.
type Seen struct {
	Shown []journal.Shown
	Since time.Time
}

// Limits bound a scan. Bytes is how long the files in the upper layers may be
// together; a sparse file counts with its length, not with what it takes.
type Limits struct {
	Changes int
	Bytes   int64
}

// LimitError tells which limit a staging tree exceeds.
type LimitError struct {
	Path   string // where the scan stopped
	Reason string
}

func (e *LimitError) Error() string { return fmt.Sprintf("scan %q: %s", e.Path, e.Reason) }

// maxHeld is how many bytes of content are kept for the policy, in all files
// together. Configuration is far smaller; a flood of sparse files is not.
const maxHeld = 32 << 20

// maxDepth is the number of nested directories a scan follows; each costs two
// descriptors.
const maxDepth = 100

// Scan lists every difference of the layers' uppers against their lowers,
// sorted by path. A copy-up that changed nothing, or only times, is none
// (kernel: Documentation/filesystems/overlayfs.rst). Where the script was shown
// something else than the root has, the difference is that from what it saw. A
// changed path that someone else wrote while the script ran is journal.ErrMoved:
// nobody knows which of the two states the script saw.
func Scan(layers []Layer, seen Seen, lim Limits) ([]policy.Change, error) {
	s := &scanner{lim: lim, since: seen.Since, names: map[inode]uint64{}, shown: map[string]journal.Shown{}}
	for _, v := range seen.Shown {
		s.shown[v.Path] = v
	}
	for _, l := range layers {
		s.layer = l
		if err := s.directory(l.At, l.Lower, l.Upper, false, 0); err != nil {
			return nil, err
		}
		if err := s.metadata(l.At, l.Lower, l.Upper); err != nil {
			return nil, err
		}
	}
	for i := range s.changes {
		c := &s.changes[i]
		c.LinkedOutside = s.links[i].n > 1 && s.names[s.links[i].ino] < s.links[i].n
		if c.Type != policy.Symlink || c.Op == policy.Delete {
			continue
		}
		var err error
		if c.Through, err = s.through(layers, *c); err != nil {
			return nil, err
		}
	}
	sort.Slice(s.changes, func(i, j int) bool { return s.changes[i].Path < s.changes[j].Path })
	return s.changes, nil
}

type inode struct{ dev, ino uint64 }

type link struct {
	ino inode
	n   uint64
}

type scanner struct {
	lim     Limits
	bytes   int64 // of the files seen so far
	held    int64 // of their content kept
	layer   Layer
	changes []policy.Change
	links   []link           // parallel to changes: the identity of new files
	names   map[inode]uint64 // how many changed names an inode has
	shown   map[string]journal.Shown
	since   time.Time
}

func (s *scanner) add(c policy.Change, st *unix.Stat_t) error {
	if len(c.Path) >= unix.PathMax {
		return &LimitError{Path: c.Path[:80] + "…", Reason: fmt.Sprintf("the path is longer than %d bytes", unix.PathMax)}
	}
	if len(s.changes) >= s.lim.Changes {
		return &LimitError{Path: c.Path, Reason: fmt.Sprintf("more than %d changes", s.lim.Changes)}
	}
	l := link{}
	if st != nil && c.Type == policy.File {
		l = link{inode{uint64(st.Dev), st.Ino}, uint64(st.Nlink)}
		s.names[l.ino]++
	}
	s.changes, s.links = append(s.changes, c), append(s.links, l)
	return nil
}

// directory compares upper, a directory, with lower, which is nil where the
// root has none. hides tells that the script made a directory above anew:
// overlayfs marks that one alone, and it hides what lies below in the root.
func (s *scanner) directory(at string, lower, upper *os.File, hides bool, depth int) error {
	if depth > maxDepth {
		return &LimitError{Path: at, Reason: fmt.Sprintf("directories are nested deeper than %d", maxDepth)}
	}
	names, err := readNames(upper)
	if err != nil {
		return err
	}
	hides = hides || opaque(upper, s.layer.UserMarks)
	for _, name := range names {
		if err := s.entry(path.Join(at, name), name, lower, upper, hides, depth); err != nil {
			return err
		}
	}
	if lower == nil || !hides {
		return nil
	}
	// The script removed the directory and made it anew: what was below and is
	// not there again is gone.
	below, err := s.below(at, lower)
	if err != nil {
		return err
	}
	for _, name := range below {
		if _, there := slices.BinarySearch(names, name); !there {
			low, err := s.before(path.Join(at, name), name, lower)
			if err == nil && low != nil {
				err = s.gone(low, lower, depth)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// entry compares one name of an upper directory with what the script saw there.
func (s *scanner) entry(at, name string, lower, upper *os.File, hides bool, depth int) error {
	up, err := lstat(upper, name)
	if err != nil {
		return err
	}
	low, err := s.before(at, name, lower)
	if err != nil {
		return err
	}
	if whiteout(up) {
		if low == nil {
			return nil // made and removed again
		}
		return s.gone(low, lower, depth)
	}
	if low != nil && low.kind == policy.Directory && typeOf(up) != policy.Directory {
		if err := s.goneBelow(low, lower, depth); err != nil {
			return err
		}
	}
	c, err := s.compare(at, name, lower, upper, low, up)
	if err != nil {
		return err
	}
	if c != nil {
		if err := s.add(*c, up); err != nil {
			return err
		}
	}
	if typeOf(up) != policy.Directory {
		return nil
	}
	return s.descend(at, name, lower, upper, low, hides, depth)
}

func (s *scanner) descend(at, name string, lower, upper *os.File, low *before, hides bool, depth int) error {
	sub, err := openDir(upper, name)
	if err != nil {
		return err
	}
	defer sub.Close()
	lowSub, err := low.open(lower)
	if err != nil {
		return err
	}
	if lowSub != nil {
		defer lowSub.Close()
	}
	return s.directory(at, lowSub, sub, hides, depth+1)
}

// gone records the removal of a path and of everything below it.
func (s *scanner) gone(low *before, lower *os.File, depth int) error {
	if err := s.settled(low); err != nil {
		return err
	}
	c := policy.Change{Path: low.at, Op: policy.Delete, Type: low.kind, TypeBefore: low.kind, Attr: low.attr, Size: low.size, Own: low.own, Before: &low.attr}
	var err error
	if c.SHA256Before, err = low.digest(lower); err != nil {
		return err
	}
	if c.Target, err = low.readlink(lower); err != nil {
		return err
	}
	c.TargetBefore = c.Target
	if err := s.add(c, nil); err != nil {
		return err
	}
	if c.Type != policy.Directory {
		return nil
	}
	return s.goneBelow(low, lower, depth)
}

// goneBelow records the removal of everything in a directory.
func (s *scanner) goneBelow(low *before, lower *os.File, depth int) error {
	if depth > maxDepth {
		return &LimitError{Path: low.at, Reason: fmt.Sprintf("directories are nested deeper than %d", maxDepth)}
	}
	dir, err := low.open(lower)
	if err != nil || dir == nil {
		return err
	}
	defer dir.Close()
	names, err := s.below(low.at, dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		below, err := s.before(path.Join(low.at, n), n, dir)
		if err == nil && below != nil {
			err = s.gone(below, dir, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// metadata compares the mount point itself, which no name leads to.
func (s *scanner) metadata(at string, lower, upper *os.File) error {
	up, err := lstat(upper, "")
	if err != nil {
		return err
	}
	low, err := s.before(at, "", lower)
	if err != nil {
		return err
	}
	c, err := s.compare(at, "", lower, upper, low, up)
	if err != nil || c == nil {
		return err
	}
	return s.add(*c, nil)
}

// compare returns the change of one path, or nil if there is none.
func (s *scanner) compare(at, name string, lower, upper *os.File, low *before, up *unix.Stat_t) (*policy.Change, error) {
	c := &policy.Change{Path: at, Op: policy.Create, Type: typeOf(up), Attr: attrOf(up), ModTime: up.Mtim.Nano()}
	same := false
	var err error
	if low != nil {
		was := low.attr
		c.Before, c.TypeBefore, c.Op, c.Own = &was, low.kind, policy.Modify, low.own
		same = c.TypeBefore == c.Type
		if c.TargetBefore, err = low.readlink(lower); err != nil {
			return nil, err
		}
	}
	switch c.Type {
	case policy.File:
		same, err = s.file(c, name, lower, upper, low, up, same)
	case policy.Symlink:
		c.Target, err = readlink(upper, name)
		same = same && c.TargetBefore == c.Target
	case policy.Device:
		same = same && low.rdev == up.Rdev
	}
	if err != nil {
		return nil, err
	}
	if c.Xattrs, err = xattrDifference(low, lower, upper, name); err != nil {
		return nil, err
	}
	if same {
		if *c.Before == c.Attr && len(c.Xattrs) == 0 {
			return nil, nil
		}
		c.Op = policy.Metadata
	}
	return c, s.settled(low)
}

// settled tells ErrMoved for a path that was written while the script ran. The
// ctime of a directory is also that of its entries, which are looked at one by
// one.
func (s *scanner) settled(low *before) error {
	if low == nil || s.since.IsZero() || low.kind == policy.Directory || !low.changed.After(s.since) {
		return nil
	}
	return fmt.Errorf("%q: %w", low.at, journal.ErrMoved)
}

// file fills in what a regular file's change says of its content, and tells
// whether the content is what it was.
func (s *scanner) file(c *policy.Change, name string, lower, upper *os.File, low *before, up *unix.Stat_t, same bool) (bool, error) {
	c.Size = up.Size
	if s.bytes += up.Size; s.bytes > s.lim.Bytes {
		return false, &LimitError{Path: c.Path, Reason: fmt.Sprintf("the files written are together longer than %d bytes", s.lim.Bytes)}
	}
	keep := int64(policy.MaxChecked)
	if s.held+up.Size > maxHeld {
		keep = -1
	}
	var err error
	if c.SHA256After, c.Data, err = digest(upper, name, keep); err != nil {
		return false, err
	}
	s.held += int64(len(c.Data))
	layer, rel := s.layer, strings.TrimPrefix(strings.TrimPrefix(c.Path, s.layer.At), "/")
	c.Open = func() (io.ReadCloser, error) { return openBeneath(layer.Upper, rel) }
	if c.TypeBefore != policy.File {
		return false, nil
	}
	if c.SHA256Before, err = low.digest(lower); err != nil {
		return false, err
	}
	return same && low.size == up.Size && c.SHA256Before == c.SHA256After, nil
}
