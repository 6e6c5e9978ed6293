// SPDX-License-Identifier: Apache-2.0

package units

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// noManager gives the test a mount namespace of its own with an empty /run, so
// that a manager of this machine is out of reach. Its thread is never given
// back: the goroutine ends with it locked.
func noManager(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("hiding this machine's service manager needs root")
		}
		if _, err := os.Stat("/run/systemd/private"); err == nil {
			t.Skip("SKIPPED: without root this machine's service manager cannot be hidden from the test")
		}
		return
	}
	runtime.LockOSThread()
	for _, err := range []error{
		unix.Unshare(unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("test", "/run", "tmpfs", 0, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestActWithoutManager: where no service manager can be reached every request
// has its error, and nothing hangs. What Act does to a real one is shown in a
// guest (test/guest).
func TestActWithoutManager(t *testing.T) {
	noManager(t)
	reqs := []Request{{"restart", "rsyslog.service"}, {"enable", "slurmd.service"}}
	got := Act(context.Background(), reqs)
	if len(got) != len(reqs) {
		t.Fatalf("Act = %d results; want %d", len(got), len(reqs))
	}
	for i, r := range got {
		if r.Request != reqs[i] || r.Err == nil || !strings.Contains(r.Err.Error(), "connect to the service manager") {
			t.Errorf("result %+v; want an error for %v", r, reqs[i])
		}
	}
}

func TestActOnNothing(t *testing.T) {
	if got := Act(context.Background(), nil); got != nil {
		t.Errorf("Act(nil) = %v; want nothing, and no connection", got)
	}
}
