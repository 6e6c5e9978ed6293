// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// copySize is how much is read and hashed at a time, in bytes.
const copySize = 256 << 10

// read takes a medium's tree in: first what there is, then the contents, with
// their digests. The disc is not consulted about a file a second time. What is
// kept, in the directory into, has to be usable; without into nothing is kept.
func (f Finder) read(m *medium, into *os.Root) (*Disc, error) {
	var signed map[string]string
	var signer string
	var unsigned error
	if f.Verify != nil {
		signed, signer, unsigned = f.signedManifest(m)
		if unsigned != nil && !f.AllowUnsigned {
			return nil, unsigned
		}
	}
	d, err := f.list(m)
	if err != nil {
		return nil, err
	}
	if signed != nil {
		unsigned = agrees(d.Files, signed, false)
		if unsigned != nil && !f.AllowUnsigned {
			return nil, unsigned
		}
	}
	if into != nil {
		if err := d.Usable(); err != nil {
			return nil, err
		}
	}
	for i := range d.Files { // sorted by path: a directory comes before what is in it
		if err := copyEntry(m.tree, into, &d.Files[i]); err != nil {
			return nil, err
		}
	}
	if err := finish(d.Files, into); err != nil {
		return nil, err
	}
	d.Digest = treeDigest(d.Files)
	if signed != nil && unsigned == nil {
		unsigned = agrees(d.Files, signed, true)
	}
	switch {
	case unsigned == nil:
		d.Signer = signer
	case f.AllowUnsigned:
		d.Unsigned = unsigned
	default:
		return nil, unsigned
	}
	return d, nil
}

// list takes in all of a tree but the contents. A disc that is over a limit is
// refused before a byte of a file is read.
func (f Finder) list(m *medium) (*Disc, error) {
	d := &Disc{Device: m.device, Label: m.label, Flavour: m.flavour, Contract: m.contract}
	room := f.MaxBytes
	found := map[string]File{}
	err := fs.WalkDir(m.tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if len(found) >= f.MaxFiles {
			return fmt.Errorf("more than %d entries, the policy's media.max_files", f.MaxFiles)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		file := File{Path: name, Type: e.Type(), Mode: info.Mode().Perm()}
		switch file.Type {
		case fs.ModeDir:
		case 0:
			file.Size = info.Size()
			if file.Size > room {
				if err := ownError(m.tree, name); err != nil {
					return err
				}
				return fmt.Errorf("%q of %d bytes makes it more than %d bytes, the policy's media.max_bytes", name, file.Size, f.MaxBytes)
			}
			room -= file.Size
		case fs.ModeSymlink:
			if file.Target, err = fs.ReadLink(m.tree, name); err != nil {
				return err
			}
		default:
			if err := ownError(m.tree, name); err != nil {
				return err
			}
			return fmt.Errorf("%q is a %v: only files, directories and symlinks may be on a context disc", name, file.Type)
		}
		found[name] = file
		return nil
	})
	// Sorted by name alone: a sort of Files would be 24 KB more of the binary.
	for _, name := range slices.Sorted(maps.Keys(found)) {
		d.Files = append(d.Files, found[name])
	}
	return d, err
}

// ownError is what a volume has to say of a file that is refused: it knows where
// on the disc that is.
func ownError(tree fs.FS, name string) error {
	if _, ok := tree.(directory); ok {
		return nil // opening a device may do something
	}
	f, err := tree.Open(name)
	if err != nil {
		return err
	}
	return f.Close()
}

// copyEntry makes a directory or copies a file.
func copyEntry(tree fs.FS, into *os.Root, file *File) error {
	switch {
	case file.Type == 0:
		return copyFile(tree, into, file)
	case file.Type == fs.ModeDir && into != nil:
		return into.Mkdir(file.Path, 0o700)
	}
	return nil
}

// finish makes the symlinks, once all files are there, so that none is written
// through one, and gives the directories their modes.
func finish(files []File, into *os.Root) error {
	if into == nil {
		return nil
	}
	for _, file := range slices.Backward(files) {
		var err error
		switch file.Type {
		case fs.ModeSymlink:
			err = into.Symlink(file.Target, file.Path)
		case fs.ModeDir:
			err = into.Chmod(file.Path, file.Mode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies one regular file; without into it only takes the digest.
func copyFile(tree fs.FS, into *os.Root, file *File) (err error) {
	in, err := tree.Open(file.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is not the file it was listed as", file.Path)
	}
	file.Mode = info.Mode().Perm()
	h := sha256.New()
	to := io.Discard
	if into != nil {
		out, err := into.OpenFile(file.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
		if err := out.Chmod(file.Mode); err != nil { // the umask is the unit's, not the disc's
			return err
		}
		to = out
	}
	// One more, to tell a file that grows; the listed size was held against the limit.
	n, err := pump(to, h, io.LimitReader(in, file.Size+1), file.Size)
	if err != nil {
		return fmt.Errorf("read %q: %w", file.Path, err)
	}
	if n != file.Size {
		return fmt.Errorf("read %q: %d bytes of %d: %w", file.Path, n, file.Size, io.ErrUnexpectedEOF)
	}
	file.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}

// pump copies about size bytes to out and h. To hash takes as long as to copy,
// and is done beside it for all but small files.
func pump(out io.Writer, h hash.Hash, in io.Reader, size int64) (n int64, err error) {
	if size <= copySize {
		return io.CopyBuffer(io.MultiWriter(out, h), in, make([]byte, size+1))
	}
	const buffers = 4
	full, empty, hashed := make(chan []byte, buffers), make(chan []byte, buffers), make(chan struct{})
	for range buffers {
		empty <- make([]byte, copySize)
	}
	go func() {
		for b := range full {
			_, _ = h.Write(b) // a hash takes everything
			empty <- b[:copySize]
		}
		close(hashed)
	}()
	for err == nil {
		b := <-empty
		got, readErr := io.ReadFull(in, b)
		if got > 0 {
			_, err = out.Write(b[:got])
			n += int64(got)
			full <- b[:got]
		}
		if readErr == io.EOF || readErr == io.ErrUnexpectedEOF { // the end itself: how long it was is for the caller
			break
		}
		err = errors.Join(err, readErr)
	}
	close(full)
	<-hashed
	return n, err
}

func treeDigest(files []File) string {
	h := sha256.New()
	for _, f := range files {
		switch f.Type {
		case fs.ModeDir:
			fmt.Fprintf(h, "directory %q\n", f.Path)
		case fs.ModeSymlink:
			fmt.Fprintf(h, "symlink %q %q\n", f.Path, f.Target)
		default:
			fmt.Fprintf(h, "file %q %s\n", f.Path, f.SHA256)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
