// SPDX-License-Identifier: Apache-2.0

package fat

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

var (
	errNotDir = errors.New("not a directory")
	errIsDir  = errors.New("is a directory")
)

// info describes a node under the name it was asked for. It is both
// fs.FileInfo and fs.DirEntry.
type info struct {
	*node
	called string
}

func (i info) Name() string { return i.called }
func (i info) Size() int64  { return i.length }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return dirMode
	}
	return fileMode
}
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) ModTime() time.Time         { return i.modTime }
func (i info) IsDir() bool                { return i.dir }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) Sys() any                   { return nil }
func (i info) String() string             { return fs.FormatFileInfo(i) }

// Open opens a file or directory for reading (see [io/fs.FS]). A regular file
// is also an io.ReaderAt and an io.Seeker. Its clusters have been checked, so
// reading it fails only if the volume cannot be read. In a directory with
// faulty entries a name that is not found is a *CorruptError, not
// [io/fs.ErrNotExist]: it may be the faulty one.
func (v *Volume) Open(name string) (fs.File, error) {
	n, err := v.lookup("open", name)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n.dir {
		if err := v.load(n); err != nil {
			return nil, pathError("open", name, err)
		}
		return &directory{n: n, name: name, left: n.list()}, nil
	}
	clusters, err := v.chain(n, n.length)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	f := &file{n: n, name: name}
	f.SectionReader = io.NewSectionReader(content{v, clusters}, 0, n.length)
	return f, nil
}

// Stat describes a file (see [io/fs.StatFS]).
func (v *Volume) Stat(name string) (fs.FileInfo, error) {
	n, err := v.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return info{n, path.Base(name)}, nil
}

// ReadDir lists a directory, sorted by name. If entries of it are faulty, it
// returns the others and a *CorruptError that describes the first faulty one.
func (v *Volume) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := v.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, pathError("readdir", name, errNotDir)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.load(n); err != nil {
		return nil, pathError("readdir", name, err)
	}
	if n.damage != nil {
		return n.list(), pathError("readdir", name, n.damage)
	}
	return n.list(), nil
}

func (n *node) list() []fs.DirEntry {
	entries := make([]fs.DirEntry, len(n.entries))
	for i, e := range n.entries {
		entries[i] = info{e, e.name}
	}
	return entries
}

// lookup finds the node with this name, which has to be spelt as it is listed.
func (v *Volume) lookup(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, pathError(op, name, fs.ErrInvalid)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.root
	if name == "." {
		return at, nil
	}
	for element := range strings.SplitSeq(name, "/") {
		if !at.dir {
			return nil, pathError(op, name, errNotDir)
		}
		if err := v.load(at); err != nil {
			return nil, pathError(op, name, err)
		}
		n := at.names[element]
		switch {
		case n == nil && at.damage != nil:
			return nil, pathError(op, name, at.damage)
		case n == nil:
			return nil, pathError(op, name, fs.ErrNotExist)
		}
		at = n
	}
	return at, nil
}

// content reads the clusters of one file in their order.
type content struct {
	v        *Volume
	clusters []uint32
}

func (c content) ReadAt(p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) {
		i := (offset + int64(done)) / c.v.cluster
		skip := (offset + int64(done)) % c.v.cluster
		if i >= int64(len(c.clusters)) {
			return done, io.EOF
		}
		run := int64(1) // clusters that lie one after the other are one read
		for i+run < int64(len(c.clusters)) && c.clusters[i+run] == c.clusters[i]+uint32(run) && run*c.v.cluster-skip < int64(len(p)-done) {
			run++
		}
		part := p[done:]
		part = part[:min(int64(len(part)), run*c.v.cluster-skip)]
		if err := c.v.readAt(part, c.v.clusterAt(c.clusters[i])+skip); err != nil {
			return done, err
		}
		done += len(part)
	}
	return done, nil
}

// A file is an open regular file.
type file struct {
	*io.SectionReader
	n      *node
	name   string
	closed bool
}

func (f *file) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, pathError("stat", f.name, fs.ErrClosed)
	}
	return info{f.n, path.Base(f.name)}, nil
}

func (f *file) Read(p []byte) (int, error) {
	if f.closed {
		return 0, pathError("read", f.name, fs.ErrClosed)
	}
	n, err := f.SectionReader.Read(p)
	if err != nil && err != io.EOF {
		err = pathError("read", f.name, err)
	}
	return n, err
}

func (f *file) Close() error {
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// A directory is an open directory; left are the entries not read yet.
type directory struct {
	n      *node
	name   string
	left   []fs.DirEntry
	closed bool
}

func (d *directory) Stat() (fs.FileInfo, error) { return info{d.n, path.Base(d.name)}, nil }

func (d *directory) Read([]byte) (int, error) { return 0, pathError("read", d.name, errIsDir) }

func (d *directory) Close() error {
	if d.closed {
		return pathError("close", d.name, fs.ErrClosed)
	}
	d.closed = true
	return nil
}

func (d *directory) ReadDir(count int) ([]fs.DirEntry, error) {
	if d.closed {
		return nil, pathError("readdir", d.name, fs.ErrClosed)
	}
	n := len(d.left)
	if count > 0 {
		n = min(n, count)
	}
	entries := d.left[:n:n]
	d.left = d.left[n:]
	switch {
	case d.n.damage != nil && (count <= 0 || n == 0):
		return entries, pathError("readdir", d.name, d.n.damage)
	case count > 0 && n == 0:
		return nil, io.EOF
	}
	return entries, nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
