// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nobody is the agent as nobody, in a mount namespace where setup, a piece of shell,
// prepares the machine; /dev/fuse is there for everybody, as udev makes it.
func nobody(t *testing.T, setup string, args ...string) *exec.Cmd {
	t.Helper()
	needRoot(t)
	script := `mount -t tmpfs none /mnt && mknod -m 666 /mnt/fuse c 10 229 && mount --bind /mnt/fuse /dev/fuse; ` + setup + `
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`
	return exec.CommandContext(t.Context(), "unshare", append([]string{"-m", "sh", "-euc", script, "sh", binary}, args...)...)
}

func asNobody(t *testing.T, setup string, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	cmd := nobody(t, setup, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its status is looked at
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// readable opens a test's directories to nobody.
func readable(t *testing.T, dirs ...string) {
	t.Helper()
	for _, d := range append(dirs, filepath.Dir(binary)) {
		for ; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// subordinateIDs has nobody have so many subordinate ids (subuid(5)).
func subordinateIDs(uids, gids int) string {
	return fmt.Sprintf(`echo nobody:200000:%d >/mnt/subuid; echo nobody:200000:%d >/mnt/subgid; touch /etc/subuid /etc/subgid; mount --bind /mnt/subuid /etc/subuid; mount --bind /mnt/subgid /etc/subgid`, uids, gids)
}

func receiptOf(t *testing.T, r result, stage string) (told, string) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		t.Fatalf("%v: %s%s", err, r.stdout, r.stderr)
	}
	var got told
	if err := json.Unmarshal(all[stage], &got); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	return got, string(all[stage])
}

// TestCheckWithoutRoot rehearses as an ordinary user what root rehearses, on a root
// of root's and on one that the user has unpacked: the same verdict. What the
// user may not read or hand out makes it not known, by name.
func TestCheckWithoutRoot(t *testing.T) {
	root := verdictRoot(t)
	write(t, root, map[string]string{"etc/passwd": "root:x:0:0::/:/bin/sh\nmunge:x:105:105::/:/bin/false\n", "etc/group": "root:x:0:\nmunge:x:105:\n", "etc/secret": "s\n", "opt/condor/keep": "", "root/.ssh/id": "s\n"})
	for i := range 400 { // whose names alone are more than a packet takes
		name := filepath.Join(root, "etc/many", fmt.Sprint(strings.Repeat("n", 240), i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Lchown(filepath.Join(root, "opt/condor/keep"), 105, 105), os.Chmod(filepath.Join(root, "etc/secret"), 0o600), os.Chmod(filepath.Join(root, "root"), 0o700)); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("sh", "-c", `cp -a "$0" "$1" && chown -R 65534:65534 "$1"`, root, own).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	munge := "#!/bin/sh\nmkdir -p /etc/munge; cp munge.key /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; chown munge:munge /etc/munge /etc/munge/munge.key\n"
	readable(t, root, own)
	adduser := subordinateIDs(65536, 65536) // as that gives a user
	fails := func(tool string) string { return `; mount --bind /bin/false "$(command -v ` + tool + `)"` }
	for _, tt := range []struct {
		name, setup, root, script, notKnown string
	}{
		{"good", ":", root, goodScript + "systemctl restart rsyslog\n", ""},
		{"own root", ":", own, goodScript + "echo x >>/etc/motd\n", ""},
		{"account", ":", root, "echo x >>/etc/passwd; rm -r /etc/rsyslog.d; mkdir /etc/rsyslog.d\n", ""},
		{"call", ":", root, "busybox mount -t tmpfs none /mnt || true; busybox mknod /etc/rsyslog.d/a b 8 0 || true\n", ""},
		{"kernel", ":", root, "cat /proc/kcore /etc/shadow; echo x >/proc/sys/kernel/core_pattern; echo x >/dev/null; busybox chmod 600 /dev/null; exit 3\n", ""},
		{"chown", adduser, root, munge, ""},
		{"chown, own root", adduser, own, munge, ""},
		{"chown, one id", ":", root, munge, "what this user namespace does not have: id 105"},
		{"chown, newuidmap fails", adduser + fails("newuidmap"), root, munge, "what this user namespace does not have: id 105"},
		{"chown, newgidmap fails", adduser + fails("newgidmap"), root, munge, "what this user namespace does not have: id 105"},
		{"chown, few groups", subordinateIDs(65536, 104), root, munge, "what this user namespace does not have: id 105"},
		{"chown, no group", subordinateIDs(65536, 0), root, munge, "what this user namespace does not have: id 105"},
		{"last id", subordinateIDs(105, 105), root, munge + "echo x >>/opt/condor/keep\n", ""},
		{"owner, one id", ":", root, "echo x >>/opt/condor/keep\n", "/opt/condor/keep, whose owner could not be shown"},
		{"owner, few groups", subordinateIDs(65536, 104), root, "echo x >>/opt/condor/keep\n", "/opt/condor/keep, whose owner could not be shown"},
		{"setuid, one id", ":", root, "busybox start-stop-daemon -S -c munge -x /bin/true\n", "what this user namespace does not have: supplementary groups"},
		{"unreadable", ":", root, "cat /etc/secret\n", "what only root may read: /etc/secret"},
		{"unreadable directory", ":", root, "cat /root/.ssh/id || true\n", "what only root may read: /root/.ssh"},
		{"many unreadable", ":", root, "cat /etc/many/* || true\n", " more"},
		{"unreadable before", ":", root, "echo x >/etc/secret\n", "what only root may read: /etc/secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disc := write(t, t.TempDir(), map[string]string{"prolog.sh": tt.script, "munge.key": strings.Repeat("k", 1024)})
			readable(t, disc)
			want, wanted := receiptOf(t, ctxagent(t, "check", "--json", "--root", tt.root, disc), "prolog")
			r := asNobody(t, tt.setup, "check", "--json", "--root", tt.root, disc)
			got, receipt := receiptOf(t, r, "prolog")
			if tt.root == own { // root sees whose the files are; in the image they are root's
				want.Error, got.Error = "", ""
			}
			switch {
			case tt.notKnown != "":
				if r.status != 6 || got.Outcome != "unsupported" || !strings.Contains(got.Error, tt.notKnown) {
					t.Errorf("exit status %d, %s: %s; want 6, %q", r.status, got.Outcome, got.Error, tt.notKnown)
				}
			case !reflect.DeepEqual(got, want) || r.status != got.ExitCode:
				t.Errorf("nobody's rehearsal says, with exit status %d\n%s\nroot's says\n%s", r.status, receipt, wanted)
			}
		})
	}
}

// TestCheckWithoutUserNamespaces takes away what a rehearsal without root rests on:
// the exit status is 6, nothing is run, and the message has what to type.
func TestCheckWithoutUserNamespaces(t *testing.T) {
	root := verdictRoot(t)
	disc := write(t, t.TempDir(), map[string]string{"prolog.sh": goodScript})
	readable(t, root, disc)
	const noFUSE = "umount /dev/fuse; chmod 600 /mnt/fuse; mount --bind /mnt/fuse /dev/fuse"
	forbids := func(setting string, value int) string { // of another kernel than this one
		return fmt.Sprintf("; mount -t tmpfs none /proc/sys/kernel; echo %d >/proc/sys/kernel/%s", value, setting)
	}
	for says, r := range map[string]result{
		"`sudo sysctl -w user.max_user_namespaces=10000`": withoutNamespaces(t, "check", "--json", "--root", root, disc),
		"needs /dev/fuse": asNobody(t, noFUSE, "check", "--json", "--root", root, disc),
		"`sudo sysctl -w kernel.unprivileged_userns_clone=1`":             asNobody(t, noFUSE+forbids("unprivileged_userns_clone", 0), "check", "--json", "--root", root, disc),
		"`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`": asNobody(t, noFUSE+forbids("apparmor_restrict_unprivileged_userns", 1), "check", "--json", "--root", root, disc),
	} {
		got, _ := receiptOf(t, r, "prolog")
		if r.status != 6 || got.Outcome != "unsupported" || len(got.Changes) > 0 || !strings.Contains(got.Error, says) || !strings.Contains(got.Error, "sudo") {
			t.Errorf("exit status %d, %s: %s; want 6 and %q", r.status, got.Outcome, got.Error, says)
		}
	}
	if r := asNobody(t, ":", "run", "prolog", "--root", root, "--media", disc); r.status == 0 {
		t.Errorf("run as nobody: exit status %d", r.status)
	}
}

// withoutNamespaces runs the agent as nobody in a user namespace that may have no
// further ones: the setting is that namespace's, and not the machine's.
func withoutNamespaces(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	script := `echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-euc", script, "sh", binary}, args...)...)
	all := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: all, GidMappings: all, GidMappingsEnableSetgroups: true}
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its status is looked at
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// TestForeign asks about more paths than a packet takes, whose bytes JSON makes six of.
func TestForeign(t *testing.T) {
	needRoot(t)
	root := write(t, t.TempDir(), map[string]string{"etc/foreign": ""})
	ours, theirs, err := packetPair()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(root, "etc/foreign"), 42, 0); err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- serveMirror(ours, root, os.Getpid(), 42) }()
	if n, err := theirs.Read(make([]byte, len(mapped))); err != nil || n != len(mapped) {
		t.Fatal(n, err)
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("/", strings.Repeat("\x01", 200), i))
	}
	first := firstProcess{theirs}
	for name, tt := range map[string]struct {
		paths []string
		want  string
		err   error
	}{
		"none": {nil, "", nil}, "one": {[]string{"/etc/foreign"}, "/etc/foreign", nil}, "many": {many, "", nil},
		"the last": {append(many, "/etc", "/etc/foreign"), "/etc/foreign", nil}, "too long": {[]string{strings.Repeat("\x01", mostPacket/6)}, "", unix.ENAMETOOLONG},
	} {
		if got, err := first.foreign(tt.paths); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, tt.want, tt.err)
		}
	}
	if err := errors.Join(theirs.Close(), <-served, ours.Close()); err != nil {
		t.Error(err)
	}
}

// TestAwaitMappingInVain has the second process wait for a first one that gives up: it
// runs nothing and says nothing, since the first one says why.
func TestAwaitMappingInVain(t *testing.T) {
	ours, theirs, err := packetPair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, awaitMapping, "--root", t.TempDir(), t.TempDir())
	cmd.ExtraFiles = []*os.File{theirs}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || len(out) > 0 {
		t.Errorf("%v: %s; want exit status 1 and no word", err, out)
	}
	if err := theirs.Close(); err != nil {
		t.Error(err)
	}
}

// TestCheckWithoutRootEndsWhole ends one of the two processes, in the middle of a
// script: nothing is left of the rehearsal, and it does not pass for a verdict.
func TestCheckWithoutRootEndsWhole(t *testing.T) {
	root, disc := verdictRoot(t), t.TempDir()
	write(t, disc, map[string]string{"prolog.sh": "busybox sh -c 'sleep 60; :' " + disc + "\n"})
	readable(t, root, disc)
	for _, tt := range []struct {
		process string // of the command line
		signal  syscall.Signal
		status  int
		says    string
	}{
		{"/ctxagent check ", syscall.SIGTERM, 1, "was ended because the agent was asked to end"},
		{"/ctxagent check ", syscall.SIGKILL, -1, ""},
		{checkMirrored, syscall.SIGKILL, 6, "signal: killed"},
	} {
		cmd := nobody(t, ":", "check", "--root", root, disc)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitProcesses(t, disc, "sleep 60")
		time.Sleep(500 * time.Millisecond) // it sleeps by now, and reads nothing any more
		_ = syscall.Kill(awaitProcesses(t, disc, tt.process), tt.signal)
		_ = cmd.Wait() // its status is looked at
		if status := cmd.ProcessState.ExitCode(); status != tt.status || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%s, %v: exit status %d: %s; want %d, %q", tt.process, tt.signal, status, out.String(), tt.status, tt.says)
		}
		awaitProcesses(t, disc, "")
	}
}

// awaitProcesses waits for a process whose command line names a path and has a text
// besides, or, if that is "", until there is none; it gives the process.
func awaitProcesses(t *testing.T, path, text string) int {
	t.Helper()
	left := map[int]string{}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		clear(left)
		for _, f := range files {
			b, _ := os.ReadFile(f) // it may be gone
			line := strings.ReplaceAll(string(b), "\x00", " ")
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if err != nil || !strings.Contains(line, path) {
				continue
			}
			if left[pid] = line; text != "" && strings.Contains(line, text) && !strings.HasPrefix(line, "unshare ") {
				return pid
			}
		}
		if text == "" && len(left) == 0 {
			return 0
		}
	}
	t.Fatalf("after 20 seconds, want %q: there are the processes %v", text, left)
	return 0
}
