// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

func TestPlan(t *testing.T) {
	m := func(at, fs, opts string) *mountinfo.Info {
		return &mountinfo.Info{Mountpoint: at, FSType: fs, Options: opts}
	}
	for _, tt := range []struct {
		name  string
		root  string
		infos []*mountinfo.Info
		want  []mount
	}{
		{"root alone", "/", []*mountinfo.Info{m("/", "ext4", "rw")}, []mount{{"/", false}}},
		{"separate file systems", "/", []*mountinfo.Info{m("/", "ext4", "rw"), m("/var", "xfs", "rw"), m("/boot/efi", "vfat", "rw"), m("/usr", "ext4", "ro")},
			[]mount{{"/", false}, {"/boot/efi", true}, {"/usr", false}, {"/var", false}}},
		{"the kernel's own and the private ones are not shown", "/", []*mountinfo.Info{m("/", "ext4", "rw"), m("/proc", "proc", "rw"), m("/run", "tmpfs", "rw"),
			m("/run/lock", "tmpfs", "rw"), m("/dev", "devtmpfs", "rw"), m("/sys/fs/cgroup", "cgroup2", "rw"), m("/tmp", "tmpfs", "rw")}, []mount{{"/", false}}},
		{"what is below something not shown", "/", []*mountinfo.Info{m("/", "ext4", "rw"), m("/srv", "nfs4", "rw"), m("/srv/disk", "ext4", "rw")}, []mount{{"/", false}}},
		{"mounted over", "/", []*mountinfo.Info{m("/", "ext4", "rw"), m("/data", "ext4", "rw"), m("/data/sub", "ext4", "rw"), m("/data", "nfs", "rw")}, []mount{{"/", false}}},
		{"mounted over again", "/", []*mountinfo.Info{m("/", "ext4", "rw"), m("/data", "nfs", "rw"), m("/data", "ext4", "rw")}, []mount{{"/", false}, {"/data", false}}},
		{"fuse of any kind", "/", []*mountinfo.Info{m("/", "ext4", "rw"), m("/mnt", "fuse.sshfs", "rw")}, []mount{{"/", false}}},
		{"another root", "/image", []*mountinfo.Info{m("/", "ext4", "rw"), m("/var", "ext4", "rw"), m("/image", "ext4", "rw"), m("/image/var", "ext4", "rw"), m("/images", "ext4", "rw")},
			[]mount{{"/", false}, {"/var", false}}},
	} {
		if got := plan(tt.root, tt.infos); !slices.Equal(got, tt.want) {
			t.Errorf("%s: plan = %v; want %v", tt.name, got, tt.want)
		}
	}
}

// TestHostSocketsAreOutOfReach listens on a socket of the host's in a directory
// of the root, on a writable and on a read-only mount: through a bind the script
// would reach it.
func TestHostSocketsAreOutOfReach(t *testing.T) {
	root := newRoot(t)
	for _, flags := range []uintptr{0, unix.MS_RDONLY} {
		dir := filepath.Join(root, "srv")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("test", dir, "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "s")}), unix.Listen(fd, 1), unix.Mkfifo(filepath.Join(dir, "fifo"), 0o666)); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		if got := probe(t, root, "connect", "/srv/s"); got != "connection refused" {
			t.Errorf("flags %#x: connect to the host's socket: %q; want it refused", flags, got)
		}
		if err := errors.Join(unix.Close(fd), unix.Unmount(dir, unix.MNT_DETACH)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSeparateFileSystems has a root with a writable /var and a read-only /srv,
// and a path with all that an option string minds.
func TestSeparateFileSystems(t *testing.T) {
	base := newRoot(t)
	root := filepath.Join(filepath.Dir(base), "a root:with,odd\\names")
	if err := os.Rename(base, root); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"var", "srv"} {
		p := filepath.Join(root, d)
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("test", p, "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		if err := os.MkdirAll(filepath.Join(p, "lib"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("", filepath.Join(root, "srv"), "", unix.MS_REMOUNT|unix.MS_RDONLY, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	res := run(t, root, `
		echo in-var >/var/lib/file
		echo in-etc >/etc/file
		echo in-srv >/srv/lib/file
		echo "end of list"
	`)
	if res.Output != "end of list\n" {
		t.Errorf("output %q", res.Output)
	}
	var at []string
	for _, l := range res.Layers {
		at = append(at, l.At)
	}
	if !slices.Equal(at, []string{"/", "/srv", "/var"}) || len(res.ReadOnly) > 0 {
		t.Errorf("layers at %q, read-only %q; want /, /srv and /var, and none", at, res.ReadOnly)
	}
	if got := read(t, res, "etc/file"); got != "in-etc\n" {
		t.Errorf("/etc/file in the root's layer is %q", got)
	}
	b, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(int(res.Layers[2].Upper.Fd())) + "/lib/file")
	if err != nil || string(b) != "in-var\n" {
		t.Errorf("/var/lib/file in its layer is %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/file")); err == nil {
		t.Error("the script wrote to the real /var")
	}
}
