// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// coverMounts shows each mount of the root, outermost first.
func (in *inside) coverMounts() error {
	f, err := os.OpenFile("empty", os.O_CREATE|os.O_EXCL, 0o444) // in the workspace
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return err
	}
	var dark []string // shown empty, though not planned so
	for i, m := range in.mounts {
		if slices.ContainsFunc(dark, func(d string) bool { return under(m.at, d) }) {
			continue // its mount point is not in the view
		}
		shown, err := in.cover(fmt.Sprint(i), m)
		if err != nil {
			return fmt.Errorf("%q: %w", m.at, err)
		}
		if !shown {
			dark = append(dark, m.at)
		}
	}
	return nil
}

// cover shows one mount; false means that it is shown empty.
func (in *inside) cover(id string, m mount) (bool, error) {
	if m.at == "/" {
		if err := in.overlay(id, m.at, in.conf.Spec.Root); err != nil {
			return false, uncoveredRoot(m.fs, err)
		}
		return true, mountAt("merged"+id, in.view, "", unix.MS_MOVE, "")
	}
	if m.empty {
		return false, in.showNothing(m.at, m.reason())
	}
	src, mode, err := source(path.Join(in.conf.Spec.Root, m.at))
	if err != nil {
		return false, err
	}
	defer src.Close()
	secret := slices.ContainsFunc(in.conf.Spec.Show, func(e Entry) bool { return e.Kind == ShowEmpty && e.Path == m.at })
	switch {
	case mode == unix.S_IFREG && !secret:
		return true, in.showReadOnly(src, m.at, "a file that is mounted on a file")
	case mode != unix.S_IFDIR: // through a bind a socket or a FIFO would be the host's
		return false, in.showNothing(m.at, "something is mounted on a file")
	case m.readOnly && !secret:
		return true, in.showReadOnly(src, m.at, m.reason())
	case m.readOnly:
		return false, in.showNothing(m.at, m.reason())
	}
	err = in.overlay(id, m.at, src.path())
	if isUncoverable(err) {
		return false, in.showNothing(m.at, uncoverable(m.fs, err))
	}
	if err != nil {
		return false, err
	}
	return true, in.mountIn("merged"+id, m.at, "", unix.MS_MOVE, "")
}

// source opens a mount of the root, and tells its type: what is held open cannot
// become something else before it is bound.
func source(p string) (place, uint32, error) {
	fd, err := unix.Open(p, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return place{}, 0, &os.PathError{Op: "open", Path: p, Err: err}
	}
	src := place{os.NewFile(uintptr(fd), p)}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return place{}, 0, errors.Join(&os.PathError{Op: "stat", Path: p, Err: err}, src.Close())
	}
	return src, st.Mode & unix.S_IFMT, nil
}

// uncovered tells the agent of a mount that no overlay covers.
func (in *inside) uncovered(u Uncovered) error {
	if under(ContextDir, u.At) {
		return fmt.Errorf("%s, and scripts find their disc below it, in %s: use a local file system that overlayfs covers", u.Reason, ContextDir)
	}
	in.send(message{Uncovered: &u})
	return nil
}

func (in *inside) showReadOnly(src place, at, reason string) error {
	if err := in.uncovered(Uncovered{At: at, Reason: reason}); err != nil {
		return err
	}
	return in.bindIn(src.path(), at)
}

// showNothing puts an empty directory or an empty file in the place of a mount.
// The mount point is looked at in the view, where it belongs to the mount around
// it: the mount itself may be one that hangs.
func (in *inside) showNothing(at, reason string) error {
	if err := in.uncovered(Uncovered{At: at, Empty: true, Reason: reason}); err != nil {
		return err
	}
	target, err := in.resolve(at)
	if err != nil {
		return err
	}
	defer target.Close()
	info, err := target.Stat()
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return in.bindIn("empty", at)
	}
	return mountAt("ctxagent", target.path(), "tmpfs", unix.MS_RDONLY|noFlags, "mode=0555,size=4k,nr_inodes=2")
}

// overlay covers src with an upper directory in the workspace, and leaves the
// result on the directory merged+id there. The lower one is a read-only bind of
// the mount without what is mounted below it, so that the descriptors handed to
// the agent show just this mount.
func (in *inside) overlay(id, at, src string) error {
	lower, upper, work, over, merged := "lower"+id, "upper"+id, "work"+id, "show"+id, "merged"+id
	for _, d := range []string{lower, upper, work, over, merged} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := bindReadOnly(src, lower); err != nil {
		return err
	}
	if err := copyAttr(lower, upper); err != nil {
		return err
	}
	lowers, err := in.populate(at, lower, over)
	if err != nil {
		return err
	}
	if err := mountOverlay(lowers, upper, work, merged); err != nil {
		return err
	}
	return in.handOver(at, lower, upper)
}

// mountOverlay asks for the plainest overlay there is: no redirects, no
// metadata-only copies, nothing that a scan would have to follow. volatile
// (Linux 5.10) spares the flushes: the upper is memory.
func mountOverlay(lowers, upper, work, target string) error {
	base := "lowerdir=" + lowers + ",upperdir=" + upper + ",workdir=" + work + ",index=off,xino=off"
	if userNamespace() {
		base += ",userxattr" // which turns off redirects and metadata-only copies, too
	} else {
		base += ",redirect_dir=off,metacopy=off"
	}
	var err error
	for _, extra := range []string{",volatile", ""} {
		if err = mountAt("overlay", target, "overlay", unix.MS_NODEV|unix.MS_NOSUID, base+extra); !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := lookUp(target); err != nil {
		return errors.Join(err, unix.Unmount(target, unix.MNT_DETACH))
	}
	return nil
}

// lookUp looks up one name of a directory: before Linux 6.13 or so an overlay of
// a casefolding ext4 can be mounted, and then fails each look-up with EREMOTE.
func lookUp(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = os.Lstat(path.Join(dir, names[0]))
	return err
}

// isUncoverable tells that an overlay failed for what its lower file system is.
func isUncoverable(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EREMOTE) || errors.Is(err, unix.EOPNOTSUPP)
}

// uncoverable says in words what kept overlayfs from covering a file system. The
// kernel itself says EINVAL for most of it (ovl_fill_super in fs/overlayfs).
func uncoverable(fs string, err error) string {
	switch {
	case fs == "overlay" && errors.Is(err, unix.EINVAL):
		return "it is an overlay on an overlay already, and Linux stacks no third one"
	case errors.Is(err, unix.EREMOTE), fs == "ext4", fs == "f2fs":
		return fmt.Sprintf("overlayfs cannot cover this %s, probably for its casefold feature", fs)
	}
	return "overlayfs cannot cover this " + fs
}

// uncoveredRoot is the error of a root that no overlay covers, with the way out
// for the one who builds the image.
func uncoveredRoot(fs string, err error) error {
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("this kernel has no overlayfs: use one that has it, or put its module overlay into the image: %w", err)
	case !isUncoverable(err):
		return err
	case fs == "overlay":
		return fmt.Errorf("the root: %s: build the image with one overlay less: %w", uncoverable(fs, err), err)
	}
	return fmt.Errorf("the root: %s: build the image on a plain ext4, xfs, btrfs or squashfs: %w", uncoverable(fs, err), err)
}

func (in *inside) handOver(at, lower, upper string) error {
	var fds []int
	for _, d := range []string{lower, upper} {
		f, err := os.Open(d)
		if err != nil {
			return err
		}
		defer f.Close()
		fds = append(fds, int(f.Fd()))
	}
	in.send(message{Layer: at, UserMarks: userNamespace()}, fds...)
	return nil
}
