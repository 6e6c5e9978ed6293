// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// ownMounts gives the test a mount namespace, which ends with its thread: Go ends
// one that a goroutine keeps locked.
func ownMounts(t *testing.T) {
	t.Helper()
	needRoot(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s (test/setup.sh test installs what is needed)", name, args, err, out)
	}
}

// attach mounts on dir, made if need be, until the test ends.
func attach(t *testing.T, dir string, args ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", append(args, dir)...)
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// disk mounts a new file system of its own on dir.
func disk(t *testing.T, dir string, mkfs ...string) (image string) {
	t.Helper()
	image = filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 512<<20); err != nil { // sparse; xfs wants 300 MB
		t.Fatal(err)
	}
	command(t, mkfs[0], append(mkfs[1:], image)...)
	attach(t, dir, "-o", "loop", image)
	return image
}

func ext4(t *testing.T, dir string) string {
	return disk(t, dir, "mkfs.ext4", "-q", "-E", "lazy_itable_init=0,root_owner=0:0")
}
func xfs(t *testing.T, dir string) string   { return disk(t, dir, "mkfs.xfs", "-q") }
func btrfs(t *testing.T, dir string) string { return disk(t, dir, "mkfs.btrfs", "-q") }
func tmpfs(t *testing.T, dir string) string {
	attach(t, dir, "-t", "tmpfs", "-o", "mode=0755", "test")
	return ""
}

// overlayOn mounts an overlay of lower, with memory for what is written.
func overlayOn(t *testing.T, dir, lower string) {
	t.Helper()
	stage := filepath.Join(t.TempDir(), "stage")
	tmpfs(t, stage)
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(stage, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	attach(t, dir, "-t", "overlay", "-o", fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, stage, stage), "overlay")
}

// seed puts files into a mount that a hostile script goes for.
func seed(t *testing.T, dirs ...string) {
	t.Helper()
	for _, d := range dirs {
		for _, name := range []string{"victim-1", "victim-2", "victim-3"} {
			if err := os.WriteFile(filepath.Join(d, name), []byte("the image's\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func readOnly(t *testing.T, dir string) {
	t.Helper()
	command(t, "mount", "-o", "remount,ro", dir)
}

// kind is a kind of root that images have. make makes one in dir and returns the
// mounts in it.
type kind struct {
	name  string
	fixed bool // all but /etc is read-only
	make  func(t *testing.T, dir string) []string
}

var roots = []kind{
	{"ext4", false, func(t *testing.T, dir string) []string { ext4(t, dir); fillRoot(t, dir); return nil }},
	{"xfs", false, func(t *testing.T, dir string) []string { xfs(t, dir); fillRoot(t, dir); return nil }},
	{"btrfs", false, func(t *testing.T, dir string) []string { btrfs(t, dir); fillRoot(t, dir); return nil }},
	{"tmpfs", false, func(t *testing.T, dir string) []string { tmpfs(t, dir); fillRoot(t, dir); return nil }},
	{"btrfs subvolume with nested ones", false, func(t *testing.T, dir string) []string {
		top := filepath.Join(t.TempDir(), "top")
		image := btrfs(t, top)
		for _, v := range []string{"@", "@/opt", "@/var", "@/etc"} {
			command(t, "btrfs", "subvolume", "create", filepath.Join(top, v))
		}
		attach(t, dir, "-o", "loop,subvol=@", image)
		fillRoot(t, dir)
		return []string{"opt", "var", "etc"} // no mounts, but file systems of their own to stat(2)
	}},
	{"separate file systems", false, func(t *testing.T, dir string) []string {
		ext4(t, dir)
		xfs(t, filepath.Join(dir, "var"))
		btrfs(t, filepath.Join(dir, "opt"))
		fillRoot(t, dir)
		tmpfs(t, filepath.Join(dir, "boot/efi"))
		return []string{"var", "opt"}
	}},
	{"live image", false, func(t *testing.T, dir string) []string {
		tree, squash := t.TempDir(), filepath.Join(t.TempDir(), "squash")
		fillRoot(t, tree)
		command(t, "mksquashfs", tree, squash+".img", "-quiet", "-no-progress", "-comp", "gzip")
		attach(t, squash, "-o", "loop,ro", squash+".img")
		overlayOn(t, dir, squash)
		return nil
	}},
	{"read-only with /etc mounted", true, func(t *testing.T, dir string) []string {
		xfs(t, dir)
		ext4(t, filepath.Join(dir, "etc"))
		fillRoot(t, dir)
		return []string{"etc"}
	}},
	{"read-only with /etc overlaid", true, func(t *testing.T, dir string) []string {
		ext4(t, dir)
		fillRoot(t, dir)
		overlayOn(t, filepath.Join(dir, "etc"), filepath.Join(dir, "etc"))
		return []string{"etc"}
	}},
	{"bind mounts", false, func(t *testing.T, dir string) []string {
		for _, d := range []string{"srv/opt", "srv/rsyslog"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		attach(t, filepath.Join(dir, "opt"), "--bind", filepath.Join(dir, "srv/opt"))
		attach(t, filepath.Join(dir, "etc/rsyslog.d"), "--bind", filepath.Join(dir, "srv/rsyslog"))
		fillRoot(t, dir)
		return []string{"opt", "etc/rsyslog.d"}
	}},
	{"mount point under a symlink", false, func(t *testing.T, dir string) []string {
		fillRoot(t, dir)
		if err := os.MkdirAll(filepath.Join(dir, "data/srv/disk"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("data/srv", filepath.Join(dir, "srv")); err != nil {
			t.Fatal(err)
		}
		tmpfs(t, filepath.Join(dir, "srv/disk"))
		if err := os.Symlink("/data/srv/disk", filepath.Join(dir, "direct")); err != nil {
			t.Fatal(err)
		}
		return []string{"data/srv/disk"}
	}},
}

// newRoot makes a root and returns its machine and its mounts.
func newRoot(t *testing.T, i int) (*Machine, []string) {
	t.Helper()
	ownMounts(t)
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mounts := roots[i].make(t, dir)
	seed(t, dir)
	for _, m := range mounts {
		seed(t, filepath.Join(dir, m))
	}
	label(t, filepath.Join(dir, "etc/rsyslog.d"), filepath.Join(dir, "etc/rsyslog.d/50-default.conf"))
	// The journal's place, which the first stage would make, and has to be there
	// and writable on a root that is read-only.
	own := filepath.Join(dir, "var/lib/ctxagent")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if roots[i].fixed {
		tmpfs(t, own)
		readOnly(t, dir)
	}
	return editable(t, machineOn(t, dir)), mounts
}

// editable lets a script edit the drop-ins of the image, too.
func editable(t *testing.T, m *Machine) *Machine {
	t.Helper()
	const rule = "grammar: rsyslog\n"
	p, err := policy.Parse("policy.yaml", bytes.Replace(dist.Policy, []byte(rule), []byte(rule+"        image_files: replace\n"), 1))
	if err != nil {
		t.Fatal(err)
	}
	m.Policy = p
	return m
}

// labels are what an image may attach to a file beside its content.
var labels = map[string]string{"security.selinux": "system_u:object_r:syslog_conf_t:s0\x00", "user.note": "the image's", "trusted.note": "the image's"}

// label attaches labels, and to the file an ACL, too.
func label(t *testing.T, dir, file string) {
	t.Helper()
	for name, value := range labels {
		for _, p := range []string{dir, file} {
			if err := unix.Lsetxattr(p, name, []byte(value), 0); err != nil {
				t.Fatalf("set %s of %s: %v", name, p, err)
			}
		}
	}
	command(t, "setfacl", "-m", "u:105:r", file)
}

// attached is all that is attached to a file.
func attached(t *testing.T, p string) string {
	t.Helper()
	list, value := make([]byte, 1<<16), make([]byte, 1<<16)
	n, err := unix.Llistxattr(p, list)
	if errors.Is(err, unix.ENOTSUP) { // a symlink of squashfs
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for name := range strings.FieldsFuncSeq(string(list[:n]), func(r rune) bool { return r == 0 }) {
		n, err := unix.Lgetxattr(p, name, value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s=%q", name, value[:n]))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// contents is what a root holds: type, mode, owner, attributes and bytes by path.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if p == filepath.Join(dir, "var/lib/ctxagent") {
			return filepath.SkipDir // the journal
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		what := fmt.Sprintf("%v %d:%d %s", info.Mode(), st.Uid, st.Gid, attached(t, p))
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(b))
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			what += " " + target
		}
		out[strings.TrimPrefix(p, dir)] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// differences are the paths in which two roots differ.
func differences(before, after map[string]string) []string {
	var out []string
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if before[p] != after[p] {
			out = append(out, p)
		}
	}
	return out
}
