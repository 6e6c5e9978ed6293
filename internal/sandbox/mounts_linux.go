// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// mount is one mount of the root that the command may see.
type mount struct {
	at       string // inside the root, "/" for the root itself
	readOnly bool   // shown as a read-only bind, for overlayfs cannot cover it
}

// hidden file systems are the kernel's own, or reach other machines. A
// read-only iso9660 is one more disc, none of the command's business.
var hidden = []string{
	"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "pstore", "efivarfs", "bpf", "configfs",
	"fusectl", "mqueue", "hugetlbfs", "binfmt_misc", "autofs", "rpc_pipefs", "nsfs", "selinuxfs", "iso9660", "udf",
	"nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "9p", "fuse", "fuseblk", "virtiofs", "lustre", "gpfs", "glusterfs",
}

// uncoverable file systems are local, but overlayfs refuses them as a layer.
var uncoverable = []string{"vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "hfsplus"}

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
	in.mounts = plan(in.conf.Spec.Root, infos)
	return nil
}

// plan goes through the mounts in the order in which they were made. A mount
// hides what lies at and below its mount point, and so does one that is not
// shown: what is mounted below such a one is not shown either. A read-only mount
// is covered like any: through a bind its sockets and FIFOs would be the host's.
func plan(root string, infos []*mountinfo.Info) []mount {
	shown := map[string]mount{"/": {at: "/"}}
	dark := map[string]bool{}
	for _, m := range infos {
		if m.Mountpoint == root || !under(m.Mountpoint, root) {
			continue
		}
		at := "/" + strings.TrimPrefix(strings.TrimPrefix(m.Mountpoint, root), "/")
		if slices.ContainsFunc(replaced, func(d string) bool { return under(at, d) }) {
			continue
		}
		maps.DeleteFunc(shown, func(p string, _ mount) bool { return under(p, at) })
		maps.DeleteFunc(dark, func(p string, _ bool) bool { return under(p, at) })
		fs, _, _ := strings.Cut(m.FSType, ".") // fuse.sshfs
		below := slices.ContainsFunc(slices.Collect(maps.Keys(dark)), func(d string) bool { return under(at, d) })
		if below || slices.Contains(hidden, fs) {
			dark[at] = true
			continue
		}
		shown[at] = mount{at: at, readOnly: slices.Contains(uncoverable, fs)}
	}
	return slices.SortedFunc(maps.Values(shown), func(a, b mount) int { return strings.Compare(a.at, b.at) })
}

func makePrivate() error { return mountAt("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }

// mountWorkspace puts one limited tmpfs under everything that is written: the
// uppers of all layers share its limits.
func (in *inside) mountWorkspace() error {
	s := in.conf.Spec
	opts := fmt.Sprintf("mode=0700,size=%d,nr_inodes=%d", s.Bytes, s.Inodes)
	if err := mountAt("ctxagent", s.Work, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		return err
	}
	// From here on names are relative: a root's path may hold what the option
	// string of overlayfs gives a meaning to.
	if err := os.Chdir(s.Work); err != nil {
		return err
	}
	return os.Mkdir(in.view, 0o755)
}

// coverMounts shows each mount of the root, outermost first.
func (in *inside) coverMounts() error {
	for i, m := range in.mounts {
		if err := in.cover(i, m); err != nil {
			return fmt.Errorf("%q: %w", m.at, err)
		}
	}
	return nil
}

func (in *inside) cover(i int, m mount) error {
	src := path.Join(in.conf.Spec.Root, m.at)
	target := in.view
	if m.at != "/" {
		at, err := in.resolve(m.at)
		if err != nil {
			return err
		}
		defer at.Close()
		target = at.path()
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	switch {
	case m.readOnly, info.Mode().IsRegular(): // or a file that is mounted on a file
		in.send(message{ReadOnly: m.at})
		return in.bindIn(src, m.at)
	case !info.IsDir():
		return nil // a device or a socket that is mounted on a file
	}
	return in.overlay(fmt.Sprint(i), m.at, src, target)
}

// overlay covers src with an upper directory in the workspace. The lower one is
// a read-only bind of the mount without what is mounted below it, so that the
// descriptors handed to the agent show just this mount.
func (in *inside) overlay(id, at, src, target string) error {
	lower, upper, work, over := "lower"+id, "upper"+id, "work"+id, "show"+id
	for _, d := range []string{lower, upper, work, over} {
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
	shown, err := in.populate(at, lower, over)
	if err != nil {
		return err
	}
	lowers := lower
	if shown {
		lowers = over + ":" + lower
	}
	if err := mountOverlay(lowers, upper, work, target); err != nil {
		return err
	}
	return in.handOver(at, lower, upper)
}

// mountOverlay asks for the plainest overlay there is: no redirects, no
// metadata-only copies, nothing that a scan would have to follow. volatile
// (Linux 5.10) spares the flushes: the upper is memory.
func mountOverlay(lowers, upper, work, target string) error {
	base := "lowerdir=" + lowers + ",upperdir=" + upper + ",workdir=" + work
	var err error
	for _, extra := range []string{",redirect_dir=off,metacopy=off,index=off,xino=off,volatile", ",redirect_dir=off,metacopy=off,index=off,xino=off"} {
		if err = mountAt("overlay", target, "overlay", unix.MS_NODEV|unix.MS_NOSUID, base+extra); !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	if err != nil {
		return err
	}
	// A casefolding ext4 mounts and then fails each look-up with EREMOTE.
	entries, err := os.ReadDir(target)
	if err == nil && len(entries) > 0 {
		_, err = os.Lstat(path.Join(target, entries[0].Name()))
	}
	return err
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
	in.send(message{Layer: at}, fds...)
	return nil
}

// copyAttr gives an upper directory the mode, owner and attributes of its lower
// one: in a merged directory the upper's are the ones that are seen.
func copyAttr(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return &os.PathError{Op: "stat", Path: from, Err: err}
	}
	if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: to, Err: err}
	}
	return copyXattrs(from, to)
}

func copyXattrs(from, to string) error {
	list := make([]byte, 1<<16)
	n, err := unix.Llistxattr(from, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "listxattr", Path: from, Err: err}
	}
	val := make([]byte, 1<<16)
	for k := range bytes.SplitSeq(bytes.TrimRight(list[:n], "\x00"), []byte{0}) {
		name := string(k)
		// user.* is not kept by a tmpfs before Linux 6.6 and not compared.
		if name == "" || strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		m, err := unix.Lgetxattr(from, name, val)
		if err != nil {
			return &os.PathError{Op: "getxattr", Path: from, Err: err}
		}
		if err := unix.Lsetxattr(to, name, val[:m], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return &os.PathError{Op: "setxattr", Path: to, Err: err}
		}
	}
	return nil
}

// pivot makes the view the root and drops the host's tree.
func (in *inside) pivot() error {
	if err := os.Chdir(in.view); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return os.NewSyscallError("umount2", err)
	}
	return os.Chdir("/")
}

// bindReadOnly binds src, without its submounts, and makes the bind read-only.
func bindReadOnly(src, target string) error {
	if err := mountAt(src, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return mountAt("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

// mountAt is mount(2) with an error that names everything.
func mountAt(src, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(src, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %q on %q (type %q, flags %#x, %q): %w", src, target, fstype, flags, data, err)
	}
	return nil
}
