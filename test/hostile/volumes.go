// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"strings"
)

// A Volume is an ISO 9660 volume with one fault.
type Volume struct {
	Name string
	Disc Disc
	Path string // what is opened or listed to meet it; "" for the volume itself
	Want string // part of the error
}

// Volumes are small volumes, each with one fault. Most of them still have a
// sound file Good beside it.
func Volumes() []Volume {
	multi := func(flags byte) []byte { return Rec("M.;1", flags, DataAt, SectorSize, PX(0o100644), NM("m")) }
	return []Volume{
		{"no primary descriptor", Plain().With(16, 0, 3), "", "no primary volume descriptor"},
		{"block size", Plain().With(16, 129, 16), "", "logical blocks of 4096 bytes"},
		{"root beyond the end", Plain().With(16, 158, 200), "", "ends after the image"},
		{"root of 4 GiB", Plain().With(16, 169, 255), "", "ends after the image"},
		{"root of no bytes", Plain().With(16, 167, 0), "", "does not begin with a record of itself"},
		{"root of zeros", Plain().With(16, 158, DataAt+1), "", "does not begin with a record of itself"},
		{"record of 33 bytes", Plain().With(RootAt, 68, 33), "", "directory record of 33 bytes"},
		{"record over a sector", Plain().With(RootAt, 2000, 100).With(RootAt, 68, 255), "", "directory record of"},
		{"bytes after the records", Plain().With(RootAt, 2047, 1), "", "after the last directory record"},
		{"identifier of no bytes", Plain(Rec("", 0, DataAt, 5, []byte{0, 0})), "", "identifier of 0 bytes"},
		{"identifier too long", Plain().With(RootAt, 68+32, 200), "", "identifier of 200 bytes"},

		{"name ..", RockRidge(File("..")), "x", `".." is not a file name`},
		{"name .", RockRidge(File(".")), "x", `"." is not a file name`},
		{"name empty", RockRidge(File("")), "x", `"" is not a file name`},
		{"name a/b", RockRidge(File("a/b")), "x", `"a/b" is not a file name`},
		{"name with NUL", RockRidge(File("a\x00b")), "x", "is not a file name"},
		{"name not utf-8", RockRidge(File("\xff\xfe")), "x", "is not utf-8"},
		{"name flag parent", RockRidge(Rec("F.;1", 0, DataAt, 5, Field("NM", flagParent))), "x", "is not a file name"},
		{"name too long", RockRidge(File(strings.Repeat("n", 100), CE(CEAt, 0, 250))).Continued(NM(strings.Repeat("n", 156))), "x", "NM is malformed"},
		{"name not continued", RockRidge(Rec("F.;1", 0, DataAt, 5, Field("NM", flagContinue, 'a'))), "x", "not continued"},
		{"name twice", RockRidge(File("x"), File("x")), "x", "occurs twice"},
		{"name thrice", RockRidge(File("x"), File("x"), File("x")), "x", "occurs twice"},
		{"plain name a/b", Plain(Rec("A/B.;1", 0, DataAt, 5)), "x", "is not a file name"},
		{"plain name latin-1", Plain(Rec("\xe4.;1", 0, DataAt, 5)), "x", "is not utf-8"},
		{"plain version twice", Plain(Rec("X.;1", 0, DataAt, 5), Rec("X.;2", 0, DataAt, 5)), "x", "occurs twice"},
		{"joliet a/b", Joliet(Rec(UCS2("a/b"), 0, DataAt, 5)), "x", "is not a file name"},
		{"joliet odd", Joliet(Rec("\x00a\x00", 0, DataAt, 5)), "x", "not ucs-2"},
		{"joliet half pair", Joliet(Rec("\xd8\x3d\x00a", 0, DataAt, 5)), "x", "half a surrogate pair"},
		{"joliet half pair at the end", Joliet(Rec("\x00a\xd8\x3d", 0, DataAt, 5)), "x", "half a surrogate pair"},

		{"directory is the root", RockRidge(Dir("d", RootAt)), "d", "used twice"},
		{"directory in itself", RockRidge(Dir("d", DirAt)).Set(DirAt, Directory(DirAt, nil, Dir("d", DirAt))), "d/d", "used twice"},
		{"two directories, one extent", RockRidge(Dir("d", DirAt), Dir("e", DirAt)), "", ""},
		{"plain directory is the root", Plain(Rec("D", flagDirectory, RootAt, SectorSize)), "d", "used twice"},
		{"directory beyond the end", RockRidge(Dir("d", Total)), "d", "ends after the image"},
		{"directory of 4 GiB", RockRidge(Rec("D", flagDirectory, DirAt, 1<<32-1, NM("d"))), "d", "ends after the image"},
		{"directory is a file", RockRidge(Dir("d", DataAt)), "d", "identifier of 0 bytes"},
		{"CL to the root", RockRidge(File("d", CL(RootAt))), "d", "used twice"},
		{"CL to a file", RockRidge(File("d", CL(DataAt))), "x", "relocated to what is no directory"},
		{"CL beyond the end", RockRidge(File("d", CL(1<<31))), "x", "after the image"},
		{"CL to another's dot", RockRidge(File("d", CL(DirAt))).Set(DirAt, Directory(RootAt, nil)), "x", "says it is at"},

		{"file beyond the end", RockRidge(Rec("F", 0, Total, 1, NM("x"))), "x", "ends after the image"},
		{"file of 4 GiB", RockRidge(Rec("F", 0, DataAt, 1<<32-1, NM("x"))), "x", "ends after the image"},
		{"file at the last block", RockRidge(Rec("F", 0, 1<<32-1, 1<<32-1, NM("x"))), "x", "ends after the image"},
		{"file one byte too long", RockRidge(Rec("F", 0, Total-1, SectorSize+1, NM("x"))), "x", "ends after the image"},
		{"no final extent", RockRidge(multi(flagMultiExtent)), "m", "do not belong together"},
		{"extent of other flags", RockRidge(multi(flagMultiExtent|1), multi(0)), "m", "do not belong together"},
		{"final extent of other name", RockRidge(multi(flagMultiExtent), File("m")), "m", "do not belong together"},
		{"interleaved", RockRidge(Interleave(File("x"))), "x", "interleaved"},
		{"zisofs", RockRidge(File("x", Field("ZF", 'p', 'z', 4, 15, 0, 0, 0, 0, 0, 0, 0, 0))), "x", "zisofs"},
		{"device", RockRidge(Rec("X", 0, 0, 0, PX(0o060644), NM("x"))), "x", "neither file, directory nor link"},
		{"socket", RockRidge(Rec("X", 0, 0, 0, PX(0o140644), NM("x"))), "x", "neither file, directory nor link"},
		{"no such type", RockRidge(Rec("X", 0, 0, 0, PX(0o150644), NM("x"))), "x", "no type of file"},
		{"directory by PX only", RockRidge(Rec("X", 0, DirAt, SectorSize, PX(0o040755), NM("x"))), "x", "against its file flags"},
		{"file by PX only", RockRidge(Rec("X", flagDirectory, DirAt, SectorSize, PX(0o100755), NM("x"))), "x", "against its file flags"},
		{"link without target", RockRidge(Rec("X", 0, 0, 0, PX(0o120777), NM("x"))), "x", "no target"},

		{"CE to itself", RockRidge(File("x", CE(CEAt, 0, 28))).Continued(CE(CEAt, 0, 28)), "y", "without end"},
		{"CE to itself with names", RockRidge(File("x", CE(CEAt, 0, 34))).Continued(NM("y"), CE(CEAt, 0, 34)), "y", "without end"},
		{"CE in two", RockRidge(File("x", CE(CEAt, 0, 28))).Continued(CE(CEAt, 28, 28), CE(CEAt, 0, 28)), "y", "without end"},
		{"CE of 4 GiB", RockRidge(File("x", CE(CEAt, 0, 1<<32-1))), "y", "without end"},
		{"CE of 60 KiB", RockRidge(File("x", CE(CEAt, 0, 60<<10))), "y", "ends after the image"},
		{"CE beyond the end", RockRidge(File("x", CE(1<<32-1, 1<<32-1, 100))), "y", "ends after the image"},
		{"CE twice", RockRidge(File("x", CE(CEAt, 0, 28), CE(CEAt, 0, 28))), "y", "not the only one"},
		{"CE short", RockRidge(File("x", Field("CE", 1, 2, 3))), "y", "continuation field is short"},
		{"field of length 3", RockRidge(File("x", []byte{'N', 'M', 3, 1})), "y", "of 3 bytes"},
		{"field too long", RockRidge(File("x", []byte{'N', 'M', 200, 1})), "y", "of 200 bytes"},
		{"PX short", RockRidge(File("x", Field("PX", 1, 2, 3))), "y", "PX is malformed"},
		{"NM short", RockRidge(File("x", Field("NM"))), "y", "NM is malformed"},
		{"CL short", RockRidge(File("x", Field("CL", 1))), "y", "CL is malformed"},
		{"SL short", RockRidge(File("x", Field("SL"))), "y", "SL is malformed"},
		{"SL too long", RockRidge(File("x", Field("SL", 0, 0, 9, 'a'))), "y", "SL is malformed"},
		{"SL odd", RockRidge(File("x", Field("SL", 0, 0))), "y", "SL is malformed"},
		{"SL host", RockRidge(File("x", Field("SL", 0, 32, 0))), "y", "SL is malformed"},
		{"SL not continued", RockRidge(File("x", Field("SL", 1, 0, 1, 'a'))), "y", "not continued"},
		{"SL with NUL", RockRidge(File("x", Field("SL", 0, 0, 1, 0))), "y", "SL is malformed"},

		{"volume of no blocks", Plain().With(16, 80, 0), "", "volume space size"},
		{"volume of 2^31 blocks", Plain().With(16, 83, 0x80).With(16, 84, 0x80), "", "volume space size"},
		{"volume of two sizes", Plain().With(16, 87, 99), "", "volume space size"},
		{"record of odd length", Plain().With(RootAt, 68, 45), "", "directory record of 45 bytes"},
		{"zisofs of another algorithm", RockRidge(File("x", zf('q', 'z', 4, 15, 100))), "x", "not known"},
		{"zisofs of huge blocks", RockRidge(File("x", zf('p', 'z', 4, 31, 100))), "x", "not known"},
		{"zisofs without header", RockRidge(File("x", zf('p', 'z', 4, 15, 1<<31))), "x", "header of 16 bytes, in 13"},
		{"zisofs whose header says more", zisofs(100, 1<<31, 16+8, nil), "x", "contradicts"},
		{"zisofs bomb", zisofs(1<<32-1, 1<<32-1, 16+8, nil), "x", "a table of 131072 blocks"},
		{"zisofs block beyond the end", zisofs(100, 100, 16+8, []uint32{24, 1 << 31}), "x", "block 0 lies from byte 24"},
		{"zisofs block just beyond the end", zisofs(100, 100, 16+8, []uint32{24, 100}), "x", "block 0 lies from byte 24 to 100"},
		{"zisofs block before itself", zisofs(100, 100, 16+8, []uint32{30, 24}), "x", "block 0 lies from byte 30 to 24"},
		{"zisofs block of noise", zisofs(100, 100, 16+8+20, []uint32{24, 44}, []byte("no zlib stream at all")...), "x", "zlib: invalid header"},
		{"zisofs block too short", zisofs(100, 100, 16+8+20, []uint32{24, 44}, deflated(50)...), "x", "unexpected EOF"},
		{"zisofs block too long", zisofs(100, 100, 16+8+20, []uint32{24, 44}, deflated(200)...), "x", "more than its 100 bytes"},
	}
}

// zf makes the field ZF of a compressed file.
func zf(a, b, header, blockLog byte, size uint32) []byte {
	return Field("ZF", append([]byte{a, b, header, blockLog}, Both(size)...)...)
}

// zisofs makes a volume with a compressed file x: what ZF says of its size, what
// its header says, how many bytes are stored, its table and its blocks.
func zisofs(says, header, stored uint32, table []uint32, blocks ...byte) Disc {
	b := []byte("\x37\xe4\x53\x96\xc9\xdb\xd6\x07")
	b = binary.LittleEndian.AppendUint32(b, header)
	b = append(b, 4, 15, 0, 0)
	for _, at := range table {
		b = binary.LittleEndian.AppendUint32(b, at)
	}
	d := RockRidge(Rec("F.;1", 0, DataAt+1, stored, PX(0o100644), NM("x"), zf('p', 'z', 4, 15, says)))
	return d.Set(DataAt+1, append(b, blocks...))
}

// deflated is n zeros, compressed.
func deflated(n int) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(make([]byte, n)) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
