// SPDX-License-Identifier: Apache-2.0

// Package isowrite writes a file tree as an ISO 9660 image with Rock Ridge.
//
// Input: an fs.FS that does not change meanwhile. Output: the image as a stream,
// the same bytes for the same tree on every machine: entries stand in the order
// of their names, belong to 0:0, carry one time, and their modes keep only what
// a checkout cannot change (see [Mode]). What Rock Ridge as Linux, libarchive
// and xorriso read it cannot hold is refused with the name of the entry, and
// nothing is shortened or replaced.
//
// It writes no Joliet tree: every reader of a context disc knows Rock Ridge or
// is content with plain names, and a second tree could only disagree with the
// first. It writes no boot record either, and does not know what a context disc is.
//
// Section numbers of ECMA-119 are those of its second edition (ISO 9660:1988),
// those of RRIP are of version 1.12, which keeps the fields of 1.09 that are
// written here.
package isowrite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

const (
	block       = 2048               // logical sector and block, ECMA-119 6.1.2
	systemArea  = 16                 // blocks before the first descriptor, ECMA-119 6.2.1
	maxExtent   = 0xffffffff &^ 2047 // bytes of a file section that is not the last
	maxBlocks   = 1<<32 - 1
	maxDirs     = 1<<16 - 1 // a path table counts in 16 bits, ECMA-119 9.4.4
	maxDepth    = 32        // directories below the root; isofs and libarchive know no limit that low
	maxName     = 253       // bytes: Linux cuts off what is longer (fs/isofs/rock.c)
	maxLinkArea = 250       // bytes of one SL field's components, RRIP 4.1.3
	copyChunk   = 8 << 20   // bytes between two reports of progress
)

// Options are what is not in the tree.
type Options struct {
	Label string    // volume identifier: 1 to 32 bytes of printable ASCII (ECMA-119 8.4.6)
	Time  time.Time // of every entry and of the volume: 1900 to 2155, whole seconds, kept in UTC
	// Progress, if not nil, is told how many bytes of how many have been written.
	Progress func(done, total int64)
}

// An EntryError says which entry of a tree an image cannot hold, and why.
type EntryError struct {
	Path   string
	Reason string // what is wrong and what to do
}

// Error names the entry, quoted.
func (e *EntryError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.Reason) }

func refuse(path, format string, a ...any) error {
	return &EntryError{Path: path, Reason: fmt.Sprintf(format, a...)}
}

// Mode is the mode that an entry has in an image: a file or directory that all
// may read is 0644 (0755 if its owner may execute it), any other 0600 (0700). A
// symlink is 0777. So trees that differ in nothing but the umask of whoever made
// them give one image, and nothing becomes more public than it was.
func Mode(m fs.FileMode) fs.FileMode {
	perm := fs.FileMode(0o600)
	if m&fs.ModeSymlink != 0 {
		return fs.ModeSymlink | 0o777
	}
	if m&0o004 != 0 {
		perm = 0o644
	}
	if m.IsDir() || m&0o100 != 0 {
		perm |= perm >> 2 & 0o111
	}
	return m.Type() | perm
}

// Write writes the tree to w. It fails with an *EntryError for an entry that
// does not fit, before anything is written, and with the error of the tree, of w
// or of ctx. What was written by then is no image.
func Write(ctx context.Context, w io.Writer, tree fs.FS, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	im, err := plan(tree, o)
	if err != nil {
		return err
	}
	return im.write(ctx, w, tree)
}

// Validate says what is wrong with a label or a time.
func (o Options) Validate() error {
	if o.Label == "" || len(o.Label) > 32 || o.Label[0] == ' ' || o.Label[len(o.Label)-1] == ' ' {
		return fmt.Errorf("label %q: it has to have 1 to 32 characters, none of them a blank at an end", o.Label)
	}
	for i := range len(o.Label) {
		if c := o.Label[i]; c < ' ' || c > '~' {
			return fmt.Errorf("label %q: use printable ASCII", o.Label)
		}
	}
	if y := o.Time.UTC().Year(); y < 1900 || y > 2155 {
		return fmt.Errorf("the year %d does not fit an ISO 9660 date (1900 to 2155)", y)
	}
	return nil
}

// write streams the planned image.
func (im *image) write(ctx context.Context, w io.Writer, tree fs.FS) error {
	out := &counter{w: w}
	for _, part := range []func() []byte{im.descriptors, im.pathTables, im.directories, im.continuations} {
		if _, err := out.Write(part()); err != nil {
			return err
		}
	}
	if want := im.data * block; out.n != want {
		return fmt.Errorf("isowrite: %d bytes before the first file, planned were %d", out.n, want) // a bug
	}
	for _, e := range im.files {
		if err := im.copyFile(ctx, out, tree, e); err != nil {
			return fmt.Errorf("write %q: %w", e.path, err)
		}
	}
	return nil
}

// counter counts what is written, and lets the kernel copy where it can.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

var errChanged = errors.New("it changed while it was read: pack again when nobody writes to the tree")

// copyFile writes one file's content and fills its last block.
func (im *image) copyFile(ctx context.Context, out *counter, tree fs.FS, e *entry) (err error) {
	f, err := tree.Open(e.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return errChanged
	}
	for left := e.size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(out.w, f, min(left, copyChunk))
		out.n += n
		left -= n
		if errors.Is(err, io.EOF) {
			return errChanged
		}
		if err != nil {
			return err
		}
		if im.Progress != nil {
			im.Progress(out.n, im.blocks*block)
		}
	}
	if n, err := f.Read(make([]byte, 1)); n > 0 || err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(errChanged, ignoreEOF(err))
	}
	_, err = out.Write(make([]byte, -e.size&(block-1)))
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// both gives a number in both byte orders (ECMA-119 7.3.3).
func both32(n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n), n)
}

func both16(n uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, n), n)
}
