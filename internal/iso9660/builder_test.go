// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
)

// The tests below build their images from parts that need not fit together.
const (
	rootAt = 18 // sectors
	dirAt  = 19
	ceAt   = 20
	dataAt = 21
	total  = 24
	hello  = "hello, world\n" // what lies at dataAt
)

// A disc is what lies in its sectors.
type disc map[int][]byte

// both encodes a number in both byte orders (ECMA-119 7.3.3).
func both(n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n), n)
}

// rec makes a directory record (ECMA-119 9.1).
func rec(id string, flags byte, at, length uint32, fields ...[]byte) []byte {
	b := append([]byte{0, 0}, both(at)...)
	b = append(b, both(length)...)
	b = append(b, 99, 12, 31, 23, 59, 58, 4, flags, 0, 0, 1, 0, 0, 1, byte(len(id)))
	b = append(b, id...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b = append(b, bytes.Join(fields, nil)...)
	b[0] = byte(len(b))
	return b
}

// field makes a system use field (SUSP 4.1).
func field(signature string, data ...byte) []byte {
	return append([]byte{signature[0], signature[1], byte(4 + len(data)), 1}, data...)
}

func sp(skip byte) []byte   { return field("SP", 0xbe, 0xef, skip) }
func nm(name string) []byte { return field("NM", append([]byte{0}, name...)...) }
func px(mode uint32) []byte {
	return field("PX", slices.Concat(both(mode), both(1), both(0), both(0))...)
}
func cl(at uint32) []byte { return field("CL", both(at)...) }

func ce(at, offset, length uint32) []byte {
	return field("CE", slices.Concat(both(at), both(offset), both(length))...)
}

// file makes the Rock Ridge record of a file that holds hello.
func rrFile(name string, more ...[]byte) []byte {
	return rec("F.;1", 0, dataAt, uint32(len(hello)), append([][]byte{px(0o100644), nm(name)}, more...)...)
}

func rrDir(name string, at uint32) []byte {
	return rec("D", flagDirectory, at, sectorSize, px(0o040755), nm(name))
}

// dir makes a directory of one sector.
func dir(at uint32, dotFields []byte, records ...[]byte) []byte {
	b := slices.Concat(rec("\x00", flagDirectory, at, sectorSize, dotFields), rec("\x01", flagDirectory, rootAt, sectorSize))
	return slices.Concat(b, slices.Concat(records...))
}

// rrDisc makes a volume with Rock Ridge whose root holds these records and a
// sound file "good", with a directory at dirAt that holds "inner".
func rrDisc(records ...[]byte) disc {
	d := plainDisc()
	d[rootAt] = dir(rootAt, slices.Concat(sp(0), px(0o040755)), append(records, rrFile("good"))...)
	d[dirAt] = dir(dirAt, px(0o040755), rrFile("inner"))
	return d
}

func plainDisc(records ...[]byte) disc {
	primary := make([]byte, sectorSize)
	copy(primary, "\x01CD001\x01")
	copy(primary[40:72], "CONTEXT"+strings.Repeat(" ", 32))
	copy(primary[80:], both(total))
	copy(primary[128:], []byte{0, 8, 8, 0})
	copy(primary[156:], rec("\x00", flagDirectory, rootAt, sectorSize))
	good := rec("GOOD.;1", 0, dataAt, uint32(len(hello)))
	return disc{
		16:     primary,
		17:     []byte("\xffCD001\x01"),
		rootAt: dir(rootAt, nil, append(records, good)...),
		dirAt:  dir(dirAt, nil, rec("INNER.;1", 0, dataAt, uint32(len(hello)))),
		dataAt: []byte(hello),
	}
}

// jolietDisc moves the terminator to the place of the directory.
func jolietDisc(records ...[]byte) disc {
	d := plainDisc()
	d[17] = slices.Clone(d[16])
	d[17][0] = 2
	copy(d[17][88:], "%/E")
	copy(d[17][156:], rec("\x00", flagDirectory, dirAt, sectorSize))
	good := rec(ucs2("good;1"), 0, dataAt, uint32(len(hello)))
	d[dirAt] = dir(dirAt, nil, append(records, good)...)
	return d
}

func ucs2(s string) string {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return string(b)
}

func (d disc) image() []byte {
	b := make([]byte, total*sectorSize)
	for at, sector := range d {
		copy(b[at*sectorSize:], sector)
	}
	return b
}

// with changes one byte of a sector.
func (d disc) with(sector, offset int, value byte) disc {
	d[sector] = slices.Concat(d[sector], make([]byte, max(0, offset+1-len(d[sector]))))
	d[sector][offset] = value
	return d
}
