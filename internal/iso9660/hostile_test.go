// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// strictReader fails the test when it is asked for what is not there, or for
// far more than a walk needs.
type strictReader struct {
	t     testing.TB
	image []byte
	read  int
}

func (r *strictReader) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset+int64(len(p)) > int64(len(r.image)) {
		r.t.Fatalf("read of %d bytes at %d; the image has %d", len(p), offset, len(r.image))
	}
	if r.read += len(p); r.read > 64<<20 {
		r.t.Fatalf("read %d bytes of an image of %d", r.read, len(r.image))
	}
	return copy(p, r.image[offset:]), nil
}

// contents reads all that an image gives, up to bounds of its own, and what
// went wrong on the way.
func contents(t testing.TB, image []byte) (files map[string]string, problems []error) {
	t.Helper()
	files = map[string]string{}
	v, err := Open(&strictReader{t: t, image: image}, int64(len(image)))
	if err != nil {
		return files, []error{err}
	}
	visited := 0
	fs.WalkDir(v, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		if visited++; visited > 1000 {
			return fs.SkipAll
		}
		if !fs.ValidPath(p) || len(d.Name()) > maxName || strings.Contains(d.Name(), "/") || d.Name() != path.Base(p) {
			t.Fatalf("%q: bad name %q", p, d.Name())
		}
		v.ReadLink(p)
		if fi, err := v.Stat(p); err == nil && fi.IsDir() {
			return nil
		}
		f, err := v.Open(p)
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(f, 64<<10))
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		files[p] = string(b)
		return f.Close()
	})
	return files, problems
}

// Each image has one fault. Either it cannot be opened at all, or the sound
// file beside the fault is still read and the faulty one gives this error.
func TestHostileImages(t *testing.T) {
	multi := func(flags byte) []byte { return rec("M.;1", flags, dataAt, sectorSize, px(0o100644), nm("m")) }
	for _, c := range []struct {
		name string
		disc disc
		path string // what is opened or listed; "" for the volume
		want string // part of the error
	}{
		{"no primary descriptor", plainDisc().with(16, 0, 3), "", "no primary volume descriptor"},
		{"block size", plainDisc().with(16, 129, 16), "", "logical blocks of 4096 bytes"},
		{"root beyond the end", plainDisc().with(16, 158, 200), "", "ends after the image"},
		{"root of 4 GiB", plainDisc().with(16, 169, 255), "", "ends after the image"},
		{"root of no bytes", plainDisc().with(16, 167, 0), "", "does not begin with a record of itself"},
		{"root of zeros", plainDisc().with(16, 158, dataAt+1), "", "does not begin with a record of itself"},
		{"record of 33 bytes", plainDisc().with(rootAt, 68, 33), "", "directory record of 33 bytes"},
		{"record over a sector", plainDisc().with(rootAt, 2000, 100).with(rootAt, 68, 255), "", "directory record of"},
		{"bytes after the records", plainDisc().with(rootAt, 2047, 1), "", "after the last directory record"},
		{"identifier of no bytes", plainDisc(rec("", 0, dataAt, 5, []byte{0, 0})), "", "identifier of 0 bytes"},
		{"identifier too long", plainDisc().with(rootAt, 68+32, 200), "", "identifier of 200 bytes"},

		{"name ..", rrDisc(rrFile("..")), "x", `".." is not a file name`},
		{"name .", rrDisc(rrFile(".")), "x", `"." is not a file name`},
		{"name empty", rrDisc(rrFile("")), "x", `"" is not a file name`},
		{"name a/b", rrDisc(rrFile("a/b")), "x", `"a/b" is not a file name`},
		{"name with NUL", rrDisc(rrFile("a\x00b")), "x", "is not a file name"},
		{"name not utf-8", rrDisc(rrFile("\xff\xfe")), "x", "is not utf-8"},
		{"name flag parent", rrDisc(rec("F.;1", 0, dataAt, 5, field("NM", flagParent))), "x", "is not a file name"},
		{"name too long", rrDisc(rrFile(strings.Repeat("n", 100), ce(ceAt, 0, 250))).ce(nm(strings.Repeat("n", 156))), "x", "NM is malformed"},
		{"name not continued", rrDisc(rec("F.;1", 0, dataAt, 5, field("NM", flagContinue, 'a'))), "x", "not continued"},
		{"name twice", rrDisc(rrFile("x"), rrFile("x")), "x", "occurs twice"},
		{"name thrice", rrDisc(rrFile("x"), rrFile("x"), rrFile("x")), "x", "occurs twice"},
		{"plain name a/b", plainDisc(rec("A/B.;1", 0, dataAt, 5)), "x", "is not a file name"},
		{"plain name latin-1", plainDisc(rec("\xe4.;1", 0, dataAt, 5)), "x", "is not utf-8"},
		{"plain version twice", plainDisc(rec("X.;1", 0, dataAt, 5), rec("X.;2", 0, dataAt, 5)), "x", "occurs twice"},
		{"joliet a/b", jolietDisc(rec(ucs2("a/b"), 0, dataAt, 5)), "x", "is not a file name"},
		{"joliet odd", jolietDisc(rec("\x00a\x00", 0, dataAt, 5)), "x", "not ucs-2"},
		{"joliet half pair", jolietDisc(rec("\xd8\x3d\x00a", 0, dataAt, 5)), "x", "half a surrogate pair"},
		{"joliet half pair at the end", jolietDisc(rec("\x00a\xd8\x3d", 0, dataAt, 5)), "x", "half a surrogate pair"},

		{"directory is the root", rrDisc(rrDir("d", rootAt)), "d", "used twice"},
		{"directory in itself", rrDisc(rrDir("d", dirAt)).set(dirAt, dir(dirAt, nil, rrDir("d", dirAt))), "d/d", "used twice"},
		{"two directories, one extent", rrDisc(rrDir("d", dirAt), rrDir("e", dirAt)), "", ""},
		{"plain directory is the root", plainDisc(rec("D", flagDirectory, rootAt, sectorSize)), "d", "used twice"},
		{"directory beyond the end", rrDisc(rrDir("d", total)), "d", "ends after the image"},
		{"directory of 4 GiB", rrDisc(rec("D", flagDirectory, dirAt, 1<<32-1, nm("d"))), "d", "ends after the image"},
		{"directory is a file", rrDisc(rrDir("d", dataAt)), "d", "identifier of 0 bytes"},
		{"CL to the root", rrDisc(rrFile("d", cl(rootAt))), "d", "used twice"},
		{"CL to a file", rrDisc(rrFile("d", cl(dataAt))), "x", "relocated to what is no directory"},
		{"CL beyond the end", rrDisc(rrFile("d", cl(1<<31))), "x", "after the image"},
		{"CL to another's dot", rrDisc(rrFile("d", cl(dirAt))).set(dirAt, dir(rootAt, nil)), "x", "says it is at"},

		{"file beyond the end", rrDisc(rec("F", 0, total, 1, nm("x"))), "x", "ends after the image"},
		{"file of 4 GiB", rrDisc(rec("F", 0, dataAt, 1<<32-1, nm("x"))), "x", "ends after the image"},
		{"file at the last block", rrDisc(rec("F", 0, 1<<32-1, 1<<32-1, nm("x"))), "x", "ends after the image"},
		{"file one byte too long", rrDisc(rec("F", 0, total-1, sectorSize+1, nm("x"))), "x", "ends after the image"},
		{"no final extent", rrDisc(multi(flagMultiExtent)), "m", "do not belong together"},
		{"extent of other flags", rrDisc(multi(flagMultiExtent|1), multi(0)), "m", "do not belong together"},
		{"final extent of other name", rrDisc(multi(flagMultiExtent), rrFile("m")), "m", "do not belong together"},
		{"interleaved", rrDisc(interleave(rrFile("x"))), "x", "interleaved"},
		{"zisofs", rrDisc(rrFile("x", field("ZF", 'p', 'z', 4, 15, 0, 0, 0, 0, 0, 0, 0, 0))), "x", "zisofs"},
		{"device", rrDisc(rec("X", 0, 0, 0, px(0o060644), nm("x"))), "x", "not a regular file"},
		{"socket", rrDisc(rec("X", 0, 0, 0, px(0o140644), nm("x"))), "x", "not a regular file"},
		{"no such type", rrDisc(rec("X", 0, 0, 0, px(0o150644), nm("x"))), "x", "no type of file"},
		{"directory by PX only", rrDisc(rec("X", 0, dirAt, sectorSize, px(0o040755), nm("x"))), "x", "against its file flags"},
		{"file by PX only", rrDisc(rec("X", flagDirectory, dirAt, sectorSize, px(0o100755), nm("x"))), "x", "against its file flags"},
		{"link without target", rrDisc(rec("X", 0, 0, 0, px(0o120777), nm("x"))), "x", "no target"},

		{"CE to itself", rrDisc(rrFile("x", ce(ceAt, 0, 28))).ce(ce(ceAt, 0, 28)), "y", "without end"},
		{"CE to itself with names", rrDisc(rrFile("x", ce(ceAt, 0, 34))).ce(nm("y"), ce(ceAt, 0, 34)), "y", "without end"},
		{"CE in two", rrDisc(rrFile("x", ce(ceAt, 0, 28))).ce(ce(ceAt, 28, 28), ce(ceAt, 0, 28)), "y", "without end"},
		{"CE of 4 GiB", rrDisc(rrFile("x", ce(ceAt, 0, 1<<32-1))), "y", "without end"},
		{"CE of 60 KiB", rrDisc(rrFile("x", ce(ceAt, 0, 60<<10))), "y", "ends after the image"},
		{"CE beyond the end", rrDisc(rrFile("x", ce(1<<32-1, 1<<32-1, 100))), "y", "ends after the image"},
		{"CE twice", rrDisc(rrFile("x", ce(ceAt, 0, 28), ce(ceAt, 0, 28))), "y", "not the only one"},
		{"CE short", rrDisc(rrFile("x", field("CE", 1, 2, 3))), "y", "continuation field is short"},
		{"field of length 3", rrDisc(rrFile("x", []byte{'N', 'M', 3, 1})), "y", "of 3 bytes"},
		{"field too long", rrDisc(rrFile("x", []byte{'N', 'M', 200, 1})), "y", "of 200 bytes"},
		{"PX short", rrDisc(rrFile("x", field("PX", 1, 2, 3))), "y", "PX is malformed"},
		{"NM short", rrDisc(rrFile("x", field("NM"))), "y", "NM is malformed"},
		{"CL short", rrDisc(rrFile("x", field("CL", 1))), "y", "CL is malformed"},
		{"SL short", rrDisc(rrFile("x", field("SL"))), "y", "SL is malformed"},
		{"SL too long", rrDisc(rrFile("x", field("SL", 0, 0, 9, 'a'))), "y", "SL is malformed"},
		{"SL odd", rrDisc(rrFile("x", field("SL", 0, 0))), "y", "SL is malformed"},
		{"SL host", rrDisc(rrFile("x", field("SL", 0, 32, 0))), "y", "SL is malformed"},
		{"SL not continued", rrDisc(rrFile("x", field("SL", 1, 0, 1, 'a'))), "y", "not continued"},
		{"SL with NUL", rrDisc(rrFile("x", field("SL", 0, 0, 1, 0))), "y", "SL is malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := c.disc.image()
			files, problems := contents(t, image)
			if len(problems) == 0 {
				t.Error("a walk finds nothing wrong")
			}
			v, err := Open(bytes.NewReader(image), int64(len(image)))
			if err == nil {
				if files["good"] != hello {
					t.Errorf("good = %q; want %q", files["good"], hello)
				}
				if c.path != "" {
					_, err = v.Open(c.path)
				} else if c.want == "" {
					return
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("open %q = %v; want %q", c.path, err, c.want)
			}
			if !errors.Is(err, errors.ErrUnsupported) && !isCorrupt(err) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v is no CorruptError", err)
			}
		})
	}
}

func isCorrupt(err error) bool {
	_, ok := errors.AsType[*CorruptError](err)
	return ok
}

func interleave(r []byte) []byte {
	r[26], r[27] = 1, 1
	return r
}

func (d disc) set(sector int, b []byte) disc { d[sector] = b; return d }
func (d disc) ce(fields ...[]byte) disc      { return d.set(ceAt, slices.Concat(fields...)) }

// Oddities that sound discs have, and that must not cost a file.
func TestTolerated(t *testing.T) {
	xattr := rec("X.;1", 0, dataAt-1, uint32(len(hello)), nm("x"))
	xattr[1] = 1
	dates := rec("X.;1", 0, dataAt, uint32(len(hello)), nm("x"), field("TF", 2), field("TF", 0x83, 9))
	copy(dates[18:25], "\xff\xff\xff\xff\xff\xff\xff")
	part := func(flags byte, at, length uint32) []byte {
		return rec("X.;1", flags, at, length, px(0o100644), nm("x"))
	}
	skipped := rrDisc(rec("X.;1", 0, dataAt, uint32(len(hello)), make([]byte, 14), nm("x")))
	skipped[rootAt] = dir(rootAt, slices.Concat(make([]byte, 14), sp(14), px(0o040755)),
		rec("X.;1", 0, dataAt, uint32(len(hello)), []byte("XA data of 14b"), px(0o106755), nm("x")))
	noPX := rrDisc(rrFile("x"))
	noPX[rootAt] = dir(rootAt, sp(0), rrFile("x"))
	gap := rrDisc()
	gap[16] = slices.Clone(gap[16])
	copy(gap[16][166:], both(2*sectorSize))
	gap[dirAt] = rrFile("x")
	foreign := plainDisc(rec("X.;1", 0, dataAt, uint32(len(hello))))
	foreign[17] = []byte("\x00CD001\x01SOME OTHER BOOT SYSTEM")
	foreign[17] = append(foreign[17], make([]byte, 100)...)
	long := strings.Repeat("n", 120)
	for _, c := range []struct {
		name string
		disc disc
		path string
		want string
	}{
		{"extended attribute record", rrDisc(xattr), "x", hello},
		{"bad dates", rrDisc(dates), "x", hello},
		{"two extents", rrDisc(part(flagMultiExtent, dataAt, 5), part(0, dataAt, 5)), "x", "hellohello"},
		{"three extents, one empty", rrDisc(part(flagMultiExtent, dataAt, 5), part(flagMultiExtent, 1<<31, 0), part(0, dataAt+1, 1)), "x", "hello\x00"},
		{"empty file beyond the end", rrDisc(part(0, 1<<32-1, 0)), "x", ""},
		{"associated file", rrDisc(part(flagAssociated, dataAt+1, 7), part(0, dataAt, 5)), "x", "hello"},
		{"XA and LEN_SKP", skipped, "x", hello},
		{"SP and NM only", noPX, "x", hello},
		{"records after a gap", gap, "x", hello},
		{"foreign boot record, no terminator", foreign, "x", hello},
		{"CE before other fields", rrDisc(rec("F", 0, dataAt, 5, ce(ceAt, 3, 125), field("NM", 1, 'x'))).ce([]byte("...")).append(ceAt, nm(long)), "x" + long, "hello"},
		{"name in three parts", rrDisc(rec("F", 0, dataAt, 5, field("NM", 1, 'a'), field("NM", 1, 'b'), field("NM", 0, 'c'))), "abc", "hello"},
		{"PX without type", rrDisc(rec("F", 0, dataAt, 5, px(0o4644), nm("x"))), "x", "hello"},
		{"padding after fields", rrDisc(rrFile("x", []byte{0, 0, 0, 0, 0, 0})), "x", hello},
		{"unknown fields, ST", rrDisc(rrFile("x", field("QQ", 1), field("ST"), []byte("junk"))), "x", hello},
		{"CL", rrDisc(rec("F", 0, 0, 0, nm("x"), cl(dirAt)), rec("R", flagDirectory, dirAt, sectorSize, nm("moved"), field("RE"))), "x/inner", hello},
		{"joliet surrogate pair", jolietDisc(rec(ucs2("🚀.txt;1"), 0, dataAt, 5)), "🚀.txt", "hello"},
		{"joliet directory", jolietDisc(), "good", hello},
		{"trailing dot", plainDisc(rec("FILE.", 0, dataAt, 5)), "file", "hello"},
		{"size not a block", rrDisc(rec("F", 0, dataAt, 5, nm("x"))), "x", "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, problems := contents(t, c.disc.image())
			if got, ok := files[c.path]; !ok || got != c.want || len(problems) > 0 {
				t.Errorf("%q = %.50q, %v, %v; want %q", c.path, got, ok, problems, c.want)
			}
		})
	}
	v := openImage(t, skipped.image())
	if fi, err := v.Stat("x"); err != nil || fi.Mode() != 0o755 { // the setuid bits are gone
		t.Errorf("Stat(x) = %v, %v", fi, err)
	}
}

func (d disc) append(sector int, b []byte) disc { return d.set(sector, slices.Concat(d[sector], b)) }

// Logical blocks of 512 and 1024 bytes.
func TestSmallBlocks(t *testing.T) {
	for _, size := range []int{512, 1024} {
		n := uint32(sectorSize / size)
		d := plainDisc()
		copy(d[16][128:], []byte{byte(size), byte(size >> 8), byte(size >> 8), byte(size)})
		copy(d[16][156:], rec("\x00", flagDirectory, rootAt*n, sectorSize))
		d[rootAt] = dir(rootAt*n, nil, rec("X.;1", 0, dataAt*n+1, 5))
		d[dataAt] = append(make([]byte, size), "hello"...)
		if files, problems := contents(t, d.image()); files["x"] != "hello" || problems != nil {
			t.Errorf("blocks of %d: x = %q, %v", size, files["x"], problems)
		}
	}
}

// A directory deeper than any sound one, without an extent used twice.
func TestDepth(t *testing.T) {
	d := plainDisc(rec("D", flagDirectory, total, sectorSize))
	b := d.image()
	for i := range uint32(60) {
		sector := dir(total+i, nil, rec("D", flagDirectory, total+i+1, sectorSize))
		b = append(b, append(sector, make([]byte, sectorSize-len(sector))...)...)
	}
	v := openImage(t, b)
	if _, err := v.ReadDir(strings.Repeat("d/", maxDepth-1) + "d"); err != nil {
		t.Errorf("%d directories deep: %v", maxDepth, err)
	}
	if _, err := v.ReadDir(strings.Repeat("d/", maxDepth) + "d"); !isCorrupt(err) {
		t.Errorf("%d directories deep: %v; want a CorruptError", maxDepth+1, err)
	}
}

// The bounds on a whole volume: number of records, and bytes of directories.
func TestManyEntries(t *testing.T) {
	var root []byte
	for i := range maxEntries/40 + 10 {
		var sector []byte
		if i == 0 {
			sector = dir(total, nil)
		}
		for j := 0; len(sector)+46 <= sectorSize; j++ {
			sector = append(sector, rec(fmt.Sprintf("%04d%04d.;1", i, j), 0, 0, 0)...)
		}
		root = append(root, append(sector, make([]byte, sectorSize-len(sector))...)...)
	}
	d := plainDisc()
	copy(d[16][156:], rec("\x00", flagDirectory, total, uint32(len(root))))
	b := append(d.image(), root...)
	if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "directory records") {
		t.Errorf("Open = %v; want too many directory records", err)
	}
	b = append(d.image(), make([]byte, maxMetadata+sectorSize)...)
	copy(b[16*sectorSize+156:], rec("\x00", flagDirectory, total, maxMetadata+1))
	if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "bytes of directories") {
		t.Errorf("Open = %v; want too many bytes of directories", err)
	}
}

// smallImages are real images with little around the metadata.
func smallImages(t testing.TB) map[string][]byte {
	src, out := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{"prolog.sh": hello, "sub/" + strings.Repeat("n", 180): "n", "a b": "ab", ".x": ""} {
		p := filepath.Join(src, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/"+strings.Repeat("n", 180), filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	images := map[string][]byte{}
	for name, command := range map[string]string{
		"genisoimage": `genisoimage -quiet -no-pad -R -J -o "$OUT" "$SRC"`,
		"joliet":      `genisoimage -quiet -no-pad -J -joliet-long -o "$OUT" "$SRC"`,
		"plain":       `genisoimage -quiet -no-pad -l -o "$OUT" "$SRC"`,
		"xorriso":     `xorriso -as mkisofs -quiet -no-pad -R -o "$OUT" "$SRC"`,
		"bsdtar":      `bsdtar --format iso9660 --options pad=0 -cf "$OUT" -C "$SRC" . || bsdtar --format iso9660 -cf "$OUT" -C "$SRC" .`,
	} {
		images[name] = runTool(t, src, filepath.Join(out, name), command)
	}
	return images
}

// A disc that ends too soon gives each file whole, or an error.
func TestTruncated(t *testing.T) {
	for name, image := range smallImages(t) {
		whole, problems := contents(t, image)
		if len(whole) == 0 || problems != nil && name != "plain" && name != "joliet" {
			t.Fatalf("%s: sound image has %d files, %v", name, len(whole), problems)
		}
		for size := 0; size < len(image); size += 512 {
			files, _ := contents(t, image[:size])
			for p, b := range files {
				if whole[p] != b {
					t.Errorf("%s cut to %d bytes: %q = %q; want %q", name, size, p, b, whole[p])
				}
			}
			// the medium is shorter than the drive says
			r := bytes.NewReader(image[:size])
			if v, err := Open(r, int64(len(image))); err == nil {
				for p := range whole {
					if b, err := fs.ReadFile(v, p); err == nil && string(b) != whole[p] {
						t.Errorf("%s ends at byte %d: %q = %q; want %q", name, size, p, b, whole[p])
					}
				}
			}
		}
	}
}

// No byte of the metadata makes the reader panic, hang or leave the image.
func TestEveryByteFlipped(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	for _, image := range smallImages(t) {
		for at := firstDescriptor * sectorSize; at < len(image); at += step {
			start := at - at%sectorSize
			sector := image[start:min(start+sectorSize, len(image))]
			if bytes.Count(sector, []byte{0}) == len(sector) {
				continue
			}
			kept := image[at]
			for _, value := range []byte{^kept, kept ^ 1} {
				image[at] = value
				contents(t, image)
			}
			image[at] = kept
		}
	}
}

// The error of the drive itself is not taken for a corrupt image.
func TestReadError(t *testing.T) {
	broken := errors.New("medium error")
	if _, err := Open(readerAt{iotest.ErrReader(broken)}, 1<<20); !errors.Is(err, broken) || isCorrupt(err) {
		t.Errorf("Open = %v; want %v", err, broken)
	}
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

// Read, ReadAt and Seek agree, over the border of two extents too.
func TestReadAt(t *testing.T) {
	first := rec("X.;1", flagMultiExtent, dataAt, 5)
	v := openImage(t, plainDisc(first, rec("X.;1", 0, dataAt, uint32(len(hello)))).image())
	want := hello[:5] + hello
	f, err := v.Open("x")
	if err != nil {
		t.Fatal(err)
	}
	for from := range len(want) + 2 {
		for n := range len(want) + 2 {
			b := make([]byte, n)
			got, err := f.(io.ReaderAt).ReadAt(b, int64(from))
			end := min(from+n, len(want))
			if string(b[:got]) != want[min(from, end):end] || (err == io.EOF) != (got < n) {
				t.Errorf("ReadAt(%d bytes, %d) = %q, %v", n, from, b[:got], err)
			}
		}
	}
	if _, err := f.(io.Seeker).Seek(-3, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "ld\n" {
		t.Errorf("read of the last 3 bytes = %q, %v", b, err)
	}
	if _, err := f.(io.ReaderAt).ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt(-1) gave no error")
	}
	f.Close()
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close = %v; want %v", err, fs.ErrClosed)
	}
}

// FuzzVolume mutates what follows the system area, which no one reads. Run it
// with -fuzzminimizetime 10x: to shrink an image takes longer than to read it.
func FuzzVolume(f *testing.F) {
	for _, image := range smallImages(f) {
		f.Add(image[firstDescriptor*sectorSize:])
	}
	for _, d := range []disc{
		plainDisc(), jolietDisc(rec(ucs2("🚀.txt;1"), 0, dataAt, 5)),
		rrDisc(rrDir("d", dirAt), rrFile("x", ce(ceAt, 0, 200)), rec("L", 0, 0, 0, nm("l"), field("SL", 0, 0, 1, 'd'))).
			ce(nm("y"), field("SL", 1, 8, 0, 4, 0), ce(ceAt, 40, 60)),
		rrDisc(rrFile("c", cl(dirAt)), rec("R", flagDirectory, dirAt, sectorSize, nm("moved"), field("RE"))),
		rrDisc(rec("X", flagMultiExtent, dataAt, 5, nm("x")), rec("X", 0, dataAt, 5, nm("x"))),
	} {
		f.Add(d.image()[firstDescriptor*sectorSize:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		contents(t, append(make([]byte, firstDescriptor*sectorSize), data...))
	})
}
