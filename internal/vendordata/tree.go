// SPDX-License-Identifier: Apache-2.0

package vendordata

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// tree is a file tree in memory. Vendor data has no modes: files are 0644 and
// directories 0755, as on a plain ISO 9660 disc.
type tree struct{ nodes map[string]*node }

// node is a file or a directory. It is both fs.FileInfo and fs.DirEntry.
type node struct {
	name    string
	data    []byte
	dir     bool
	entries []fs.DirEntry // of a directory
}

func newTree() *tree { return &tree{map[string]*node{".": {name: ".", dir: true}}} }

// add makes a file and the directories above it.
func (t *tree) add(name string, data []byte) error {
	if t.nodes[name] != nil {
		return fmt.Errorf("%q is there twice", name)
	}
	return t.put(name, &node{name: path.Base(name), data: data})
}

// put puts a node into its directory, which is made if need be.
func (t *tree) put(name string, n *node) error {
	above := path.Dir(name)
	dir := t.nodes[above]
	if dir == nil {
		dir = &node{name: path.Base(above), dir: true}
		if err := t.put(above, dir); err != nil {
			return err
		}
	}
	if !dir.dir {
		return fmt.Errorf("%q is a file and has files in it", above)
	}
	dir.entries = append(dir.entries, n)
	t.nodes[name] = n
	return nil
}

// sort puts the entries of each directory in the order that fs.FS asks for.
func (t *tree) sort() {
	for _, n := range t.nodes {
		slices.SortFunc(n.entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
}

// scripted tells whether the tree has the script of a stage.
func (t *tree) scripted() bool { return t.nodes["prolog.sh"] != nil || t.nodes["epilog.sh"] != nil }

// Open opens a file or directory (see [io/fs.FS]).
func (t *tree) Open(name string) (fs.File, error) {
	n := t.nodes[name]
	switch {
	case !fs.ValidPath(name):
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	case n == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{n, bytes.NewReader(n.data), n.entries}, nil
}

// Name and the rest describe a node.
func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return int64(len(n.data)) }
func (n *node) ModTime() time.Time         { return time.Time{} }
func (n *node) IsDir() bool                { return n.dir }
func (n *node) Sys() any                   { return nil }
func (n *node) Type() fs.FileMode          { return n.Mode().Type() }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }
func (n *node) Mode() fs.FileMode {
	if n.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// file is an open file or directory, with what was not read of it yet.
type file struct {
	node *node
	data *bytes.Reader
	left []fs.DirEntry
}

func (f *file) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *file) Close() error               { return nil }

func (f *file) Read(p []byte) (int, error) {
	if f.node.dir {
		return 0, &fs.PathError{Op: "read", Path: f.node.name, Err: errors.New("is a directory")}
	}
	return f.data.Read(p)
}

// ReadDir lists a directory; in a file there is nothing.
func (f *file) ReadDir(count int) ([]fs.DirEntry, error) {
	n := len(f.left)
	if count > 0 {
		if n = min(n, count); n == 0 {
			return nil, io.EOF
		}
	}
	out := f.left[:n:n]
	f.left = f.left[n:]
	return out, nil
}
