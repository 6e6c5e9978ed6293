// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Between the root and what the command writes lies one more lower layer: the
// mount points that a root may lack, and the entries of Spec.Show. A write to
// any of it goes to the upper directory and is compared with the root alone, so
// an empty stand-in for /etc/shadow can be written, and is seen to be.

// mountPoints are the directories that the view needs.
var mountPoints = []Entry{
	{Path: "/proc", Kind: ShowDirectory, Mode: 0o555},
	{Path: "/sys", Kind: ShowDirectory, Mode: 0o555},
	{Path: "/dev", Kind: ShowDirectory, Mode: 0o755},
	{Path: "/run", Kind: ShowDirectory, Mode: 0o755},
	{Path: "/tmp", Kind: ShowDirectory, Mode: 0o1777},
	{Path: ContextDir, Kind: ShowDirectory, Mode: 0o700},
}

// populate fills the layer over for the mount at, whose own files are in lower,
// and returns the lower layers of its overlay. A mount that is itself to look
// empty has over alone: overlayfs minds no opaque mark on a layer's root.
func (in *inside) populate(at, lower, over string) (string, error) {
	if err := copyAttr(lower, over); err != nil {
		return "", err
	}
	lowers := lower
	for _, e := range append(slices.Clone(mountPoints), in.conf.Spec.Show...) {
		if in.mountOf(e.Path) != at {
			continue
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(path.Clean(e.Path), at), "/")
		if rel == "" && e.Kind == ShowEmpty {
			return over, nil
		}
		done, err := showEntry(e, rel, lower, over)
		if err != nil {
			return "", fmt.Errorf("show %q: %w", e.Path, err)
		}
		if done {
			lowers = over + ":" + lower
		}
	}
	return lowers, nil
}

// mountOf is the mount point that holds p.
func (in *inside) mountOf(p string) string {
	best := "/"
	for _, m := range in.mounts {
		if under(p, m.at) && len(m.at) > len(best) {
			best = m.at
		}
	}
	return best
}

func showEntry(e Entry, rel, lower, over string) (bool, error) {
	var st unix.Stat_t
	err := lstatNoLinks(lower, rel, &st)
	there := err == nil
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		// The root has a symlink or a file on the way, such as /var/run. Only
		// the mount points have to be there, and theirs are resolved later.
		return false, nil
	}
	if errors.Is(err, unix.EACCES) && e.Kind == ShowEmpty && userNamespace() {
		return false, nil // the command can look no deeper than we can
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return false, err
	}
	switch {
	case (e.Kind == ShowEmpty || e.Kind == ShowAbsent) && !there, e.Kind == ShowDirectory && there:
		return false, nil
	}
	if e.Kind == ShowAttributes && there { // made as the root has it, for the extended attributes
		if err := parents(rel, lower, over); err != nil {
			return false, err
		}
	}
	if err := parents(path.Dir(rel), lower, over); err != nil {
		return false, err
	}
	return true, placeEntry(e, path.Join(over, rel), &st)
}

// lstatNoLinks is lstat(2) below a directory, with no symlink on the way.
func lstatNoLinks(dir, rel string, st *unix.Stat_t) error {
	p := dir
	parts := strings.Split(rel, "/")
	for i, name := range parts {
		p = path.Join(p, name)
		if err := unix.Lstat(p, st); err != nil {
			return err
		}
		if i < len(parts)-1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return unix.ENOTDIR
		}
	}
	return nil
}

// parents makes the directories on the way in over, as the root has them.
func parents(rel, lower, over string) error {
	if rel == "." {
		return nil
	}
	if _, err := os.Lstat(path.Join(over, rel)); err == nil {
		return nil
	}
	if err := parents(path.Dir(rel), lower, over); err != nil {
		return err
	}
	if err := os.Mkdir(path.Join(over, rel), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(path.Join(lower, rel)); err != nil {
		return nil // the root has none: ours stays as it is
	}
	return copyAttr(path.Join(lower, rel), path.Join(over, rel))
}

// placeEntry makes one entry; st is what the root has there, for an empty stand-in.
func placeEntry(e Entry, p string, st *unix.Stat_t) error {
	switch e.Kind {
	case ShowEmpty:
		e.Mode, e.UID, e.GID, e.Kind = st.Mode&0o7777, st.Uid, st.Gid, ShowFile
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			e.Kind = ShowDirectory
		}
		if err := showNew(e, p); err != nil || e.Kind != ShowDirectory {
			return err
		}
		return unix.Lsetxattr(p, markPrefix()+"opaque", []byte("y"), 0)
	case ShowAbsent: // overlayfs's whiteout
		if err := unix.Mknod(p, unix.S_IFCHR, 0); err != nil {
			return &os.PathError{Op: "mknod", Path: p, Err: err}
		}
		return nil
	case ShowFile, ShowDirectory, ShowAttributes, ShowSymlink:
		return showNew(e, p)
	}
	return fmt.Errorf("unknown kind %q", e.Kind)
}

func showNew(e Entry, p string) error {
	switch e.Kind {
	case ShowDirectory, ShowAttributes:
		if err := os.Mkdir(p, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	case ShowFile:
		if err := showFile(e, p); err != nil {
			return err
		}
	case ShowSymlink:
		if err := os.Symlink(e.Target, p); err != nil {
			return err
		}
	}
	if err := os.Lchown(p, int(e.UID), int(e.GID)); err != nil || e.Kind == ShowSymlink {
		return err
	}
	return unix.Chmod(p, e.Mode)
}

func showFile(e Entry, p string) (err error) {
	if e.From == "" {
		return os.WriteFile(p, e.Data, 0o600)
	}
	fd, err := unix.Open(e.From, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: e.From, Err: err}
	}
	in := os.NewFile(uintptr(fd), e.From)
	defer in.Close()
	out, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return copyXattrs(e.From, p)
}
