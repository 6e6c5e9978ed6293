// SPDX-License-Identifier: Apache-2.0

package fat

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

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

// contents reads all that a volume gives, and what went wrong on the way.
func contents(t testing.TB, image []byte) (files map[string]string, problems []error) {
	t.Helper()
	files = map[string]string{}
	v, err := Open(&strictReader{t: t, image: image}, int64(len(image)), 1000)
	if err != nil {
		return files, []error{err}
	}
	_ = fs.WalkDir(v, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		if !fs.ValidPath(p) || len(d.Name()) > maxName || d.Name() != path.Base(p) {
			t.Fatalf("%q: bad name %q", p, d.Name())
		}
		if d.IsDir() {
			return nil
		}
		f, err := v.Open(p)
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		b, err := io.ReadAll(f)
		if info, statErr := f.Stat(); err == nil && (statErr != nil || info.Size() != int64(len(b))) {
			t.Errorf("%q: read %d bytes of %d, %v", p, len(b), info.Size(), statErr)
		}
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		files[p] = string(b)
		return f.Close()
	})
	return files, problems
}

func TestSmallVolume(t *testing.T) {
	files, problems := contents(t, hostile.FAT(nil))
	if len(problems) > 0 || files["PROLOG.SH"] != hostile.Hello || files["D/INNER"] != hostile.Hello {
		t.Errorf("%q, %v", files, problems)
	}
}

// Names that mtools does not write: surrogate pairs, a code page, the 0xe5 that
// is written as 5, and parts of a long name that belong to no file.
func TestNames(t *testing.T) {
	const root = 2 * 512
	long := func(number byte, sum byte, units ...byte) []byte {
		e := bytes.Repeat([]byte{0xff}, 32)
		e[0], e[11], e[12], e[13], e[26], e[27] = number, 0x0f, 0, sum, 0, 0
		copy(e[1:11], units)
		return e
	}
	short := hostile.FATEntry("ROCKET     ", 0, 0, 0)
	sum := checksum(short)
	small := hostile.FATEntry("SMALL   TXT", 0, 0, 0)
	small[12] = 0x18
	for _, c := range []struct {
		entries []byte
		want    string
	}{
		{append(long(0x41, sum, 'r', 0, 0x3d, 0xd8, 0x80, 0xde, 0, 0), short...), "r🚀"},
		{append(long(0x41, sum+1, 'x', 0, 0, 0), short...), "ROCKET"},
		{append(long(0x42, sum, 'x', 0, 0, 0), short...), "ROCKET"},
		{append(long(0x01, sum, 'x', 0, 0, 0), short...), "ROCKET"},
		{hostile.FATEntry("\x05GR\x81\xe1E  \x8e  ", 0, 0, 0), "σGRüßE.Ä"},
		{small, "small.txt"},
	} {
		image := hostile.FAT(func(b []byte) { copy(b[root+96:], c.entries) })
		files, problems := contents(t, image)
		if _, ok := files[c.want]; !ok || len(problems) > 0 || len(files) != 3 {
			t.Errorf("%q, %v; want %q", files, problems, c.want)
		}
	}
}

// No byte of the metadata makes the reader panic, hang or leave the volume.
func TestEveryByteFlipped(t *testing.T) {
	image := hostile.FAT(nil)
	began := time.Now()
	for at := range 6 * 512 {
		for _, flip := range []byte{0xff, 1, 0x80} {
			image[at] ^= flip
			files, _ := contents(t, image)
			for name, b := range files {
				if strings.EqualFold(name, hostile.Good) && len(b) == len(hostile.Hello) && at > 4*512 && b != hostile.Hello {
					t.Errorf("byte %d: %q", at, b)
				}
			}
			image[at] ^= flip
		}
	}
	t.Logf("%v", time.Since(began))
}

func FuzzVolume(f *testing.F) {
	f.Add(hostile.FAT(nil))
	for _, i := range hostile.Images() {
		if strings.HasPrefix(i.Name, "fat: ") {
			if b := i.Bytes(); len(b) < 64<<10 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		if len(image) <= 1<<20 {
			contents(t, image)
		}
	})
}
