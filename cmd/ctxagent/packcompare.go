// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/ctxagent/ctxagent/internal/iso9660"
	"github.com/ctxagent/ctxagent/internal/isowrite"
)

// maxCompared is how many entries an image may have: more than any policy allows.
const maxCompared = 1 << 17

// compareImage reads an image by the reader that guests have and holds every
// entry against the tree that it was written from.
func compareImage(ctx context.Context, image io.ReaderAt, size int64, tree fs.FS, label string) error {
	v, err := iso9660.Open(image, size, maxCompared)
	if err != nil {
		return err
	}
	if v.Label() != label || v.Flavour() != "rock ridge" {
		return fmt.Errorf("label %q, flavour %q", v.Label(), v.Flavour())
	}
	c := comparer{ctx: ctx, want: tree, got: v, a: make([]byte, 1<<20), b: make([]byte, 1<<20)}
	return c.directory(".")
}

type comparer struct {
	ctx       context.Context
	want, got fs.FS
	a, b      []byte // what was read of each
}

func (c *comparer) directory(dir string) error {
	want, err := fs.ReadDir(c.want, dir)
	if err != nil {
		return err
	}
	got, err := fs.ReadDir(c.got, dir)
	if err != nil {
		return err
	}
	if len(want) != len(got) {
		return fmt.Errorf("directory %q has %d entries; want %d", dir, len(got), len(want))
	}
	for i, w := range want { // both are sorted by name
		name := w.Name()
		if dir != "." {
			name = dir + "/" + name
		}
		if got[i].Name() != w.Name() {
			return fmt.Errorf("an entry of %q is called %q; want %q", dir, got[i].Name(), w.Name())
		}
		if err := c.entry(name, w, got[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparer) entry(name string, want, got fs.DirEntry) error {
	w, err := want.Info()
	if err != nil {
		return err
	}
	g, err := got.Info()
	if err != nil {
		return err
	}
	if g.Mode() != isowrite.Mode(w.Mode()) {
		return fmt.Errorf("%q has mode %v; want %v", name, g.Mode(), isowrite.Mode(w.Mode()))
	}
	switch {
	case w.IsDir():
		return c.directory(name)
	case w.Mode().IsRegular():
		return c.file(name)
	}
	wt, err := fs.ReadLink(c.want, name)
	if err != nil {
		return err
	}
	gt, err := fs.ReadLink(c.got, name)
	if err == nil && wt != gt {
		err = fmt.Errorf("%q leads to %q; want %q", name, gt, wt)
	}
	return err
}

func (c *comparer) file(name string) (err error) {
	want, err := c.want.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, want.Close()) }()
	got, err := c.got.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, got.Close()) }()
	for at := int64(0); ; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, errWant := io.ReadFull(want, c.a)
		m, errGot := io.ReadFull(got, c.b)
		if !bytes.Equal(c.a[:n], c.b[:m]) {
			return fmt.Errorf("%q differs within %d bytes after byte %d", name, len(c.a), at)
		}
		at += int64(n)
		switch {
		case ended(errWant) && ended(errGot):
			return nil
		case errWant != nil || errGot != nil:
			return errors.Join(errWant, errGot)
		}
	}
}

// ended tells that io.ReadFull came to the end of a file.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
