// SPDX-License-Identifier: Apache-2.0

package units

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// RemoveLinks undoes an enabling in the file system root: it takes away the symlinks
// that were made, each an absolute path, and a directory that is empty without them.
// Unlike systemctl(1)'s disable it leaves each other link to the unit, and the units
// of its Also= (systemd.unit(5)), as the image has them. A path that somebody else has
// changed since is left, and returned; one that is gone is as wanted. What is removed
// is on the disk when RemoveLinks returns.
func RemoveLinks(root *os.Root, links []Link) (left []string, err error) {
	for _, l := range links {
		name := strings.TrimPrefix(path.Clean(l.Path), "/")
		target, err := root.Readlink(name)
		if !path.IsAbs(target) { // the service manager names the target from the root
			target = path.Join("/", path.Dir(name), target)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, unix.EINVAL) || err == nil && target != l.Target: // EINVAL: no symlink
			left = append(left, l.Path)
			continue
		case err != nil:
			return left, fmt.Errorf("read the link %s: %w", l.Path, err)
		}
		if err := root.Remove(name); err != nil {
			return left, fmt.Errorf("remove the link %s: %w", l.Path, err)
		}
		dir := path.Dir(name)
		if isWants(dir) && root.Remove(dir) == nil { // one that is not empty stays
			dir = path.Dir(dir)
		}
		if err := syncDir(root, dir); err != nil {
			return left, fmt.Errorf("remove the link %s: %w", l.Path, err)
		}
	}
	return left, nil
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
