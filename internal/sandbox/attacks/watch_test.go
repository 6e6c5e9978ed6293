// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHarnessSees does outside what no script may, and looks whether the harness
// notices each of it: a suite that sees nothing contains everything.
func TestHarnessSees(t *testing.T) {
	a := newArena(t)
	a.look(t)
	second := filepath.Join(t.TempDir(), "mount")
	for _, tt := range []struct {
		what, sees string
		do         func() error
	}{
		{"a written file", `"/etc/passwd" was`, func() error { return appendTo(filepath.Join(a.root, "etc/passwd"), "x\n") }},
		{"a new file", `"/etc/new" is new`, func() error { return appendTo(filepath.Join(a.root, "etc/new"), "x\n") }},
		{"a removed file", `"/srv/second/other" is gone`, func() error { return os.Remove(filepath.Join(a.root, "srv/second/other")) }},
		{"a mode", `"/etc/group" was`, func() error { return os.Chmod(filepath.Join(a.root, "etc/group"), 0o600) }},
		{"an attribute", "trusted.x=", func() error { return unix.Setxattr(filepath.Join(a.root, "etc/shadow"), "trusted.x", []byte("y"), 0) }},
		{"a touched file", `"/boot/vmlinuz" was`, func() error { return unix.Utimes(filepath.Join(a.root, "boot/vmlinuz"), make([]unix.Timeval, 2)) }},
		{"an abstract socket", "hits on unix @" + victimAbstract, func() error { return a.hit("connect=@" + victimAbstract) }},
		{"a datagram", "hits on unix @" + victimAbstract + ".dgram", func() error { return a.hit("datagram=@" + victimAbstract + ".dgram") }},
		{"a service on localhost", "hits on inet [127 0 0 1]:5514 kind 1", func() error { return a.hit("tcp=127.0.0.1:5514") }},
		{"the metadata service", "hits on inet [169 254 169 254]:80 kind 1", func() error { return a.hit("tcp=169.254.169.254:80") }},
		{"a FIFO", "srv/second/victim.fifo", func() error { return a.hit("fifo=" + filepath.Join(a.root, "srv/second/victim.fifo")) }},
		{"the disk", "disk: was", func() error { _, err := a.victims.disk.WriteAt([]byte("x"), 4096); return err }},
		{"the host name", "hostname", func() error { return unix.Sethostname([]byte("other.example.org")) }},
		{"a mount", "mountinfo", func() error {
			if err := os.Mkdir(second, 0o755); err != nil {
				return err
			}
			return unix.Mount("none", second, "tmpfs", 0, "")
		}},
		{"a process", "processes: was", func() error {
			cmd := exec.Command("/bin/sleep", "100")
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			return cmd.Start()
		}},
		{"a descriptor", "descriptors of the agent", func() error { f, err := os.Open("/"); t.Cleanup(func() { f.Close() }); return err }},
		{"the victim's priority", "victim process: was", func() error { return unix.Setpriority(unix.PRIO_PROCESS, a.victims.process.Process.Pid, 5) }},
		{"the kernel log", "hits on kernel log", func() error { return os.WriteFile("/dev/kmsg", []byte(mark+"\n"), 0) }},
	} {
		if err := tt.do(); err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		after, err := look(a.root, a.dirs, a.victims)
		if err != nil {
			t.Fatal(err)
		}
		diff := after.differences(a.before, nil)
		if !strings.Contains(strings.Join(diff, "\n"), tt.sees) {
			t.Errorf("%s is not seen: %q; want %q", tt.what, diff, tt.sees)
		}
		a.before = after
	}
	if err := unix.Unmount(second, 0); err != nil {
		t.Error(err)
	}
}

// hit runs one of the intruder's attempts outside.
func (a *arena) hit(attempt string) error { return exec.Command(a.intruder, attempt).Run() }

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}
