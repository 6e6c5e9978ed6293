// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ctxagent/ctxagent/internal/iso9660"
	"github.com/ctxagent/ctxagent/test/hostile"
)

// located is an error that says where on the disc a rule is broken, and which.
var located = regexp.MustCompile(`at byte \d+: .*\((ECMA-119|ECMA-107|SUSP|RRIP|Joliet|FAT|zisofs|MBR|UEFI|limit)[^()]*\)`)

// TestHostileDiscs puts each disc of the generator into a drive: one clear
// outcome, in time, and nothing else.
func TestHostileDiscs(t *testing.T) {
	images := hostile.Images()
	if len(images) < 120 {
		t.Errorf("%d images; there were more", len(images))
	}
	for _, image := range images {
		t.Run(image.Name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "disc.iso")
			if err := os.WriteFile(file, image.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			m := newMachine(t)
			m.disk("sr0", "0", file)
			f := m.finder()
			f.MaxBytes, f.MaxFiles = 128<<20, 10_000
			began := time.Now()
			d, err := m.find(f)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v; want at most 2 s", took)
			}
			if _, ok := errors.AsType[*UnusableError](err); !ok || !strings.Contains(err.Error(), image.Want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%+v, %v; want a disc that is unusable, in one line: %q", d, err, image.Want)
			}
			if !strings.HasPrefix(image.Name, "context:") && !strings.Contains(image.Want, "media.") && image.Want != "are all prolog.sh" && !located.MatchString(err.Error()) {
				t.Errorf("%v: want the byte and the rule", err)
			}
		})
	}
}

// Sound volumes of the same make are found, so it is the fault that is refused.
func TestSoundDiscs(t *testing.T) {
	for name, b := range map[string][]byte{
		"plain": hostile.Plain().Image(), "rock ridge": hostile.RockRidge().Image(), "joliet": hostile.Joliet().Image(), "fat12": hostile.FAT(nil),
	} {
		file := filepath.Join(t.TempDir(), "disc.iso")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m := newMachine(t)
		m.disk("sr0", "0", file)
		d, err := m.find(m.finder())
		if err != nil || d.Flavour != name || d.Script("prolog.sh") == "" {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// A drive that fails fails the read, and is never taken for the end of a file.
func TestFailingDrives(t *testing.T) {
	image := hostile.RockRidge().Image()
	const at = hostile.DataAt * hostile.SectorSize
	for _, c := range []struct {
		name string
		read func(p []byte, offset int64) (int, error)
		want error
	}{
		{"a sector that cannot be read", func(p []byte, offset int64) (int, error) {
			if offset+int64(len(p)) > at && offset < at+hostile.SectorSize {
				return 0, syscall.EIO
			}
			return bytes.NewReader(image).ReadAt(p, offset)
		}, syscall.EIO},
		{"short reads", func(p []byte, offset int64) (int, error) {
			if offset == at {
				return len(p) / 2, nil
			}
			return bytes.NewReader(image).ReadAt(p, offset)
		}, io.ErrUnexpectedEOF},
		{"a drive that goes away", func() func(p []byte, offset int64) (int, error) {
			reads := 0
			return func(p []byte, offset int64) (int, error) {
				if reads++; reads > 3 {
					return 0, syscall.ENODEV
				}
				return bytes.NewReader(image).ReadAt(p, offset)
			}
		}(), syscall.ENODEV},
		{"a disc that is shorter than it says", func(p []byte, offset int64) (int, error) {
			return bytes.NewReader(image[:at+5]).ReadAt(p, offset)
		}, io.ErrUnexpectedEOF},
	} {
		v, err := iso9660.Open(readerAt(c.read), int64(len(image)), 100)
		var d *Disc
		if err == nil {
			d, err = newMachine(t).finder().read(&medium{device: "sr0", tree: v}, nil)
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "at byte ") {
			t.Errorf("%s: %+v, %v; want %v, and at which byte", c.name, d, err, c.want)
		}
	}
}

// A drive may go away, or meet a sector that it cannot read, at any read: what
// has been read by then is never taken for the disc.
func TestDriveFailsAtAnyRead(t *testing.T) {
	for name, image := range map[string][]byte{
		"plain": hostile.Plain().Image(), "rock ridge": hostile.RockRidge(hostile.Dir("d", hostile.DirAt)).Image(), "joliet": hostile.Joliet().Image(), "FAT": hostile.FAT(nil),
		"config drive": hostile.ConfigDrive(vendorData),
	} {
		for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENODEV, syscall.ENOMEDIUM} {
			good := 0 // reads before the drive fails
			for ; ; good++ {
				reads := 0
				drive := readerAt(func(p []byte, offset int64) (int, error) {
					if reads++; reads == good+1 || errno == syscall.ENODEV && reads > good {
						return 0, errno
					}
					return bytes.NewReader(image).ReadAt(p, offset)
				})
				err := readWhole(t, drive, int64(len(image)))
				if err == nil && reads <= good {
					break // it was done before
				}
				if !errors.Is(err, errno) {
					t.Fatalf("%s: %v after %d reads: %v; want that error", name, errno, good, err)
				}
			}
			if good < 4 {
				t.Errorf("%s: %d reads; want that something was read", name, good)
			}
		}
	}
}

// readWhole does with a drive all that a search does with one that holds a disc.
func readWhole(t *testing.T, drive io.ReaderAt, size int64) error {
	t.Helper()
	into, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	f := newMachine(t).finder()
	m, err := f.volume(drive, size)
	if err != nil {
		return err
	}
	if note, err := f.recognise(m); err != nil || note != "" {
		return errors.Join(err, errors.New(note))
	}
	_, err = f.read(m, into)
	return err
}

// A large file fails like a small one, though it is hashed beside the copying.
func TestLargeFileFails(t *testing.T) {
	into, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	long := bytes.Repeat([]byte("x"), 3*copySize)
	for name, c := range map[string]struct {
		in   io.Reader
		out  io.Writer
		want error
	}{
		"sound":       {bytes.NewReader(long), io.Discard, nil},
		"medium":      {io.MultiReader(bytes.NewReader(long[:copySize+5]), iotest.ErrReader(syscall.EIO)), io.Discard, syscall.EIO},
		"destination": {bytes.NewReader(long), failingWriter{}, syscall.ENOSPC},
	} {
		h := sha256.New()
		n, err := pump(c.out, h, c.in, int64(len(long)))
		if !errors.Is(err, c.want) || err == nil && (n != int64(len(long)) || [32]byte(h.Sum(nil)) != sha256.Sum256(long)) {
			t.Errorf("%s: pump = %d, %v; want %v", name, n, err, c.want)
		}
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

type readerAt func(p []byte, offset int64) (int, error)

func (r readerAt) ReadAt(p []byte, offset int64) (int, error) { return r(p, offset) }

// TestDirectoryThatChanges swaps a file for a FIFO between listing and reading:
// the read is refused and does not wait for a writer.
func TestDirectoryThatChanges(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"prolog.sh", "z"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	media, note, err := newMachine(t).finder().open(dir, false)
	if err != nil || note != "" {
		t.Fatal(note, err)
	}
	defer media[0].Close()
	media[0].tree = swapping{media[0].tree.(directory), filepath.Join(dir, "z")}
	done := make(chan error, 1)
	go func() {
		_, err := newMachine(t).finder().read(media[0], nil)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), `"z" is not the file it was listed as`) {
			t.Errorf("%v; want a FIFO refused", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the read waits for a FIFO")
	}
}

// swapping puts a FIFO in place of a file once it was listed.
type swapping struct {
	directory
	file string
}

func (s swapping) Open(name string) (fs.File, error) {
	if name == filepath.Base(s.file) {
		if err := errors.Join(os.Remove(s.file), syscall.Mkfifo(s.file, 0o600)); err != nil {
			return nil, err
		}
	}
	return s.directory.Open(name)
}
