// SPDX-License-Identifier: Apache-2.0

package fat

import (
	"encoding/binary"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	fileMode fs.FileMode = 0o644
	dirMode              = fs.ModeDir | 0o755

	maxLong = 20 // directory entries of one long name: 255 characters of 13 each
	maxName = 255
)

// Attributes of a directory entry (ECMA-107 11.3.3, FAT "Long Directory
// Entries").
const (
	attrLabel     = 0x08
	attrDirectory = 0x10
	attrLong      = 0x0f
	attrLongMask  = 0x3f
)

// A node is one file or directory.
type node struct {
	name    string
	parent  *node // nil for the root
	depth   int
	dir     bool
	offset  int64 // of its directory entry, bytes
	modTime time.Time
	first   uint32 // cluster; 0 of an empty file and of the root below FAT32
	fixed   int64  // offset of the root directory below FAT32, bytes
	length  int64  // of a file, or of the fixed root
	claimed bool   // its clusters have been found to be its own alone, or fault says why not
	fault   error

	read    bool // the fields below are set
	err     error
	entries []*node // sorted by name
	names   map[string]*node
	damage  error // the first entry that was left out, or nil
}

// chain gives the clusters of a file or directory: as many as length needs, or
// all of a directory. Each cluster belongs to one of them (ECMA-107 8.3), so no
// chain can run in a circle. They are not kept: a large file has many. The
// caller holds v.mu.
func (v *Volume) chain(n *node, limit int64) ([]uint32, error) {
	if n.fault != nil {
		return nil, n.fault
	}
	clusters, err := v.follow(n, limit)
	n.claimed, n.fault = true, err
	return clusters, err
}

func (v *Volume) follow(n *node, limit int64) ([]uint32, error) {
	var out []uint32
	need := (limit + v.cluster - 1) / v.cluster
	if !n.dir && need > int64(v.clusters) {
		return nil, corrupt(n.offset+28, "ECMA-107 11.3.8", "%q has %d bytes, more than the volume", n.name, n.length)
	}
	for at := n.first; int64(len(out)) < need; {
		if !v.valid(at) {
			return nil, corrupt(n.offset+26, "ECMA-107 11.3.7", "%q begins in cluster %d of %d", n.name, at, v.clusters)
		}
		if !n.claimed && !v.claimed.claim(at) {
			return nil, corrupt(v.clusterAt(at), "ECMA-107 8.3", "cluster %d of %q belongs to another file, or to it twice", at, n.name)
		}
		out = append(out, at)
		next, err := v.next(at)
		if err != nil {
			return nil, err
		}
		if next == 0 {
			break
		}
		at = next
	}
	switch {
	case !n.dir && int64(len(out)) < need:
		return nil, corrupt(n.offset+28, "ECMA-107 8.3", "%q has %d bytes and %d clusters of %d bytes", n.name, n.length, len(out), v.cluster)
	case n.dir && int64(len(out)) == need && need*v.cluster > maxDir:
		return nil, corrupt(n.offset, "limit", "directory %q of more than %d bytes", n.name, maxDir)
	}
	return out, nil
}

// load reads the contents of a directory once. It returns an error only if
// nothing of the directory can be used. The caller holds v.mu.
func (v *Volume) load(dir *node) error {
	if !dir.read {
		dir.read = true
		b, at, err := v.bytes(dir)
		if err != nil {
			dir.err = err
			return err
		}
		v.fill(dir, b, at)
	}
	return dir.err
}

// bytes reads a directory; at tells the offset in the volume of each byte.
func (v *Volume) bytes(dir *node) (b []byte, at func(int) int64, err error) {
	if dir.depth > maxDepth {
		return nil, nil, corrupt(dir.offset, "limit", "more than %d directories deep", maxDepth)
	}
	if dir.fixed != 0 {
		if err := v.spend(dir.length, dir.offset); err != nil {
			return nil, nil, err
		}
		b = make([]byte, dir.length) // at most 2 MiB: 65535 entries
		return b, func(i int) int64 { return dir.fixed + int64(i) }, v.readAt(b, dir.fixed)
	}
	clusters, err := v.chain(dir, maxDir+v.cluster)
	if err != nil {
		return nil, nil, err
	}
	size := int64(len(clusters)) * v.cluster
	if err := v.spend(size, dir.offset); err != nil {
		return nil, nil, err
	}
	b = make([]byte, size)
	for i, c := range clusters {
		if err := v.readAt(b[int64(i)*v.cluster:int64(i+1)*v.cluster], v.clusterAt(c)); err != nil {
			return nil, nil, err
		}
	}
	return b, func(i int) int64 { return v.clusterAt(clusters[int64(i)/v.cluster]) + int64(i)%v.cluster }, nil
}

// spend counts size bytes of a directory that are about to be read.
func (v *Volume) spend(size, offset int64) error {
	if v.entries += int(size / dirEntry); v.entries > v.maxEntries {
		return corrupt(offset, "limit", "more than %d directory entries", v.maxEntries)
	}
	return nil
}

// fill makes the entries of a directory. An entry with a fault of its own is
// left out and remembered in damage.
func (v *Volume) fill(dir *node, b []byte, at func(int) int64) {
	dir.names = map[string]*node{}
	var long longName
	for i := 0; i+dirEntry <= len(b) && b[i] != 0; i += dirEntry { // 0 ends the directory, ECMA-107 11.3.1
		e := b[i : i+dirEntry]
		switch {
		case e[0] == 0xe5: // erased
			long = longName{}
			continue
		case e[11]&attrLongMask == attrLong:
			long.add(e)
			continue
		case e[11]&attrLabel != 0:
			if dir.parent == nil && v.label == "" {
				v.label = oemString(e[:11])
			}
			long = longName{}
			continue
		case e[0] == '.' && dir.parent != nil && (string(e[:11]) == ".          " || string(e[:11]) == "..         "):
			long = longName{}
			continue
		}
		n, err := v.node(dir, e, &long, at(i))
		long = longName{}
		dir.add(n, err)
	}
	for _, n := range dir.names {
		if n != nil {
			dir.entries = append(dir.entries, n)
		}
	}
	slices.SortFunc(dir.entries, func(a, b *node) int { return strings.Compare(a.name, b.name) })
}

// add enters n, unless it has a fault or the directory has its name already.
func (dir *node) add(n *node, fault error) {
	if n != nil {
		_, twice := dir.names[n.name]
		if twice && fault == nil {
			fault = corrupt(n.offset, "ECMA-107 11.3.1", "name %q occurs twice in one directory", n.name)
		}
		dir.names[n.name] = n
		if fault != nil {
			dir.names[n.name] = nil
		}
	}
	if fault != nil && dir.damage == nil {
		dir.damage = fault
	}
}

// node makes a file or directory out of its entry and the long name before it.
func (v *Volume) node(dir *node, e []byte, long *longName, at int64) (*node, error) {
	le := binary.LittleEndian
	n := &node{parent: dir, depth: dir.depth + 1, offset: at, dir: e[11]&attrDirectory != 0,
		modTime: stamp(le.Uint16(e[22:]), le.Uint16(e[24:])), first: uint32(le.Uint16(e[26:])), length: int64(le.Uint32(e[28:]))}
	if v.bits == 32 {
		n.first |= uint32(le.Uint16(e[20:])) << 16
	}
	var err error
	if n.name, err = long.name(e, at); err != nil {
		return nil, err
	}
	switch {
	case n.name == "", n.name == ".", n.name == "..", strings.ContainsAny(n.name, "/\\\x00"):
		return nil, corrupt(at, "ECMA-107 11.3.1", "%q is not a file name", n.name)
	case len(n.name) > maxName:
		return nil, corrupt(at, "limit", "file name of %d bytes", len(n.name))
	case n.dir && !v.valid(n.first), !n.dir && n.length > 0 && !v.valid(n.first):
		return n, corrupt(at+26, "ECMA-107 11.3.7", "%q begins in cluster %d of %d", n.name, n.first, v.clusters)
	}
	if n.dir {
		n.length = 0 // directories have none, ECMA-107 11.3.8
	}
	return n, nil
}

// longName collects the entries of a long name, which come last part first
// (FAT "Long Directory Entries").
type longName struct {
	units []uint16
	next  int // number of the entry that has to follow; 0: complete
	sum   byte
	begun bool
}

func (l *longName) add(e []byte) {
	number := int(e[0] &^ 0x40)
	if e[0]&0x40 != 0 {
		*l = longName{next: number, sum: e[13], begun: number > 0 && number <= maxLong}
	}
	if !l.begun || number != l.next || e[13] != l.sum {
		*l = longName{} // an orphan: the short name counts, as in all systems
		return
	}
	l.next--
	part := make([]uint16, 0, 13)
	for _, span := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := span[0]; i < span[1]; i += 2 {
			part = append(part, binary.LittleEndian.Uint16(e[i:]))
		}
	}
	l.units = append(part, l.units...)
}

// name is the long name if it belongs to the short entry e, else the short one.
func (l *longName) name(e []byte, at int64) (string, error) {
	if !l.begun || l.next != 0 || l.sum != checksum(e) {
		return shortName(e), nil
	}
	units := l.units
	if i := slices.Index(units, 0); i >= 0 { // 0 ends the name, 0xffff pads the rest
		units = units[:i]
	}
	name := string(utf16.Decode(units))
	if strings.ContainsRune(name, utf8.RuneError) && !slices.Contains(units, 0xfffd) {
		return "", corrupt(at, "FAT Long Directory Entries", "file name has half a surrogate pair")
	}
	return name, nil
}

// checksum binds a long name to its short one.
func checksum(e []byte) byte {
	var sum byte
	for _, c := range e[:11] {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// shortName gives the 8.3 name. Byte 12 says whether base and extension were
// written in small letters, as Windows NT and Linux keep it.
func shortName(e []byte) string {
	const smallBase, smallExt = 1 << 3, 1 << 4
	raw := slices.Clone(e[:11])
	if raw[0] == 0x05 { // stands for 0xe5, which marks an erased entry
		raw[0] = 0xe5
	}
	base, ext := oemString(raw[:8]), oemString(raw[8:])
	if e[12]&smallBase != 0 {
		base = strings.ToLower(base)
	}
	if e[12]&smallExt != 0 {
		ext = strings.ToLower(ext)
	}
	if ext == "" {
		return base
	}
	return base + "." + ext
}
