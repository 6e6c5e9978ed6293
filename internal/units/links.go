// SPDX-License-Identifier: Apache-2.0

package units

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// unitDir is where an enabling makes its links (systemd.unit(5), "Unit File Load Path").
const unitDir = "etc/systemd/system"

// Leads tells whether a symlink at l.Path with this text leads where l says. The
// service manager names the target from the root, whatever the link's text.
func (l Link) Leads(text string) bool {
	if !path.IsAbs(text) {
		text = path.Join(path.Dir(l.Path), text)
	}
	return text == l.Target
}

// Links lists the symlinks of enablings in the file system root, sorted by path, with
// each target named from the root. A root without such a directory has none.
func Links(root *os.Root) (links []Link, err error) {
	dirs := []string{unitDir}
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		entries, err := fs.ReadDir(root.FS(), dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the links of units: %w", err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			switch {
			case e.IsDir() && dir == unitDir:
				dirs = append(dirs, name)
			case e.Type()&fs.ModeSymlink != 0:
				text, err := root.Readlink(name)
				if err != nil {
					return nil, fmt.Errorf("list the links of units: %w", err)
				}
				if !path.IsAbs(text) {
					text = path.Join("/", dir, text)
				}
				links = append(links, Link{"/" + name, text})
			}
		}
	}
	slices.SortFunc(links, func(a, b Link) int { return strings.Compare(a.Path, b.Path) })
	return links, nil
}

// RemoveLinks undoes an enabling in the file system root: it takes away the symlinks
// that were made, each an absolute path, and the directory of a WantedBy= that is empty
// without them. Unlike systemctl(1)'s disable it leaves each other link to the unit, and
// the units of its Also= (systemd.unit(5)), as the image has them. A path that somebody
// else has changed since is left, and returned; one that is gone is as wanted. What is
// gone stays gone over a power cut when RemoveLinks has returned.
func RemoveLinks(root *os.Root, links []Link) (left []string, err error) {
	for _, l := range links {
		same, err := l.remove(root)
		if err != nil {
			return left, fmt.Errorf("remove the link %s: %w", l.Path, err)
		}
		if !same {
			left = append(left, l.Path)
		}
	}
	return left, nil
}

// remove reports false for what is not the link any more, and is left.
func (l Link) remove(root *os.Root) (same bool, err error) {
	name := strings.TrimPrefix(path.Clean(l.Path), "/")
	text, err := root.Readlink(name)
	if errors.Is(err, unix.EINVAL) || err == nil && !l.Leads(text) { // EINVAL: no symlink
		return false, nil
	}
	if err == nil {
		err = root.Remove(name)
	}
	if err != nil && !gone(err) {
		return true, err
	}
	// A run that was cut off may have come as far as here, too.
	dir := path.Dir(name)
	if isWants(dir) && root.Remove(dir) == nil { // one that is not empty stays
		dir = path.Dir(dir)
	}
	if err := syncDir(root, dir); err != nil && !gone(err) {
		return true, err
	}
	return true, nil
}

// gone tells whether a path, or the directory that it was in, is no more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// isWants tells whether a directory is one that the service manager makes for the
// links of WantedBy=, RequiredBy= and UpheldBy=.
func isWants(dir string) bool {
	switch path.Ext(dir) {
	case ".wants", ".requires", ".upholds":
		return true
	}
	return false
}

func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
