// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
)

// Usable says why a guest would not use a disc that can be read, or nil: two
// names that differ only in case and are both the same script (which one is
// meant is not for us to guess), a script that is a symlink or a directory, a
// name that would act on a terminal, or a symlink that leads out of the disc.
func (d *Disc) Usable() error {
	if err := uniqueMarkers(d.Files); err != nil {
		return err
	}
	for _, f := range d.Files {
		if strings.ContainsFunc(f.Path, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			return fmt.Errorf("the name %q has a control character: rename it", f.Path)
		}
	}
	types := map[string]File{}
	for _, f := range d.Files {
		types[f.Path] = f
	}
	steps := maxSteps
	for _, f := range d.Files {
		switch {
		case f.Type != fs.ModeSymlink || !leaves(f, types, &steps):
		case steps < 0:
			return fmt.Errorf("symlinks of more than %d path elements in all, at %q: put the files themselves there", maxSteps, f.Path)
		default:
			return fmt.Errorf("symlink %q leads out of the disc, to %q: put the file itself there", f.Path, f.Target)
		}
	}
	return nil
}

// maxSteps bounds the walks along all symlinks of a disc, in path elements;
// maxLinks one walk, in links, as in the kernel.
const maxSteps, maxLinks = 1 << 17, 40

// leaves follows a symlink as the kernel would, within the files of the disc,
// and reports whether it passes the root or takes more steps than the kernel
// allows (path_resolution(7)), or than are left. One that leads nowhere stays on
// the disc.
func leaves(link File, files map[string]File, left *int) bool {
	at, rest, links := path.Dir(link.Path), link.Target, 0
	if path.IsAbs(link.Target) {
		return true
	}
	for rest != "" {
		if *left--; *left < 0 {
			return true
		}
		var element string
		element, rest, _ = strings.Cut(rest, "/")
		switch element {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return true
			}
			at = path.Dir(at)
			continue
		}
		next := element
		if at != "." {
			next = at + "/" + element
		}
		f, ok := files[next]
		switch {
		case ok && f.Type.IsDir():
			at = next
			continue
		case !ok || f.Type != fs.ModeSymlink: // nothing is there, or a file at the end
			return false
		}
		if links++; links > maxLinks || path.IsAbs(f.Target) {
			return true
		}
		rest = f.Target + "/" + rest
	}
	return false
}

// uniqueMarkers refuses scripts that are not one regular file.
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
