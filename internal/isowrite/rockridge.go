// SPDX-License-Identifier: Apache-2.0

package isowrite

import (
	"io/fs"
	"strings"
)

const (
	maxRecord   = 254 // bytes: the length is one byte, and even (ECMA-119 9.1.1, 9.1.13)
	recordFixed = 33  // bytes before the identifier
	ceLength    = 28  // bytes of a CE field, SUSP 5.1
	maxField    = 250 // bytes of data in a NM field, RRIP 4.1.4
)

// systemUse is what stands behind the identifier of a record, and the pieces of
// continuation area that it goes on in. Each piece lies in one block, for Linux
// reads no other (fs/isofs/rock.c, rock_continue).
type systemUse struct {
	inline []field
	pieces []piece
}

type field []byte

type piece struct {
	at     int64 // bytes from the beginning of the continuation areas
	fields []field
	length int64 // with the CE field to the next piece
}

// field makes a field of SUSP 4.1: signature, length, version, data.
func newField(signature string, data ...[]byte) field {
	f := field{signature[0], signature[1], 0, 1}
	for _, d := range data {
		f = append(f, d...)
	}
	f[2] = byte(len(f))
	return f
}

// extension is the one that Linux, libarchive and xorriso all know (RRIP 1.09 4.3).
const (
	extension       = "RRIP_1991A"
	extensionText   = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	extensionSource = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION."
)

// rootFields are those of the root directory's first record (SUSP 5.3, 5.5).
func rootFields(root *entry) []field {
	er := []byte{byte(len(extension)), byte(len(extensionText)), byte(len(extensionSource)), 1}
	return []field{
		newField("SP", []byte{0xbe, 0xef, 0}),
		posix(root),
		newField("ER", er, []byte(extension), []byte(extensionText), []byte(extensionSource)),
	}
}

// entryFields describe an entry under its own name.
func entryFields(e *entry) []field {
	fields := []field{posix(e)}
	for name := e.name; name != ""; {
		n := min(len(name), maxField)
		more := byte(0)
		if n < len(name) {
			more = 1 // CONTINUE
		}
		fields = append(fields, newField("NM", []byte{more}, []byte(name[:n])))
		name = name[n:]
	}
	if e.target != "" {
		fields = append(fields, newField("SL", []byte{0}, linkComponents(e.target)))
	}
	return fields
}

// posix is the PX field: mode, links, owner and group (RRIP 1.09 4.1.1).
func posix(e *entry) field {
	links := uint32(1)
	mode := uint32(e.mode.Perm())
	switch e.mode.Type() {
	case fs.ModeDir:
		mode |= 0o040000
		links = 2
		for _, c := range e.children {
			if c.dir() {
				links++
			}
		}
	case fs.ModeSymlink:
		mode |= 0o120000
	default:
		mode |= 0o100000
	}
	return newField("PX", both32(mode), both32(links), both32(0), both32(0))
}

// linkComponents are a relative target's parts (RRIP 4.1.3.1). All of them fit
// one field: libarchive 3.6 loses a slash between two.
func linkComponents(target string) []byte {
	var b []byte
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case ".":
			b = append(b, 2, 0) // CURRENT
		case "..":
			b = append(b, 4, 0) // PARENT
		default:
			b = append(b, 0, byte(len(part)))
			b = append(b, part...)
		}
	}
	return b
}

// fit spreads fields over a record with an identifier of so many bytes, and
// over as many continuation areas as it takes.
func (im *image) fit(fields []field, identifier int) systemUse {
	room := maxRecord - recordFixed - identifier - padding(identifier)
	var s systemUse
	s.inline, fields = fill(fields, room)
	for len(fields) > 0 {
		var p piece
		p.fields, fields = fill(fields, block)
		for _, f := range p.fields {
			p.length += int64(len(f))
		}
		if len(fields) > 0 {
			p.length += ceLength
		}
		if left := block - im.ceSize%block; p.length > left {
			im.ceSize += left
		}
		p.at = im.ceSize
		im.ceSize += p.length
		s.pieces = append(s.pieces, p)
	}
	return s
}

// fill takes the fields that fit, and leaves room for a CE field if any are left.
func fill(fields []field, room int) (in, rest []field) {
	total := 0
	for _, f := range fields {
		total += len(f)
	}
	if total <= room {
		return fields, nil
	}
	room -= ceLength
	n := 0
	for n < len(fields) && len(fields[n]) <= room {
		room -= len(fields[n])
		n++
	}
	return fields[:n], fields[n:]
}

// size is how many bytes stand in the record itself.
func (s systemUse) size() int {
	n := 0
	for _, f := range s.inline {
		n += len(f)
	}
	if len(s.pieces) > 0 {
		n += ceLength
	}
	return n
}

// bytes are those that stand in the record.
func (s systemUse) bytes(ce int64) []byte {
	return joined(s.inline, s.pieces, ce)
}

// joined writes fields and a CE field to the next piece.
func joined(fields []field, next []piece, ce int64) []byte {
	var b []byte
	for _, f := range fields {
		b = append(b, f...)
	}
	if len(next) > 0 {
		p := next[0]
		b = append(b, newField("CE", both32(uint32(ce+p.at/block)), both32(uint32(p.at%block)), both32(uint32(p.length)))...)
	}
	return b
}

// continuations are all continuation areas, in whole blocks.
func (im *image) continuations() []byte {
	b := make([]byte, (im.ceSize+block-1)/block*block)
	place := func(s systemUse) {
		for i, p := range s.pieces {
			copy(b[p.at:], joined(p.fields, s.pieces[i+1:], im.ce))
		}
	}
	place(im.rootSUSP)
	for _, d := range im.dirs {
		for _, c := range d.children {
			place(c.susp)
		}
	}
	return b
}

func padding(identifier int) int { return 1 - identifier%2 } // ECMA-119 9.1.12
