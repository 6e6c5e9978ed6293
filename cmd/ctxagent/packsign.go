// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/cdrom"
	"github.com/ctxagent/ctxagent/internal/isowrite"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/signature"
)

// signTree puts a manifest of the tree, as an image will hold it, and its signature
// by the key of a file into the tree.
func signTree(tree fs.FS, keyFile string) (fs.FS, string, error) {
	b, err := readPolicy(os.Open(keyFile)) // bounded alike
	if err != nil {
		return nil, "", &exitError{2, err}
	}
	secret, err := signature.ParseSecret(b)
	if err != nil {
		return nil, "", &exitError{2, fmt.Errorf("%s: %w", keyFile, err)}
	}
	manifest, err := manifestOf(tree)
	if err != nil {
		return nil, "", err
	}
	return withFiles{tree, []memoryFile{{"manifest", []byte(manifest)}, {"manifest.sig", secret.Sign([]byte(manifest))}}}, secret.Fingerprint(), nil
}

// manifestOf is what a guest will find on the image.
func manifestOf(tree fs.FS) (string, error) {
	d := &cdrom.Disc{}
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if strings.EqualFold(name, "manifest") || strings.EqualFold(name, "manifest.sig") {
			return &exitError{report.Unusable.ExitCode(), fmt.Errorf("%q is in the directory already: --sign makes it, so remove it", name)}
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		f := cdrom.File{Path: name, Type: info.Mode().Type(), Mode: isowrite.Mode(info.Mode()).Perm()}
		switch {
		case f.Type == fs.ModeSymlink:
			f.Target, err = fs.ReadLink(tree, name)
		case f.Type.IsRegular():
			f.SHA256, err = digestOf(tree, name)
		}
		d.Files = append(d.Files, f)
		return err
	})
	sort.Slice(d.Files, func(i, j int) bool { return d.Files[i].Path < d.Files[j].Path })
	return d.Manifest(), err
}

func digestOf(tree fs.FS, name string) (_ string, err error) {
	f, err := tree.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// withFiles is a tree with files more in its root directory.
type withFiles struct {
	fs.FS
	more []memoryFile
}

// memoryFile is a file that everybody may read. It is its own fs.FileInfo.
type memoryFile struct {
	name    string
	content []byte
}

func (m memoryFile) Name() string               { return m.name }
func (m memoryFile) Size() int64                { return int64(len(m.content)) }
func (m memoryFile) Mode() fs.FileMode          { return 0o644 }
func (m memoryFile) ModTime() time.Time         { return time.Time{} }
func (m memoryFile) IsDir() bool                { return false }
func (m memoryFile) Sys() any                   { return nil }
func (m memoryFile) Type() fs.FileMode          { return 0 }
func (m memoryFile) Info() (fs.FileInfo, error) { return m, nil }

// openMemory is a memoryFile that is being read.
type openMemory struct {
	memoryFile
	*bytes.Reader
}

func (o openMemory) Size() int64                { return o.memoryFile.Size() }
func (o openMemory) Stat() (fs.FileInfo, error) { return o.memoryFile, nil }
func (o openMemory) Close() error               { return nil }

func (w withFiles) Open(name string) (fs.File, error) {
	for _, m := range w.more {
		if m.name == name {
			return openMemory{m, bytes.NewReader(m.content)}, nil
		}
	}
	return w.FS.Open(name)
}

func (w withFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	if name == "." {
		for _, m := range w.more {
			entries = append(entries, m)
		}
		sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	}
	return entries, err
}

func (w withFiles) ReadLink(name string) (string, error)   { return fs.ReadLink(w.FS, name) }
func (w withFiles) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(w.FS, name) }
