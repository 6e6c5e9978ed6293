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

	"github.com/ctxagent/ctxagent/test/hostile"
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
	v, err := Open(&strictReader{t: t, image: image}, int64(len(image)), maxFiles)
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
	for _, c := range hostile.Volumes() {
		t.Run(c.Name, func(t *testing.T) {
			image := c.Disc.Image()
			files, problems := contents(t, image)
			if len(problems) == 0 {
				t.Error("a walk finds nothing wrong")
			}
			v, err := Open(bytes.NewReader(image), int64(len(image)), maxFiles)
			if err == nil {
				if files[good] != hello {
					t.Errorf("%s = %q; want %q", good, files[good], hello)
				}
				if c.Path != "" {
					var f fs.File
					if f, err = v.Open(c.Path); err == nil {
						_, err = io.Copy(io.Discard, f)
					}
				} else if c.Want == "" {
					return
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.Want) {
				t.Fatalf("open %q = %v; want %q", c.Path, err, c.Want)
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
		{"CE before other fields", rrDisc(rec("F", 0, dataAt, 5, ce(ceAt, 3, 125), field("NM", 1, 'x'))).Continued([]byte("...")).Append(ceAt, nm(long)), "x" + long, "hello"},
		{"name in three parts", rrDisc(rec("F", 0, dataAt, 5, field("NM", 1, 'a'), field("NM", 1, 'b'), field("NM", 0, 'c'))), "abc", "hello"},
		{"PX without type", rrDisc(rec("F", 0, dataAt, 5, px(0o4644), nm("x"))), "x", "hello"},
		{"padding after fields", rrDisc(rrFile("x", []byte{0, 0, 0, 0, 0, 0})), "x", hello},
		{"unknown fields, ST", rrDisc(rrFile("x", field("QQ", 1), field("ST"), []byte("junk"))), "x", hello},
		{"CL", rrDisc(rec("F", 0, 0, 0, nm("x"), cl(dirAt)), rec("R", flagDirectory, dirAt, sectorSize, nm("moved"), field("RE"))), "x/inner", hello},
		{"joliet surrogate pair", jolietDisc(rec(ucs2("🚀.txt;1"), 0, dataAt, 5)), "🚀.txt", "hello"},
		{"joliet directory", jolietDisc(), good, hello},
		{"trailing dot", plainDisc(rec("FILE.", 0, dataAt, 5)), "file", "hello"},
		{"size not a block", rrDisc(rec("F", 0, dataAt, 5, nm("x"))), "x", "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, problems := contents(t, c.disc.Image())
			if got, ok := files[c.path]; !ok || got != c.want || len(problems) > 0 {
				t.Errorf("%q = %.50q, %v, %v; want %q", c.path, got, ok, problems, c.want)
			}
		})
	}
	v := openImage(t, skipped.Image())
	if fi, err := v.Stat("x"); err != nil || fi.Mode() != 0o755 { // the setuid bits are gone
		t.Errorf("Stat(x) = %v, %v", fi, err)
	}
}

// Logical blocks of 512 and 1024 bytes.
func TestSmallBlocks(t *testing.T) {
	for _, size := range []int{512, 1024} {
		n := uint32(sectorSize / size)
		d := plainDisc()
		copy(d[16][128:], []byte{byte(size), byte(size >> 8), byte(size >> 8), byte(size)})
		copy(d[16][156:], rec("\x00", flagDirectory, rootAt*n, sectorSize))
		d[rootAt] = dir(rootAt*n, nil, rec("X.;1", 0, dataAt*n+1, 5))
		d[dataAt] = append(make([]byte, size), "hello"...)
		if files, problems := contents(t, d.Image()); files["x"] != "hello" || problems != nil {
			t.Errorf("blocks of %d: x = %q, %v", size, files["x"], problems)
		}
	}
}

// A directory deeper than any sound one, without an extent used twice.
func TestDepth(t *testing.T) {
	d := plainDisc(rec("D", flagDirectory, total, sectorSize))
	b := d.Image()
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
	const maxRecords, maxMetadata = recordsPerFile * (maxFiles + 1), metadataPerFile * (maxFiles + 64)
	var root []byte
	for i := range maxRecords/40 + 10 {
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
	b := append(d.Image(), root...)
	if _, err := Open(bytes.NewReader(b), int64(len(b)), maxFiles); err == nil || !strings.Contains(err.Error(), "directory records") {
		t.Errorf("Open = %v; want too many directory records", err)
	}
	b = append(d.Image(), make([]byte, maxMetadata+sectorSize)...)
	copy(b[16*sectorSize+156:], rec("\x00", flagDirectory, total, maxMetadata+1))
	if _, err := Open(bytes.NewReader(b), int64(len(b)), maxFiles); err == nil || !strings.Contains(err.Error(), "bytes of directories") {
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
			if v, err := Open(r, int64(len(image)), maxFiles); err == nil {
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
	if _, err := Open(readerAt{iotest.ErrReader(broken)}, 1<<20, maxFiles); !errors.Is(err, broken) || isCorrupt(err) {
		t.Errorf("Open = %v; want %v", err, broken)
	}
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

// Read, ReadAt and Seek agree, over the border of two extents too.
func TestReadAt(t *testing.T) {
	first := rec("X.;1", flagMultiExtent, dataAt, 5)
	v := openImage(t, plainDisc(first, rec("X.;1", 0, dataAt, uint32(len(hello)))).Image())
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
