// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// crashAt names a root and a step: this process opens its journal, carries the
// second context out, and is killed by SIGKILL at that step. Below zero it is
// not killed, and prints how many steps there are.
const crashAt = "JOURNAL_TEST_CRASH"

func TestMain(m *testing.M) {
	if spec := os.Getenv(crashAt); spec != "" {
		if err := child(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := ownMounts(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// ownMounts gives root's tests a mount namespace of their own. In the machine's,
// each process that makes a namespace meanwhile, such as one that confines a script,
// takes a copy of every disk that is mounted for a test along: unmounted here, it is
// in use there, and is written to while its image is mounted a second time.
func ownMounts() error {
	const marker = "JOURNAL_TEST_MOUNTS"
	if os.Geteuid() != 0 || os.Getenv(marker) != "" {
		return nil
	}
	runtime.LockOSThread() // the namespace is the thread's, and exec takes it over
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace for the tests: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), marker+"=own"))
}

// child is the process that is killed.
func child(spec string) error {
	what, rest, _ := strings.Cut(spec, ":")
	number, dir, _ := strings.Cut(rest, ":")
	at, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	n := 0
	fault := func(op, p string) error {
		if n == at {
			// Not os.Exit: nothing may run after this, no deferred call and no
			// flush.
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			select {}
		}
		n++
		return nil
	}
	t := &testing.T{}
	j, err := openTest(t, dir, fault)
	if err != nil {
		return err
	}
	if what == "commit" {
		if err := j.Commit(j.Plan(goal(t, j, contextTwo, 0, second))); err != nil {
			return err
		}
	}
	fmt.Println(n)
	return j.Close()
}

// crash runs a child until it is killed; it reports whether it was, and how many
// steps it made if not.
func crash(t *testing.T, what string, at int, dir string) (killed bool, steps int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d:%s", crashAt, what, at, dir))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signal() == syscall.SIGKILL {
			return true, 0
		}
	}
	if err != nil {
		t.Fatalf("%s at %d: %v: %s", what, at, err, errs.String())
	}
	steps, err = strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return false, steps
}

// twoStates are a root before and after the second context, and the image.
type twoStates struct {
	before      string // a directory
	image, a, b map[string]string
	recordA     string
}

func newTwoStates(t *testing.T) *twoStates {
	t.Helper()
	dir := newRoot(t)
	s := &twoStates{before: dir, image: manifest(t, dir)}
	commit(t, dir, contextOne, 0, first)
	s.a, s.recordA = manifest(t, dir), readRecord(t, dir)
	after := copyOf(t, dir)
	commit(t, after, contextTwo, 0, second)
	s.b = manifest(t, after)
	if differ(s.a, s.b) == "" || differ(s.a, s.image) == "" {
		t.Fatal("the states do not differ: nothing is tested")
	}
	return s
}

// verify holds a root against the two states, and its journal against the root:
// what it says is in force has to be so, and everything can be put back.
func (s *twoStates) verify(t *testing.T, dir, when string) (isB bool) {
	t.Helper()
	now := manifest(t, dir)
	toA, toB := differ(now, s.a), differ(now, s.b)
	if toA != "" && toB != "" {
		t.Errorf("%s: neither the state before:\n%s\nnor the one after:\n%s", when, toA, toB)
		return false
	}
	isB = toB == ""
	if record := readRecord(t, dir); (record == s.recordA) == isB {
		t.Errorf("%s: the root is in the state after: %v, and the record says otherwise", when, isB)
	}
	for _, f := range files(t, dir) {
		if f == prepareFile || f == commitFile || f == undoFile {
			t.Errorf("%s: %s is still there", when, f)
		}
	}
	if p := revert(t, dir); len(p.Left) > 0 {
		t.Errorf("%s: revert leaves %q", when, p.Left)
	}
	if d := differ(manifest(t, dir), s.image); d != "" {
		t.Errorf("%s: revert does not bring back the image:\n%s", when, d)
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("%s: the journal keeps %q after a revert; want the record alone", when, left)
	}
	return isB
}

// TestKilledAtEveryStep kills the process at each step in turn, and then once
// more while it recovers; CTXAGENT_SOAK=1 kills recovery at each of its steps,
// too.
func TestKilledAtEveryStep(t *testing.T) {
	s := newTwoStates(t)
	_, steps := crash(t, "commit", -1, copyOf(t, s.before))
	var atA, atB, recoveries int
	for n := range steps {
		dir := copyOf(t, s.before)
		if killed, _ := crash(t, "commit", n, dir); !killed {
			t.Fatalf("step %d of %d: the process was not killed", n, steps)
		}
		_, recovery := crash(t, "recover", -1, copyOf(t, dir))
		for m := range recovery {
			if os.Getenv("CTXAGENT_SOAK") == "" && m != n*7%recovery {
				continue
			}
			again := copyOf(t, dir)
			if killed, _ := crash(t, "recover", m, again); !killed {
				t.Fatalf("step %d of recovery: the process was not killed", m)
			}
			recoveries++
			reopen(t, again)
			s.verify(t, again, fmt.Sprintf("killed at step %d, and recovery at its step %d", n, m))
			os.RemoveAll(again)
		}
		reopen(t, dir)
		if s.verify(t, dir, fmt.Sprintf("killed at step %d", n)) {
			atB++
		} else {
			atA++
		}
		os.RemoveAll(dir)
	}
	t.Logf("SIGKILL at %d steps: %d times the state before, %d times the state after; and at %d steps of a recovery", steps, atA, atB, recoveries)
	if atA == 0 || atB == 0 {
		t.Errorf("of %d kills %d end before and %d after; want both to happen", steps, atA, atB)
	}
}

func reopen(t *testing.T, dir string) {
	t.Helper()
	j, err := openTest(t, dir, nil)
	if err != nil {
		t.Fatalf("Open() = %v; want it to recover", err)
	}
	if len(j.Left) > 0 {
		t.Errorf("recovery leaves %q", j.Left)
	}
	shut(t, j)
}

// TestErrorAtEveryStep lets each step fail in turn, once or from then on: a plain
// error means that nothing is changed, at once.
func TestErrorAtEveryStep(t *testing.T) {
	s := newTwoStates(t)
	_, steps := crash(t, "commit", -1, copyOf(t, s.before))
	for _, tt := range []struct {
		err   error
		stays bool
	}{{unix.ENOSPC, false}, {unix.EIO, false}, {unix.EDQUOT, false}, {unix.EROFS, true}} {
		var plain, leftover, unfinished int
		for n := range steps {
			dir := copyOf(t, s.before)
			when := fmt.Sprintf("%v at step %d (stays: %v)", tt.err, n, tt.stays)
			i := 0
			j, err := openTest(t, dir, func(op, p string) error {
				i++
				if i-1 == n || tt.stays && i > n {
					return tt.err
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			err = j.Commit(j.Plan(goal(t, j, contextTwo, 0, second)))
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			left, isLeftover := errors.AsType[*LeftoverError](err)
			_, isUnfinished := errors.AsType[*UnfinishedError](err)
			switch {
			case !errors.Is(err, tt.err):
				t.Errorf("%s: Commit() = %v; want that error", when, err)
			case isLeftover:
				leftover++
				_ = left.Error()
				if d := differ(withoutTemps(manifest(t, dir)), withoutLinks(s.b)); d != "" {
					t.Errorf("%s: Commit() = %v, and not all changes are made:\n%s", when, err, d)
				}
			case isUnfinished && tt.stays:
				unfinished++
			case isUnfinished:
				t.Errorf("%s: Commit() = %v; want it undone", when, err)
			default:
				plain++
				if d := differ(manifest(t, dir), s.a); d != "" {
					t.Errorf("%s: Commit() = %v, and the root is changed:\n%s", when, err, d)
				}
			}
			reopen(t, dir)
			if isB := s.verify(t, dir, when); isLeftover && !isB {
				t.Errorf("%s: Commit() = %v, and the next process undid it", when, err)
			}
			os.RemoveAll(dir)
		}
		t.Logf("%v at each of %d steps (stays: %v): %d undone at once, %d done and not tidied up, %d left to recovery", tt.err, steps, tt.stays, plain, leftover, unfinished)
	}
}

// withoutTemps leaves out what a transaction that is not tidied up has more, and
// with withoutLinks the number of links that files then have.
func withoutTemps(m map[string]string) map[string]string {
	out := map[string]string{}
	for p, line := range m {
		if !strings.Contains(p, ".ctxagent-") {
			out[p] = line
		}
	}
	return withoutLinks(out)
}

func withoutLinks(m map[string]string) map[string]string {
	out := map[string]string{}
	for p, line := range m {
		out[p] = strings.NewReplacer("links 1 ", "", "links 2 ", "", "links 3 ", "").Replace(line)
	}
	return out
}
