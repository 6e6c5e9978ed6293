// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// mount is one mount of the root, and how the command is meant to see it.
type mount struct {
	at       string // inside the root, "/" for the root itself
	fs       string // the file system's type
	readOnly bool   // shown as it is, read-only: it can be no layer of an overlay
	empty    bool   // shown as an empty directory or file, and never looked at
}

// layers are the file systems of this machine that overlayfs covers. What is in
// neither list is the kernel's own, or may reach another machine or a process
// (nfs, cifs, fuse, autofs, 9p …): a look at its mount point alone can hang, and
// what overlayfs makes of its sockets is unknown. iso9660 is left out, too: one
// more disc is none of the command's business.
var layers = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "jfs", "nilfs2", "reiserfs", "minix", "zfs", "ubifs", "jffs2",
	"tmpfs", "ramfs", "overlay", "squashfs", "erofs", "cramfs", "romfs",
}

// plain are the file systems that overlayfs refuses and that can be bound
// read-only all the same, since their formats know neither sockets nor FIFOs:
// through a bind those of other file systems would be the host's, alive.
var plain = []string{"vfat", "msdos", "exfat"}

// replaced are the directories that are mounted anew; the root's own are not
// looked at.
var replaced = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp"}

func under(p, dir string) bool { return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/") }

// listMounts decides for each mount of the root how it is shown.
func (in *inside) listMounts() error {
	infos, err := mountinfo.GetMounts(nil)
	if err != nil {
		return err
	}
	if initramfs(infos) {
		return errors.New("the root is the initramfs, which pivot_root(2) cannot leave: switch_root(8) to a file system first")
	}
	in.mounts = plan(cmp.Or(in.conf.Spec.Mirrors, in.conf.Spec.Root), infos, in.conf.Spec.Show)
	return nil
}

// Unshown lists the paths of a root that a command is shown empty, or that are
// mounted anew, and that a mirror of the root must not look at.
func Unshown(root string) ([]string, error) {
	infos, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(replaced)
	for _, m := range plan(root, infos, nil) {
		if m.empty {
			out = append(out, m.at)
		}
	}
	return out, nil
}

// initramfs tells that the kernel's first root is still this process's.
func initramfs(infos []*mountinfo.Info) bool {
	last := ""
	for _, m := range infos {
		if m.Mountpoint == "/" {
			last = m.FSType
		}
	}
	return last == "rootfs"
}

// plan goes through the mounts in the order in which they were made, parents
// first. A mount hides what lies at and below its mount point. What is mounted
// below one that is shown empty, or below a ShowEmpty, has no place in the view.
// A read-only mount is covered like any: through a bind its sockets and FIFOs
// would be the host's.
func plan(root string, infos []*mountinfo.Info, show []Entry) []mount {
	shown := map[string]mount{"/": {at: "/"}}
	for _, m := range infos {
		if under(root, m.Mountpoint) {
			shown = map[string]mount{"/": {at: "/", fs: m.FSType}}
			continue
		}
		if !under(m.Mountpoint, root) {
			continue
		}
		at := "/" + strings.TrimPrefix(strings.TrimPrefix(m.Mountpoint, root), "/")
		if slices.ContainsFunc(replaced, func(d string) bool { return under(at, d) }) {
			continue
		}
		maps.DeleteFunc(shown, func(p string, _ mount) bool { return under(p, at) })
		if belowEmpty(at, shown, show) {
			continue
		}
		readOnly := slices.Contains(plain, m.FSType)
		shown[at] = mount{at: at, fs: m.FSType, readOnly: readOnly, empty: !readOnly && !slices.Contains(layers, m.FSType)}
	}
	var out []mount
	for _, at := range slices.Sorted(maps.Keys(shown)) {
		out = append(out, shown[at])
	}
	return out
}

func belowEmpty(at string, shown map[string]mount, show []Entry) bool {
	for p, m := range shown {
		if m.empty && under(at, p) {
			return true
		}
	}
	return slices.ContainsFunc(show, func(e Entry) bool { return e.Kind == ShowEmpty && at != e.Path && under(at, e.Path) })
}

// reason says why a mount is not covered.
func (m mount) reason() string {
	if m.readOnly {
		return fmt.Sprintf("overlayfs cannot cover %s", m.fs)
	}
	return fmt.Sprintf("%s is not among the local file systems that overlayfs is known to cover", m.fs)
}
