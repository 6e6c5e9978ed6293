// SPDX-License-Identifier: Apache-2.0

package isowrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/iso9660"
)

var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// awkward is a tree of everything that a context disc may hold and a writer may
// get wrong.
func awkward(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := func(name, content string, mode fs.FileMode) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o600), os.Chmod(p, mode)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	file("prolog.sh", "#!/bin/sh\n", 0o755)
	file("munge.key", "secret", 0o400)
	file("empty", "", 0o644)
	file(".hidden", "dot", 0o644)
	file("semi;1", "semicolon", 0o644)
	file("trailing.", "dot at the end", 0o644)
	file("two  blanks and = ' \" \\ $", "quoting", 0o644)
	file("grüße-単語-🙂", "UTF-8", 0o644)
	file("e\u0301 and \u00e9", "not normalised", 0o644)
	file("archive.tar.gz", "two dots", 0o644)
	for _, n := range []int{30, 93, 108, 140, 146, 186, 200, 248, 250, 251, maxName} {
		file(strings.Repeat("n", n-3)+fmt.Sprintf("%03d", n), fmt.Sprint(n), 0o644)
	}
	// Names that differ only where a plain identifier does not.
	for i := range 40 {
		file(fmt.Sprintf("same/a name that is longer than thirty-one characters %d", i), fmt.Sprint(i), 0o644)
	}
	file("case/readme", "lower", 0o644)
	file("case/README", "upper", 0o644)
	file("case/read.me", "with a dot", 0o644)
	file("blocks/2047", strings.Repeat("x", 2047), 0o644)
	file("blocks/2048", strings.Repeat("y", 2048), 0o644)
	file("blocks/2049", strings.Repeat("z", 2049), 0o644)
	deep := "deep"
	for i := range 24 {
		deep = filepath.Join(deep, fmt.Sprintf("level-%d", i))
	}
	file(filepath.Join(deep, "bottom"), "down here", 0o644)
	if err := os.MkdirAll(filepath.Join(dir, "no files/.private"), 0o700); err != nil {
		t.Fatal(err)
	}
	link("prolog.sh", "link")
	link("../prolog.sh", "case/up")
	link("./same/../prolog.sh", "roundabout")
	link("nowhere", "dangling")
	link(strings.Repeat("t", 200), "a long target")
	link("blocks/"+strings.Repeat("t", 100), strings.Repeat("l", 240))
	return dir
}

// listing is what a tree holds, one line for each entry, sorted.
func listing(t *testing.T, tree fs.FS, mode func(fs.FileMode) fs.FileMode) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%q %v", name, mode(info.Mode()))
		switch {
		case info.Mode().IsRegular():
			b, err := fs.ReadFile(tree, name)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %q", b)
		case !info.IsDir():
			target, err := fs.ReadLink(tree, name)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" -> %q", target)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func asIs(m fs.FileMode) fs.FileMode { return m }

// different reports where two listings differ.
func different(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, l := range want {
		if !slices.Contains(got, l) {
			t.Errorf("%s lacks %.200s", what, l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			t.Errorf("%s has %.200s", what, l)
		}
	}
}

// packed writes a tree to an image file.
func packed(t *testing.T, dir string, o Options) string {
	t.Helper()
	if o.Label == "" {
		o.Label = "CONTEXT"
	}
	if o.Time.IsZero() {
		o.Time = epoch
	}
	iso := filepath.Join(t.TempDir(), "out.iso")
	f, err := os.Create(iso)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(context.Background(), f, os.DirFS(dir), o); err != nil {
		t.Fatal(err)
	}
	return iso
}

// TestReadersAgree holds an image of the awkward tree against every reader that
// a site or a guest may have. That of the kernel is asked in a guest, by
// TestKernelReadsPackedDisc.
func TestReadersAgree(t *testing.T) {
	dir := awkward(t)
	want := listing(t, os.DirFS(dir), Mode)
	iso := packed(t, dir, Options{})
	t.Run("iso9660", func(t *testing.T) {
		f, err := os.Open(iso)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		v, err := iso9660.Open(f, info.Size(), 100_000)
		if err != nil {
			t.Fatal(err)
		}
		if v.Label() != "CONTEXT" || v.Flavour() != "rock ridge" {
			t.Errorf("label %q, flavour %q", v.Label(), v.Flavour())
		}
		different(t, "the guest's reader", listing(t, v, asIs), want)
	})
	for name, extract := range map[string][]string{
		"xorriso": {"xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/"},
		"bsdtar":  {"bsdtar", "-x", "-p", "-f", iso, "-C"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			if err := os.Mkdir(out, 0o755); err != nil {
				t.Fatal(err)
			}
			if b, err := exec.Command(extract[0], append(extract[1:], out)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			different(t, name, listing(t, os.DirFS(out), asIs), want)
		})
	}
	t.Run("isoinfo", func(t *testing.T) {
		b, err := exec.Command("isoinfo", "-R", "-f", "-i", iso).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range want {
			var name string
			if _, err := fmt.Sscanf(l, "%q", &name); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(strings.Split(string(b), "\n"), "/"+name) {
				t.Errorf("isoinfo lacks %q", name)
			}
		}
	})
	t.Run("plain", func(t *testing.T) {
		b, err := exec.Command("isoinfo", "-f", "-i", iso).Output()
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(string(b))
		if !slices.Contains(names, "/PROLOG.SH;1") || len(names) != len(want) {
			t.Errorf("%d plain names for %d entries: %q", len(names), len(want), names)
		}
		slices.Sort(names)
		if n := len(slices.Compact(names)); n != len(want) {
			t.Errorf("%d different plain names for %d entries", n, len(want))
		}
	})
}

// TestManyFiles: a directory of many blocks, in which every entry is found.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 5000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file with a number %d", i)), fmt.Append(nil, i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	iso := packed(t, dir, Options{})
	out := t.TempDir()
	if b, err := exec.Command("bsdtar", "-x", "-f", iso, "-C", out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	different(t, "bsdtar", listing(t, os.DirFS(out), asIs), listing(t, os.DirFS(dir), Mode))
}

// TestMultiExtent writes a file that is longer than one extent can be.
func TestMultiExtent(t *testing.T) {
	const size = maxExtent + 5000
	marks := []int64{0, 1 << 31, maxExtent - 3, size - 7}
	tree := hugeTree{size: size, marks: marks}
	var img sparse
	if err := Write(context.Background(), &img, tree, Options{Label: "BIG", Time: epoch}); err != nil {
		t.Fatal(err)
	}
	v, err := iso9660.Open(&img, img.size, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	huge, err := v.Open("huge")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := huge.Stat(); err != nil || info.Size() != size {
		t.Fatalf("size %v, %v; want %d", info, err, int64(size))
	}
	for _, at := range marks {
		b := make([]byte, 7)
		if _, err := huge.(io.ReaderAt).ReadAt(b, at); err != nil || string(b) != "ctxagen" {
			t.Errorf("at %d: %q, %v", at, b, err)
		}
	}
	iso := filepath.Join(t.TempDir(), "big.iso")
	img.save(t, iso)
	out, err := exec.Command("isoinfo", "-R", "-l", "-i", iso).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("huge")) {
		t.Errorf("isoinfo: %v: %s", err, out)
	}
}

// hugeTree is a tree of one file of zeros, but for "ctxagen" at the marks.
type hugeTree struct {
	size  int64
	marks []int64
}

func (h hugeTree) Open(name string) (fs.File, error) {
	if name == "." {
		return nil, errors.ErrUnsupported
	}
	return &hugeFile{hugeTree: h}, nil
}

func (h hugeTree) ReadDir(string) ([]fs.DirEntry, error) {
	return []fs.DirEntry{fs.FileInfoToDirEntry(h)}, nil
}

func (h hugeTree) Name() string       { return "huge" }
func (h hugeTree) Size() int64        { return h.size }
func (h hugeTree) Mode() fs.FileMode  { return 0o644 }
func (h hugeTree) ModTime() time.Time { return epoch }
func (h hugeTree) IsDir() bool        { return false }
func (h hugeTree) Sys() any           { return nil }

type hugeFile struct {
	hugeTree
	at int64
}

func (f *hugeFile) Stat() (fs.FileInfo, error) { return f.hugeTree, nil }
func (f *hugeFile) Close() error               { return nil }
func (f *hugeFile) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), f.size-f.at)]
	if len(p) == 0 {
		return 0, io.EOF
	}
	clear(p)
	for _, m := range f.marks {
		for i := range int64(7) {
			if o := m + i - f.at; o >= 0 && o < int64(len(p)) {
				p[o] = "ctxagen"[i]
			}
		}
	}
	f.at += int64(len(p))
	return len(p), nil
}

var zeros = make([]byte, 64<<10)

// sparse is an image in memory of which only blocks that are not zero are kept.
type sparse struct {
	size   int64
	blocks map[int64][]byte
}

func (s *sparse) Write(p []byte) (int, error) {
	if s.blocks == nil {
		s.blocks = map[int64][]byte{}
	}
	if len(p) <= len(zeros) && bytes.Equal(p, zeros[:len(p)]) {
		s.size += int64(len(p))
		return len(p), nil
	}
	for i := 0; i < len(p); {
		at := s.size + int64(i)
		n := min(len(p)-i, int(block-at%block))
		if len(bytes.TrimLeft(p[i:i+n], "\x00")) > 0 {
			b := s.blocks[at/block]
			if b == nil {
				b = make([]byte, block)
				s.blocks[at/block] = b
			}
			copy(b[at%block:], p[i:i+n])
		}
		i += n
	}
	s.size += int64(len(p))
	return len(p), nil
}

func (s *sparse) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > s.size {
		return 0, io.ErrUnexpectedEOF
	}
	clear(p)
	for i := 0; i < len(p); {
		o := at + int64(i)
		n := min(len(p)-i, int(block-o%block))
		if b := s.blocks[o/block]; b != nil {
			copy(p[i:i+n], b[o%block:])
		}
		i += n
	}
	return len(p), nil
}

func (s *sparse) save(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n, b := range s.blocks {
		if _, err := f.WriteAt(b, n*block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(s.size); err != nil {
		t.Fatal(err)
	}
}

// TestRefused: what an image cannot hold as it is has an error that names it,
// and nothing is written.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		make  func(dir string) error
		entry string
		says  string
	}{
		{"a long name", func(d string) error { return os.WriteFile(d+"/"+strings.Repeat("n", 254), nil, 0o644) }, strings.Repeat("n", 254), "254 bytes"},
		{"a name that is not UTF-8", func(d string) error { return os.WriteFile(d+"/caf\xe9", nil, 0o644) }, "caf\xe9", "not valid UTF-8"},
		{"a control character", func(d string) error { return os.WriteFile(d+"/a\nb", nil, 0o644) }, "a\nb", "control character"},
		{"an absolute target", func(d string) error { return os.Symlink("/etc/passwd", d+"/l") }, "l", "absolute"},
		{"a target outside", func(d string) error { return os.Symlink("x/../../secret", d+"/l") }, "l", "out of the tree"},
		{"a target with an empty part", func(d string) error { return os.Symlink("a//b", d+"/l") }, "l", "as it is"},
		{"a target with a slash at the end", func(d string) error { return os.Symlink("a/", d+"/l") }, "l", "as it is"},
		{"a long target", func(d string) error { return os.Symlink(strings.Repeat("t", 249), d+"/l") }, "l", "too long"},
		{"a FIFO", func(d string) error { return unix.Mkfifo(d+"/pipe", 0o644) }, "pipe", "only files, directories and symlinks"},
		{"too deep", func(d string) error { return os.MkdirAll(d+strings.Repeat("/d", 34), 0o755) }, strings.Repeat("/d", 33)[1:], "directories deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tt.make(dir); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := Write(context.Background(), &out, os.DirFS(dir), Options{Label: "X", Time: epoch})
			e, ok := errors.AsType[*EntryError](err)
			if !ok || e.Path != tt.entry || !strings.Contains(e.Reason, tt.says) {
				t.Errorf("%v; want %q: %q", err, tt.entry, tt.says)
			}
			if out.Len() > 0 {
				t.Errorf("%d bytes were written", out.Len())
			}
		})
	}
}

// TestLabel: what blkid and a guest would not read back is refused.
func TestLabel(t *testing.T) {
	for label, ok := range map[string]bool{"CONTEXT": true, "cidata": true, "config-2": true, "": false, " X": false, "X ": false, "Ü": false, strings.Repeat("X", 33): false} {
		err := Write(context.Background(), io.Discard, os.DirFS(t.TempDir()), Options{Label: label, Time: epoch})
		if (err == nil) != ok {
			t.Errorf("label %q: %v; want ok: %v", label, err, ok)
		}
	}
}

// TestChangingTree: a file that grows or shrinks after the layout is an error.
func TestChangingTree(t *testing.T) {
	for name, edit := range map[string]func(string) error{
		"grows":   func(f string) error { return os.WriteFile(f, make([]byte, 10_001), 0o644) },
		"shrinks": func(f string) error { return os.WriteFile(f, make([]byte, 9_999), 0o644) },
	} {
		dir := t.TempDir()
		victim := filepath.Join(dir, "victim")
		if err := os.WriteFile(victim, make([]byte, 10_000), 0o644); err != nil {
			t.Fatal(err)
		}
		im, err := plan(os.DirFS(dir), Options{Label: "X", Time: epoch})
		if err != nil {
			t.Fatal(err)
		}
		if err := edit(victim); err != nil {
			t.Fatal(err)
		}
		if err := im.write(context.Background(), io.Discard, os.DirFS(dir)); !errors.Is(err, errChanged) {
			t.Errorf("a file that %s: %v; want %v", name, err, errChanged)
		}
	}
}

func TestMode(t *testing.T) {
	for in, want := range map[fs.FileMode]fs.FileMode{
		0o644: 0o644, 0o664: 0o644, 0o600: 0o600, 0o400: 0o600, 0o640: 0o600, 0o755: 0o755, 0o775: 0o755, 0o700: 0o700, 0o751: 0o700, 0o4755: 0o755,
		fs.ModeSetuid | 0o755: 0o755, fs.ModeDir | 0o775: fs.ModeDir | 0o755, fs.ModeDir | 0o700: fs.ModeDir | 0o700, fs.ModeDir | fs.ModeSticky | 0o777: fs.ModeDir | 0o755,
	} {
		if got := Mode(in &^ 0o7000); got != want {
			t.Errorf("Mode(%v) = %v; want %v", in, got, want)
		}
	}
}
