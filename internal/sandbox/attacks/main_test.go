// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// Settings of the harness, for a run in a guest (test/guest) and for the table.
var (
	guestRoot    = os.Getenv("CTXAGENT_ATTACKS_ROOT") == "/"  // act on the machine's own root
	intruderPath = os.Getenv("CTXAGENT_ATTACKS_INTRUDER")     // a built one, where there is no go command
	resultsPath  = os.Getenv("CTXAGENT_ATTACKS_RESULTS")      // write what became of each attack there
	missingLayer = os.Getenv("CTXAGENT_WITHOUT")              // which layer a weakened binary lacks
	inner        = os.Getenv("CTXAGENT_ATTACKS_INNER") == "1" // in namespaces of its own
)

// The test binary is the agent: the sandbox starts it again, and shows it inside.
// On the host it first starts itself in network, mount, uts and ipc namespaces of
// its own: there it can listen on every address, and mount what it likes.
func TestMain(m *testing.M) {
	if status, done := sandbox.Main(os.Args, os.Stderr); done {
		os.Exit(status)
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(2) // a script runs it inside, as the agent
	}
	if os.Geteuid() == 0 && !guestRoot && !inner {
		os.Exit(startInner())
	}
	os.Exit(m.Run())
}

func startInner() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), "CTXAGENT_ATTACKS_INNER=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attacks: start in namespaces of its own:", err)
		return 1
	}
	return 0
}

// needRoot fails or skips where nothing can be confined.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
		t.Fatal("confinement needs root")
	}
	t.Skip("SKIPPED: confinement needs root, and nothing was attacked")
}

// intruder is the helper program, built if need be.
func intruder(t *testing.T) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "intruder")
	if intruderPath != "" {
		copyFile(t, intruderPath, p)
		return p
	}
	cmd := exec.Command("go", "build", "-o", p, "./intruder")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the intruder: %v: %s", err, out)
	}
	return p
}
