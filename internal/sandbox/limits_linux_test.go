// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestForkBomb(t *testing.T) {
	res := run(t, newRoot(t), `
		bomb() { bomb | bomb & }
		sleep 1 & end=$!
		bomb 2>/dev/null &
		wait $end
	`, func(s *Spec) { s.Processes = 40 })
	if res.Unbounded != "" {
		t.Fatalf("no cgroup here: %s", res.Unbounded)
	}
	if res.NoProcess == 0 {
		t.Errorf("no process was refused: %+v", res)
	}
	noCgroupIsLeft(t)
}

// TestEveryTaskIsTaken: the limit leaves the runtime of sandbox-init no thread
// either, and it still reaps, asks the script to end, and tells how it ended.
func TestEveryTaskIsTaken(t *testing.T) {
	const fill = "( while :; do sleep 60 & done ) 2>/dev/null\n"
	threads := run(t, newRoot(t), "sed -n 's/^Threads:[[:space:]]*//p' /proc/1/status").Output
	const least = spareThreads + 4 // the command's own, the runtime's monitor, the one that makes threads, and what was needed before
	if n, err := strconv.Atoi(strings.TrimSpace(threads)); err != nil || n < least || n > ownTasks {
		t.Errorf("sandbox-init has %q threads when the script starts; want %d to %d", threads, least, ownTasks)
	}
	res := run(t, newRoot(t), fill+"exit 7", func(s *Spec) { s.Processes = 40 })
	if res.ExitStatus != 7 || res.NoProcess == 0 || len(res.LeftOver) < 40 {
		t.Errorf("exit status %d, %d refused, left over %d; want 7, some, all", res.ExitStatus, res.NoProcess, len(res.LeftOver))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	asked, err := Run(ctx, Spec{
		Root: newRoot(t), Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 40, Memory: 64 << 20,
		Env: []string{"PATH=/bin"}, Command: []string{"/bin/sh", "-c", "trap 'echo asked; exit 0' TERM\n" + fill + "while :; do wait; done"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer asked.Close()
	if !asked.TimedOut || !strings.Contains(asked.Output, "asked") || asked.NoProcess == 0 {
		t.Errorf("timed out %v, output %q, %d refused; want true, the trap's, some", asked.TimedOut, asked.Output, asked.NoProcess)
	}
	noCgroupIsLeft(t)
}

func TestMemoryBomb(t *testing.T) {
	res := run(t, newRoot(t), `x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done`, func(s *Spec) { s.Memory = 48 << 20 })
	if res.NoMemory == 0 || res.Signal != "SIGKILL" && res.ExitStatus == 0 {
		t.Errorf("memory ran out %d times, exit status %d, signal %q; want SIGKILL", res.NoMemory, res.ExitStatus, res.Signal)
	}
	// What is written counts, too.
	res = run(t, newRoot(t), `dd if=/dev/zero of=/etc/big bs=1048576 count=200; exit 0`, func(s *Spec) { s.Memory, s.Bytes = 48<<20, 512<<20 })
	if res.NoMemory == 0 || res.Signal != "SIGKILL" && res.ExitStatus == 0 {
		t.Errorf("200 MiB were written into 48: memory ran out %d times, exit status %d", res.NoMemory, res.ExitStatus)
	}
	noCgroupIsLeft(t)
}

// noCgroupIsLeft looks for this process's cgroups where they are made; another
// test's may be there.
func noCgroupIsLeft(t *testing.T) {
	t.Helper()
	places, err := cgroupPlaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range places {
		if left, _ := filepath.Glob(filepath.Join(dir, cgroupPrefix+strconv.Itoa(os.Getpid())+"*")); len(left) > 0 {
			t.Errorf("left over: %q", left)
		}
	}
}

func TestKilledAgentsCgroupIsSwept(t *testing.T) {
	newRoot(t) // asks for root
	c, err := newCgroup(Spec{Processes: 10, Memory: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.remove()
	stale := filepath.Join(filepath.Dir(c.pids), cgroupPrefix+"4194399") // above pid_max
	if err := os.Mkdir(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	again, err := newCgroup(Spec{Processes: 10, Memory: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer again.remove()
	if _, err := os.Stat(stale); err == nil {
		t.Errorf("%q is still there", stale)
	}
	if _, err := os.Stat(c.pids); err != nil {
		t.Errorf("that of a process that lives was swept: %v", err)
	}
}

// TestDeadlineAsksFirst: a script may tidy up, and has timed out all the same.
func TestDeadlineAsksFirst(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	res, err := Run(ctx, Spec{
		Root: newRoot(t), Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 20, Memory: 64 << 20,
		Env: []string{"PATH=/bin"}, Command: []string{"/bin/sh", "-c", `trap "echo asked; exit 0" TERM; while :; do sleep 0.05; done`},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	if !res.TimedOut || !strings.Contains(res.Output, "asked") || res.Signal != "" {
		t.Errorf("timed out %v, output %q, signal %q; want true, the trap's, none", res.TimedOut, res.Output, res.Signal)
	}
}

// TestWithoutCgroup: each process alone is bounded, and the result says so.
func TestWithoutCgroup(t *testing.T) {
	for _, tt := range []struct {
		script string
		want   string
	}{
		{"echo $(ulimit -d) $(ulimit -u)", "131072 33\n"},
	} {
		res := run(t, newRoot(t), tt.script, func(s *Spec) { s.Memory, s.Processes, s.noCgroup = 128<<20, 33, true })
		if res.Output != tt.want || res.Unbounded == "" {
			t.Errorf("%q printed %q, unbounded %q; want %q and a reason", tt.script, res.Output, res.Unbounded, tt.want)
		}
	}
}

// TestLandlockTable is the ruleset by the kernel's ABI version.
func TestLandlockTable(t *testing.T) {
	nodes := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_REFER)
	for _, tt := range []struct {
		abi        int
		fs, scoped uint64
	}{
		{2, nodes, 0}, {4, nodes, 0}, {5, nodes | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 0},
		{6, nodes | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
		{99, nodes | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
	} {
		if got, everywhere := landlock(tt.abi); everywhere != unix.LANDLOCK_ACCESS_FS_REFER || got.Handled_access_fs != tt.fs || got.Scoped != tt.scoped || got.Handled_access_net != 0 {
			t.Errorf("landlock(%d) = %+v; want file system %#x, scoped %#x", tt.abi, got, tt.fs, tt.scoped)
		}
	}
}
