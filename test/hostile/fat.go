// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"encoding/binary"
	"slices"
)

// A small FAT12 volume: 64 sectors of 512 bytes, one for a cluster, one table,
// a root directory of 16 entries. Cluster n lies in sector n+1.
const (
	fatSector  = 512
	fatTable   = 1 * fatSector
	fatRoot    = 2 * fatSector
	fatData    = 3 * fatSector
	fatSectors = 64
)

// FAT makes such a volume with the scripts' file in cluster 2 and a directory
// "D" in cluster 3 with a file in cluster 4; change spoils it.
func FAT(change func(b []byte)) []byte {
	le := binary.LittleEndian
	b := make([]byte, fatSectors*fatSector)
	copy(b, "\xeb\x3c\x90MKDOSFS ")
	le.PutUint16(b[11:], fatSector)
	b[13], b[16], b[21] = 1, 1, 0xf8
	le.PutUint16(b[14:], 1)
	le.PutUint16(b[17:], 16)
	le.PutUint16(b[19:], fatSectors)
	le.PutUint16(b[22:], 1)
	b[510], b[511] = 0x55, 0xaa
	FATLink(b, 0, 0xff8)
	FATLink(b, 1, 0xfff)
	for _, n := range []int{2, 3, 4} {
		FATLink(b, n, 0xfff)
	}
	copy(b[fatRoot:], slices.Concat(FATEntry("CONTEXT    ", 8, 0, 0), FATEntry("PROLOG  SH ", 0, 2, uint32(len(Hello))), FATEntry("D          ", 0x10, 3, 0)))
	copy(b[fatData+fatSector:], slices.Concat(FATEntry(".          ", 0x10, 3, 0), FATEntry("..         ", 0x10, 0, 0), FATEntry("INNER      ", 0, 4, uint32(len(Hello)))))
	copy(b[fatData:], Hello)
	copy(b[fatData+2*fatSector:], Hello)
	if change != nil {
		change(b)
	}
	return b
}

// FATEntry makes a directory entry (ECMA-107 11).
func FATEntry(name string, attributes byte, cluster uint16, size uint32) []byte {
	e := make([]byte, 32)
	copy(e, name)
	e[11] = attributes
	binary.LittleEndian.PutUint16(e[26:], cluster)
	binary.LittleEndian.PutUint32(e[28:], size)
	return e
}

// FATLink sets what follows a cluster in the table.
func FATLink(b []byte, cluster, next int) {
	at := fatTable + cluster*3/2
	if cluster%2 == 0 {
		b[at], b[at+1] = byte(next), b[at+1]&0xf0|byte(next>>8)
	} else {
		b[at], b[at+1] = b[at]&0x0f|byte(next<<4), byte(next>>4)
	}
}

func fats() []Image {
	image := func(name, want string, change func([]byte)) Image {
		return Image{"fat: " + name, func() []byte { return FAT(change) }, want}
	}
	entry := func(n int, name string, attributes byte, cluster uint16, size uint32) func([]byte) {
		return func(b []byte) { copy(b[fatRoot+32*n:], FATEntry(name, attributes, cluster, size)) }
	}
	long := func(number byte, text string) []byte {
		e := FATEntry("", 0x0f, 0, 0xffffffff)
		e[0], e[13] = number, sum("LONG       ")
		at := []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}
		for i, c := range []rune(text) {
			binary.LittleEndian.PutUint16(e[at[i]:], uint16(c))
		}
		return e
	}
	named := func(text string) func([]byte) {
		return func(b []byte) {
			copy(b[fatRoot+96:], slices.Concat(long(0x41, text), FATEntry("LONG       ", 0, 5, 0)))
		}
	}
	return []Image{
		image("longer than the medium", "a volume of 2096640 bytes on 32768", func(b []byte) { b[19], b[20] = 0, 0; copy(b[32:], "\xff\x0f\x00\x00") }),
		image("data area beyond the end", "the data area begins", func(b []byte) { b[17], b[18] = 0xff, 0xff }),
		image("table too small", "a table of 512 bytes for", func(b []byte) { b[19], b[20] = 0, 4; b[22] = 1 }).grown(1024 * fatSector),
		image("table of 4 GiB", "the data area begins", func(b []byte) { b[22], b[23] = 0, 0; copy(b[36:], "\xff\xff\xff\xff") }),
		image("FAT32 root cluster 0", "the root directory begins in cluster 0", func(b []byte) { b[22], b[23] = 0, 0; copy(b[36:], "\x01\x00\x00\x00") }),
		image("file in cluster 0", "begins in cluster 0 of 61", entry(1, "PROLOG  SH ", 0, 0, 5)),
		image("file in cluster 4000", "begins in cluster 4000 of 61", entry(1, "PROLOG  SH ", 0, 4000, 5)),
		image("file of 4 GiB", "more than the volume", entry(1, "PROLOG  SH ", 0, 2, 1<<32-1)),
		image("file longer than its chain", "has 600 bytes and 1 clusters", entry(1, "PROLOG  SH ", 0, 2, 600)),
		image("file in a circle", "or to it twice", func(b []byte) { entry(1, "PROLOG  SH ", 0, 2, 6000)(b); FATLink(b, 2, 2) }),
		image("two files, one cluster", "belongs to another file", entry(3, "OTHER      ", 0, 2, 5)),
		image("chain to cluster 1", "is followed by cluster 1", func(b []byte) { entry(1, "PROLOG  SH ", 0, 2, 600)(b); FATLink(b, 2, 1) }),
		image("chain beyond the end", "is followed by cluster 100", func(b []byte) { entry(1, "PROLOG  SH ", 0, 2, 600)(b); FATLink(b, 2, 100) }),
		image("directory in itself", "belongs to another file", func(b []byte) { copy(b[fatData+fatSector+64:], FATEntry("LOOP       ", 0x10, 3, 0)) }),
		image("directory in a circle", "or to it twice", func(b []byte) { FATLink(b, 3, 3) }),
		image("directory is a file", "belongs to another file", entry(2, "D          ", 0x10, 2, 0)),
		image("directory in cluster 0", "begins in cluster 0", entry(2, "D          ", 0x10, 0, 0)),
		image("name twice", "occurs twice", entry(3, "PROLOG  SH ", 0, 5, 0)),
		image("name with a slash", "is not a file name", entry(3, "A/B        ", 0, 0, 0)),
		image("name of nothing", "is not a file name", entry(3, "           ", 0, 0, 0)),
		image("name ..", "is not a file name", entry(3, "..         ", 0, 0, 0)),
		image("long name ..", "is not a file name", named("..\x00")),
		image("long name with a slash", "is not a file name", named("a/../b\x00")),
		image("long name of half a pair", "half a surrogate pair", func(b []byte) { named("x\x00")(b); b[fatRoot+96+2] = 0xd8 }),
		image("scripts but for case", "are all prolog.sh", func(b []byte) { named("prolog.sh\x00")(b) }),
	}
}

// grown makes an image longer.
func (i Image) grown(size int) Image {
	small := i.Bytes
	i.Bytes = func() []byte { b := small(); return append(b, make([]byte, size-len(b))...) }
	return i
}

// sum binds a long name to its short one.
func sum(short string) byte {
	var s byte
	for i := range 11 {
		s = s>>1 | s<<7
		s += short[i]
	}
	return s
}

// tables are disks whose partition table cannot be right.
func tables() []Image {
	disk := func(entry string, change func([]byte)) func() []byte {
		return func() []byte {
			b := make([]byte, 64<<10)
			copy(b[446:], entry)
			b[510], b[511] = 0x55, 0xaa
			if change != nil {
				change(b)
			}
			return b
		}
	}
	const first, rest = "\x00\x00\x00\x00\x83\x00\x00\x00", "\x10\x00\x00\x00"
	return []Image{
		{"mbr: partition beyond the end", disk(first+rest+"\xff\xff\xff\xff", nil), "is not in the disk"},
		{"mbr: extended partition in a circle", disk("\x00\x00\x00\x00\x05\x00\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00", func(b []byte) {
			copy(b[16*512+462:], "\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00")
			b[16*512+510], b[16*512+511] = 0x55, 0xaa
		}), "more than 128 logical partitions"},
		{"gpt: no header", disk("\x00\x00\x00\x00\xee\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff", nil), "without a gpt header"},
		{"gpt: checksum", disk("\x00\x00\x00\x00\xee\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff", func(b []byte) { copy(b[512:], "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00") }), "checksum"},
		{"mbr: spoilt FAT in a partition", disk(first+rest+"\x40\x00\x00\x00", func(b []byte) {
			copy(b[16*512:], FAT(func(b []byte) { copy(b[fatRoot+32:], FATEntry("PROLOG  SH ", 0, 0, 5)) }))
		}), "begins in cluster 0"},
	}
}
