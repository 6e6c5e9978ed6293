// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/test/hostile"
)

// What a hostile disc may cost at most, the payload apart.
const (
	hostileTime   = 2 * time.Second
	hostileMemory = 32 << 20 // bytes, over those of a program that reads nothing
)

// TestHostileDiscsInBounds has the real binary look at each disc of the
// generator: exit status 4, one line, in bounded time and memory.
func TestHostileDiscsInBounds(t *testing.T) {
	_, _, floor := looked(t, "version")
	var longest time.Duration
	var most int64
	file := filepath.Join(t.TempDir(), "disc.img")
	for _, image := range hostile.Images() {
		if err := os.WriteFile(file, image.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		r, took, memory := looked(t, "inspect", "--json", file)
		longest, most = max(longest, took), max(most, memory-floor)
		if took > hostileTime || memory-floor > hostileMemory {
			t.Errorf("%s: took %v and %d bytes; want at most %v and %d", image.Name, took, memory-floor, hostileTime, hostileMemory)
		}
		if r.status == 0 { // it can be read, and a guest would not use it
			var found inspected
			if err := json.Unmarshal([]byte(r.stdout), &found); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(found.Unusable, image.Want) {
				t.Errorf("%s: unusable is %q; want %q", image.Name, found.Unusable, image.Want)
			}
			continue
		}
		if r.status != 4 || !strings.Contains(r.stderr, image.Want) && !strings.Contains(image.Want, "media.max_files") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: exit status %d, %q; want 4, %q", image.Name, r.status, r.stderr, image.Want)
		}
	}
	t.Logf("at most %v and %d bytes over the %d of a program that reads nothing", longest, most, floor)
}

// A payload of 100 MiB, compressed or not, costs no memory to read.
func TestPayloadInBounds(t *testing.T) {
	_, _, floor := looked(t, "version")
	tree := write(t, t.TempDir(), map[string]string{"prolog.sh": goodScript, "payload": strings.Repeat("payload\n", 100<<17)})
	for name, filter := range map[string][]string{"plain": nil, "compressed": {"-set_filter_r", "--zisofs", "/", "--"}} {
		iso := filepath.Join(t.TempDir(), "disc.iso")
		argv := slices.Concat([]string{"-outdev", iso, "-map", tree, "/"}, filter, []string{"-commit"})
		if out, err := exec.Command("xorriso", argv...).CombinedOutput(); err != nil {
			t.Fatalf("xorriso: %v: %s", err, out)
		}
		r, took, memory := looked(t, "inspect", iso)
		t.Logf("%s: %v, %d bytes over %d", name, took, memory-floor, floor)
		if r.status != 0 || memory-floor > hostileMemory {
			t.Errorf("%s: exit status %d, %d bytes; want 0 and at most %d: %s", name, r.status, memory-floor, hostileMemory, r.stderr)
		}
	}
}

// looked runs the binary and says what it cost. It is started by a small
// process in between: what the kernel counts as the peak memory of a child
// begins with that of its parent, and ours holds discs.
func looked(t *testing.T, args ...string) (result, time.Duration, int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{binary}, args...)...)
	cmd.Env = append(os.Environ(), costVariable+"=1")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cost, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer cost.Close()
	cmd.ExtraFiles = []*os.File{write}
	err = errors.Join(cmd.Start(), write.Close())
	if err != nil {
		t.Fatal(err)
	}
	var told costs
	if err := json.NewDecoder(cost).Decode(&told); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return result{told.Status, stdout.String(), stderr.String()}, told.Took, told.Memory
}

// costVariable makes the test binary the process in between.
const costVariable = "CTXTEST_COSTS"

type costs struct {
	Status int
	Took   time.Duration
	Memory int64 // bytes, at the peak
}

// tellCosts runs a command and writes what it cost to descriptor 3.
func tellCosts(argv []string) int {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	_ = cmd.Run() // its exit status is told
	took := time.Since(began)
	if cmd.ProcessState == nil {
		return 1
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if json.NewEncoder(os.NewFile(3, "costs")).Encode(costs{cmd.ProcessState.ExitCode(), took, usage.Maxrss << 10}) != nil {
		return 1
	}
	return 0
}
