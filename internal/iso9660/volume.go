// SPDX-License-Identifier: Apache-2.0

// Package iso9660 reads an ISO 9660 image that may be hostile.
//
// Input: an io.ReaderAt and its size in bytes. Output: an fs.FS of the one
// tree that the image offers best: Rock Ridge, else Joliet, else plain names.
// Every number taken from the image is checked against the size of the image
// and a fixed limit before it is used. A fault fails the file or the directory
// that has it, with a *CorruptError; it never yields invented bytes.
//
// It does not read UDF, interleaved files or a later session of a multi-session
// disc, it does not write, and it keeps no owners, no setuid, setgid or sticky
// bits. It bounds the metadata of a volume, not its contents: how many bytes of
// a file to read is for the caller to say.
//
// Section numbers of ECMA-119 are those of its second edition (ISO 9660:1988).
package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	sectorSize      = 2048 // logical sector, ECMA-119 6.1.2
	firstDescriptor = 16   // sector of the first volume descriptor, ECMA-119 6.2.1
	maxDescriptors  = 64

	// What one file may cost: a directory has three records, its own in its
	// parent and two in itself, and names and link targets may be long.
	recordsPerFile  = 3
	metadataPerFile = 1 << 10 // bytes of directories and continuation areas
	maxDepth        = 40      // directories below the root
	maxName         = 255     // bytes of one name, the limit of Linux
)

// ErrNotISO says that there is no volume descriptor "CD001" in sector 16
// (ECMA-119 8.1.2): the image holds something other than ISO 9660. An ISO 9660
// image that is damaged gives a *CorruptError instead.
var ErrNotISO = errors.New("not an iso 9660 image")

// A CorruptError says what is wrong with an image and where. With Err
// errors.ErrUnsupported it says what this reader does not read.
type CorruptError struct {
	Offset  int64  // bytes from the start of the image to the faulty structure
	Rule    string // the section that is broken: "ECMA-119 9.1.4", "RRIP 4.1.4"
	Problem string // what is wrong, in a few lower-case words
	Err     error  // nil, io.ErrUnexpectedEOF for data that ends too soon, or errors.ErrUnsupported
}

// Error gives problem, rule and offset in one line.
func (e *CorruptError) Error() string {
	s := fmt.Sprintf("corrupt iso 9660 image at byte %d: %s (%s)", e.Offset, e.Problem, e.Rule)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives Err.
func (e *CorruptError) Unwrap() error { return e.Err }

func corrupt(offset int64, rule, format string, args ...any) error {
	return &CorruptError{Offset: offset, Rule: rule, Problem: fmt.Sprintf(format, args...)}
}

// A Volume is the file tree of an image. It implements [io/fs.FS],
// [io/fs.ReadDirFS], [io/fs.StatFS] and [io/fs.ReadLinkFS], and several
// goroutines may use it at once if its io.ReaderAt allows that.
type Volume struct {
	image     io.ReaderAt
	size      int64 // bytes
	blockSize int64 // logical block, bytes: 512, 1024 or 2048
	label     string
	flavour   flavour
	skip      int  // bytes before the first SUSP field of a record (LEN_SKP, SUSP 5.3)
	small     bool // names of the plain tree are given as they are
	root      *node

	maxRecords  int   // directory records in the volume
	maxMetadata int64 // bytes of directories and continuation areas

	mu       sync.Mutex      // guards what follows, and the contents of every node
	claimed  map[int64]*node // which directory holds the extent at this offset
	entries  int             // directory records counted so far
	metadata int64           // bytes of directories and continuation areas read so far
}

type flavour string

const (
	plain     flavour = "plain"
	joliet    flavour = "joliet"
	rockRidge flavour = "rock ridge"
)

// Open reads the volume descriptors and the root directory of the image r,
// which is size bytes long. It returns an error that wraps ErrNotISO if r holds
// no ISO 9660 volume, a *CorruptError if it holds a damaged one, or the error
// of r. A volume of more than about files entries is refused, so that it cannot
// fill the memory. Logical blocks of 512, 1024 and 2048 bytes are read (ECMA-119
// 6.2.2). Path tables, dates and descriptors of unknown type are not consulted.
func Open(r io.ReaderAt, size int64, files int) (*Volume, error) {
	v := &Volume{image: r, size: size, flavour: plain, claimed: map[int64]*node{},
		maxRecords: recordsPerFile * (files + 1), maxMetadata: metadataPerFile * int64(files+64)}
	d, err := v.descriptors()
	if err != nil {
		return nil, fmt.Errorf("open volume: %w", err)
	}
	v.blockSize = int64(binary.LittleEndian.Uint16(d.primary[128:]))
	if v.blockSize != 512 && v.blockSize != 1024 && v.blockSize != 2048 {
		err := corrupt(d.primaryAt+128, "ECMA-119 8.4.12", "logical blocks of %d bytes", v.blockSize)
		return nil, fmt.Errorf("open volume: %w", err)
	}
	// The medium may be shorter, since writers count padding that is then cut off:
	// each extent is checked for itself. But no writer gets the number wrong.
	if n := binary.LittleEndian.Uint32(d.primary[80:]); n == 0 || n >= 1<<31 || n != binary.BigEndian.Uint32(d.primary[84:]) {
		err := corrupt(d.primaryAt+80, "ECMA-119 8.4.8", "volume space size of %d or %d blocks", n, binary.BigEndian.Uint32(d.primary[84:]))
		return nil, fmt.Errorf("open volume: %w", err)
	}
	v.label = trimLabel(d.primary[40:72])
	if err := v.openRoot(d.primary, d.primaryAt); err != nil {
		return nil, fmt.Errorf("open root directory: %w", err)
	}
	if v.flavour == plain && d.joliet != nil {
		v.flavour = joliet
		if err := v.openRoot(d.joliet, d.jolietAt); err != nil {
			return nil, fmt.Errorf("open joliet root directory: %w", err)
		}
	}
	return v, nil
}

// Label gives the volume identifier of the primary volume descriptor (ECMA-119
// 8.4.6) without spaces and NULs around it, in valid UTF-8. It may be empty.
func (v *Volume) Label() string { return v.label }

// Flavour says which tree is read: "rock ridge", "joliet" or "plain".
func (v *Volume) Flavour() string { return string(v.flavour) }

// unsupported is a CorruptError of what is sound but not read.
func unsupported(offset int64, rule, format string, args ...any) error {
	return &CorruptError{offset, rule, fmt.Sprintf(format, args...), errors.ErrUnsupported}
}

// descriptors holds the sectors that matter of the volume descriptor set.
type descriptors struct {
	primary, joliet     []byte // joliet is nil if there is none
	primaryAt, jolietAt int64  // offsets in the image, bytes
}

// descriptors finds the first primary and the first Joliet volume descriptor.
// A set without terminator ends at the first sector that is no descriptor.
func (v *Volume) descriptors() (descriptors, error) {
	var d descriptors
	if v.size < (firstDescriptor+1)*sectorSize {
		return d, fmt.Errorf("%w: %d bytes only", ErrNotISO, v.size)
	}
	end := min(v.size/sectorSize, firstDescriptor+maxDescriptors)
	for i := int64(firstDescriptor); i < end; i++ {
		at := i * sectorSize
		sector := make([]byte, sectorSize)
		if err := v.readAt(sector, at); err != nil {
			return d, err
		}
		kind, is := sector[0], string(sector[1:6]) == "CD001"
		if !is && i == firstDescriptor {
			return d, ErrNotISO
		}
		if !is || kind == 255 { // the terminator, ECMA-119 8.3.1
			break
		}
		switch {
		case kind == 1 && d.primary == nil:
			d.primary, d.primaryAt = sector, at
		case kind == 2 && d.joliet == nil && isJoliet(sector):
			d.joliet, d.jolietAt = sector, at
		}
	}
	if d.primary == nil {
		return d, corrupt(firstDescriptor*sectorSize, "ECMA-119 6.7.1.1", "no primary volume descriptor")
	}
	return d, nil
}

// openRoot reads the root directory of a descriptor (ECMA-119 8.4.18) and, in
// the primary tree, finds out from it whether the volume has Rock Ridge.
func (v *Volume) openRoot(descriptor []byte, at int64) error {
	rec := record{raw: descriptor[156:190], offset: at + 156}
	v.root = &node{name: ".", dir: true, mode: dirMode, offset: rec.offset, extents: []extent{v.extentOf(rec)}}
	records, err := v.records(v.root)
	if err != nil {
		return err
	}
	if v.flavour == plain {
		v.detectRockRidge(records)
		v.small = v.flavour == plain && hasSmall(records)
	}
	v.fill(v.root, records)
	return nil
}

// readAt fills p from the image, or says why not. It never reads beyond size.
func (v *Volume) readAt(p []byte, offset int64) error {
	if offset < 0 || offset > v.size || int64(len(p)) > v.size-offset {
		return &CorruptError{offset, "ECMA-119 6.2.2", "the image ends too soon", io.ErrUnexpectedEOF}
	}
	n, err := v.image.ReadAt(p, offset)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return &CorruptError{offset + int64(n), "ECMA-119 6.2.2", "the image ends too soon", io.ErrUnexpectedEOF}
	}
	return fmt.Errorf("read image at byte %d: %w", offset, err)
}

// spend counts n bytes of metadata that are about to be read.
func (v *Volume) spend(n, offset int64) error {
	if n > v.maxMetadata-v.metadata {
		return corrupt(offset, "limit", "more than %d bytes of directories", v.maxMetadata)
	}
	v.metadata += n
	return nil
}

func trimLabel(b []byte) string {
	s := strings.Trim(string(b), " \x00")
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}
