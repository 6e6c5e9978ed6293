// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// read copies the tree into a directory and takes the digests on the way: the
// disc is not consulted about a file a second time. Symlinks are made last, so
// that no file is written through one.
func (f Finder) read(m *medium, into *os.Root) (*Disc, error) {
	d := &Disc{Device: m.device, Label: m.label, Flavour: m.flavour}
	var total int64
	err := fs.WalkDir(m.tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if len(d.Files) >= f.MaxFiles {
			return fmt.Errorf("more than %d entries, the policy's media.max_files", f.MaxFiles)
		}
		file := File{Path: name, Type: e.Type(), Mode: 0o755}
		switch file.Type {
		case 0:
			if err := f.copyFile(m.tree, into, &file, f.MaxBytes-total); err != nil {
				return err
			}
			total += file.Size
		case fs.ModeDir:
			if err := into.Mkdir(name, file.Mode); err != nil {
				return err
			}
		case fs.ModeSymlink:
			if file.Target, err = fs.ReadLink(m.tree, name); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%q is a %v: only files, directories and symlinks may be on a context disc", name, file.Type)
		}
		d.Files = append(d.Files, file)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, file := range d.Files {
		if file.Type == fs.ModeSymlink {
			if err := into.Symlink(file.Target, file.Path); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(d.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if err := uniqueMarkers(d.Files); err != nil {
		return nil, err
	}
	d.Digest = treeDigest(d.Files)
	return d, nil
}

// copyFile copies one regular file of at most room bytes.
func (f Finder) copyFile(tree fs.FS, into *os.Root, file *File, room int64) (err error) {
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
	out, err := into.OpenFile(file.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, file.Mode|0o400)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	h := sha256.New()
	file.Size, err = io.Copy(io.MultiWriter(out, h), io.LimitReader(in, room+1))
	if err != nil {
		return fmt.Errorf("read %q: %w", file.Path, err)
	}
	if file.Size > room {
		return fmt.Errorf("more than %d bytes, the policy's media.max_bytes", f.MaxBytes)
	}
	if file.Size != info.Size() {
		return fmt.Errorf("read %q: %d bytes of %d: %w", file.Path, file.Size, info.Size(), io.ErrUnexpectedEOF)
	}
	file.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}

// uniqueMarkers refuses a disc on which two names differ only in case and are
// both the same script (which one is meant is not for us to guess), or on which
// a script is a symlink or a directory.
func uniqueMarkers(files []File) error {
	for _, n := range markers {
		var same []string
		for _, f := range files {
			if !sameName(f.Path, n) {
				continue
			}
			if !f.Type.IsRegular() {
				return fmt.Errorf("%q is not a file: put the script itself there", f.Path)
			}
			same = append(same, fmt.Sprintf("%q", f.Path))
		}
		if len(same) > 1 {
			return fmt.Errorf("%s are all %s: keep one", strings.Join(same, " and "), n)
		}
	}
	return nil
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
