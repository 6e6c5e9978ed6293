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

// place is a path inside the view, held open: symlinks of the root are resolved
// within the view and never lead to the host's tree.
type place struct{ *os.File }

// path names the place for calls that take no descriptor.
func (p place) path() string { return fmt.Sprintf("/proc/self/fd/%d", p.Fd()) }

func (in *inside) resolve(p string) (place, error) {
	dir, err := os.Open(in.view)
	if err != nil {
		return place{}, err
	}
	defer dir.Close()
	fd, err := unix.Openat2(int(dir.Fd()), strings.TrimPrefix(path.Clean(p), "/"), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return place{}, &os.PathError{Op: "open", Path: p, Err: err}
	}
	return place{os.NewFile(uintptr(fd), p)}, nil
}

// mountIn mounts on a path of the view.
func (in *inside) mountIn(src, p, fstype string, flags uintptr, data string) error {
	at, err := in.resolve(p)
	if err != nil {
		return err
	}
	defer at.Close()
	return mountAt(src, at.path(), fstype, flags, data)
}

// bindIn binds src read-only on a path of the view. The path is resolved again
// for the second call: what was held open is now under the bind.
func (in *inside) bindIn(src, p string) error {
	if err := in.mountIn(src, p, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	at, err := in.resolve(p)
	if err != nil {
		return err
	}
	defer at.Close()
	return remountReadOnly(at.path(), unix.MS_NODEV)
}

const noFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// mountKernel mounts what the kernel shows about itself. /proc is read-only as
// a whole: uid 0 without any capability owns /proc/sys by file permission.
func (in *inside) mountKernel() error {
	if err := in.mountIn("proc", "/proc", "proc", noFlags, ""); err != nil {
		return err
	}
	if !without("proc") {
		if err := in.mountIn("", "/proc", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|noFlags, ""); err != nil {
			return err
		}
	}
	if err := in.mountSys(); err != nil {
		return err
	}
	return in.mountDev()
}

// mountSys shows of sysfs what tells about processors and memory, and nothing
// else: reading some of the rest acts on the machine (zram's hot_add makes a
// device), and uid 0 reads the firmware's tables by file permission.
func (in *inside) mountSys() error {
	if err := os.Mkdir("sysfs", 0o700); err != nil { // in the workspace, out of the view
		return err
	}
	if err := mountAt("sysfs", "sysfs", "sysfs", unix.MS_RDONLY|noFlags, ""); err != nil {
		return err
	}
	if err := in.mountIn("ctxagent", "/sys", "tmpfs", noFlags, "mode=0755,size=64k,nr_inodes=64"); err != nil {
		return err
	}
	sys, err := in.resolve("/sys")
	if err != nil {
		return err
	}
	defer sys.Close()
	for _, d := range []string{"devices/system/cpu", "devices/system/node"} {
		if _, err := os.Stat(path.Join("sysfs", d)); err != nil {
			continue // a kernel without NUMA has no nodes
		}
		if err := os.MkdirAll(path.Join(sys.path(), d), 0o755); err != nil {
			return err
		}
		if err := in.bindIn(path.Join("sysfs", d), "/sys/"+d); err != nil {
			return err
		}
	}
	return in.mountIn("", "/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|noFlags, "")
}

// hiddenProc are files of /proc that uid 0 reads by file permission alone and
// that tell about the kernel or about other processes' keys.
var hiddenProc = []string{"keys", "key-users", "kcore", "kmsg", "kallsyms", "kpagecount", "kpageflags", "kpagecgroup", "vmallocinfo", "slabinfo",
	"timer_list", "sched_debug", "sysrq-trigger", "iomem", "ioports", "config.gz", "mtrr"}

// hideProc covers them with the view's own null device.
func (in *inside) hideProc() error {
	null, err := in.resolve("/dev/null")
	if err != nil {
		return err
	}
	defer null.Close()
	for _, name := range hiddenProc {
		if err := in.bindIn(null.path(), "/proc/"+name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// nodes are the devices of the view (Documentation/admin-guide/devices.txt).
var nodes = map[string]uint64{
	"null": unix.Mkdev(1, 3), "zero": unix.Mkdev(1, 5), "full": unix.Mkdev(1, 7), "random": unix.Mkdev(1, 8), "urandom": unix.Mkdev(1, 9),
	"tty": unix.Mkdev(5, 0),
}

// makeNode makes one in dev, the view's /dev. In a user namespace nobody can: there
// it is the host's, which belongs to nobody there, and is read-only.
func (in *inside) makeNode(dev int, name string, device uint64) error {
	if !userNamespace() {
		if err := unix.Mknodat(dev, name, unix.S_IFCHR|0o666, int(device)); err != nil {
			return &os.PathError{Op: "mknod", Path: "/dev/" + name, Err: err}
		}
		return nil
	}
	fd, err := unix.Openat(dev, name, unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return &os.PathError{Op: "create", Path: "/dev/" + name, Err: err}
	}
	if err := unix.Close(fd); err != nil {
		return err
	}
	if err := in.mountIn("/dev/"+name, "/dev/"+name, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	at, err := in.resolve("/dev/" + name)
	if err != nil {
		return err
	}
	defer at.Close()
	return remountReadOnly(at.path(), 0)
}

// mountDev makes private nodes: a chmod of the host's /dev/null through a bind
// would be the host's.
func (in *inside) mountDev() error {
	if err := in.mountIn("ctxagent", "/dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size=64k,nr_inodes=64"); err != nil {
		return err
	}
	dev, err := in.resolve("/dev") // what is mounted there by now
	if err != nil {
		return err
	}
	defer dev.Close()
	fd := int(dev.Fd())
	for name, device := range nodes {
		if err := in.makeNode(fd, name, device); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"} {
		if err := unix.Symlinkat(target, fd, name); err != nil {
			return &os.PathError{Op: "symlink", Path: "/dev/" + name, Err: err}
		}
	}
	for _, d := range []string{"pts", "shm"} {
		if err := unix.Mkdirat(fd, d, 0o755); err != nil {
			return &os.PathError{Op: "mkdir", Path: "/dev/" + d, Err: err}
		}
	}
	if err := in.mountIn("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := in.mountIn("", "/dev", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	if err := in.hideProc(); err != nil {
		return err
	}
	return in.private("/dev/shm", "mode=1777")
}

// private mounts a scratch tmpfs of its own: no socket of the host is there,
// and what is left there is no change.
func (in *inside) private(p, mode string) error {
	return in.mountIn("ctxagent", p, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, mode+",size=32m,nr_inodes=4096")
}

// mountPrivate gives the command its own scratch directories.
func (in *inside) mountPrivate() error {
	if err := in.private("/run", "mode=0755"); err != nil {
		return err
	}
	run, err := in.resolve("/run")
	if err != nil {
		return err
	}
	defer run.Close()
	for name, mode := range map[string]uint32{"lock": 0o1777, strings.TrimPrefix(ownDir, "/run/"): 0o755} {
		if err := unix.Mkdirat(int(run.Fd()), name, mode); err != nil {
			return &os.PathError{Op: "mkdir", Path: "/run/" + name, Err: err}
		}
	}
	for _, p := range []string{"/tmp", "/var/tmp"} {
		if err := in.private(p, "mode=1777"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// showContext binds the disc's content. It can be executed from whatever the
// host's mount flags are: a noexec /run must not matter.
func (in *inside) showContext() error {
	s := in.conf.Spec
	if s.Context == "" {
		return nil
	}
	if err := in.bindIn(s.Context, ContextDir); err != nil || s.Also == "" {
		return err
	}
	if !in.isEmptyDir(s.Also) {
		return nil
	}
	in.send(message{Also: true})
	return in.bindIn(s.Context, s.Also)
}

// isEmptyDir tells whether a path of the view is a directory with nothing in it.
// What cannot be looked at is none.
func (in *inside) isEmptyDir(p string) bool {
	at, err := in.resolve(p)
	if err != nil {
		return false
	}
	defer at.Close()
	dir, err := os.Open(at.path() + "/") // a directory or an error
	if err != nil {
		return false
	}
	defer dir.Close()
	_, err = dir.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

// showShims puts this binary where scripts call systemctl and its like: over
// the root's own ones, and in a directory of their PATH for a root that has
// none. The directory is read-only and a mount of its own, or it could be
// renamed and forged.
func (in *inside) showShims() error {
	if err := in.private(ownDir, "mode=0755"); err != nil {
		return err
	}
	own, err := in.resolve(ownDir)
	if err != nil {
		return err
	}
	defer own.Close()
	base := own.path()
	if err := os.WriteFile(path.Join(base, "agent"), nil, 0o755); err != nil {
		return err
	}
	if err := in.bindIn(in.conf.Agent, ownDir+"/agent"); err != nil {
		return err
	}
	if err := os.Mkdir(path.Join(base, "bin"), 0o755); err != nil {
		return err
	}
	covered := map[string]bool{}
	for name, paths := range shims {
		if err := os.Symlink("../agent", path.Join(base, "bin", name)); err != nil {
			return err
		}
		for _, p := range paths {
			if err := in.coverProgram(p, covered); err != nil {
				return err
			}
		}
	}
	if err := in.listenControl(base); err != nil {
		return err
	}
	return mountAt("", base, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

// coverProgram binds this binary over one command of the root, once, unless
// that is a multi-call binary such as busybox, which would take the shell along.
func (in *inside) coverProgram(p string, covered map[string]bool) error {
	at, err := in.resolve(p)
	if err != nil {
		return nil // the root has no such command
	}
	defer at.Close()
	real, err := os.Readlink(at.path())
	if err != nil {
		return err
	}
	if !slices.Contains(coverable, path.Base(real)) || covered[real] {
		return nil
	}
	covered[real] = true
	return in.bindIn(in.conf.Agent, p)
}

// coverable are the programs behind the shims' paths, symlinks resolved.
var coverable = []string{"systemctl", "service", "rc-service", "invoke-rc.d", "systemd-run", "loginctl", "busctl", "update-rc.d", "chkconfig",
	"initctl", "rc-update", "systemd-tmpfiles", "shutdown", "halt"}

// listenControl makes the socket of the shims. base is short, as bind(2) asks:
// 107 bytes at most.
func (in *inside) listenControl(base string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	name := path.Join(base, path.Base(controlPath))
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, 64); err != nil {
		return os.NewSyscallError("listen", err)
	}
	in.send(message{Control: true}, fd)
	return os.Chmod(name, 0o666) // a script may drop to a service's user
}
