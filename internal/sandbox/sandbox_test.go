// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the agent: Run starts it again as sandbox-init, and a
// script inside calls it as systemctl.
func TestMain(m *testing.M) {
	if status, done := Main(os.Args, os.Stderr); done {
		os.Exit(status)
	}
	if len(os.Args) == 4 && os.Args[1] == probeArg {
		os.Exit(probeMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// newRoot makes a small root: busybox with its applets, and a few files.
func newRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("confinement needs root")
		}
		t.Skip("SKIPPED, NOTHING WAS CONFINED: confinement needs root")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("busybox is needed (apt-get install busybox-static): %v", err)
	}
	root := t.TempDir()
	for _, d := range []string{"bin", "etc/rsyslog.d", "etc/cron.d", "usr/bin", "root", "var/tmp"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/shadow": "root:secret:1::::::\n",
		"etc/rsyslog.conf": "$IncludeConfig /etc/rsyslog.d/*.conf\n", "usr/bin/systemctl": "the image's own\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", busybox, filepath.Join(root, "bin/busybox")).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	for _, applet := range []string{"sh", "cat", "ls", "echo", "mount", "mkdir", "rm", "ln", "sleep", "chmod", "touch", "id", "mknod", "chroot", "hostname", "kill", "dd", "ip", "env", "ps", "mv", "grep", "stat"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// run runs a shell script on root.
func run(t *testing.T, root, script string, edit ...func(*Spec)) *Result {
	t.Helper()
	ctxDir := t.TempDir()
	if err := os.WriteFile(filepath.Join(ctxDir, "prolog.sh"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := Spec{
		Root: root, Work: t.TempDir(), Context: ctxDir, Bytes: 16 << 20, Inodes: 2000, Processes: 64, Memory: 128 << 20,
		Command: []string{"/bin/sh", "-c", `. "$0"`, "./prolog.sh", "start"},
		Env:     []string{"PATH=/run/ctxagent/bin:/bin:/usr/bin"},
		Show:    []Entry{{Path: "/etc/shadow", Kind: ShowEmpty}},
	}
	for _, e := range edit {
		e(&spec)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := Run(ctx, spec)
	if err != nil {
		t.Fatalf("Run(%q): %v", script, err)
	}
	t.Cleanup(func() {
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	})
	return res
}

// read returns what the script left in the upper layer of the root.
func read(t *testing.T, res *Result, name string) string {
	t.Helper()
	r, err := os.OpenRoot("/proc/self/fd/" + strconv.Itoa(int(res.Layers[0].Upper.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := r.ReadFile(name)
	if err != nil {
		t.Fatalf("the script left no %s: %v\noutput: %s", name, err, res.Output)
	}
	return string(b)
}

func TestScriptWritesOnlyToTheUpperLayer(t *testing.T) {
	root := newRoot(t)
	before := fingerprint(t, root)
	res := run(t, root, `
		echo new >/etc/rsyslog.d/50-site.conf
		echo more >>/etc/passwd
		rm /etc/rsyslog.conf
		mkdir -p /opt/x && chmod 700 /opt/x
		echo "stage $1 in $PWD"
	`)
	if res.ExitStatus != 0 || !strings.Contains(res.Output, "stage start in "+ContextDir) {
		t.Errorf("exit status %d, output %q; want 0 and the stage's argument and directory", res.ExitStatus, res.Output)
	}
	if got := read(t, res, "etc/rsyslog.d/50-site.conf"); got != "new\n" {
		t.Errorf("upper layer has %q; want %q", got, "new\n")
	}
	if after := fingerprint(t, root); before != after {
		t.Errorf("the root was written:\n%s", after)
	}
}

func TestExitStatusAndSignal(t *testing.T) {
	root := newRoot(t)
	for _, tt := range []struct {
		script string
		status int
		signal string
	}{
		{"exit 7", 7, ""},
		{"return 3", 3, ""},
		{"kill -9 $$", -1, "SIGKILL"},
		{"kill -TERM 1; kill -KILL 1; sleep 0.1; exit 0", 0, ""}, // init is out of reach
	} {
		res := run(t, root, tt.script)
		if res.ExitStatus != tt.status || res.Signal != tt.signal || res.TimedOut {
			t.Errorf("%q: exit status %d, signal %q, timed out %v; want %d, %q", tt.script, res.ExitStatus, res.Signal, res.TimedOut, tt.status, tt.signal)
		}
	}
}

func TestDeadlineKillsEverything(t *testing.T) {
	root := newRoot(t)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	res, err := Run(ctx, Spec{
		Root: root, Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20, Env: []string{"PATH=/bin"},
		Command: []string{"/bin/sh", "-c", `trap "" TERM; (trap "" TERM; sleep 3600) & while :; do sleep 1; done`},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	if !res.TimedOut {
		t.Errorf("TimedOut is false: %+v", res)
	}
}

func TestDaemonDoesNotSurvive(t *testing.T) {
	root := newRoot(t)
	res := run(t, root, `(trap "" HUP TERM; while :; do sleep 3600; done) & echo started`)
	if res.ExitStatus != 0 || len(res.LeftOver) == 0 || !strings.Contains(res.Output, "started") {
		t.Errorf("exit status %d, left over %q, output %q; want 0 and the daemon named", res.ExitStatus, res.LeftOver, res.Output)
	}
}

// TestMovesAndLinks: Landlock denies them between directories unless a rule gives
// them back.
func TestMovesAndLinks(t *testing.T) {
	res := run(t, newRoot(t), `set -e; mkdir /etc/a /etc/b; echo x >/etc/a/f; ln /etc/a/f /etc/b/g; mv /etc/a/f /etc/b/f; mv /etc/a /opt`)
	if res.ExitStatus != 0 {
		t.Errorf("exit status %d: %s", res.ExitStatus, res.Output)
	}
}

// Each line is something that must fail inside, and say so.
func TestConfinement(t *testing.T) {
	root := newRoot(t)
	sock := filepath.Join(root, "etc/socket")
	if err := exec.Command("mkfifo", sock).Run(); err != nil {
		t.Fatal(err)
	}
	res := run(t, root, `
		try() { if "$@" 2>/dev/null; then echo "HOLE: $*"; fi; }
		try mount -t tmpfs none /etc
		try mount -o remount,rw /proc
		try chroot /etc /bin/true
		try mknod /etc/null c 1 3
		try hostname other.example.org
		try sh -c 'echo 1 >/proc/sys/kernel/sysrq'
		try sh -c 'echo x >/proc/sys/kernel/core_pattern'
		try sh -c 'echo b >/proc/sysrq-trigger'
		try chmod 600 /dev/null
		try sh -c 'echo x >/run/ctxagent/agent'
		try rm -rf /run/ctxagent/control
		try mv /run/ctxagent /run/other
		try sh -c 'echo x >/var/lib/hepix/context/prolog.sh'
		try ls /proc/1/root/
		try cat /proc/1/fd/0
		try cat /proc/1/environ
		try dd if=/proc/1/mem bs=1 count=1
		try grep secret /etc/shadow
		try ls /run/systemd
		try ip link set lo up
		try ip link add dummy0 type dummy
		[ "$(echo $(ls /proc/self/fd))" = "0 1 2 3" ] || echo "HOLE: descriptors" $(ls /proc/self/fd) # 3 is ls's own
		echo "end of list"
	`)
	if strings.Contains(res.Output, "HOLE") || !strings.Contains(res.Output, "end of list") {
		t.Errorf("output:\n%s", res.Output)
	}
}

func TestEmptyStandInCanBeWrittenAndIsSeen(t *testing.T) {
	root := newRoot(t)
	res := run(t, root, `cat /etc/shadow; echo intruder >>/etc/shadow`)
	if got := read(t, res, "etc/shadow"); got != "intruder\n" || strings.Contains(res.Output, "secret") {
		t.Errorf("upper layer has %q, output %q; want the write and nothing of the secret", got, res.Output)
	}
}

func TestShimRecords(t *testing.T) {
	root := newRoot(t)
	res := run(t, root, `
		systemctl restart rsyslog
		/usr/bin/systemctl --quiet enable --now slurmd.service munge
		service rsyslog reload
		systemctl is-active rsyslog && echo active
		systemctl -p ActiveState show rsyslog
		systemctl daemon-reload
		invoke-rc.d rsyslog stop
		busctl call org.example Reboot
	`)
	want := []Request{
		{"restart", "rsyslog.service"}, {"enable", "slurmd.service"}, {"start", "slurmd.service"}, {"enable", "munge.service"},
		{"start", "munge.service"}, {"reload", "rsyslog.service"}, {"stop", "rsyslog.service"},
		{"busctl", "call org.example Reboot"}, // not understood, and so not let pass
	}
	if !slices.Equal(res.Requests, want) {
		t.Errorf("requests %v; want %v\noutput: %s", res.Requests, want, res.Output)
	}
}

func TestFailsClosed(t *testing.T) {
	root := newRoot(t)
	spec := func() Spec {
		return Spec{Root: root, Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20, Command: []string{"/bin/sh", "-c", ":"}}
	}
	for _, tt := range []struct {
		name string
		edit func(*Spec)
		want error
	}{
		{"no interpreter", func(s *Spec) { s.Command = []string{"/usr/bin/perl"} }, ErrNotFound},
		{"no such root", func(s *Spec) { s.Root = "/nonexistent" }, ErrUnsupported},
		{"no workspace", func(s *Spec) { s.Work = "/nonexistent" }, ErrUnsupported},
		{"no limit", func(s *Spec) { s.Bytes = 0 }, ErrUnsupported},
	} {
		s := spec()
		tt.edit(&s)
		if res, err := Run(context.Background(), s); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, result %v; want %v", tt.name, err, res, tt.want)
		}
	}
}

// TestLastWordsAreHeard: init says why it ends although it may not have read
// what the agent told it meanwhile.
func TestLastWordsAreHeard(t *testing.T) {
	root := newRoot(t)
	for range 40 {
		s := Spec{Root: root, Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20, Command: []string{"/no/such"}}
		if _, err := Run(t.Context(), s); !errors.Is(err, ErrNotFound) {
			t.Fatalf("error %v; want %v", err, ErrNotFound)
		}
	}
}

func TestElseIsTried(t *testing.T) {
	res := run(t, newRoot(t), "", func(s *Spec) {
		s.Command, s.Else = []string{"/bin/bash", "-c", "echo bash"}, [][]string{{"sh", "-c", "echo second"}}
	})
	if res.Output != "second\n" {
		t.Errorf("output %q; want that of the second command", res.Output)
	}
}

func TestOutputIsBounded(t *testing.T) {
	lines := 0
	res := run(t, newRoot(t), `i=0; while [ $i -lt 30000 ]; do echo "line $i"; i=$((i+1)); done; dd if=/dev/zero bs=65536 count=4 2>/dev/null`,
		func(s *Spec) { s.Line = func(string) { lines++ } })
	if len(res.Output) != maxOutput || res.Lost == 0 || lines > maxLines+1 {
		t.Errorf("kept %d bytes, lost %d, %d lines; want %d, more than 0, at most %d", len(res.Output), res.Lost, lines, maxOutput, maxLines+1)
	}
}

func TestWritesAreLimited(t *testing.T) {
	res := run(t, newRoot(t), `dd if=/dev/zero of=/etc/big bs=65536 count=1000 2>/dev/null && echo HOLE; dd if=/dev/zero of=/etc/b2 bs=65536 seek=100000 count=1 2>/dev/null && echo HOLE; :`,
		func(s *Spec) { s.Bytes = 4 << 20 })
	if strings.Contains(res.Output, "HOLE") {
		t.Errorf("output %q", res.Output)
	}
	res = run(t, newRoot(t), `for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/etc/f$i bs=65536 count=16 2>/dev/null || echo full; done`,
		func(s *Spec) { s.Bytes = 4 << 20 })
	if !strings.Contains(res.Output, "full") || !res.Full {
		t.Errorf("8 files of 1 MiB went into 4 MiB: output %q, Full %v", res.Output, res.Full)
	}
	res = run(t, newRoot(t), `i=0; while [ $i -lt 200 ]; do echo >/etc/f$i || exit 0; i=$((i+1)); done 2>/dev/null; echo HOLE`,
		func(s *Spec) { s.Inodes = 150 })
	if strings.Contains(res.Output, "HOLE") || !res.Full {
		t.Errorf("200 files went into 150 inodes: output %q, Full %v", res.Output, res.Full)
	}
}

// TestInheritedDescriptors leaves one open on the host's tree, as a careless
// service manager might: the script must not get it, nor the host's /dev/null.
func TestInheritedDescriptors(t *testing.T) {
	root := newRoot(t)
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	leak, err := unix.Dup(int(dir.Fd())) // without close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	res := run(t, root, `echo $(ls /proc/self/fd); [ "$(stat -L -c %d /proc/self/fd/0)" = "$(stat -c %d /dev/null)" ] && echo own null`)
	if res.Output != "0 1 2 3\nown null\n" { // 3 is ls's own
		t.Errorf("output %q; want descriptors 0 to 3 and the view's own /dev/null", res.Output)
	}
}

func TestMainIsForItsOwnNames(t *testing.T) {
	for _, args := range [][]string{{"ctxagent", "run", "prolog"}, {"ctxagent", initArg}, {}} {
		if _, done := Main(args, io.Discard); done {
			t.Errorf("Main(%q) took the call", args)
		}
	}
}

// fingerprint lists every path of root with what a script could change.
func fingerprint(t *testing.T, root string) string {
	t.Helper()
	out, err := exec.Command("find", root, "-printf", "%P %y %m %U %G %s %T@ %C@ %i %n %l\n").CombinedOutput()
	if err != nil {
		t.Fatalf("find: %v: %s", err, out)
	}
	return string(out)
}

func TestBytesThatAreNoUTF8(t *testing.T) {
	res := run(t, newRoot(t), `printf %s "$NAME"`, func(s *Spec) { s.Env = append(s.Env, "NAME=caf\xe9") })
	if res.Output != "caf\xe9" {
		t.Errorf("output %q; want the bytes that were given", res.Output)
	}
}
