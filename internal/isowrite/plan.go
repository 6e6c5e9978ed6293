// SPDX-License-Identifier: Apache-2.0

package isowrite

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// entry is a file, directory or symlink with its place in the image.
type entry struct {
	name, path string      // as in the tree; the root's are "" and "."
	mode       fs.FileMode // as it is written
	size       int64       // bytes of a file, or of a directory's extent
	target     string
	id         identifier
	extent     int64 // first block
	number     int   // of a directory in the path table, from 1
	parent     *entry
	children   []*entry // in the order of the records
	susp       systemUse
}

func (e *entry) dir() bool { return e.mode.IsDir() }

// image is a tree whose every block has its place.
type image struct {
	Options
	dirs      []*entry // in path table order: level, parent, identifier (ECMA-119 6.9.1)
	files     []*entry // that have content, in the order of their paths
	rootSUSP  systemUse
	pathTable int64 // bytes of one path table
	tableL    int64 // blocks at which things begin
	tableM    int64
	ce        int64
	ceSize    int64 // bytes in use
	data      int64
	blocks    int64 // of the whole image
}

// plan reads the tree's names and sizes and gives every block its place.
func plan(tree fs.FS, o Options) (*image, error) {
	root := &entry{path: ".", mode: fs.ModeDir | 0o755}
	if err := collect(tree, root, 0); err != nil {
		return nil, err
	}
	im := &image{Options: o}
	if err := im.number(root); err != nil {
		return nil, err
	}
	im.describe()
	at := int64(systemArea + 2) // a primary descriptor and the terminator
	take := func(bytes int64) int64 {
		begin := at
		at += (bytes + block - 1) / block
		return begin
	}
	im.tableL, im.tableM = take(im.pathTable), take(im.pathTable)
	for _, d := range im.dirs {
		d.size = im.recordsSize(d)
		d.extent = take(d.size)
	}
	im.ce = take(im.ceSize)
	im.data = at
	im.placeFiles(root, take)
	im.blocks = at
	if at > maxBlocks {
		return nil, fmt.Errorf("the tree makes an image of %d blocks, and ISO 9660 counts to %d", at, int64(maxBlocks))
	}
	return im, nil
}

// collect reads a directory and what is below it.
func collect(tree fs.FS, dir *entry, depth int) error {
	list, err := fs.ReadDir(tree, dir.path)
	if err != nil {
		return err
	}
	for _, d := range list {
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := &entry{name: d.Name(), path: path.Join(dir.path, d.Name()), mode: Mode(info.Mode()), parent: dir}
		if why := badName(e.name); why != "" {
			return refuse(e.path, "%s", why)
		}
		switch info.Mode().Type() {
		case 0:
			e.size = info.Size()
		case fs.ModeDir:
			if depth == maxDepth {
				return refuse(e.path, "it lies more than %d directories deep", maxDepth)
			}
			err = collect(tree, e, depth+1)
		case fs.ModeSymlink:
			if e.target, err = fs.ReadLink(tree, e.path); err == nil {
				err = checkTarget(e)
			}
		default:
			err = refuse(e.path, "it is a %v: only files, directories and symlinks may be on a context disc", info.Mode().Type())
		}
		if err != nil {
			return err
		}
		dir.children = append(dir.children, e)
	}
	identify(dir.children)
	slices.SortFunc(dir.children, func(a, b *entry) int { return a.id.compare(b.id) })
	return nil
}

// badName says why a name would not come back from an image as it is.
func badName(name string) string {
	switch {
	case len(name) > maxName:
		return fmt.Sprintf("its name has %d bytes, and Linux reads %d: shorten it", len(name), maxName)
	case !utf8.ValidString(name):
		return "its name is not valid UTF-8: rename it"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "its name has a control character: rename it"
	}
	return ""
}

// checkTarget refuses what a SL field alters (RRIP 4.1.3), and what leads out.
func checkTarget(e *entry) error {
	at := path.Dir(e.path)
	switch {
	case strings.HasPrefix(e.target, "/"):
		return refuse(e.path, "its target %q is absolute, and would leave the disc: copy the file, or make the link relative", e.target)
	case !utf8.ValidString(e.target) || strings.ContainsFunc(e.target, unicode.IsControl):
		return refuse(e.path, "its target is not plain UTF-8")
	case e.target == "" || strings.Contains(e.target, "//") || strings.HasSuffix(e.target, "/"):
		return refuse(e.path, "its target %q does not come back as it is: write it without an empty part", e.target)
	}
	for part := range strings.SplitSeq(e.target, "/") {
		if part == ".." && at == "." {
			return refuse(e.path, "its target %q leads out of the tree: copy the file", e.target)
		}
		at = path.Join(at, part)
	}
	if n := len(linkComponents(e.target)); n > maxLinkArea {
		return refuse(e.path, "its target is too long by %d bytes: shorten it", n-maxLinkArea)
	}
	return nil
}

// number puts the directories into the order of the path table.
func (im *image) number(root *entry) error {
	im.dirs = []*entry{root}
	root.parent = root
	for i := 0; i < len(im.dirs); i++ {
		d := im.dirs[i]
		d.number = i + 1
		for _, c := range d.children {
			if c.dir() {
				im.dirs = append(im.dirs, c)
			}
		}
		if len(im.dirs) > maxDirs {
			return fmt.Errorf("the tree has more than %d directories, which ISO 9660 cannot count", maxDirs)
		}
		im.pathTable += int64(len(pathTableRecord(d, false)))
	}
	return nil
}

// describe makes the Rock Ridge fields of every record, and finds places for
// those that have to stand in a continuation area.
func (im *image) describe() {
	im.rootSUSP = im.fit(rootFields(im.dirs[0]), 1)
	for _, d := range im.dirs {
		for _, c := range d.children {
			c.susp = im.fit(entryFields(c), len(c.id.bytes(c.dir())))
		}
	}
}

// placeFiles gives the files' contents their extents, in the order of the paths.
// An empty file has none.
func (im *image) placeFiles(dir *entry, take func(int64) int64) {
	byName := slices.SortedFunc(slices.Values(dir.children), func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	for _, c := range byName {
		switch {
		case c.dir():
			im.placeFiles(c, take)
		case c.size > 0:
			c.extent = take(c.size)
			im.files = append(im.files, c)
		}
	}
}
