// SPDX-License-Identifier: Apache-2.0

// Package hostile makes discs that nobody should burn: small images, built from
// parts, each with one fault, and what a reader has to say of it. It reads
// nothing. The parts are exported for the tests of the readers.
package hostile

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
)

// SectorSize is that of a disc, in bytes (ECMA-119 6.1.2).
const SectorSize = 2048

// Where the parts of a small volume lie, in sectors. Both kinds of volume hold a
// sound file Good, whose content is Hello.
const (
	RootAt = 18
	DirAt  = 19
	CEAt   = 20
	DataAt = 21
	Total  = 24
	Good   = "prolog.sh"
	Hello  = "hello, world\n"
)

// Bits of the file flags (ECMA-119 9.1.6), and of NM and SL (RRIP 4.1.3, 4.1.4).
const (
	flagDirectory   = 1 << 1
	flagMultiExtent = 1 << 7

	flagContinue = 1 << 0
	flagParent   = 1 << 2
)

// A Disc is what lies in its sectors.
type Disc map[int][]byte

// Both encodes a number in both byte orders (ECMA-119 7.3.3).
func Both(n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n), n)
}

// Rec makes a directory record (ECMA-119 9.1).
func Rec(id string, flags byte, at, length uint32, fields ...[]byte) []byte {
	b := append([]byte{0, 0}, Both(at)...)
	b = append(b, Both(length)...)
	b = append(b, 99, 12, 31, 23, 59, 58, 4, flags, 0, 0, 1, 0, 0, 1, byte(len(id)))
	b = append(b, id...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b = append(b, bytes.Join(fields, nil)...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b[0] = byte(len(b))
	return b
}

// Field makes a system use field (SUSP 4.1).
func Field(signature string, data ...byte) []byte {
	return append([]byte{signature[0], signature[1], byte(4 + len(data)), 1}, data...)
}

// SP, NM, PX, CL and CE are the system use fields of these names (SUSP 5, RRIP 4).
func SP(skip byte) []byte   { return Field("SP", 0xbe, 0xef, skip) }
func NM(name string) []byte { return Field("NM", append([]byte{0}, name...)...) }
func PX(mode uint32) []byte {
	return Field("PX", slices.Concat(Both(mode), Both(1), Both(0), Both(0))...)
}
func CL(at uint32) []byte { return Field("CL", Both(at)...) }

func CE(at, offset, length uint32) []byte {
	return Field("CE", slices.Concat(Both(at), Both(offset), Both(length))...)
}

// File makes the Rock Ridge record of a file that holds Hello.
func File(name string, more ...[]byte) []byte {
	return Rec("F.;1", 0, DataAt, uint32(len(Hello)), append([][]byte{PX(0o100644), NM(name)}, more...)...)
}

// Dir makes the Rock Ridge record of a directory of one sector.
func Dir(name string, at uint32) []byte {
	return Rec("D", flagDirectory, at, SectorSize, PX(0o040755), NM(name))
}

// Directory makes a directory of one sector.
func Directory(at uint32, dotFields []byte, records ...[]byte) []byte {
	b := slices.Concat(Rec("\x00", flagDirectory, at, SectorSize, dotFields), Rec("\x01", flagDirectory, RootAt, SectorSize))
	return slices.Concat(b, slices.Concat(records...))
}

// RockRidge makes a volume with Rock Ridge whose root holds these records and a
// sound file Good, with a directory at DirAt that holds "inner".
func RockRidge(records ...[]byte) Disc {
	d := Plain()
	d[RootAt] = Directory(RootAt, slices.Concat(SP(0), PX(0o040755)), append(records, File(Good))...)
	d[DirAt] = Directory(DirAt, PX(0o040755), File("inner"))
	return d
}

// Plain makes a volume without Rock Ridge and Joliet.
func Plain(records ...[]byte) Disc {
	primary := make([]byte, SectorSize)
	copy(primary, "\x01CD001\x01")
	copy(primary[40:72], "CONTEXT"+strings.Repeat(" ", 32))
	copy(primary[80:], Both(Total))
	copy(primary[128:], []byte{0, 8, 8, 0})
	copy(primary[156:], Rec("\x00", flagDirectory, RootAt, SectorSize))
	good := Rec("PROLOG.SH;1", 0, DataAt, uint32(len(Hello)))
	return Disc{
		16:     primary,
		17:     []byte("\xffCD001\x01"),
		RootAt: Directory(RootAt, nil, append(records, good)...),
		DirAt:  Directory(DirAt, nil, Rec("INNER.;1", 0, DataAt, uint32(len(Hello)))),
		DataAt: []byte(Hello),
	}
}

// Joliet makes a volume with Joliet; it moves the terminator to the place of the directory.
func Joliet(records ...[]byte) Disc {
	d := Plain()
	d[17] = slices.Clone(d[16])
	d[17][0] = 2
	copy(d[17][88:], "%/E")
	copy(d[17][156:], Rec("\x00", flagDirectory, DirAt, SectorSize))
	good := Rec(UCS2(Good+";1"), 0, DataAt, uint32(len(Hello)))
	d[DirAt] = Directory(DirAt, nil, append(records, good)...)
	return d
}

// UCS2 encodes a Joliet name.
func UCS2(s string) string {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return string(b)
}

// Image gives the whole disc, of Total sectors.
func (d Disc) Image() []byte {
	b := make([]byte, Total*SectorSize)
	for at, sector := range d {
		copy(b[at*SectorSize:], sector)
	}
	return b
}

// With changes one byte of a sector.
func (d Disc) With(sector, offset int, value byte) Disc {
	d[sector] = slices.Concat(d[sector], make([]byte, max(0, offset+1-len(d[sector]))))
	d[sector][offset] = value
	return d
}

// Set replaces a sector.
func (d Disc) Set(sector int, b []byte) Disc { d[sector] = b; return d }

// Append adds to what is in a sector.
func (d Disc) Append(sector int, b []byte) Disc { return d.Set(sector, slices.Concat(d[sector], b)) }

// Continued sets the continuation area (SUSP 5.1).
func (d Disc) Continued(fields ...[]byte) Disc { return d.Set(CEAt, slices.Concat(fields...)) }

// Interleave makes a record one of an interleaved file (ECMA-119 6.4.3).
func Interleave(r []byte) []byte {
	r[26], r[27] = 1, 1
	return r
}
