// SPDX-License-Identifier: Apache-2.0

// Package changeset turns a staging tree into a list of changes, and applies an
// approved list to a root. Scan reads pairs of overlayfs lower and upper
// directories and returns every difference; Apply writes what policy.Check
// approved through one *os.Root, all of it or none. It decides nothing: whether
// a change may be made is the policy's word.
package changeset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// Layer is one mount of the root: what it held (Lower) and what the script
// left over it (Upper), both as open directories. At is the mount point inside
// the root, "/" for the root itself. Nobody else may write Upper any more.
type Layer struct {
	At           string
	Lower, Upper *os.File
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
// (kernel: Documentation/filesystems/overlayfs.rst).
func Scan(layers []Layer, lim Limits) ([]policy.Change, error) {
	s := &scanner{lim: lim, names: map[inode]uint64{}}
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
		if s.links[i].n > 1 && s.names[s.links[i].ino] < s.links[i].n {
			s.changes[i].LinkedOutside = true
		}
	}
	slices.SortFunc(s.changes, func(a, b policy.Change) int { return strings.Compare(a.Path, b.Path) })
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
	hides = hides || opaque(upper)
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
	below, err := readNames(lower)
	if err != nil {
		return err
	}
	for _, name := range below {
		if _, there := slices.BinarySearch(names, name); !there {
			if err := s.gone(path.Join(at, name), name, lower, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry compares one name of an upper directory with the lower one's.
func (s *scanner) entry(at, name string, lower, upper *os.File, hides bool, depth int) error {
	up, err := lstat(upper, name)
	if err != nil {
		return err
	}
	low, err := lstat(lower, name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if whiteout(up) {
		if low == nil {
			return nil // made and removed again
		}
		return s.gone(at, name, lower, depth)
	}
	if low != nil && typeOf(low) == policy.Directory && typeOf(up) != policy.Directory {
		if err := s.below(at, name, lower, depth); err != nil {
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

func (s *scanner) descend(at, name string, lower, upper *os.File, low *unix.Stat_t, hides bool, depth int) error {
	sub, err := openDir(upper, name)
	if err != nil {
		return err
	}
	defer sub.Close()
	var lowSub *os.File
	if low != nil && typeOf(low) == policy.Directory {
		if lowSub, err = openDir(lower, name); err != nil {
			return err
		}
		defer lowSub.Close()
	}
	return s.directory(at, lowSub, sub, hides, depth+1)
}

// gone records the removal of a path and of everything below it.
func (s *scanner) gone(at, name string, lower *os.File, depth int) error {
	st, err := lstat(lower, name)
	if err != nil {
		return err
	}
	c := policy.Change{Path: at, Op: policy.Delete, Type: typeOf(st), TypeBefore: typeOf(st), Attr: attrOf(st), Size: st.Size}
	before := attrOf(st)
	c.Before = &before
	switch c.Type {
	case policy.File:
		if c.SHA256Before, _, err = digest(lower, name, -1); err != nil {
			return err
		}
	case policy.Symlink:
		if c.Target, err = readlink(lower, name); err != nil {
			return err
		}
	}
	if err := s.add(c, nil); err != nil {
		return err
	}
	if c.Type != policy.Directory {
		return nil
	}
	return s.below(at, name, lower, depth)
}

// below records the removal of everything in a directory.
func (s *scanner) below(at, name string, lower *os.File, depth int) error {
	if depth > maxDepth {
		return &LimitError{Path: at, Reason: fmt.Sprintf("directories are nested deeper than %d", maxDepth)}
	}
	dir, err := openDir(lower, name)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := readNames(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := s.gone(path.Join(at, n), n, dir, depth+1); err != nil {
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
	low, err := lstat(lower, "")
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
func (s *scanner) compare(at, name string, lower, upper *os.File, low, up *unix.Stat_t) (*policy.Change, error) {
	c := &policy.Change{Path: at, Op: policy.Create, Type: typeOf(up), Attr: attrOf(up)}
	same := false
	if low != nil {
		before := attrOf(low)
		c.Before, c.TypeBefore, c.Op = &before, typeOf(low), policy.Modify
		same = c.TypeBefore == c.Type
	}
	var err error
	switch c.Type {
	case policy.File:
		same, err = s.file(c, name, lower, upper, low, up, same)
	case policy.Symlink:
		if c.Target, err = readlink(upper, name); err == nil && same {
			var before string
			before, err = readlink(lower, name)
			same = before == c.Target
		}
	case policy.Device:
		same = same && low.Rdev == up.Rdev
	}
	if err != nil {
		return nil, err
	}
	if c.Xattrs, err = xattrDifference(lower, upper, name, low != nil); err != nil {
		return nil, err
	}
	if same {
		if *c.Before == c.Attr && len(c.Xattrs) == 0 {
			return nil, nil
		}
		c.Op = policy.Metadata
	}
	return c, nil
}

// file fills in what a regular file's change says of its content, and tells
// whether the content is the root's.
func (s *scanner) file(c *policy.Change, name string, lower, upper *os.File, low, up *unix.Stat_t, same bool) (bool, error) {
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
	if low == nil || c.TypeBefore != policy.File {
		return false, nil
	}
	if c.SHA256Before, _, err = digest(lower, name, -1); err != nil {
		return false, err
	}
	return same && low.Size == up.Size && c.SHA256Before == c.SHA256After, nil
}
