// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const maxLinks = 40 // symbolic links in one lookup, as in Linux

var (
	errLeaves    = errors.New("symbolic link leaves the volume")
	errManyLinks = errors.New("too many symbolic links")
	errNotDir    = errors.New("not a directory")
	errIsDir     = errors.New("is a directory")
)

// Open opens a file or directory for reading (see [io/fs.FS]). It follows
// symbolic links inside the volume; an absolute target or one above the root
// is an error, and so are more than 40 links. A regular file is also an
// io.ReaderAt and an io.Seeker. Its extents have been checked against the size
// of the image, so reading it fails only if the image cannot be read.
//
// Files compressed with zisofs are unpacked. Those compressed in a way that is
// not known, interleaved files (ECMA-119 6.4.3), devices, pipes and sockets are
// errors that wrap [errors.ErrUnsupported]. In a directory with faulty entries a
// name that is not found is a *CorruptError, not [io/fs.ErrNotExist]: it may be
// the faulty one.
func (v *Volume) Open(name string) (fs.File, error) {
	n, err := v.lookup("open", name, true)
	if err != nil {
		return nil, err
	}
	f := &file{volume: v, node: n, name: name}
	switch {
	case n.dir:
		entries, err := v.list(n)
		if err != nil && entries == nil {
			return nil, pathError("open", name, err)
		}
		return &directory{file: f, entries: entries, damage: err}, nil
	case n.refused != nil:
		return nil, pathError("open", name, n.refused)
	}
	if n.packed != nil && n.stored > 0 {
		raw := stored{v, n}
		if err := n.packed.check(raw, n.stored, n.offset); err != nil {
			return nil, pathError("open", name, err)
		}
		f.unpack = newUnpacker(n.packed, raw, n.stored, n.offset)
	}
	return f, nil
}

// Stat describes a file (see [io/fs.StatFS]) and follows symbolic links as
// Open does. Sizes are in bytes, of a zisofs file those that it unpacks to.
func (v *Volume) Stat(name string) (fs.FileInfo, error) {
	n, err := v.lookup("stat", name, true)
	if err != nil {
		return nil, err
	}
	return info{n, path.Base(name)}, nil
}

// Lstat is Stat, but describes a symbolic link itself (RRIP 4.1.3).
func (v *Volume) Lstat(name string) (fs.FileInfo, error) {
	n, err := v.lookup("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return info{n, path.Base(name)}, nil
}

// ReadLink gives the target of a symbolic link as it is stored, which may well
// point out of the volume. For anything else it wraps [io/fs.ErrInvalid].
func (v *Volume) ReadLink(name string) (string, error) {
	n, err := v.lookup("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.mode&fs.ModeSymlink == 0 {
		return "", pathError("readlink", name, fs.ErrInvalid)
	}
	return n.target, nil
}

// ReadDir lists a directory, sorted by name. If entries of it are faulty, it
// returns the others and a *CorruptError that describes the first faulty one.
func (v *Volume) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := v.lookup("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, pathError("readdir", name, errNotDir)
	}
	entries, err := v.list(n)
	if err != nil {
		err = pathError("readdir", name, err)
	}
	return entries, err
}

// list gives the entries of a directory, which are nil only if there is
// nothing to read, and the damage.
func (v *Volume) list(dir *node) ([]fs.DirEntry, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.load(dir); err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, len(dir.listing.entries))
	for i, n := range dir.listing.entries {
		entries[i] = info{n, n.name}
	}
	return entries, dir.listing.damage
}

// lookup finds the node with this name. It follows links on the way, and one
// at the end if follow is set. It stays in the volume.
func (v *Volume) lookup(op, name string, follow bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, pathError(op, name, fs.ErrInvalid)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	at, links := v.root, 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		element := rest[0]
		rest = rest[1:]
		n, err := v.step(at, element)
		if err != nil {
			return nil, pathError(op, name, err)
		}
		if n.mode&fs.ModeSymlink == 0 || (len(rest) == 0 && !follow) {
			at = n
			continue
		}
		if links++; links > maxLinks {
			return nil, pathError(op, name, errManyLinks)
		}
		if strings.HasPrefix(n.target, "/") {
			return nil, pathError(op, name, errLeaves)
		}
		rest = slices.Concat(strings.Split(n.target, "/"), rest)
	}
	return at, nil
}

// step goes from a directory to one of its entries, to itself or to its parent.
func (v *Volume) step(dir *node, element string) (*node, error) {
	if !dir.dir {
		return nil, errNotDir
	}
	switch element {
	case "", ".":
		return dir, nil
	case "..":
		if dir.parent == nil {
			return nil, errLeaves
		}
		return dir.parent, nil
	}
	if err := v.load(dir); err != nil {
		return nil, err
	}
	n := dir.listing.find(element)
	switch {
	case n != nil:
		return n, nil
	case dir.listing.damage != nil:
		return nil, dir.listing.damage
	}
	return nil, fs.ErrNotExist
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
