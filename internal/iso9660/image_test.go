// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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

// describe walks a tree and says of each path what it is: type, permissions,
// link target, or length and digest.
func describe(t *testing.T, fsys fs.FS) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := fs.ReadLink(fsys, p)
			found[p] = "link " + target
			return err
		case fi.IsDir():
			found[p] = fi.Mode().String()
			return nil
		}
		b, err := fs.ReadFile(fsys, p)
		if int64(len(b)) != fi.Size() {
			t.Errorf("%q: read %d bytes; size is %d", p, len(b), fi.Size())
		}
		found[p] = fmt.Sprintf("%v %d %x", fi.Mode(), len(b), sha256.Sum256(b))
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

func write(t *testing.T, dir, name, content string, mode fs.FileMode) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
}

func noise(n int) string {
	b := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{byte(n)})
	rnd.Read(b)
	return string(b)
}

// awkwardTree holds everything that Rock Ridge can carry and that readers trip
// over.
func awkwardTree(t *testing.T) string {
	dir := t.TempDir()
	write(t, dir, "prolog.sh", "#!/bin/sh\necho prolog\n", 0o755)
	write(t, dir, ".dotfile", "dot\n", 0o644)
	write(t, dir, ".dotdir/.inner", "dot dot\n", 0o600)
	write(t, dir, "empty", "", 0o644)
	write(t, dir, "secret", "0600\n", 0o600)
	write(t, dir, "big.bin", noise(3<<20+17), 0o644)
	write(t, dir, "name with space.txt", "space\n", 0o644)
	write(t, dir, "semi;1", "a name that looks like a version\n", 0o644)
	write(t, dir, "semi", "without\n", 0o644)
	write(t, dir, "trailing.", "dot\n", 0o644)
	write(t, dir, "Upper.TXT", "upper\n", 0o640)
	write(t, dir, "UPPER.txt", "other upper\n", 0o640)
	write(t, dir, `back\slash`, "backslash\n", 0o644)
	write(t, dir, "new\nline", "newline\n", 0o644)
	write(t, dir, "grüße-日本.txt", "unicode\n", 0o644)
	write(t, dir, "rocket-🚀.txt", "emoji\n", 0o644)
	write(t, dir, strings.Repeat("n", 220)+".txt", "long name\n", 0o644)
	write(t, dir, strings.Repeat("日", 80)+".txt", "long unicode name\n", 0o644)
	write(t, dir, "d1/d2/d3/d4/d5/d6/d7/d8/d9/deep.txt", "deep\n", 0o644)
	write(t, dir, "d1/d2/d3/d4/d5/d6/d7/other/deep.txt", "deep too\n", 0o644)
	for i := range 200 {
		write(t, dir, fmt.Sprintf("many/%s-%03d", strings.Repeat("x", i), i), noise(i*37), 0o644)
	}
	if err := os.Mkdir(filepath.Join(dir, "emptydir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"link-file": "prolog.sh", "link-dir": "d1/d2", "link-absolute": "/etc/passwd", "link-up": "../../x",
		"link-dangling": "no/such/file", "d1/link-back": "../prolog.sh", "link-dot": "./d1/../secret",
		"link-long":         strings.Repeat("0123456789abcdef/", 14) + "end",
		"link-long-element": strings.Repeat("e", 240),
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tameTree holds what Joliet can carry, and, if ascii, what a plain volume can.
func tameTree(t *testing.T, ascii bool) string {
	dir := t.TempDir()
	write(t, dir, "prolog.sh", "#!/bin/sh\n", 0o644)
	write(t, dir, "noext", "no extension\n", 0o644)
	write(t, dir, "empty.txt", "", 0o644)
	write(t, dir, "big.bin", noise(3<<20+17), 0o644)
	write(t, dir, "sub/sub/sub/file.txt", "sub\n", 0o644)
	write(t, dir, "other/sub/file.txt", "other sub\n", 0o644)
	for i := range 100 {
		write(t, dir, fmt.Sprintf("many/file%03d.txt", i), noise(i*37), 0o644)
	}
	if !ascii {
		write(t, dir, "Mixed Case and space.Text", "mixed\n", 0o644)
		write(t, dir, ".dotfile", "dot\n", 0o644)
		write(t, dir, "grüße-日本.txt", "unicode\n", 0o644)
		write(t, dir, strings.Repeat("n", 56)+".txt", "long\n", 0o644)
	}
	return dir
}

// makeImage runs a tool that writes $OUT from $SRC.
func makeImage(t *testing.T, src, command string) []byte {
	t.Helper()
	return runTool(t, src, filepath.Join(t.TempDir(), "image.iso"), command)
}

func runTool(t testing.TB, src, out, command string) []byte {
	t.Helper()
	cmd := exec.Command("sh", "-c", command)
	cmd.Env = append(os.Environ(), "SRC="+src, "OUT="+out, "LC_ALL=C.UTF-8")
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, log)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openImage(t *testing.T, image []byte) *Volume {
	t.Helper()
	v, err := Open(bytes.NewReader(image), int64(len(image)), maxFiles)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The images of every writer at hand give back the tree they were made from.
func TestRealImages(t *testing.T) {
	awkward, unicode, ascii := awkwardTree(t), tameTree(t, false), tameTree(t, true)
	emoji := tameTree(t, false) // only bsdtar writes surrogate pairs
	write(t, emoji, "rocket-🚀.txt", "emoji\n", 0o644)
	for _, c := range []struct {
		name, src, flavour, command string
	}{
		{"genisoimage -R", awkward, "rock ridge", `genisoimage -quiet -R -V CONTEXT -o "$OUT" "$SRC"`},
		{"genisoimage -R -D", awkward, "rock ridge", `genisoimage -quiet -R -D -V CONTEXT -o "$OUT" "$SRC"`},
		{"genisoimage -R -J", unicode, "rock ridge", `genisoimage -quiet -R -J -input-charset utf-8 -V CONTEXT -o "$OUT" "$SRC"`},
		{"genisoimage -R -no-pad", awkward, "rock ridge", `genisoimage -quiet -R -no-pad -V CONTEXT -o "$OUT" "$SRC"`},
		{"genisoimage -J", unicode, "joliet", `genisoimage -quiet -J -input-charset utf-8 -V CONTEXT -o "$OUT" "$SRC"`},
		{"genisoimage -l", ascii, "plain", `genisoimage -quiet -l -V CONTEXT -o "$OUT" "$SRC"`},
		{"xorriso mkisofs -R", awkward, "rock ridge", `xorriso -as mkisofs -quiet -R -V CONTEXT -o "$OUT" "$SRC"`},
		{"xorriso mkisofs -R -J", awkward, "rock ridge", `xorriso -as mkisofs -quiet -R -J -joliet-long -V CONTEXT -o "$OUT" "$SRC"`},
		{"xorriso mkisofs -J", unicode, "joliet", `xorriso -as mkisofs -quiet --norock -J -V CONTEXT -o "$OUT" "$SRC"`},
		{"xorriso mkisofs", ascii, "plain", `xorriso -as mkisofs -quiet --norock -l -V CONTEXT -o "$OUT" "$SRC"`},
		{"xorriso", awkward, "rock ridge", `xorriso -outdev "$OUT" -volid CONTEXT -map "$SRC" / -commit`},
		{"xorriso hardlinks", unicode, "rock ridge", `xorriso -outdev "$OUT" -hardlinks on -volid CONTEXT -map "$SRC" / -commit`},
		{"xorriso new_rr", awkward, "rock ridge", `xorriso -outdev "$OUT" -compliance new_rr -volid CONTEXT -map "$SRC" / -commit`},
		{"xorriso aaip", awkward, "rock ridge", `xorriso -outdev "$OUT" -xattr on -acl on -md5 on -volid CONTEXT -map "$SRC" / -commit`},
		{"xorriso rr_moved", awkward, "rock ridge", `xorriso -as mkisofs -quiet -R -hide-rr-moved -V CONTEXT -o "$OUT" "$SRC"`},
		{"bsdtar", awkward, "rock ridge", `bsdtar --format iso9660 --options volume-id=CONTEXT,rockridge=strict -cf "$OUT" -C "$SRC" .`},
		{"bsdtar !joliet", awkward, "rock ridge", `bsdtar --format iso9660 --options 'volume-id=CONTEXT,rockridge=strict,!joliet' -cf "$OUT" -C "$SRC" .`},
		{"bsdtar !rockridge", emoji, "joliet", `bsdtar --format iso9660 --options 'volume-id=CONTEXT,!rockridge' -cf "$OUT" -C "$SRC" .`},
		{"bsdtar plain", ascii, "plain", `bsdtar --format iso9660 --options 'volume-id=CONTEXT,!rockridge,!joliet' -cf "$OUT" -C "$SRC" .`},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := openImage(t, makeImage(t, c.src, c.command))
			if v.Label() != "CONTEXT" || v.Flavour() != c.flavour {
				t.Errorf("label, flavour = %q, %q; want %q, %q", v.Label(), v.Flavour(), "CONTEXT", c.flavour)
			}
			got, want := describe(t, v), describe(t, os.DirFS(c.src))
			if c.src == awkward {
				delete(got, "rr_moved") // where genisoimage and bsdtar put directories that are too deep
			}
			if strings.HasPrefix(c.name, "bsdtar") { // it drops the mode of the root, and
				for _, p := range []string{".", "link-long"} { // a slash where a target is split
					delete(got, p)
					delete(want, p)
				}
			}
			compare(t, got, want)
		})
	}
}

// A disc of a site that knows neither label nor Rock Ridge.
func TestPlainDiscWithoutLabel(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "PROLOG.SH", "#!/bin/sh\necho plain\n", 0o644)
	image := makeImage(t, dir, `genisoimage -quiet -V "" -o "$OUT" "$SRC"`)
	if !bytes.Contains(image, []byte("PROLOG.SH;1")) {
		t.Fatal("the image has no PROLOG.SH;1")
	}
	v := openImage(t, image)
	if v.Label() != "" || v.Flavour() != "plain" {
		t.Errorf("label, flavour = %q, %q; want none, plain", v.Label(), v.Flavour())
	}
	b, err := fs.ReadFile(v, "prolog.sh")
	if err != nil || string(b) != "#!/bin/sh\necho plain\n" {
		t.Errorf("ReadFile(prolog.sh) = %q, %v", b, err)
	}
}

// Names with small letters in a plain volume are the writer's own.
func TestSmallLetters(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"prolog.sh", "README", "Mixed.Case", "sub/UPPER"} {
		write(t, dir, name, name, 0o644)
	}
	for _, option := range []string{"-l -allow-lowercase", "-U", "-iso-level 4"} {
		compare(t, describe(t, openImage(t, makeImage(t, dir, "genisoimage -quiet "+option+` -o "$OUT" "$SRC"`))), describe(t, os.DirFS(dir)))
	}
}

// fs.FS as the standard library understands it, in each flavour.
func TestFS(t *testing.T) {
	dir := tameTree(t, true)
	for target, name := range map[string]string{"prolog.sh": "link", "../other/sub": "sub/link"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, option := range []string{"-R", "-J", "-l"} {
		v := openImage(t, makeImage(t, dir, "genisoimage -quiet "+option+` -o "$OUT" "$SRC"`))
		if err := fstest.TestFS(v, "prolog.sh", "many/file099.txt", "sub/sub/sub/file.txt"); err != nil {
			t.Errorf("%s: %v", option, err)
		}
	}
}

func TestSymbolicLinks(t *testing.T) {
	dir := awkwardTree(t)
	for name, target := range map[string]string{"circle1": "circle2", "circle2": "circle1", "d1/out": "../../etc",
		"slash": "secret/.", "d1/up": "../d1/./d2/..//link-back"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	v := openImage(t, makeImage(t, dir, `genisoimage -quiet -R -o "$OUT" "$SRC"`))
	for _, c := range []struct {
		name string
		want error
	}{
		{"link-file", nil}, {"d1/link-back", nil}, {"link-dot", nil}, {"link-dir/d3", nil}, {"d1/up", nil},
		{"link-absolute", errLeaves}, {"link-up", errLeaves}, {"d1/out/passwd", errLeaves},
		{"link-dangling", fs.ErrNotExist}, {"circle1", errManyLinks}, {"slash", errNotDir},
		{"secret/x", errNotDir}, {"d1/../secret", fs.ErrInvalid}, {"/secret", fs.ErrInvalid},
	} {
		_, err := v.Stat(c.name)
		if !errors.Is(err, c.want) {
			t.Errorf("Stat(%q) = %v; want %v", c.name, err, c.want)
		}
		if _, err := v.Open(c.name); !errors.Is(err, c.want) {
			t.Errorf("Open(%q) = %v; want %v", c.name, err, c.want)
		}
	}
	if _, err := v.ReadLink("secret"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("ReadLink of a file = %v; want %v", err, fs.ErrInvalid)
	}
	if fi, err := v.Lstat("circle1"); err != nil || fi.Mode().Type() != fs.ModeSymlink || fi.Name() != "circle1" {
		t.Errorf("Lstat(circle1) = %v, %v", fi, err)
	}
	if fi, err := v.Stat("link-file"); err != nil || fi.Name() != "link-file" || fi.Mode() != 0o755 {
		t.Errorf("Stat(link-file) = %v, %v", fi, err)
	}
}

// What zisofs compressed comes back as it was, by every writer of it.
func TestZisofs(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"zeros": strings.Repeat("\x00", 200_000), "text": strings.Repeat("some text\n", 40_000), "noise": noise(100_001),
		"block": strings.Repeat("b", 1<<15), "blocks": strings.Repeat("c", 1<<17) + "d", "small": "s", "empty": "",
	} {
		write(t, dir, name, content, 0o644)
	}
	want := describe(t, os.DirFS(dir))
	delete(want, ".")
	for _, c := range []struct{ name, command string }{
		{"xorriso", `xorriso -outdev "$OUT" -map "$SRC" / -set_filter_r --zisofs / -- -commit`},
		{"xorriso version 2", `xorriso -zisofs version_2=on:block_size=64k -outdev "$OUT" -map "$SRC" / -set_filter_r --zisofs / -- -commit`},
		{"xorriso version 2, large blocks", `xorriso -zisofs version_2=on:block_size_v2=1m -outdev "$OUT" -map "$SRC" / -set_filter_r --zisofs / -- -commit`},
		{"genisoimage", `xorriso -outdev "$OUT.z" -map "$SRC" / -set_filter_r --zisofs / -- -commit &&
			xorriso -indev "$OUT.z" -set_filter_r --remove-all-filters / -- -osirrox on -extract / "$OUT.d" && genisoimage -quiet -R -z -o "$OUT" "$OUT.d"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := makeImage(t, dir, c.command)
			if !bytes.Contains(image, []byte(zisofs1Magic)) && !bytes.Contains(image, []byte(zisofs2Magic)) {
				t.Fatal("the image has no compressed file")
			}
			got := describe(t, openImage(t, image))
			delete(got, ".")
			compare(t, got, want)
		})
	}
}

// Device nodes and their kind are listed, but cannot be opened.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mkfifo", filepath.Join(dir, "pipe")).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v: %s", err, out)
	}
	v := openImage(t, makeImage(t, dir, `genisoimage -quiet -R -o "$OUT" "$SRC"`))
	if fi, err := v.Stat("pipe"); err != nil || fi.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("Stat(pipe) = %v, %v", fi, err)
	}
	if _, err := v.Open("pipe"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open(pipe) = %v; want %v", err, errors.ErrUnsupported)
	}
}

// What is no ISO 9660 image is told apart from a damaged one.
func TestNotISO(t *testing.T) {
	for name, image := range map[string]string{
		"empty": "", "short": noise(40_000)[:32768], "zeros": strings.Repeat("\x00", 1<<17), "noise": noise(1 << 17),
	} {
		if _, err := Open(strings.NewReader(image), int64(len(image)), maxFiles); !errors.Is(err, ErrNotISO) {
			t.Errorf("%s: Open = %v; want %v", name, err, ErrNotISO)
		}
	}
	if _, err := Open(strings.NewReader(""), -1, maxFiles); !errors.Is(err, ErrNotISO) {
		t.Errorf("size -1: Open = %v; want %v", err, ErrNotISO)
	}
	// a size that the reader does not keep
	if _, err := Open(strings.NewReader(""), 1<<20, maxFiles); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Open = %v; want %v", err, io.ErrUnexpectedEOF)
	}
}
