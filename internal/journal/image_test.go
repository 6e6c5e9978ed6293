// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A copy has the bytes, the digest and the holes of its source, wherever those
// lie; and a source that is longer than it should be has another digest.
func TestCopySparse(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 60 {
		dir := t.TempDir()
		size := rng.IntN(3 << 20)
		src, err := os.Create(filepath.Join(dir, "src"))
		if err != nil {
			t.Fatal(err)
		}
		for range rng.IntN(5) {
			b := make([]byte, rng.IntN(200<<10))
			for k := range b {
				b[k] = byte(rng.Uint32())
			}
			if at := rng.IntN(size + 1); at+len(b) <= size {
				if _, err := src.WriteAt(b, int64(at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := src.Truncate(int64(size)); err != nil {
			t.Fatal(err)
		}
		dst, err := os.Create(filepath.Join(dir, "dst"))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if err := copySparse(dst, src, h, int64(size)); err != nil {
			t.Fatal(err)
		}
		want, _ := os.ReadFile(src.Name())
		got, _ := os.ReadFile(dst.Name())
		sum := sha256.Sum256(want)
		if !bytes.Equal(got, want) || !bytes.Equal(h.Sum(nil), sum[:]) {
			t.Errorf("copy %d of %d bytes: %d bytes, same %v, digest right %v", i, size, len(got), bytes.Equal(got, want), bytes.Equal(h.Sum(nil), sum[:]))
		}
		var a, b unix.Stat_t
		if err := unix.Fstat(int(src.Fd()), &a); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fstat(int(dst.Fd()), &b); err != nil || b.Blocks > a.Blocks+16 {
			t.Errorf("copy %d takes %d blocks, its source %d, %v", i, b.Blocks, a.Blocks, err)
		}
		if size > 0 {
			h.Reset()
			if err := copySparse(nil, src, h, int64(size-1)); err != nil || bytes.Equal(h.Sum(nil), digestOfBytes(want[:size-1])) {
				t.Errorf("a source that is a byte too long has the digest of one that is not, %v", err)
			}
		}
		src.Close()
		dst.Close()
	}
}

func digestOfBytes(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// Where /var is another mount the contents that are kept are copies, with times,
// owners and extended attributes; and they come back as such.
func TestImagesOnAnotherMount(t *testing.T) {
	dir := newRoot(t)
	before := manifest(t, dir)
	journal := filepath.Join(dir, "var")
	if err := os.Mkdir(journal, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("test", journal, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(journal, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	commit(t, dir, contextOne, 0, first)
	commit(t, dir, contextTwo, 0, second)
	if p := revert(t, dir); len(p.Left) > 0 {
		t.Errorf("revert leaves %q", p.Left)
	}
	if d := differ(manifest(t, dir), before); d != "" {
		t.Errorf("revert does not bring back the image:\n%s", d)
	}
}

// What the journal kept is not put back if it is not what was there.
func TestDamagedImage(t *testing.T) {
	dir := newRoot(t)
	commit(t, dir, contextOne, 0, first)
	now := manifest(t, dir)
	images, err := filepath.Glob(filepath.Join(dir, Dir, imagesDir, "*"))
	if err != nil || len(images) == 0 {
		t.Fatal("nothing is kept", err)
	}
	for _, name := range images {
		if err := os.WriteFile(name, []byte("damaged\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	j, err := openTest(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, j)
	if err := j.Commit(j.Plan(Goal{})); err == nil {
		t.Error("revert puts back a damaged content")
	}
	if d := differ(manifest(t, dir), now); d != "" {
		t.Errorf("a revert that failed changes the root:\n%s", d)
	}
}
