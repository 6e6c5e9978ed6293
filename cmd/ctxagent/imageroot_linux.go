// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/partition"
	"github.com/ctxagent/ctxagent/internal/qcow2"
	"github.com/ctxagent/ctxagent/internal/report"
)

// rootDir is the directory for a --root.
type rootDir struct {
	path    string
	part    string // of a disk image; "" for a directory
	release func() error
}

// rootOf gives the directory for --root: a directory as it is, or the root file
// system of a disk image, mounted read-only until release is called.
func rootOf(ctx context.Context, name string) (rootDir, error) {
	info, err := os.Stat(name)
	if err != nil || info.IsDir() {
		return rootDir{path: name, release: func() error { return nil }}, usageError(err)
	}
	if os.Geteuid() != 0 {
		return rootDir{}, &exitError{6, fmt.Errorf("%s is a disk image, and only root can mount one: run this with sudo, or unpack its root (guestfish, or 7z) and give the directory", name)}
	}
	scratch, err := os.MkdirTemp("", "ctxagent-image-") // not /run: an image may not fit into memory
	if err != nil {
		return rootDir{}, usageError(err)
	}
	im := &imageRoot{scratch: scratch}
	dir, part, err := im.open(ctx, name)
	if err != nil {
		return rootDir{}, usageError(errors.Join(fmt.Errorf("%s: %w", name, err), im.close()))
	}
	return rootDir{path: dir, part: part, release: im.close}, nil
}

func usageError(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{2, err}
}

// imageRoot is what is mounted of a disk image.
type imageRoot struct {
	scratch string
	mounted []string
}

func (im *imageRoot) close() error {
	var errs []error
	for _, m := range slices.Backward(im.mounted) {
		errs = append(errs, unmount(m))
	}
	if err := errors.Join(errs...); err != nil {
		return err // and the scratch directory stays: something is in it
	}
	return os.RemoveAll(im.scratch)
}

func unmount(at string) error {
	if err := unix.Unmount(at, 0); err != nil {
		return &fs.PathError{Op: "unmount", Path: at, Err: err}
	}
	return nil
}

// open finds the one file system of the image that is a root.
func (im *imageRoot) open(ctx context.Context, name string) (dir, part string, err error) {
	raw, err := im.raw(ctx, name)
	if err != nil {
		return "", "", err
	}
	list, err := parts(raw)
	if err != nil {
		return "", "", err
	}
	var tried []string
	for i, p := range list {
		at := filepath.Join(im.scratch, strconv.Itoa(i))
		why, err := im.try(raw, p, at)
		if err != nil {
			return "", "", err
		}
		if why == "" {
			return at, p.name, nil
		}
		tried = append(tried, p.name+": "+why)
	}
	return "", "", fmt.Errorf("no root file system of type ext4, xfs or btrfs is in this image (%s): unpack it and give the directory", strings.Join(tried, "; "))
}

// try mounts a part; why tells that it is no root.
func (im *imageRoot) try(raw string, p part, at string) (why string, err error) {
	loop, err := attach(raw, p)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	if err := os.Mkdir(at, 0o700); err != nil {
		return "", err
	}
	kind, err := mountReadOnly(loop.Name(), at)
	if err != nil {
		return err.Error(), nil
	}
	im.mounted = append(im.mounted, at)
	if !isRoot(at) {
		return "a file system of type " + kind + " without /etc and /usr", nil
	}
	return "", nil
}

// raw is the image as the kernel reads it; a qcow2 image is unpacked.
func (im *imageRoot) raw(ctx context.Context, name string) (_ string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	q, err := qcow2.Open(f)
	if errors.Is(err, qcow2.ErrNotQCOW2) {
		return name, otherFormat(f, name)
	}
	if errors.Is(err, qcow2.ErrElsewhere) {
		return "", fmt.Errorf("%w: make it stand alone with `%s`", err, convert(name, "-alone.qcow2"))
	}
	if err != nil {
		return "", err
	}
	out, err := os.OpenFile(filepath.Join(im.scratch, "disk"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(q.Size()); err != nil {
		return "", err
	}
	return out.Name(), q.WriteTo(ctx, out)
}

// otherFormat names the format of an image that is not read, if it has one.
func otherFormat(r io.ReaderAt, name string) error {
	head := make([]byte, 32)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, f := range []struct{ magic, name string }{{"KDMV", "VMDK"}, {"# Disk DescriptorFile", "VMDK"}, {"vhdxfile", "VHDX"}} {
		if strings.HasPrefix(string(head[:n]), f.magic) {
			return fmt.Errorf("this looks like %s; raw and qcow2 are read: `%s`", f.name, convert(name, ".qcow2"))
		}
	}
	return nil
}

// convert is the command that makes an image one that is read.
func convert(name, suffix string) string {
	return "qemu-img convert -O qcow2 " + report.ShellWord(name) + " " + report.ShellWord(strings.TrimSuffix(name, filepath.Ext(name))+suffix)
}

// part is a stretch of an image that may hold a file system.
type part struct {
	name         string
	offset, size int64 // bytes; size 0 for all of it
}

// parts are the partitions of an image, or all of it if it has none.
func parts(raw string) (_ []part, err error) {
	f, err := os.Open(raw)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	table, err := partition.Table(f, info.Size())
	if errors.Is(err, partition.ErrNone) {
		return []part{{name: "the whole disk"}}, nil
	}
	var out []part
	for _, p := range table {
		out = append(out, part{fmt.Sprintf("partition %d", p.Number), p.Offset, p.Size})
	}
	return out, err
}

// attach puts a part of the image on a free loop device, read-only (loop(4)).
// The device goes when the last who uses it lets go: a mount, that is.
func attach(raw string, p part) (*os.File, error) {
	f, err := os.Open(raw)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 16 { // another process may be quicker
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, os.NewSyscallError("ioctl LOOP_CTL_GET_FREE", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		info := unix.LoopInfo64{Offset: uint64(p.offset), Sizelimit: uint64(p.size), Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(f.Fd()), Info: info})
		if err == nil {
			return loop, nil
		}
		if closed := loop.Close(); closed != nil || !errors.Is(err, unix.EBUSY) {
			return nil, errors.Join(os.NewSyscallError("ioctl LOOP_CONFIGURE", err), closed)
		}
	}
	return nil, errors.New("no loop device is free")
}

// mountReadOnly mounts a file system without writing to it: no journal is
// replayed.
func mountReadOnly(device, at string) (kind string, err error) {
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, try := range []struct{ kind, options string }{{"ext4", "noload"}, {"xfs", "norecovery,nouuid"}, {"btrfs", ""}} {
		err = unix.Mount(device, at, try.kind, flags, try.options)
		if err == nil {
			return try.kind, nil
		}
	}
	return "", errors.New("no file system that is known here")
}

func isRoot(dir string) bool {
	for _, d := range []string{"etc", "usr"} {
		if info, err := os.Stat(filepath.Join(dir, d)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}
