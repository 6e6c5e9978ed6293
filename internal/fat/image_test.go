// SPDX-License-Identifier: Apache-2.0

package fat

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// describe says of each path what it is: type, permissions, length and digest.
func describe(t *testing.T, fsys fs.FS) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			found[p] = "directory"
			return nil
		}
		b, err := fs.ReadFile(fsys, p)
		found[p] = fmt.Sprintf("%v %d %x", d.Type(), len(b), sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if got[p] != want[p] {
			t.Errorf("%q = %.100q; want %.100q", p, got[p], want[p])
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok {
			t.Errorf("%q = %.100q; want nothing of that name", p, got[p])
		}
	}
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func noise(n int) string {
	b := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{byte(n)})
	rnd.Read(b)
	return string(b)
}

// tree holds what a FAT volume can carry and readers trip over.
func tree(t testing.TB) string {
	dir := t.TempDir()
	write(t, dir, "prolog.sh", "#!/bin/sh\necho prolog\n")
	write(t, dir, "UPPER.TXT", "upper\n")
	write(t, dir, "Mixed.Case", "mixed\n")
	write(t, dir, ".dotfile", "dot\n")
	write(t, dir, "empty", "")
	write(t, dir, "a name with spaces and dots. in. it.txt", "spaces\n")
	write(t, dir, "grüße-日本.txt", "unicode\n")
	write(t, dir, strings.Repeat("n", 200)+".txt", "long\n")
	write(t, dir, "big.bin", noise(700_000))
	write(t, dir, "d1/d2/d3/d4/deep.txt", "deep\n")
	for i := range 200 {
		write(t, dir, fmt.Sprintf("many/file-%03d-with-a-long-name", i), noise(i*37))
	}
	return dir
}

// makeFAT formats an image and copies the tree onto it.
func makeFAT(t testing.TB, src string, size string, format ...string) []byte {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disc.img")
	script := `set -e; PATH=$PATH:/usr/sbin:/sbin; truncate -s "$SIZE" "$IMAGE"; mkfs.fat "$@" "$IMAGE"; cd "$SRC"; MTOOLS_SKIP_CHECK=1 mcopy -i "$IMAGE" -s -m -n -- * .[!.]* ::/`
	cmd := exec.Command("bash", append([]string{"-c", script, "mkfs"}, format...)...)
	cmd.Env = append(os.Environ(), "IMAGE="+image, "SRC="+src, "SIZE="+size, "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make a FAT image: %v: %s", err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openImage(t testing.TB, image []byte) *Volume {
	t.Helper()
	v, err := Open(bytes.NewReader(image), int64(len(image)), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What mkfs.fat and mtools write comes back, on each kind of table.
func TestRealImages(t *testing.T) {
	src := tree(t)
	want := describe(t, os.DirFS(src))
	for _, c := range []struct {
		flavour, size string
		format        []string
	}{
		{"fat12", "4M", []string{"-F", "12", "-n", "CONTEXT"}},
		{"fat16", "16M", []string{"-F", "16", "-n", "CONTEXT"}},
		{"fat32", "64M", []string{"-F", "32", "-n", "CONTEXT"}},
		{"fat32", "300M", []string{"-F", "32", "-s", "8", "-n", "CONTEXT"}},
		{"fat12", "8M", []string{"-F", "12", "-S", "2048", "-n", "CONTEXT"}},
		{"fat16", "64M", []string{"-F", "16", "-f", "1", "-n", "CONTEXT"}},
		{"fat16", "64M", []string{"-n", "CONTEXT"}},
	} {
		t.Run(strings.Join(append(c.format, c.size), " "), func(t *testing.T) {
			v := openImage(t, makeFAT(t, src, c.size, c.format...))
			if v.Label() != "CONTEXT" || v.Flavour() != c.flavour {
				t.Errorf("label, flavour = %q, %q; want %q, %q", v.Label(), v.Flavour(), "CONTEXT", c.flavour)
			}
			compare(t, describe(t, v), want)
		})
	}
}

// fs.FS as the standard library understands it.
func TestFS(t *testing.T) {
	v := openImage(t, makeFAT(t, tree(t), "16M", "-F", "16"))
	if v.Label() != "" {
		t.Errorf("label = %q; want none", v.Label())
	}
	if err := fstest.TestFS(v, "prolog.sh", "many/file-199-with-a-long-name", "d1/d2/d3/d4/deep.txt"); err != nil {
		t.Error(err)
	}
}

// TestExtraction reads what mtools extracts from the same image: the same names
// and bytes.
func TestExtraction(t *testing.T) {
	image, out := makeFAT(t, tree(t), "16M", "-F", "16"), t.TempDir()
	file := filepath.Join(t.TempDir(), "disc.img")
	if err := os.WriteFile(file, image, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mcopy", "-i", file, "-s", "-n", "::", out)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mcopy: %v: %s", err, log)
	}
	compare(t, describe(t, openImage(t, image)), describe(t, os.DirFS(out)))
}
