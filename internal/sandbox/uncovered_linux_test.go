// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountOn mounts on a directory of the root, made if need be, until the test ends.
func mountOn(t *testing.T, root, at, src, fstype string, flags uintptr, opts string) string {
	t.Helper()
	p := filepath.Join(root, at)
	if err := os.MkdirAll(p, 0o755); err != nil && !errors.Is(err, unix.ENOTDIR) {
		t.Fatal(err)
	}
	if err := unix.Mount(src, p, fstype, flags, opts); err != nil {
		t.Fatalf("mount %s on %s (%s): %v", fstype, p, opts, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return p
}

// overlayOf mounts an overlay of lower on a directory of the root.
func overlayOf(t *testing.T, root, at, lower string) string {
	t.Helper()
	stage := mountOn(t, t.TempDir(), "stage", "stage", "tmpfs", 0, "mode=0755")
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(stage, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return mountOn(t, root, at, "overlay", "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, stage, stage))
}

// victims makes a listening socket and a FIFO with a reader in dir: what a
// daemon of the image has. The function tells who got anything.
func victims(t *testing.T, dir string) func() string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "socket")}), unix.Listen(fd, 1), unix.Mkfifo(fifo, 0o666)); err != nil {
		t.Fatal(err)
	}
	reader, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unix.Close(fd), unix.Close(reader)); err != nil {
			t.Error(err)
		}
	})
	return func() string {
		var got []string
		if c, _, err := unix.Accept(fd); err == nil {
			got = append(got, "the socket")
			unix.Close(c)
		}
		if n, _ := unix.Read(reader, make([]byte, 10)); n > 0 {
			got = append(got, "the FIFO")
		}
		return strings.Join(got, " and ")
	}
}

// at lists the mounts that were not covered.
func uncoveredAt(res *Result) []string {
	var out []string
	for _, u := range res.Uncovered {
		how := "read-only"
		if u.Empty {
			how = "empty"
		}
		out = append(out, u.At+" "+how)
	}
	return out
}

// A file system that overlayfs cannot cover, here an overlay on an overlay, is
// not bound in its place: its sockets and FIFOs would be the host's.
func TestUncoverableMountIsEmpty(t *testing.T) {
	root := newRoot(t)
	first := overlayOf(t, t.TempDir(), "first", t.TempDir())
	second := overlayOf(t, root, "srv/second", first)
	if err := os.MkdirAll(filepath.Join(second, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	mountOn(t, root, "srv/second/below", "test", "tmpfs", 0, "")
	hit := victims(t, second)
	before := fingerprint(t, root)
	res := run(t, root, `
		(echo x >/srv/second/fifo) 2>/dev/null && echo "HOLE: fifo"
		(echo x >/srv/second/new) 2>/dev/null && echo "HOLE: new"
		mkdir /srv/second/dir 2>/dev/null && echo "HOLE: dir"
		/run/ctxagent/agent `+probeArg+` connect /srv/second/socket
		echo; ls -A /srv/second; echo "end of list"
	`)
	if res.Output != "no such file or directory\nend of list\n" {
		t.Errorf("output %q; want an empty read-only directory", res.Output)
	}
	if got := hit(); got != "" {
		t.Errorf("the script reached %s of the host", got)
	}
	if got := uncoveredAt(res); !slices.Equal(got, []string{"/srv/second empty"}) || !strings.Contains(res.Uncovered[0].Reason, "an overlay on an overlay") {
		t.Errorf("uncovered: %v; want /srv/second, empty, with the reason", res.Uncovered)
	}
	if after := fingerprint(t, root); after != before {
		t.Errorf("the root was written:\n%s", after)
	}
}

// The same behind a mount that overlayfs does cover: the script's FIFO is
// another one, and nobody listens on its socket.
func TestCoveredSocketsAndFIFOs(t *testing.T) {
	root := newRoot(t)
	hit := victims(t, mountOn(t, root, "srv", "test", "tmpfs", 0, "mode=0755"))
	res := run(t, root, `
		(sleep 1; kill $$) & (echo x >/srv/fifo)
	`)
	if res.Signal != "SIGTERM" {
		t.Errorf("exit status %d, signal %q, output %q; want the script to wait for a reader in vain", res.ExitStatus, res.Signal, res.Output)
	}
	if got := probe(t, root, "connect", "/srv/socket"); got != "connection refused" {
		t.Errorf("connect to the host's socket: %q; want it refused", got)
	}
	if got := hit(); got != "" {
		t.Errorf("the script reached %s of the host", got)
	}
}

// A file may be mounted on a file: a regular one is shown read-only, and what
// else there is not at all.
func TestMountsOnFiles(t *testing.T) {
	root := newRoot(t)
	other := t.TempDir()
	hit := victims(t, other)
	if err := os.WriteFile(filepath.Join(other, "file"), []byte("mounted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "fifo", "socket"} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		mountOn(t, root, "etc/"+name, filepath.Join(other, name), "", unix.MS_BIND, "")
	}
	mountOn(t, root, "etc/shadow", filepath.Join(other, "file"), "", unix.MS_BIND, "")
	res := run(t, root, `
		cat /etc/file /etc/shadow
		for f in file fifo socket shadow; do
			(echo x >/etc/$f) 2>/dev/null && echo "HOLE: $f"
			mv /etc/$f /etc/other 2>/dev/null && echo "HOLE: mv $f"
		done
		/run/ctxagent/agent `+probeArg+` connect /etc/socket
	`)
	if want := "mounted\nconnection refused"; res.Output != want {
		t.Errorf("output %q; want %q", res.Output, want)
	}
	if got := hit(); got != "" {
		t.Errorf("the script reached %s of the host", got)
	}
	if got, want := uncoveredAt(res), []string{"/etc/fifo empty", "/etc/file read-only", "/etc/shadow empty", "/etc/socket empty"}; !slices.Equal(got, want) {
		t.Errorf("uncovered %q; want %q", got, want)
	}
}

// A mount whose server does not answer hangs whoever looks at it. Nobody does:
// neither the set-up nor the script gets that far.
func TestHangingMounts(t *testing.T) {
	root := newRoot(t)
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close() // whatever hangs by then gets an error
	mountOn(t, root, "srv/net", "test", "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev.Fd()))
	trigger := automount(t, root, "srv/auto")
	res := run(t, root, `ls -A /srv/net /srv/auto; cat /srv/net/file; (echo x >/srv/auto/file) && echo HOLE; echo "end of list"`)
	if !strings.HasSuffix(res.Output, "end of list\n") || strings.Contains(res.Output, "HOLE") {
		t.Errorf("exit status %d, signal %q, output %q", res.ExitStatus, res.Signal, res.Output)
	}
	if got := uncoveredAt(res); !slices.Equal(got, []string{"/srv/auto empty", "/srv/net empty"}) {
		t.Errorf("uncovered %q; want both", got)
	}
	if trigger() {
		t.Error("the automount point was triggered")
	}
}

// automount mounts an autofs without anything behind it. The function tells
// whether somebody asked for that.
func automount(t *testing.T, root, at string) func() bool {
	t.Helper()
	other := exec.Command("sleep", "60") // autofs lets its daemon's process group pass
	other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pipe[0]) })
	mountOn(t, root, at, "test", "autofs", 0, fmt.Sprintf("fd=%d,pgrp=%d,minproto=5,maxproto=5,direct", pipe[1], other.Process.Pid))
	unix.Close(pipe[1])
	return func() bool {
		n, _ := unix.Read(pipe[0], make([]byte, 1024))
		return n > 0
	}
}

// What is to look empty looks so on a file system of its own, too, and what is
// mounted below it is not shown; a write there is seen.
func TestSecretOnAMount(t *testing.T) {
	root := newRoot(t)
	for _, at := range []string{"home", "boot/efi"} {
		if err := os.WriteFile(filepath.Join(mountOn(t, root, at, "test", "tmpfs", 0, "mode=0755"), "secret"), []byte("secret\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	res := run(t, root, `ls -A /home /boot; echo x >/home/secret; mkdir /boot/efi; echo x >/boot/efi/secret`, func(s *Spec) {
		s.Show = append(s.Show, Entry{Path: "/home", Kind: ShowEmpty}, Entry{Path: "/boot", Kind: ShowEmpty})
	})
	if res.Output != "/boot:\n\n/home:\n" && res.Output != "/home:\n\n/boot:\n" || res.ExitStatus != 0 {
		t.Errorf("exit status %d, output %q; want two empty directories that can be written", res.ExitStatus, res.Output)
	}
	if got := read(t, res, "boot/efi/secret"); got != "x\n" {
		t.Errorf("the root's layer has %q; want the write", got)
	}
	if len(res.Layers) != 2 || res.Layers[1].At != "/home" || len(res.Uncovered) > 0 {
		t.Errorf("layers %v, uncovered %v; want / and /home, and none", res.Layers, res.Uncovered)
	}
}

// A root that no overlay covers is not run on, and the reason is one that helps.
func TestUncoverableRoot(t *testing.T) {
	newRoot(t) // for root's rights
	first := overlayOf(t, t.TempDir(), "first", t.TempDir())
	second := overlayOf(t, t.TempDir(), "second", first)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := Run(ctx, Spec{Root: second, Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20, Command: []string{"/bin/sh", "-c", ":"}})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "an overlay on an overlay already") || !strings.Contains(err.Error(), "build the image with one overlay less") {
		t.Errorf("Run() = %v; want ErrUnsupported with the reason and the way out", err)
	}
	root := newRoot(t)
	automount(t, root, "var") // where the disc's content is shown
	_, err = Run(ctx, Spec{Root: root, Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20, Command: []string{"/bin/sh", "-c", ":"}})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), `"/var": autofs is not among`) || !strings.Contains(err.Error(), ContextDir) {
		t.Errorf("Run() = %v; want ErrUnsupported, for scripts find their disc below /var", err)
	}
	for _, tt := range []struct {
		fs   string
		err  error
		want string
	}{
		{"ext4", unix.EREMOTE, "casefold"}, {"ext4", unix.EINVAL, "casefold"}, {"cifs", unix.EINVAL, "cannot cover this cifs: build the image on a plain ext4"},
		{"ext4", unix.ENODEV, "module overlay"}, {"ext4", unix.ENOMEM, "cannot allocate memory"},
	} {
		if got := uncoveredRoot(tt.fs, fmt.Errorf("mount: %w", tt.err)); !strings.Contains(got.Error(), tt.want) || !errors.Is(got, tt.err) {
			t.Errorf("uncoveredRoot(%s, %v) = %v; want %q in it", tt.fs, tt.err, got, tt.want)
		}
	}
}
