// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"encoding/binary"
	"io/fs"
	"strings"
	"time"
)

const (
	maxContinuations = 64       // continuation areas of one record
	maxContinued     = 64 << 10 // bytes of all of them
	maxTarget        = 4096     // bytes of a link target, PATH_MAX of Linux
	maxCLRecord      = 255      // bytes of the longest directory record
)

// Flags that NM, SL and the components of SL share (RRIP 4.1.3, 4.1.4).
const (
	flagContinue = 1 << 0
	flagCurrent  = 1 << 1
	flagParent   = 1 << 2
	flagRoot     = 1 << 3 // components of SL only
)

// attributes is what the system use fields of one record say.
type attributes struct {
	found   bool // a field of Rock Ridge is there
	name    string
	named   bool
	mode    uint32 // POSIX st_mode
	moded   bool
	modTime time.Time
	target  []byte
	linked  bool
	child   int64 // logical block of a relocated directory, if relocated
	located bool
	moved   bool // this record is where a relocated directory was put
	zisofs  bool
	packed  *packed // nil though zisofs is set: a compression that we do not know

	nameOpen, linkOpen, partOpen bool // the next NM, SL, component continues this one
}

// An area is a run of system use fields and its place in the image.
type area struct {
	bytes  []byte
	offset int64
}

// detectRockRidge sets flavour and skip. The field SP must begin the first
// record of the root, or follow 14 bytes of CD-ROM XA (SUSP 5.3); which
// extension ER names is not asked, since writers spell it in many ways, but
// one record of the root must have a field of Rock Ridge.
func (v *Volume) detectRockRidge(records []record) {
	use, offset := records[0].systemUse()
	for _, at := range []int{0, 14} {
		if len(use) < at+7 || string(use[at:at+6]) != "SP\x07\x01\xbe\xef" {
			continue
		}
		skip := int(use[at+6])
		dot, err := v.parse(area{use[at:], offset + int64(at)})
		found := err == nil && dot.found
		for _, r := range records[1:] {
			if found {
				break
			}
			a, err := v.attributes(r, skip)
			found = err == nil && a.found
		}
		if !found {
			return
		}
		v.flavour, v.skip = rockRidge, skip
		if dot.moded {
			v.root.mode = fs.ModeDir | fs.FileMode(dot.mode&0o777)
		}
		v.root.modTime = dot.modTime
		return
	}
}

// applyRockRidge gives n the name, type, mode, time and target of r, and for a
// relocated directory its extent. It reports false if r is not to be listed.
func (v *Volume) applyRockRidge(n *node, r record) (bool, error) {
	a, err := v.attributes(r, v.skip)
	if err != nil || a.moved {
		return false, err
	}
	n.name = a.name
	if !a.named {
		n.name = v.plainName(r, n.dir)
	}
	if !a.modTime.IsZero() {
		n.modTime = a.modTime
	}
	if a.located {
		return true, v.relocate(n, a)
	}
	if err := n.setMode(a); err != nil {
		return false, err
	}
	if n.packed = a.packed; a.zisofs && n.packed == nil {
		n.refused = unsupported(n.offset, zisofsRule, "file compressed in a way that is not known")
	}
	return true, nil
}

// setMode takes type and permissions from PX (RRIP 4.1.1), never setuid,
// setgid or sticky. What is neither file, directory nor link is listed only.
func (n *node) setMode(a attributes) error {
	kind := a.mode & 0o170000
	if !a.moded || kind == 0 {
		switch {
		case a.linked:
			kind = 0o120000
		case n.dir:
			kind = 0o040000
		default:
			kind = 0o100000
		}
	}
	if n.dir != (kind == 0o040000) {
		return corrupt(n.offset, "RRIP 4.1.1", "%q has mode %#o, against its file flags", n.name, a.mode)
	}
	perm := n.mode.Perm()
	if a.moded {
		perm = fs.FileMode(a.mode & 0o777)
	}
	switch kind {
	case 0o040000:
		n.mode = fs.ModeDir | perm
	case 0o100000:
		n.mode = perm
	case 0o120000:
		if len(a.target) == 0 {
			return corrupt(n.offset, "RRIP 4.1.3", "symbolic link %q has no target", n.name)
		}
		n.mode, n.target, n.size = fs.ModeSymlink|perm, string(a.target), int64(len(a.target))
	case 0o060000:
		n.mode = fs.ModeDevice | perm
	case 0o020000:
		n.mode = fs.ModeDevice | fs.ModeCharDevice | perm
	case 0o010000:
		n.mode = fs.ModeNamedPipe | perm
	case 0o140000:
		n.mode = fs.ModeSocket | perm
	default:
		return corrupt(n.offset, "RRIP 4.1.1", "%q has mode %#o, which is no type of file", n.name, a.mode)
	}
	if n.mode.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
		n.refused = unsupported(n.offset, "RRIP 4.1.1", "%q is neither file, directory nor link", n.name)
	}
	return nil
}

// relocate makes n the directory that a CL field points to (RRIP 4.1.5.1).
// The first record of that directory says how long it is, and its mode.
func (v *Volume) relocate(n *node, a attributes) error {
	at := a.child * v.blockSize
	if at > v.size-34 {
		return corrupt(n.offset, "RRIP 4.1.5.1", "relocated directory at byte %d is after the image", at)
	}
	b := make([]byte, min(maxCLRecord, v.size-at))
	if err := v.spend(int64(len(b)), n.offset); err != nil {
		return err
	}
	if err := v.readAt(b, at); err != nil {
		return err
	}
	if length := int(b[0]); length < 34 || length > len(b) || b[32] != 1 || b[33] != 0 || b[25]&flagDirectory == 0 {
		return corrupt(at, "RRIP 4.1.5.1", "%q is relocated to what is no directory", n.name)
	}
	dot := record{raw: b[:b[0]], offset: at}
	e := v.extentOf(dot)
	if e.offset != at {
		return corrupt(at, "RRIP 4.1.5.1", "relocated directory %q says it is at byte %d", n.name, e.offset)
	}
	own, err := v.attributes(dot, v.skip)
	if err != nil {
		return err
	}
	n.dir, n.mode, n.extents, n.size = true, dirMode, []extent{e}, e.length
	if !own.modTime.IsZero() {
		n.modTime = own.modTime
	}
	return n.setMode(attributes{mode: own.mode, moded: own.moded})
}

// attributes parses the system use fields of r after skip bytes.
func (v *Volume) attributes(r record, skip int) (attributes, error) {
	use, offset := r.systemUse()
	skip = min(skip, len(use))
	return v.parse(area{use[skip:], offset + int64(skip)})
}

// parse reads all fields that begin in u, through every continuation area
// (SUSP 5.1). The bounds end a chain that runs in a circle.
func (v *Volume) parse(u area) (attributes, error) {
	var a attributes
	left := int64(maxContinued)
	for i := 0; ; i++ {
		next, err := a.fields(u)
		if err != nil {
			return a, err
		}
		if next == nil {
			break
		}
		block, skip, length := le32(next), le32(next[8:]), le32(next[16:])
		if length == 0 {
			break
		}
		if i == maxContinuations || length > left {
			return a, corrupt(u.offset, "SUSP 5.1", "continuation areas without end")
		}
		left -= length
		at := extent{offset: block*v.blockSize + skip, length: length}
		if err := v.inside(at, u.offset); err != nil {
			return a, err
		}
		if err := v.spend(length, u.offset); err != nil {
			return a, err
		}
		u = area{make([]byte, length), at.offset} // at most maxContinued
		if err := v.readAt(u.bytes, at.offset); err != nil {
			return a, err
		}
	}
	if a.nameOpen || a.linkOpen || a.partOpen {
		return a, corrupt(u.offset, "RRIP 4.1.3", "name or link target is not continued")
	}
	return a, nil
}

// fields takes in the fields of one area: two bytes signature, length, version,
// data (SUSP 4.1). It returns the data of CE, or nil if the area has none.
func (a *attributes) fields(u area) (next []byte, err error) {
	b := u.bytes
	for len(b) >= 4 {
		at := u.offset + int64(len(u.bytes)-len(b))
		if b[0] == 0 { // padding
			break
		}
		length := int(b[2])
		if length < 4 || length > len(b) {
			return nil, corrupt(at, "SUSP 4.1", "system use field %q of %d bytes", b[:2], length)
		}
		signature, version, data := string(b[:2]), b[3], b[4:length]
		b = b[length:]
		switch signature {
		case "ST":
			return next, nil
		case "CE":
			if len(data) < 24 || next != nil {
				return nil, corrupt(at, "SUSP 5.1", "continuation field is short or not the only one")
			}
			next = data
			continue
		}
		if rule := a.field(signature, version, data); rule != "" {
			return nil, corrupt(at, rule, "system use field %s is malformed", signature)
		}
	}
	return next, nil
}

// field takes in one field, or returns the rule that it breaks.
func (a *attributes) field(signature string, version byte, data []byte) (broken string) {
	switch signature {
	case "PX":
		if len(data) < 8 {
			return "RRIP 4.1.1"
		}
		a.mode, a.moded = binary.LittleEndian.Uint32(data), true
	case "NM":
		if len(data) < 1 || len(a.name)+len(data) > maxName+1 {
			return "RRIP 4.1.4"
		}
		text := string(data[1:])
		if data[0]&(flagCurrent|flagParent) != 0 { // fit for a record that dots reports, else refused
			text = "."
		}
		a.name, a.named = a.name+text, true
		a.nameOpen = data[0]&flagContinue != 0
	case "SL":
		if len(data) < 1 || !a.link(data[1:]) {
			return "RRIP 4.1.3"
		}
		a.linked, a.linkOpen = true, data[0]&flagContinue != 0
	case "CL":
		if len(data) < 8 {
			return "RRIP 4.1.5.1"
		}
		a.child, a.located = le32(data), true
	case "RE":
		a.moved = true
	case "TF":
		a.modTime = modified(data)
	case "ZF":
		a.zisofs = true
		if p, ok := parseZF(version, data); ok {
			a.packed = p
		}
		return ""
	default:
		return ""
	}
	a.found = true
	return ""
}

// link adds the components of one SL field to the target (RRIP 4.1.3.1).
func (a *attributes) link(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return false
		}
		flags, text := b[0], string(b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
		switch flags &^ flagContinue {
		case 0:
		case flagCurrent:
			text = "."
		case flagParent:
			text = ".."
		case flagRoot:
			text = "/"
		default: // volume root and host name of older drafts
			return false
		}
		if n := len(a.target); n > 0 && !a.partOpen && a.target[n-1] != '/' {
			a.target = append(a.target, '/')
		}
		a.target = append(a.target, text...)
		a.partOpen = flags&flagContinue != 0
		if len(a.target) > maxTarget || strings.ContainsRune(text, 0) {
			return false
		}
	}
	return true
}

// modified reads the time of last modification from TF (RRIP 4.1.6): the
// second of the times there if the first, creation, is there too.
func modified(data []byte) time.Time {
	const creation, modify, long = 1 << 0, 1 << 1, 1 << 7
	if len(data) < 1 || data[0]&modify == 0 {
		return time.Time{}
	}
	size, start := 7, 1
	if data[0]&long != 0 {
		size = 17
	}
	if data[0]&creation != 0 {
		start += size
	}
	if len(data) < start+size {
		return time.Time{}
	}
	if size == 7 {
		return shortDate(data[start:])
	}
	t, err := time.Parse("20060102150405", string(data[start:start+14])) // ECMA-119 8.4.26.1
	if err != nil {
		return time.Time{}
	}
	return t.Add(-time.Duration(int8(data[start+16])) * 15 * time.Minute)
}

// le32 reads the first half of a both-byte order number (ECMA-119 7.3.3).
func le32(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) }
