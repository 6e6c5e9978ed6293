// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/ctxagent/ctxagent/test/hostile"
)

// FuzzVolume mutates what follows the system area, which no one reads: volume
// descriptors, directory records, system use fields. Run it with
// -fuzzminimizetime 10x: to shrink an image takes longer than to read it.
func FuzzVolume(f *testing.F) {
	for _, image := range smallImages(f) {
		f.Add(image[firstDescriptor*sectorSize:])
	}
	for _, v := range hostile.Volumes() {
		f.Add(v.Disc.Image()[firstDescriptor*sectorSize:])
	}
	for _, d := range []disc{
		plainDisc(), jolietDisc(rec(ucs2("🚀.txt;1"), 0, dataAt, 5)),
		rrDisc(rrDir("d", dirAt), rrFile("x", ce(ceAt, 0, 200)), rec("L", 0, 0, 0, nm("l"), field("SL", 0, 0, 1, 'd'))).
			Continued(nm("y"), field("SL", 1, 8, 0, 4, 0), ce(ceAt, 40, 60)),
		rrDisc(rrFile("c", cl(dirAt)), rec("R", flagDirectory, dirAt, sectorSize, nm("moved"), field("RE"))),
		rrDisc(rec("X", flagMultiExtent, dataAt, 5, nm("x")), rec("X", 0, dataAt, 5, nm("x"))),
	} {
		f.Add(d.Image()[firstDescriptor*sectorSize:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		contents(t, append(make([]byte, firstDescriptor*sectorSize), data...))
	})
}

// FuzzFields mutates the system use fields of one record, and what they continue
// in: an image of two kilobytes that is all continuation area.
func FuzzFields(f *testing.F) {
	f.Add(slices.Concat(px(0o100644), nm("x"), ce(0, 0, 100)), nm("y"))
	f.Add(field("SL", 1, 0, 1, 'a', 8, 0, 4, 0), slices.Concat(field("SL", 0, 1, 1, 'b', 0, 1, 'c'), ce(0, 0, 50)))
	f.Add(field("TF", 0x83, 9), field("ST"))
	f.Add(field("ZF", 'p', 'z', 4, 15, 0, 0, 0, 0, 0, 0, 0, 0), cl(3))
	f.Fuzz(func(t *testing.T, use, more []byte) {
		if len(use) > 255 || len(more) > sectorSize {
			return
		}
		v := &Volume{image: bytes.NewReader(more), size: int64(len(more)), blockSize: sectorSize, maxMetadata: 1 << 20}
		a, err := v.parse(area{use, 0})
		if err == nil && (len(a.name) > maxName+1 || len(a.target) > maxTarget) {
			t.Errorf("name of %d bytes, target of %d", len(a.name), len(a.target))
		}
	})
}

// FuzzUnpack mutates the stored bytes of a compressed file of 100,000 bytes in
// four blocks. What it unpacks to has that length, or it is an error.
func FuzzUnpack(f *testing.F) {
	sound := []byte(zisofs1Magic + "\xa0\x86\x01\x00\x04\x0f\x00\x00")
	for _, at := range []byte{36, 36, 36, 36, 36} {
		sound = append(sound, at, 0, 0, 0)
	}
	f.Add(byte(1), sound)
	f.Add(byte(2), []byte(zisofs2Magic+"\x00\x06\x01\x0f\xa0\x86\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, version byte, stored []byte) {
		p := &packed{version: version%2 + 1, blockLog: 15, size: 100_000}
		p.header = 8 + 8*int64(p.version)
		r := bytes.NewReader(stored)
		if p.check(r, r.Size(), 0) != nil {
			return
		}
		u := newUnpacker(p, r, r.Size(), 0)
		n, err := io.Copy(io.Discard, io.NewSectionReader(u, 0, p.size))
		if n > p.size || err == nil && n != p.size {
			t.Errorf("unpacked %d bytes, %v; want %d", n, err, p.size)
		}
	})
}
