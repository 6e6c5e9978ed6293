// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// An Image is a whole disc that has to be told unusable.
type Image struct {
	Name  string
	Bytes func() []byte // made when it is needed: some are large
	Want  string        // part of what has to be said of it
}

// Images are all of them: the volumes, those that are large or lie about it, FAT
// volumes, partition tables, and discs that are sound and still no context disc.
func Images() []Image {
	var out []Image
	for _, v := range Volumes() {
		want := v.Want
		if v.Name == "two directories, one extent" {
			want = "used twice"
		}
		out = append(out, Image{"iso: " + v.Name, v.Disc.Image, want})
	}
	return slices.Concat(out, large(), contexts(), configDrives(), fats(), tables())
}

// large are volumes that cost a careless reader time or memory.
func large() []Image {
	return []Image{
		{"iso: a million entries", func() []byte { return crowd(1_000_000, 1) }, "bytes of directories"},
		{"iso: a million entries in 100 directories", func() []byte { return crowd(10_000, 100) }, "media.max_files"},
		{"iso: 60000 files", func() []byte { return crowd(60_000, 1) }, "directory records"},
		{"iso: 29000 files", func() []byte { return crowd(29_000, 1) }, "media.max_files"},
		{"iso: 99000 entries that are all broken", func() []byte { return crowd(-99_000, 1) }, "directory records"},
		{"iso: one extent of 1 MiB, 1000 times", overlapping, "media.max_bytes"},
		{"iso: a zisofs bomb that keeps the rules", bomb, "media.max_bytes"},
		{"iso: 2000 continuation areas of 64 KiB", continuations, "bytes of directories"},
		{"iso: directories 60 deep", deep, "40 directories deep"},
	}
}

// contexts are sound volumes that must not become a context.
func contexts() []Image {
	link := func(target string) Disc {
		sl := []byte{0}
		for element := range strings.SplitSeq(target, "/") {
			switch element {
			case "":
				sl = append(sl, 8, 0)
			case "..":
				sl = append(sl, 4, 0)
			default:
				sl = append(append(sl, 0, byte(len(element))), element...)
			}
		}
		return RockRidge(Rec("L.;1", 0, 0, 0, PX(0o120777), NM("link"), Field("SL", sl...)), Dir("d", DirAt))
	}
	return []Image{
		{"context: absolute symlink", link("/etc/shadow").Image, `"link" leads out of the disc, to "/etc/shadow"`},
		{"context: symlink above the root", link("../etc/shadow").Image, "leads out of the disc"},
		{"context: symlink above the root by a detour", link("d/../../etc").Image, "leads out of the disc"},
		{"context: symlink to itself", link("link").Image, "leads out of the disc"},
		{"context: two scripts but for case", RockRidge(File("PROLOG.SH")).Image, "are all prolog.sh"},
		{"context: script that is a directory", RockRidge(Dir("epilog.sh", DirAt)).Image, "is not a file"},
		{"context: script that is a symlink", RockRidge(Rec("L.;1", 0, 0, 0, PX(0o120777), NM("epilog.sh"), Field("SL", 0, 0, 1, 'x'))).Image, "is not a file"},
		{"context: 3000 symlinks of 400 elements", links, "symlinks of more than"},
		{"context: name with a newline", RockRidge(File("a\nb")).Image, "control character"},
		{"context: name with an escape", RockRidge(File("a\x1b[2Jb")).Image, "control character"},
		{"context: name with DEL", RockRidge(File("a\x7f")).Image, "control character"},
		{"context: name that turns the line round", RockRidge(File("a\u202eb")).Image, "control character"},
	}
}

// sectors gives b as whole sectors.
func sectors(b []byte) []byte {
	return append(b, make([]byte, (SectorSize-len(b)%SectorSize)%SectorSize)...)
}

// pack makes records into a directory of whole sectors at sector at.
func pack(at uint32, fields []byte, records [][]byte) []byte {
	b := Directory(at, fields)
	for _, r := range records {
		if len(b)%SectorSize+len(r) > SectorSize {
			b = sectors(b)
		}
		b = append(b, r...)
	}
	b = sectors(b)
	// How long it is stands in its own record.
	copy(b[10:], Both(uint32(len(b))))
	return b
}

// withRoot is a volume whose root directory of these records lies at its end.
func withRoot(d Disc, root []byte) []byte {
	b := d.Image()
	copy(b[16*SectorSize+156+10:], Both(uint32(len(root))))
	copy(b[16*SectorSize+156+2:], Both(Total))
	return append(b, root...)
}

// crowd is a volume with dirs directories of n empty files; if n is negative,
// of files whose names are refused.
func crowd(n, dirs int) []byte {
	format := "%08d.;1"
	if n < 0 {
		n, format = -n, "%08d/.;1"
	}
	records := make([][]byte, n)
	for i := range records {
		records[i] = Rec(fmt.Sprintf(format, i), 0, 0, 0)
	}
	if dirs == 1 {
		return withRoot(Plain(), pack(Total, nil, append(records, Rec("PROLOG.SH;1", 0, DataAt, uint32(len(Hello))))))
	}
	var root [][]byte
	size := uint32(len(pack(0, nil, records)))
	first := uint32(Total) + uint32(dirs) // the root is not longer than one sector each
	for i := range dirs {
		root = append(root, Rec(fmt.Sprintf("D%d", i), flagDirectory, first+uint32(i)*size/SectorSize, size))
	}
	b := withRoot(Plain(), pack(Total, nil, append(root, Rec("PROLOG.SH;1", 0, DataAt, uint32(len(Hello))))))
	b = append(b, make([]byte, int(first)*SectorSize-len(b))...)
	for i := range dirs {
		b = append(b, pack(first+uint32(i)*size/SectorSize, nil, records)...)
	}
	return b
}

// overlapping is a volume of 1000 files in the same extent.
func overlapping() []byte {
	records := [][]byte{Rec("PROLOG.SH;1", 0, DataAt, uint32(len(Hello)))}
	for i := range 1000 {
		records = append(records, Rec(fmt.Sprintf("%08d.;1", i), 0, 0, 1<<20))
	}
	b := withRoot(Plain(), pack(Total, nil, records))
	return append(b, make([]byte, 1<<20)...)
}

// bomb is a file that unpacks to 4 GiB of zeros from a table of its own.
func bomb() []byte {
	const blocks = 1 << 17
	head := []byte("\x37\xe4\x53\x96\xc9\xdb\xd6\x07\xff\xff\xff\xff\x04\x0f\x00\x00")
	for range blocks + 1 {
		head = binary.LittleEndian.AppendUint32(head, uint32(16+4*(blocks+1))) // no bytes: all zeros
	}
	d := RockRidge(Rec("F.;1", 0, Total, uint32(len(head)), PX(0o100644), NM("x"), zf('p', 'z', 4, 15, 1<<32-1)))
	return append(d.Image(), sectors(head)...)
}

// continuations is a volume whose records each have 64 KiB of system use fields.
func continuations() []byte {
	var records [][]byte
	const area = 64 << 10
	for i := range 2000 {
		records = append(records, Rec("F.;1", 0, 0, 0, PX(0o100644), NM(fmt.Sprint(i)), CE(DataAt+1, 0, area)))
	}
	d := RockRidge()
	root := pack(Total, slices.Concat(SP(0), PX(0o040755)), append(records, File(Good)))
	b := append(withRoot(d, root), make([]byte, area)...)
	return b
}

// deep is a volume with a directory in a directory, 60 times.
func deep() []byte {
	b := Plain(Rec("D", flagDirectory, Total, SectorSize)).Image()
	for i := range uint32(60) {
		b = append(b, sectors(Directory(Total+i, nil, Rec("D", flagDirectory, Total+i+1, SectorSize)))...)
	}
	return b
}

// links is a volume with symlinks that go to and fro.
func links() []byte {
	sl := []byte{0}
	for range 40 {
		sl = append(sl, 0, 1, 'd', 4, 0) // d/..
	}
	more := slices.Clone(sl)
	more[0] = flagContinue
	area := slices.Concat(Field("SL", more...), Field("SL", more...), Field("SL", more...), Field("SL", more...), Field("SL", sl...))
	var records [][]byte
	for i := range 3000 {
		records = append(records, Rec("L.;1", 0, 0, 0, PX(0o120777), NM(fmt.Sprint("l", i)), CE(CEAt, 0, uint32(len(area)))))
	}
	d := RockRidge().Continued(area)
	return withRoot(d, pack(Total, slices.Concat(SP(0), PX(0o040755)), append(records, File(Good), Dir("d", DirAt))))
}
