// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"io"
	"io/fs"
	"path"
	"sort"
	"sync"
	"time"
)

// info describes a node under the name it was asked for. It is both
// fs.FileInfo and fs.DirEntry.
type info struct {
	*node
	name string
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) Mode() fs.FileMode          { return i.mode }
func (i info) Type() fs.FileMode          { return i.mode.Type() }
func (i info) ModTime() time.Time         { return i.modTime }
func (i info) IsDir() bool                { return i.dir }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) Sys() any                   { return nil }
func (i info) String() string             { return fs.FormatFileInfo(i) }

// A file is an open regular file.
type file struct {
	volume *Volume
	node   *node
	unpack *unpacker // of a compressed file
	name   string    // as it was opened
	at     int64     // of the next Read, bytes
	closed bool

	unpacking sync.Mutex // guards unpack
}

func (f *file) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, pathError("stat", f.name, fs.ErrClosed)
	}
	return info{f.node, path.Base(f.name)}, nil
}

func (f *file) Close() error {
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *file) Read(p []byte) (int, error) {
	if f.closed {
		return 0, pathError("read", f.name, fs.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	switch {
	case f.closed:
		return 0, pathError("read", f.name, fs.ErrClosed)
	case offset < 0:
		return 0, pathError("read", f.name, fs.ErrInvalid)
	}
	n, err := f.content(p, offset)
	if err != nil && err != io.EOF {
		err = pathError("read", f.name, err)
	}
	return n, err
}

// content reads the file's contents, unpacked if need be.
func (f *file) content(p []byte, offset int64) (int, error) {
	if f.unpack == nil {
		return stored{f.volume, f.node}.ReadAt(p, offset)
	}
	f.unpacking.Lock()
	defer f.unpacking.Unlock()
	return f.unpack.ReadAt(p, offset)
}

// stored are the bytes of a file as they lie in its extents.
type stored struct {
	volume *Volume
	node   *node
}

func (s stored) ReadAt(p []byte, offset int64) (int, error) {
	extents, done := s.node.extents, 0
	// The first extent that ends after offset; the extents are in file order.
	i := sort.Search(len(extents), func(i int) bool { return extents[i].start+extents[i].length > offset })
	for ; i < len(extents) && done < len(p); i++ {
		e := extents[i]
		skip := offset + int64(done) - e.start
		part := p[done:]
		part = part[:min(int64(len(part)), e.length-skip)]
		if err := s.volume.readAt(part, e.offset+skip); err != nil {
			return done, err
		}
		done += len(part)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.node.size
	}
	if f.closed || offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, pathError("seek", f.name, fs.ErrInvalid)
	}
	f.at = offset
	return offset, nil
}

// A directory is an open directory; entries are those not read yet.
type directory struct {
	file    *file
	entries []fs.DirEntry
	damage  error
}

func (d *directory) Stat() (fs.FileInfo, error) { return d.file.Stat() }
func (d *directory) Close() error               { return d.file.Close() }

func (d *directory) Read([]byte) (int, error) {
	return 0, pathError("read", d.file.name, errIsDir)
}

func (d *directory) ReadDir(count int) ([]fs.DirEntry, error) {
	if d.file.closed {
		return nil, pathError("readdir", d.file.name, fs.ErrClosed)
	}
	n := len(d.entries)
	if count > 0 {
		n = min(n, count)
	}
	entries := d.entries[:n:n]
	d.entries = d.entries[n:]
	switch {
	case d.damage != nil && (count <= 0 || n == 0):
		return entries, pathError("readdir", d.file.name, d.damage)
	case count > 0 && n == 0:
		return nil, io.EOF
	}
	return entries, nil
}
