// SPDX-License-Identifier: Apache-2.0

package isowrite

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// descriptors are the system area, the primary volume descriptor (ECMA-119 8.4)
// and the terminator (8.3).
func (im *image) descriptors() []byte {
	b := make([]byte, (systemArea+2)*block)
	pvd := b[systemArea*block:]
	put := func(at int, data []byte) { copy(pvd[at:], data) }
	text := func(at, length int, s string) { put(at, []byte(s+strings.Repeat(" ", length-len(s)))) }
	put(0, []byte("\x01CD001\x01"))
	text(8, 32, "LINUX")
	text(40, 32, im.Label)
	put(80, both32(uint32(im.blocks)))
	put(120, both16(1)) // volume set size
	put(124, both16(1)) // volume sequence number
	put(128, both16(block))
	put(132, both32(uint32(im.pathTable)))
	binary.LittleEndian.PutUint32(pvd[140:], uint32(im.tableL))
	binary.BigEndian.PutUint32(pvd[148:], uint32(im.tableM))
	put(156, im.record(im.dirs[0], "\x00", nil, im.dirs[0].extent, im.dirs[0].size, false))
	for _, f := range []struct{ at, length int }{{190, 128}, {318, 128}, {446, 128}, {702, 37}, {739, 37}, {776, 37}} {
		text(f.at, f.length, "")
	}
	text(574, 128, "CTXAGENT")
	put(813, longDate(im.Time))
	put(830, longDate(im.Time))
	put(847, longDate(time.Time{}))
	put(864, longDate(time.Time{}))
	pvd[881] = 1 // file structure version
	copy(b[(systemArea+1)*block:], "\xffCD001\x01")
	return b
}

// longDate is ECMA-119 8.4.26.1; the zero time stands for "not specified".
func longDate(t time.Time) []byte {
	if t.IsZero() {
		return []byte("0000000000000000\x00")
	}
	return []byte(t.UTC().Format("20060102150405") + "00\x00")
}

// shortDate is ECMA-119 9.1.5.
func shortDate(t time.Time) []byte {
	t = t.UTC()
	return []byte{byte(t.Year() - 1900), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), 0}
}

// pathTables are the L and the M table, each in whole blocks (ECMA-119 9.4).
func (im *image) pathTables() []byte {
	var out []byte
	for _, big := range []bool{false, true} {
		for _, d := range im.dirs {
			out = append(out, pathTableRecord(d, big)...)
		}
		out = append(out, make([]byte, -len(out)&(block-1))...)
	}
	return out
}

func pathTableRecord(d *entry, big bool) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	id := d.id.name
	if d.number == 1 {
		id = "\x00"
	}
	b := []byte{byte(len(id)), 0}
	b = order.AppendUint32(b, uint32(d.extent))
	b = order.AppendUint16(b, uint16(d.parent.number))
	b = append(b, id...)
	return append(b, make([]byte, len(id)%2)...)
}

// directories are the extents of all directories.
func (im *image) directories() []byte {
	var out []byte
	for _, d := range im.dirs {
		self := newSystemUse(posix(d))
		if d.number == 1 {
			self = im.rootSUSP
		}
		begin := len(out)
		out = im.appendRecord(out, im.record(d, "\x00", self.bytes(im.ce), d.extent, d.size, false))
		up := newSystemUse(posix(d.parent))
		out = im.appendRecord(out, im.record(d.parent, "\x01", up.bytes(im.ce), d.parent.extent, d.parent.size, false))
		for _, c := range d.children {
			for _, r := range im.records(c) {
				out = im.appendRecord(out, r)
			}
		}
		out = append(out, make([]byte, -len(out)&(block-1))...)
		if int64(len(out)-begin) != d.size {
			panic(fmt.Sprintf("isowrite: directory %q has %d bytes; planned were %d", d.path, len(out)-begin, d.size))
		}
	}
	return out
}

func newSystemUse(fields ...field) systemUse { return systemUse{inline: fields} }

// appendRecord begins a new block where the record would cross one (ECMA-119 6.8.1.1).
func (im *image) appendRecord(out, record []byte) []byte {
	if left := block - len(out)%block; len(record) > left {
		out = append(out, make([]byte, left)...)
	}
	return append(out, record...)
}

// recordsSize is how many bytes a directory's records take, in whole blocks.
func (im *image) recordsSize(d *entry) int64 {
	at := int64(0)
	add := func(n int) {
		if left := block - at%block; int64(n) > left {
			at += left
		}
		at += int64(n)
	}
	first := newSystemUse(posix(d)).size()
	if d.number == 1 {
		first = im.rootSUSP.size()
	}
	add(recordLength(1, first))
	add(recordLength(1, len(posix(d))))
	for _, c := range d.children {
		for range sections(c.size) {
			add(recordLength(len(c.id.bytes(c.dir())), c.susp.size()))
		}
	}
	return (at + block - 1) &^ (block - 1)
}

func recordLength(identifier, systemUse int) int {
	n := recordFixed + identifier + padding(identifier) + systemUse
	return n + n%2
}

// sections is how many file sections a file of so many bytes takes (ECMA-119 6.5.1).
func sections(size int64) int {
	return max(1, int((size+maxExtent-1)/maxExtent))
}

// records are those of an entry: one for each section of a file.
func (im *image) records(e *entry) [][]byte {
	if e.dir() {
		return [][]byte{im.record(e, e.id.bytes(true), e.susp.bytes(im.ce), e.extent, e.size, false)}
	}
	var out [][]byte
	left, at := e.size, e.extent
	for n := sections(e.size); n > 0; n-- {
		length := min(left, maxExtent)
		out = append(out, im.record(e, e.id.bytes(false), e.susp.bytes(im.ce), at, length, n > 1))
		left -= length
		at += length / block
	}
	return out
}

// record is a directory record (ECMA-119 9.1).
func (im *image) record(e *entry, id string, systemUse []byte, extent, length int64, more bool) []byte {
	flags := byte(0)
	if e.dir() {
		flags |= 2
	}
	if more {
		flags |= 0x80 // multi-extent: a further section follows
	}
	b := make([]byte, 2, maxRecord)
	b = append(b, both32(uint32(extent))...)
	b = append(b, both32(uint32(length))...)
	b = append(b, shortDate(im.Time)...)
	b = append(b, flags, 0, 0)
	b = append(b, both16(1)...)
	b = append(b, byte(len(id)))
	b = append(b, id...)
	b = append(b, make([]byte, padding(len(id)))...)
	b = append(b, systemUse...)
	b = append(b, make([]byte, len(b)%2)...)
	b[0] = byte(len(b))
	return b
}
