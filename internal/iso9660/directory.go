// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	fileMode fs.FileMode = 0o644 // without Rock Ridge
	dirMode              = fs.ModeDir | 0o755
)

// Bits of the file flags, ECMA-119 9.1.6.
const (
	flagDirectory   = 1 << 1
	flagAssociated  = 1 << 2
	flagMultiExtent = 1 << 7
)

// An extent is where bytes lie in the image; start is where in the file.
type extent struct{ offset, length, start int64 }

// A node is one file, directory or link of the tree.
type node struct {
	name    string
	parent  *node // nil for the root
	depth   int   // directories above
	dir     bool
	mode    fs.FileMode
	modTime time.Time
	offset  int64    // of its directory record in the image, bytes
	extents []extent // of a directory exactly one; of an empty file none
	size    int64    // bytes of all extents, or of the link target
	target  string   // of a symbolic link
	refused error    // why Open of this file fails, though it is listed
	packed  *packed  // of a compressed file; size is then of what it unpacks to
	stored  int64    // bytes of all extents

	listing *listing // of a directory that was read
}

// A listing is what a directory holds.
type listing struct {
	err     error   // the directory cannot be read at all
	entries []*node // sorted by name
	damage  error   // the first entry that was left out, or nil
}

// find gives the entry of this name, or nil.
func (l *listing) find(name string) *node {
	i, ok := slices.BinarySearchFunc(l.entries, name, func(n *node, name string) int { return strings.Compare(n.name, name) })
	if !ok {
		return nil
	}
	return l.entries[i]
}

// A record is one directory record, ECMA-119 9.1: at least 34 bytes, as long as
// it says itself, with its identifier inside.
type record struct {
	raw    []byte
	offset int64 // in the image, bytes
}

func (r record) flags() byte        { return r.raw[25] }
func (r record) identifier() []byte { return r.raw[33 : 33+int(r.raw[32])] }

// dots reports whether r is the entry for the directory itself or its parent.
func (r record) dots() bool { return r.raw[32] == 1 && r.raw[33] <= 1 }

// systemUse gives the rest of the record after the padding, ECMA-119 9.1.12.
func (r record) systemUse() ([]byte, int64) {
	start := 33 + int(r.raw[32])
	start += start % 2
	start = min(start, len(r.raw))
	return r.raw[start:], r.offset + int64(start)
}

// extentOf gives the data of r: after the extended attribute record, whose
// length is in logical blocks (ECMA-119 9.1.2 to 9.1.4). It is not checked yet.
func (v *Volume) extentOf(r record) extent {
	block := int64(binary.LittleEndian.Uint32(r.raw[2:])) + int64(r.raw[1])
	return extent{offset: block * v.blockSize, length: int64(binary.LittleEndian.Uint32(r.raw[10:]))}
}

// inside says whether e lies in the image. An empty file may lie anywhere.
func (v *Volume) inside(e extent, offset int64) error {
	if e.length > 0 && (e.offset > v.size || e.length > v.size-e.offset) {
		return corrupt(offset, "ECMA-119 9.1.3", "extent of %d bytes at byte %d ends after the image of %d bytes",
			e.length, e.offset, v.size)
	}
	return nil
}

// load reads the contents of a directory once. It returns an error only if
// nothing of the directory can be used. The caller holds v.mu.
func (v *Volume) load(dir *node) error {
	if dir.listing != nil {
		return dir.listing.err
	}
	records, err := v.records(dir)
	if err != nil {
		dir.listing = &listing{err: err}
		return err
	}
	v.fill(dir, records)
	return nil
}

// records reads a directory and cuts it into its records. It establishes that
// no other directory uses the same extent, so no walk can go round in circles.
func (v *Volume) records(dir *node) ([]record, error) {
	if dir.refused != nil {
		return nil, dir.refused
	}
	e := dir.extents[0]
	if other, ok := v.claimed[e.offset]; ok && other != dir {
		return nil, corrupt(dir.offset, "ECMA-119 6.8.2", "directory extent at byte %d is used twice", e.offset)
	}
	if dir.depth > maxDepth {
		return nil, corrupt(dir.offset, "limit", "more than %d directories deep", maxDepth)
	}
	if err := v.inside(e, dir.offset); err != nil {
		return nil, err
	}
	if err := v.spend(e.length, dir.offset); err != nil {
		return nil, err
	}
	v.claimed[e.offset] = dir
	b := make([]byte, e.length) // at most v.maxMetadata, and no more than the image holds
	if err := v.readAt(b, e.offset); err != nil {
		return nil, err
	}
	records, err := v.split(b, e.offset)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || !records[0].dots() || records[0].raw[33] != 0 {
		return nil, corrupt(e.offset, "ECMA-119 6.8.2.2", "directory does not begin with a record of itself")
	}
	return records, nil
}

// split cuts a directory at offset into records. A record does not cross a
// sector, and what remains of a sector is zero (ECMA-119 6.8.1.1). A record of
// wrong length spoils the directory, since it may hide a part of a file.
func (v *Volume) split(b []byte, offset int64) ([]record, error) {
	var records []record
	for i := 0; i < len(b); {
		at := offset + int64(i)
		sector := b[i:min(len(b), i+int(sectorSize-at%sectorSize))]
		length := int(sector[0])
		if length == 0 {
			if slices.ContainsFunc(sector, func(c byte) bool { return c != 0 }) {
				return nil, corrupt(at, "ECMA-119 6.8.1.1", "bytes after the last directory record of a sector")
			}
			i += len(sector)
			continue
		}
		if length < 34 || length%2 != 0 || length > len(sector) { // even: ECMA-119 9.1.12, 9.1.13
			return nil, corrupt(at, "ECMA-119 9.1.1", "directory record of %d bytes", length)
		}
		r := record{raw: sector[:length], offset: at}
		if n := int(r.raw[32]); n == 0 || 33+n > length {
			return nil, corrupt(at, "ECMA-119 9.1.10", "identifier of %d bytes in a record of %d", n, length)
		}
		if v.entries++; v.entries > v.maxRecords {
			return nil, corrupt(at, "limit", "more than %d directory records", v.maxRecords)
		}
		records = append(records, r)
		i += length
	}
	return records, nil
}

// fill makes the entries of a directory out of its records. An entry with a
// fault of its own is left out and remembered in damage.
func (v *Volume) fill(dir *node, records []record) {
	names := map[string]*node{} // nil value: the name occurs twice, or is at fault
	dir.listing = &listing{}
	for len(records) > 0 {
		r := records[0]
		parts := sections(records)
		records = records[len(parts):]
		if r.dots() || r.flags()&flagAssociated != 0 {
			continue
		}
		n, err := v.entry(dir, parts)
		if n == nil && err == nil {
			continue // relocated: it is listed where it belongs
		}
		if err := add(names, n, err); err != nil && dir.listing.damage == nil {
			dir.listing.damage = err
		}
	}
	dir.listing.entries = make([]*node, 0, len(names))
	for _, n := range names {
		if n != nil {
			dir.listing.entries = append(dir.listing.entries, n)
		}
	}
	slices.SortFunc(dir.listing.entries, func(a, b *node) int { return strings.Compare(a.name, b.name) })
}

// sections gives the records of the first file in records: several if it has
// several extents, which follow each other (ECMA-119 9.1.6, 9.3).
func sections(records []record) []record {
	id := string(records[0].identifier())
	for i, r := range records {
		if string(r.identifier()) != id {
			return records[:i] // the final section is missing; entry finds that out
		}
		if r.flags()&flagMultiExtent == 0 {
			return records[:i+1]
		}
	}
	return records
}

// add enters n, unless it has a fault or its name is there already.
// Either makes the name unusable: another record of it may be half a file.
func add(names map[string]*node, n *node, fault error) error {
	if n == nil {
		return fault
	}
	_, twice := names[n.name]
	names[n.name] = n
	if twice && fault == nil {
		fault = corrupt(n.offset, "ECMA-119 9.3", "name %q occurs twice in one directory", n.name)
	}
	if fault != nil {
		names[n.name] = nil
	}
	return fault
}

// entry makes a node out of the records of one file or directory: nil without
// an error if it is not to be listed, and with an error if the name is at fault.
func (v *Volume) entry(dir *node, parts []record) (*node, error) {
	r := parts[0]
	n := &node{parent: dir, depth: dir.depth + 1, offset: r.offset, modTime: shortDate(r.raw[18:25])}
	n.dir = r.flags()&flagDirectory != 0
	n.mode = fileMode
	if n.dir {
		n.mode = dirMode
	}
	var err error
	switch v.flavour {
	case joliet:
		n.name, err = jolietName(r, n.dir)
	case rockRidge:
		var listed bool
		if listed, err = v.applyRockRidge(n, r); err == nil && !listed {
			return nil, nil
		}
	default:
		n.name = v.plainName(r, n.dir)
	}
	if err == nil {
		err = checkName(n.name, r.offset)
	}
	if err != nil {
		return nil, err
	}
	if n.extents == nil && n.mode&fs.ModeSymlink == 0 { // no relocated directory, no link
		err = v.locate(n, parts)
	}
	return n, err
}

// locate sets the extents and the size of n.
func (v *Volume) locate(n *node, parts []record) error {
	last := parts[len(parts)-1]
	for _, r := range parts {
		if r.flags()&^flagMultiExtent != last.flags() || (n.dir && len(parts) > 1) {
			return corrupt(r.offset, "ECMA-119 9.1.6", "%q has extents that do not belong together", n.name)
		}
		e := v.extentOf(r)
		e.start = n.stored
		n.stored += e.length
		if err := v.inside(e, r.offset); err != nil && n.refused == nil {
			n.refused = err
		}
		if r.raw[26] != 0 || r.raw[27] != 0 {
			n.refused = unsupported(r.offset+26, "ECMA-119 6.4.3", "interleaved extent")
		}
		if e.length > 0 || n.dir {
			n.extents = append(n.extents, e)
		}
	}
	n.size = n.stored
	if n.packed != nil && n.mode.IsRegular() && n.stored > 0 {
		n.size = n.packed.size
	}
	return nil
}

// plainName gives the identifier as Linux shows it: in small letters, and for a
// file without version and without the dot of an empty extension (ECMA-119
// 7.5.1). A volume that has small letters does not keep to ECMA-119 7.4; its
// writer took the names as they were, and so they are given.
func (v *Volume) plainName(r record, dir bool) string {
	b := bytes.Clone(r.identifier())
	for i, c := range b {
		if 'A' <= c && c <= 'Z' && !v.small {
			b[i] = c + 'a' - 'A'
		}
	}
	name := string(b)
	if dir {
		return name
	}
	if i := strings.LastIndexByte(name, ';'); i >= 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i]
	}
	return strings.TrimSuffix(name, ".")
}

// hasSmall reports whether a name of the root directory has a small letter.
func hasSmall(records []record) bool {
	return slices.ContainsFunc(records, func(r record) bool {
		return !r.dots() && bytes.ContainsFunc(r.identifier(), func(c rune) bool { return 'a' <= c && c <= 'z' })
	})
}

// checkName refuses what is not the name of one file in one directory.
func checkName(name string, offset int64) error {
	switch {
	case name == "", name == ".", name == "..", strings.ContainsAny(name, "/\x00"):
		return corrupt(offset, "ECMA-119 9.1.11", "%q is not a file name", name)
	case len(name) > maxName:
		return corrupt(offset, "limit", "file name of %d bytes", len(name))
	case !utf8.ValidString(name):
		return corrupt(offset, "ECMA-119 9.1.11", "file name %q is not utf-8", name)
	}
	return nil
}

// shortDate reads seven bytes (ECMA-119 9.1.5). A date that is none gives the
// zero time: no one needs it, and real images have such dates.
func shortDate(b []byte) time.Time {
	month, day, hour, minute, second, zone := b[1], b[2], b[3], b[4], b[5], int8(b[6])
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 || zone < -48 || zone > 52 {
		return time.Time{}
	}
	t := time.Date(1900+int(b[0]), time.Month(month), int(day), int(hour), int(minute), int(second), 0, time.UTC)
	return t.Add(-time.Duration(zone) * 15 * time.Minute)
}
