// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

func TestPlan(t *testing.T) {
	m := func(at, fs string) *mountinfo.Info { return &mountinfo.Info{Mountpoint: at, FSType: fs} }
	slash := mount{at: "/", fs: "ext4"}
	for _, tt := range []struct {
		name  string
		root  string
		infos []*mountinfo.Info
		want  []mount
	}{
		{"root alone", "/", []*mountinfo.Info{m("/", "ext4")}, []mount{slash}},
		{"separate file systems", "/", []*mountinfo.Info{m("/", "ext4"), m("/var", "xfs"), m("/usr", "squashfs"), m("/opt/x", "btrfs")},
			[]mount{slash, {at: "/opt/x", fs: "btrfs"}, {at: "/usr", fs: "squashfs"}, {at: "/var", fs: "xfs"}}},
		{"file systems without sockets and FIFOs", "/", []*mountinfo.Info{m("/", "ext4"), m("/efi", "vfat"), m("/srv", "exfat")},
			[]mount{slash, {at: "/efi", fs: "vfat", readOnly: true}, {at: "/srv", fs: "exfat", readOnly: true}}},
		{"file systems that may have them", "/", []*mountinfo.Info{m("/", "ext4"), m("/a", "ntfs3"), m("/b", "hfsplus"), m("/c", "iso9660")},
			[]mount{slash, {at: "/a", fs: "ntfs3", empty: true}, {at: "/b", fs: "hfsplus", empty: true}, {at: "/c", fs: "iso9660", empty: true}}},
		{"other machines and processes", "/", []*mountinfo.Info{m("/", "ext4"), m("/a", "nfs4"), m("/b", "cifs"), m("/c", "fuse.sshfs"), m("/d", "autofs"), m("/e", "9p"), m("/f", "a-new-one")},
			[]mount{slash, {at: "/a", fs: "nfs4", empty: true}, {at: "/b", fs: "cifs", empty: true}, {at: "/c", fs: "fuse.sshfs", empty: true}, {at: "/d", fs: "autofs", empty: true},
				{at: "/e", fs: "9p", empty: true}, {at: "/f", fs: "a-new-one", empty: true}}},
		{"the kernel's own and the private ones", "/", []*mountinfo.Info{m("/", "ext4"), m("/proc", "proc"), m("/run", "tmpfs"),
			m("/run/lock", "tmpfs"), m("/dev", "devtmpfs"), m("/sys/fs/cgroup", "cgroup2"), m("/tmp", "tmpfs")}, []mount{slash}},
		{"below something not shown", "/", []*mountinfo.Info{m("/", "ext4"), m("/srv", "nfs4"), m("/srv/disk", "ext4")}, []mount{slash, {at: "/srv", fs: "nfs4", empty: true}}},
		{"mounted over", "/", []*mountinfo.Info{m("/", "ext4"), m("/data", "ext4"), m("/data/sub", "ext4"), m("/data", "nfs")}, []mount{slash, {at: "/data", fs: "nfs", empty: true}}},
		{"mounted over again", "/", []*mountinfo.Info{m("/", "ext4"), m("/data", "autofs"), m("/data", "ext4"), m("/data/x", "xfs")},
			[]mount{slash, {at: "/data", fs: "ext4"}, {at: "/data/x", fs: "xfs"}}},
		{"a secret of its own", "/", []*mountinfo.Info{m("/", "ext4"), m("/secret", "ext4"), m("/secret/efi", "vfat"), m("/secrets", "ext4")}, []mount{slash, {at: "/secret", fs: "ext4"}, {at: "/secrets", fs: "ext4"}}},
		{"below a secret", "/", []*mountinfo.Info{m("/", "ext4"), m("/secret/efi", "vfat")}, []mount{slash}},
		{"another root", "/image", []*mountinfo.Info{m("/", "ext4"), m("/var", "ext4"), m("/image", "xfs"), m("/image/var", "ext4"), m("/images", "ext4")},
			[]mount{{at: "/", fs: "xfs"}, {at: "/var", fs: "ext4"}}},
		{"a root that was mounted over", "/image", []*mountinfo.Info{m("/", "rootfs"), m("/image/var", "ext4"), m("/image", "xfs"), m("/", "ext4"), m("/image/opt", "ext4")},
			[]mount{slash, {at: "/opt", fs: "ext4"}}},
	} {
		if got := plan(tt.root, tt.infos, []Entry{{Path: "/secret", Kind: ShowEmpty}, {Path: "/usr", Kind: ShowDirectory}}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: plan = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestInitramfs(t *testing.T) {
	for _, tt := range []struct {
		mounts []*mountinfo.Info
		want   bool
	}{
		{[]*mountinfo.Info{{Mountpoint: "/", FSType: "rootfs"}, {Mountpoint: "/proc", FSType: "proc"}}, true},
		{[]*mountinfo.Info{{Mountpoint: "/", FSType: "rootfs"}, {Mountpoint: "/", FSType: "ext4"}}, false},
		{[]*mountinfo.Info{{Mountpoint: "/", FSType: "ext4"}, {Mountpoint: "/mnt", FSType: "rootfs"}}, false},
	} {
		if got := initramfs(tt.mounts); got != tt.want {
			t.Errorf("initramfs(%v) = %v; want %v", tt.mounts, got, tt.want)
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
	if !slices.Equal(at, []string{"/", "/srv", "/var"}) || len(res.Uncovered) > 0 {
		t.Errorf("layers at %q, uncovered %v; want /, /srv and /var, and none", at, res.Uncovered)
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

// TestContextIsAlsoAt: the second place of the context is one that the root
// leaves free, and nothing is written there.
func TestContextIsAlsoAt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		make  func(root string) error
		shown bool
	}{
		{"no such directory", func(string) error { return nil }, false},
		{"an empty directory", func(root string) error { return os.Mkdir(filepath.Join(root, "mnt"), 0o755) }, true},
		{"a directory with something in it", func(root string) error { return os.MkdirAll(filepath.Join(root, "mnt/disk"), 0o755) }, false},
		{"a file", func(root string) error { return os.WriteFile(filepath.Join(root, "mnt"), nil, 0o644) }, false},
		{"a link to an empty directory", func(root string) error {
			return errors.Join(os.MkdirAll(filepath.Join(root, "var/mnt"), 0o755), os.Symlink("var/mnt", filepath.Join(root, "mnt")))
		}, true},
		{"a link out of the root", func(root string) error { return os.Symlink("../../../..", filepath.Join(root, "mnt")) }, false},
		{"a link to itself", func(root string) error { return os.Symlink("mnt", filepath.Join(root, "mnt")) }, false},
	} {
		root := newRoot(t)
		if err := tt.make(root); err != nil {
			t.Fatal(err)
		}
		res := run(t, root, `. /mnt/values 2>/dev/null && echo "$SITE"; echo x >/mnt/new; true`, func(s *Spec) {
			s.Also = "/mnt"
			if err := os.WriteFile(filepath.Join(s.Context, "values"), []byte("SITE=here\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		})
		if res.Also != tt.shown || strings.Contains(res.Output, "here\n") != tt.shown || tt.shown && !strings.Contains(res.Output, "Read-only") {
			t.Errorf("%s: shown %v, output %q; want %v", tt.name, res.Also, res.Output, tt.shown)
		}
	}
}
