// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// victimFiles lie in the root, so that there is something to lose. In a guest
// they are laid over what Debian has.
var victimFiles = map[string]string{
	"etc/rsyslog.d/50-default.conf": "*.* @old.example.org\n",
	"etc/victim.lock":               "",
	"root/.ssh/authorized_keys":     "ssh-ed25519 AAAA admin@example.org\n",
	"home/user/secret":              "secret\n",
	"srv/second/file":               "on a second file system\n",
	"srv/second/other":              "on a second file system\n",
	"srv/second/tree/file":          "on a second file system\n",
	"etc/cron.d/image":              "# the image's\n",
	"opt/condor/image":              "a batch client\n",
}

// victimLinks are symlinks of the image, and where they lead.
var victimLinks = map[string]string{"opt/pbs/image": "/etc"}

// hostFiles are those that a guest has by itself.
var hostFiles = map[string]string{
	"etc/passwd":           "root:x:0:0:root:/root:/bin/sh\nmunge:x:105:105::/:/bin/false\ncondor:x:106:106::/:/bin/false\n",
	"etc/group":            "root:x:0:\nmunge:x:105:\ncondor:x:106:\n",
	"etc/shadow":           "root:secret:1::::::\n",
	"etc/gshadow":          "root:secret::\n",
	"etc/sudoers":          "root ALL=(ALL) ALL\n",
	"etc/crontab":          "# the image's\n",
	"etc/profile":          "# the image's\n",
	"etc/hosts":            "127.0.0.1 localhost\n",
	"etc/fstab":            "# the image's\n",
	"etc/nsswitch.conf":    "passwd: files\n",
	"etc/rsyslog.conf":     "$IncludeConfig /etc/rsyslog.d/*.conf\n",
	"etc/pam.d/sshd":       "auth required pam_deny.so\n",
	"etc/ssh/sshd_config":  "PermitRootLogin no\n",
	"etc/ssh/ssh_host_key": "secret\n",

	"etc/ssh/ssh_host_ed25519_key": "secret\n",
	"etc/systemd/system/keep":      "", "etc/systemd/journald.conf.d/keep": "", "etc/default/keep": "",
	"usr/lib/systemd/system/rsyslog.service": "[Service]\nExecStart=/usr/sbin/rsyslogd -n\n",
	"usr/sbin/rsyslogd":                      "#!/bin/sh\n",
	"usr/bin/systemctl":                      "the image's own\n",
	"boot/vmlinuz":                           "kernel\n",
	"var/lib/dpkg/status":                    "",
}

// newRoot is the directory that the attacks act on: a small tree of busybox and
// the host's bash, or, in a guest, the machine's own root.
func newRoot(t *testing.T) string {
	t.Helper()
	if guestRoot {
		if err := os.MkdirAll("/var/lib/ctxagent", 0o700); err != nil { // before anybody looks
			t.Fatal(err)
		}
		mountSecond(t, "/")
		writeFiles(t, "/", victimFiles)
		writeLinks(t, "/", victimLinks)
		return "/"
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, d := range []string{"bin", "usr/bin", "usr/sbin", "var/tmp", "var/spool", "var/lib/ctxagent", "run", "proc"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox(t, root)
	addBash(t, root)
	mountSecond(t, root)
	writeFiles(t, root, hostFiles)
	writeFiles(t, root, victimFiles)
	writeLinks(t, root, victimLinks)
	for name, mode := range map[string]uint32{"etc/shadow": 0o640, "root": 0o700, "usr/sbin/rsyslogd": 0o755} {
		if err := unix.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func writeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// writeLinks leaves a link that is there: in a guest, of the test before.
func writeLinks(t *testing.T, root string, links map[string]string) {
	t.Helper()
	for name, target := range links {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, p); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
}

// mountSecond puts a file system of its own below the root.
func mountSecond(t *testing.T, root string) {
	t.Helper()
	p := filepath.Join(root, "srv/second")
	if err := os.MkdirAll(p, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("second", p, "tmpfs", 0, "size=1m,mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// busybox is every command of the small root.
func busybox(t *testing.T, root string) {
	t.Helper()
	p, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("busybox is needed (apt-get install busybox-static): %v", err)
	}
	copyFile(t, p, filepath.Join(root, "bin/busybox"))
	applets, err := exec.Command(p, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(applets)) {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
}

// addBash copies the host's bash with its libraries: scripts without a #! line
// are read by it.
func addBash(t *testing.T, root string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatalf("bash is needed: %v", err)
	}
	copyFile(t, bash, filepath.Join(root, "bin/bash"))
	list, err := exec.Command("ldd", bash).Output()
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(list)) {
		if filepath.IsAbs(word) {
			copyFile(t, word, filepath.Join(root, word))
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}
