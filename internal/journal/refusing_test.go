// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// sh runs a command of the machine's.
func sh(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// TestDiskRefuses lets real file systems refuse: no block left on ext4, and the quota
// used up on btrfs. (ext4's own quota and device-mapper are in few kernels for
// virtual machines.) Nothing is changed, and the error names the path.
func TestDiskRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, system string
		refuse       func(t *testing.T, m *machine) (allow func())
		want         error
	}{
		{"no space", "ext4", func(t *testing.T, m *machine) func() {
			filler := filepath.Join(m.dir, "var/filler")
			fillUp(t, filler, 24<<10)
			return func() { must(t, os.Remove(filler)) }
		}, unix.ENOSPC},
		{"quota", "btrfs", func(t *testing.T, m *machine) func() {
			sh(t, "btrfs", "quota", "enable", m.dir)
			sh(t, "btrfs", "quota", "rescan", "-w", m.dir)
			sh(t, "btrfs", "qgroup", "limit", "160K", m.dir)
			return func() { sh(t, "btrfs", "quota", "disable", m.dir) }
		}, unix.EDQUOT},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, s := newMachine(t, []string{tt.system})
			defer m.mount(t, m.images)()
			allow := tt.refuse(t, m)
			j, err := openTest(t, m.dir, nil)
			must(t, err)
			err = j.Commit(j.Plan(goal(t, j, contextTwo, 0, second)))
			shut(t, j)
			where, ok := errors.AsType[*fs.PathError](err)
			if !errors.Is(err, tt.want) || !ok || where.Path == "" {
				t.Fatalf("Commit() = %v; want %v, and the path", err, tt.want)
			}
			if _, unfinished := errors.AsType[*UnfinishedError](err); unfinished {
				t.Errorf("Commit() = %v; want it undone", err)
			}
			if d := differ(withoutFiller(manifest(t, m.dir)), s.a); d != "" {
				t.Errorf("Commit() = %v, and the root is changed:\n%s", err, d)
			}
			allow()
			commit(t, m.dir, contextTwo, 0, second)
			if !s.verify(t, m.dir, "with room again") {
				t.Error("with room again the change is not made")
			}
		})
	}
}

// fillUp leaves so much room on a file system for root.
func fillUp(t *testing.T, name string, room int64) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	for block := make([]byte, 64<<10); err == nil; {
		if _, err = f.Write(block); err == nil {
			err = f.Sync() // else ext4 keeps room for what it has not placed yet
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	info, err := f.Stat()
	must(t, err, f.Truncate(info.Size()-room), f.Sync())
}

func withoutFiller(m map[string]string) map[string]string {
	delete(m, "/lost+found")
	return m
}

// TestDiskBreaks lets the disk fail every write from a moment on, as a cable does:
// ext4 then refuses, or turns itself read-only. Once the disk works again the root
// is what Commit said, or one of the two states if it could not say.
func TestDiskBreaks(t *testing.T) {
	m, s := newMachine(t, []string{"ext4"})
	copyImage(t, m.images[0], m.images[0]+".base")
	counts := map[string]int{}
	for at := 1; ; at += 5 {
		image := fmt.Sprintf("%s.break%d", m.images[0], at)
		copyImage(t, m.images[0]+".base", image)
		end := breakDisk(t, m, s, image, at)
		must(t, os.Remove(image))
		if counts[end]++; end == "no error" {
			break
		}
	}
	t.Logf("the disk broke at another moment each time: %v", counts)
	if counts["undone"]+counts["unfinished"] == 0 {
		t.Error("no Commit failed: nothing is tested")
	}
}

func breakDisk(t *testing.T, m *machine, s *twoStates, image string, at int) (end string) {
	t.Helper()
	t.Run(fmt.Sprint("write ", at), func(t *testing.T) {
		r := &recorder{}
		served := r.serve(t, 0, image)
		unmount := m.mount(t, []string{served})
		j, err := openTest(t, m.dir, nil)
		must(t, err)
		r.mu.Lock()
		r.brokenAt = len(r.log) + at
		r.mu.Unlock()
		err = j.Commit(j.Plan(goal(t, j, contextTwo, 0, second)))
		_, unfinished := errors.AsType[*UnfinishedError](err)
		_, leftover := errors.AsType[*LeftoverError](err)
		shut(t, j)
		unmount()
		r.breakAt(0)
		defer m.mount(t, []string{served})()
		reopen(t, m.dir)
		isB := s.verify(t, m.dir, fmt.Sprintf("the disk broke at write %d: %v", at, err))
		switch {
		case err == nil:
			end = "no error"
		case unfinished:
			end = "unfinished"
		case leftover:
			end = "not tidied up"
		default:
			end = "undone"
		}
		if (err == nil || leftover) && !isB || end == "undone" && isB {
			t.Errorf("Commit() = %v, and the state after is in place: %v", err, isB)
		}
	})
	return end
}

// TestRemountedReadOnly turns the file system read-only before each rename of the
// transaction, for good: it cannot be undone then, and says so; with the disk
// writable again the next process finishes it.
func TestRemountedReadOnly(t *testing.T) {
	m, s := newMachine(t, []string{"ext4"})
	copyImage(t, m.images[0], m.images[0]+".base")
	counts := map[bool]int{}
	for at := 0; ; at++ {
		copyImage(t, m.images[0]+".base", m.images[0])
		unmount := m.mount(t, m.images)
		n, remounted := 0, false
		j, err := openTest(t, m.dir, func(op, p string) error {
			if op == "rename" {
				n++
			}
			if n <= at || remounted {
				return nil
			}
			remounted = true
			return unix.Mount("", m.dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		})
		must(t, err)
		err = j.Commit(j.Plan(goal(t, j, contextTwo, 0, second)))
		shut(t, j)
		if !remounted {
			unmount()
			break
		}
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("rename %d: Commit() = %v; want EROFS", at, err)
		}
		must(t, unix.Mount("", m.dir, "", unix.MS_REMOUNT, ""))
		reopen(t, m.dir)
		counts[s.verify(t, m.dir, fmt.Sprintf("read-only from rename %d on: %v", at, err))]++
		unmount()
	}
	t.Logf("read-only before each rename: %d times the state before, %d times the state after", counts[false], counts[true])
	if counts[false] == 0 || counts[true] == 0 {
		t.Error("only one of the two states was seen: nothing is tested")
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
