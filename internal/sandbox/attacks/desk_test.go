// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/report"
)

// Settings for a run in a guest.
var (
	agentPath = os.Getenv("CTXAGENT_ATTACKS_AGENT") // the agent's program, where there is no go command
)

// nth is how many of the attacks are rehearsed: one of so many.
func nth() int {
	if os.Getenv("CTXAGENT_SOAK") == "1" {
		return 1
	}
	if guestRoot {
		return 24
	}
	return 8
}

// varying attacks end in one of several states, or make something new each time.
var varying = []string{"renamer", "munge-key-leak", "background-writer"}

// desk is a site admin's: ctxagent check, as root or as an ordinary user.
type desk struct {
	agent, dir string
	user       bool
}

func newDesk(t *testing.T, user bool) desk {
	t.Helper()
	d := desk{agent: filepath.Join(t.TempDir(), "ctxagent"), dir: t.TempDir(), user: user}
	if err := os.Chmod(filepath.Dir(d.dir), 0o755); err != nil { // all of the test's directories lie in it
		t.Fatal(err)
	}
	if agentPath != "" {
		copyFile(t, agentPath, d.agent)
		return d
	}
	cmd := exec.Command("go", "build", "-o", d.agent, "../../../cmd/ctxagent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v: %s", err, out)
	}
	return d
}

// asUser starts a command as nobody, with a /dev/fuse for everybody, as udev makes
// it.
const asUser = `mount -t tmpfs none /mnt && mknod -m 666 /mnt/fuse c 10 229 && mount --bind /mnt/fuse /dev/fuse && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`

// check rehearses a disc and returns the receipt of a stage.
func (d desk) check(t *testing.T, a *arena, at Attack, stage Stage) *report.Receipt {
	t.Helper()
	deadline := 20 * time.Second
	if at.Deadline != 0 {
		deadline = max(at.Deadline, time.Second) // a policy knows no shorter one
	}
	p := strings.Replace(narrow.Replace(string(dist.Policy)), "deadline: 5m", fmt.Sprintf("deadline: %v", deadline*a.factor), 1)
	policyFile, disc := filepath.Join(d.dir, "policy.yaml"), filepath.Join(d.dir, "disc")
	if err := os.WriteFile(policyFile, []byte(p), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(disc); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(disc, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := a.fill(disc, at, stage); err != nil {
		t.Fatal(err)
	}
	args := []string{d.agent, "check", "--json", "--root", a.root, "--policy", policyFile, disc}
	if d.user {
		args = append([]string{"unshare", "-m", "sh", "-c", asUser, "sh"}, args...)
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var all map[string]json.RawMessage
	if json.Unmarshal(out, &all) != nil || all[string(stage)] == nil {
		t.Fatalf("ctxagent check: %v: %s%s", err, out, errs.String())
	}
	r := &report.Receipt{}
	if err := json.Unmarshal(all[string(stage)], r); err != nil {
		t.Fatal(err)
	}
	return r
}

// verdict is what a desk and a guest have to agree on.
type verdict struct {
	Outcome  report.Outcome
	ExitCode int
	Changes  []report.Change
	Refusals []report.Refusal
	Calls    []string
}

// verdictOf is a receipt's, as JSON. How often a script in a loop comes to make a
// call, a machine's load decides.
func verdictOf(t *testing.T, r *report.Receipt) string {
	t.Helper()
	v := verdict{Outcome: r.Outcome, ExitCode: r.ExitCode, Changes: slices.Concat(r.Changes), Refusals: slices.Concat(r.Refusals)}
	for _, c := range r.DeniedCalls {
		v.Calls = append(v.Calls, c.Comm+" "+c.Call)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCheckSaysTheSame rehearses each attack by ctxagent check, as root and as an
// ordinary user, and runs it: the same verdict and the same lists, and nothing
// more is let in. Where a user's rehearsal does not know what a guest would say,
// it says that.
func TestCheckSaysTheSame(t *testing.T) {
	a := newArena(t)
	if r, err := a.run(t, Attack{Script: ":"}, Prolog); err != nil || r.Outcome != report.Unchanged {
		t.Fatalf("an honest stage: %s, %s, %v", r.Outcome, r.Error, err)
	}
	desks := map[string]desk{"root": newDesk(t, false)}
	if !guestRoot {
		desks["user"] = newDesk(t, true)
	}
	a.look(t)
	told, unknown := 0, 0
	for i, at := range All() {
		if at.Arch != "" && at.Arch != runtime.GOARCH || i%nth() != 0 {
			continue
		}
		stage := at.Stages()[0]
		t.Run(at.Name, func(t *testing.T) {
			rehearsed := map[string]*report.Receipt{}
			for who, d := range desks {
				rehearsed[who] = d.check(t, a, at, stage)
			}
			r, err := a.run(t, at, stage)
			if err != nil {
				t.Fatal(err)
			}
			var o outcome
			a.undo(t, a.judgeApplied(at, r, &o))
			for who, got := range rehearsed {
				told++
				if who == "user" && got.Outcome == report.Unsupported && strings.Contains(got.Error, "not known") {
					unknown++
					t.Logf("as a user: %s", got.Error)
					continue
				}
				a.sameVerdict(t, at, who, got, r)
			}
		})
	}
	fmt.Printf("verdicts compared: %d, of which not known to a user: %d\n", told, unknown)
}

// sameVerdict compares two receipts; what a rehearsal's script saw inside is held
// against the table, as a stage's is.
func (a *arena) sameVerdict(t *testing.T, at Attack, who string, got, want *report.Receipt) {
	t.Helper()
	g, w := verdictOf(t, got), verdictOf(t, want)
	if g != w && !slices.Contains(varying, at.Name) {
		t.Errorf("check as %s says\n%s (%s)\na stage says\n%s (%s)", who, g, got.Error, w, want.Error)
	}
	o := outcome{}
	if got.Script != nil {
		o.Reports = Reports(got.Script.OutputTail)
	}
	o.judgeInside(at)
	for _, x := range o.LetIn {
		t.Errorf("check as %s let in: %s", who, x)
	}
}
