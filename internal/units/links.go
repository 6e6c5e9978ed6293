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
	"unicode/utf8"

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
// each target named from the root; never nil without an error. A root without such a
// directory has none. Names that are no UTF-8 are left out: no unit has one.
func Links(root *os.Root) ([]Link, error) {
	links := []Link{}
	dirs := []string{unitDir}
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		entries, err := readDir(root, dir)
		if err != nil && !gone(err) {
			return nil, fmt.Errorf("list the links of units: %w", err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			switch {
			case !utf8.ValidString(name):
			case e.IsDir() && dir == unitDir:
				dirs = append(dirs, name)
			case e.Type()&fs.ModeSymlink != 0:
				text, err := root.Readlink(name)
				if err != nil && gone(err) {
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("list the links of units: %w", err)
				}
				if !path.IsAbs(text) {
					text = path.Join("/", dir, text)
				}
				if utf8.ValidString(text) {
					links = append(links, Link{"/" + name, text})
				}
			}
		}
	}
	slices.SortFunc(links, func(a, b Link) int { return strings.Compare(a.Path, b.Path) })
	return links, nil
}

func readDir(root *os.Root, dir string) ([]fs.DirEntry, error) {
	d, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	return entries, errors.Join(err, d.Close())
}

// unitDirs are where unit files lie (systemd.unit(5), "Unit File Load Path"), but for
// those of /run, which are no image's.
var unitDirs = []string{unitDir, "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// Enables lists the units that enabling one enables, sorted: itself, what its name is an
// alias of, what its Also= names, and so on (systemd.unit(5), "[Install] Section Options").
func Enables(root *os.Root, unit string) []string {
	names := []string{unit}
	for i := 0; i < len(names); i++ {
		for _, dir := range unitDirs {
			for _, other := range installs(root, path.Join(dir, names[i])) {
				if !slices.Contains(names, other) {
					names = append(names, other)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// installs are the units that one unit file names; none where there is no such file.
func installs(root *os.Root, name string) (units []string) {
	if text, err := root.Readlink(name); err == nil {
		return []string{path.Base(text)}
	}
	b, err := root.ReadFile(name)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "Also" {
			units = append(units, strings.Fields(value)...)
		}
	}
	return units
}

// ChangedLinks returns the paths of links that somebody else has changed since they
// were made: what RemoveLinks would leave. One that is gone is not among them.
func ChangedLinks(root *os.Root, links []Link) (changed []string, err error) {
	for _, l := range links {
		same, e := l.same(root)
		if e == nil && !same {
			changed = append(changed, l.Path)
		}
		err = errors.Join(err, e)
	}
	return changed, err
}

// RemoveLinks undoes an enabling in the file system root: it takes away the symlinks
// that were made, each an absolute path, and the directory of a WantedBy= that is empty
// without them. Unlike systemctl(1)'s disable it leaves each other link to the unit, and
// the units of its Also= (systemd.unit(5)), as the image has them. A path that somebody
// else has changed since is left, and returned; one that is gone is as wanted. What is
// gone stays gone over a power cut when RemoveLinks has returned. One link that cannot be
// removed does not keep the others from it.
func RemoveLinks(root *os.Root, links []Link) (left []string, err error) {
	for _, l := range links {
		same, e := l.same(root)
		if e == nil && !same {
			left = append(left, l.Path)
			continue
		}
		if e == nil {
			e = remove(root, l.name())
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("remove the link %s: %w", l.Path, e))
		}
	}
	return left, err
}

func (l Link) name() string { return strings.TrimPrefix(path.Clean(l.Path), "/") }

// same tells whether the link is there as it was made, or gone.
func (l Link) same(root *os.Root) (bool, error) {
	text, err := root.Readlink(l.name())
	switch {
	case err != nil && gone(err):
		return true, nil
	case errors.Is(err, unix.EINVAL): // no symlink
		return false, nil
	}
	return l.Leads(text), err
}

// remove also does what is behind the removal of a link that is gone: a run that was
// cut off may have come as far as that.
func remove(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !gone(err) {
		return err
	}
	dir := path.Dir(name)
	info, err := root.Lstat(dir)
	if err == nil && info.IsDir() && isWants(dir) && root.Remove(dir) == nil { // one that is not empty stays
		dir = path.Dir(dir)
	}
	if err := syncDir(root, dir); err != nil && !gone(err) {
		return err
	}
	return nil
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
