// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// keepImage keeps the content of a file that is about to go. A second link is
// the file itself, with its times and attributes and at no cost, and it is not
// written through its first name any more once that is moved away. On another
// mount it has to be a copy, which shares the blocks where the file system can.
func (t *transaction) keepImage(im image) error {
	dir, name, err := t.at(im.Path)
	if err != nil {
		return err
	}
	images, err := t.imagesDir()
	if err != nil {
		return err
	}
	defer images.Close()
	at := path.Join("/", Dir, imagesDir, im.Name)
	err = t.do("link", at, func() error { return unix.Linkat(int(dir.Fd()), name, int(images.Fd()), im.Name, 0) })
	if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EMLINK) {
		return err
	}
	return t.copyFile(dir, name, images, im.Name, at)
}

// restoreImage makes the new file of a step from the content that was kept.
func (t *transaction) restoreImage(s *step, dir *os.File, name string) error {
	images, err := t.imagesDir()
	if err != nil {
		return err
	}
	defer images.Close()
	sum, err := digestOf(images, s.Image)
	if err != nil {
		return err
	}
	if sum != s.To.SHA256 {
		return fmt.Errorf("the journal's copy %s/%s is damaged: digest %s, recorded %s", imagesDir, s.Image, sum, s.To.SHA256)
	}
	err = t.do("link", s.New, func() error { return unix.Linkat(int(images.Fd()), s.Image, int(dir.Fd()), name, 0) })
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EMLINK) {
		err = t.copyFile(images, s.Image, dir, name, s.New)
	}
	if err != nil {
		return err
	}
	return t.setNew(s.New, dir, name, s.To)
}

// copyFile copies a file with all that belongs to it.
func (t *transaction) copyFile(from *os.File, name string, to *os.File, newName, at string) (err error) {
	in, err := openAt(from, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := lstat(from, name)
	if err != nil {
		return err
	}
	var out *os.File
	err = t.do("create", at, func() error {
		out, err = openAt(to, newName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	err = t.do("write", at, func() error {
		if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
			return nil
		}
		return copySparse(out, in, nil, st.Size)
	})
	if err != nil {
		return err
	}
	if err := t.copyXattrs(in, out, at); err != nil {
		return err
	}
	return t.setNew(at, to, newName, State{Type: File, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, ModTime: st.Mtim.Nano()})
}

func (j *Journal) imagesDir() (*os.File, error) {
	return openAt(j.dir, imagesDir, unix.O_RDONLY|unix.O_DIRECTORY)
}

// dropImages removes every kept content that is not in keep.
func (t *transaction) dropImages(keep map[string]bool) error {
	dir, err := t.imagesDir()
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, n := range names {
		if keep[n] {
			continue
		}
		at := path.Join("/", Dir, imagesDir, n)
		if err := t.do("remove", at, func() error { return unix.Unlinkat(int(dir.Fd()), n, 0) }); err != nil {
			return err
		}
	}
	return nil
}

// xattrsOf gives an open new file the extended attributes of the one at p.
func (t *transaction) xattrsOf(p string, out *os.File, at string) error {
	dir, name, err := t.at(p)
	if err != nil {
		return err
	}
	old, err := openAt(dir, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer old.Close()
	return t.copyXattrs(old, out, at)
}

func (t *transaction) copyXattrs(from, to *os.File, at string) error {
	all, err := xattrs(from)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := t.do("setxattr "+name, at, func() error { return unix.Fsetxattr(int(to.Fd()), name, []byte(all[name]), 0) }); err != nil {
			return err
		}
	}
	return nil
}

// xattrs are a file's extended attributes.
func xattrs(f *os.File) (map[string]string, error) {
	list := make([]byte, 1<<16) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(int(f.Fd()), list)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "listxattr", Path: f.Name(), Err: err}
	}
	out := map[string]string{}
	value := make([]byte, 1<<16) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:n]), "\x00"), "\x00") {
		m, err := unix.Fgetxattr(int(f.Fd()), name, value)
		if err != nil {
			return nil, &os.PathError{Op: "getxattr " + name, Path: f.Name(), Err: err}
		}
		out[name] = string(value[:m])
	}
	return out, nil
}

// block is how much of a file is in memory at a time.
const block = 128 << 10

// copySparse copies a file and its holes into dst and its digest into h; both
// may be nil. Of a source that is longer than size it takes one byte more into
// the digest, which is then another; a size below zero is that of the file.
func copySparse(dst *os.File, src io.Reader, h hash.Hash, size int64) error {
	if h == nil {
		h = ignore{}
	}
	f, ok := src.(*os.File)
	if !ok {
		return copyStream(dst, src, h, size)
	}
	if size < 0 {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		size = info.Size()
	}
	buf := make([]byte, block)
	for at := int64(0); at < size; {
		data, hole := extent(f, at, size)
		hashHole(h, data-at, buf)
		for at = data; at < hole; {
			n, err := f.ReadAt(buf[:min(block, hole-at)], at)
			if n == 0 && err != nil {
				return &os.PathError{Op: "read", Path: f.Name(), Err: err}
			}
			h.Write(buf[:n])
			if dst != nil {
				if _, err := dst.WriteAt(buf[:n], at); err != nil {
					return err
				}
			}
			at += int64(n)
		}
	}
	n, err := f.ReadAt(buf[:1], size)
	h.Write(buf[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if dst == nil {
		return nil
	}
	return dst.Truncate(size)
}

// extent finds the next data of a file and its end. A file system that knows no
// holes shows the whole file as data (lseek(2)).
func extent(f *os.File, at, size int64) (data, hole int64) {
	data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size // a hole up to the end
	}
	if err != nil {
		return at, size
	}
	hole, err = unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
	if err != nil {
		hole = size
	}
	return min(data, size), min(hole, size)
}

func copyStream(dst *os.File, src io.Reader, h hash.Hash, size int64) error {
	var w io.Writer = h
	if dst != nil {
		w = io.MultiWriter(dst, h)
	}
	if size >= 0 {
		src = io.LimitReader(src, size+1)
	}
	_, err := io.Copy(w, src)
	return err
}

// hashHole adds n zeros to a digest.
func hashHole(h hash.Hash, n int64, buf []byte) {
	if n > 0 {
		clear(buf)
	}
	for ; n > 0; n -= block {
		h.Write(buf[:min(block, n)])
	}
}

// ignore is the digest that nobody asks for.
type ignore struct{ hash.Hash }

func (ignore) Write(p []byte) (int, error) { return len(p), nil }
