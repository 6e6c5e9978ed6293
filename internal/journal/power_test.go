// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPowerCut takes the power from a machine at every flush of its disks while
// the second context is applied, mounts what the disks then have, and opens the
// journal on it. In the last case /var is a disk of its own.
func TestPowerCut(t *testing.T) {
	if os.Geteuid() != 0 {
		unable(t, "mounting a file system needs root")
	}
	for _, systems := range []string{"ext4", "xfs", "btrfs", "xfs ext4", "ext4 btrfs"} {
		t.Run(systems, func(t *testing.T) { powerCut(t, strings.Fields(systems)) })
	}
}

// machine is a set of disks: the root, and /var if there are two.
type machine struct {
	images []string
	dir    string // where they are mounted
	cuts   int
}

// mount mounts the disks, through paths if given.
func (m *machine) mount(t *testing.T, images []string) (unmount func()) {
	t.Helper()
	u := mountLoop(t, images[0], m.dir)
	if len(images) == 1 {
		return u
	}
	if err := os.MkdirAll(filepath.Join(m.dir, "var"), 0o755); err != nil {
		t.Fatal(err)
	}
	v := mountLoop(t, images[1], filepath.Join(m.dir, "var"))
	return func() { v(); u() }
}

// newMachine has the first context applied, and its disks at rest.
func newMachine(t *testing.T, systems []string) (*machine, *twoStates) {
	t.Helper()
	s := newTwoStates(t)
	work, err := os.MkdirTemp("/dev/shm", "journal-disks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	m := &machine{dir: filepath.Join(work, "root")}
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, kind := range systems {
		image := filepath.Join(work, fmt.Sprint("disk", i))
		mkfs(t, kind, image)
		m.images = append(m.images, image)
	}
	unmount := m.mount(t, m.images)
	if err := os.Chmod(m.dir, 0o700); err != nil { // as the directory of newTwoStates is
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(m.dir, "lost+found")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", s.before+"/.", m.dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	unmount()
	return m, s
}

func powerCut(t *testing.T, systems []string) {
	m, s := newMachine(t, systems)
	for _, image := range m.images {
		copyImage(t, image, image+".base")
	}
	r := &recorder{}
	t.Run("record", func(t *testing.T) {
		var served []string
		for i, image := range m.images {
			served = append(served, r.serve(t, i, image))
		}
		unmount := m.mount(t, served)
		defer unmount()
		commit(t, m.dir, contextTwo, 0, second)
		r.stop() // what comes later is the unmounting
	})
	log := r.committed
	if len(log) == 0 {
		t.Fatal("nothing was recorded")
	}
	cuts, rng := 0, rand.New(rand.NewPCG(1, 2))
	counts := map[bool]int{}
	for i := 0; i <= len(log); i++ {
		if i < len(log) && log[i].data != nil {
			continue
		}
		for _, choice := range []string{"everything that was written", "nothing but what was flushed", "some of what was not flushed"} {
			cuts++
			when := fmt.Sprintf("power cut at event %d of %d, %s", i, len(log), choice)
			isB := m.cut(t, s, log[:i], when, func() bool { return choice == "everything that was written" || choice[0] == 's' && rng.IntN(2) == 0 })
			counts[isB]++
			if i == len(log) && !isB {
				t.Errorf("%s: Commit had returned, and the change is lost", when)
			}
		}
	}
	t.Logf("%s: %d writes and flushes, %d power cuts: %d times the state before, %d times the state after", strings.Join(systems, " and "), len(log), cuts, counts[false], counts[true])
	if counts[false] == 0 || counts[true] == 0 {
		t.Error("only one of the two states was seen: nothing is tested")
	}
}

// cut makes the disks as they are after a log of which what was not flushed is
// there as keep says, and lets the next boot have them.
func (m *machine) cut(t *testing.T, s *twoStates, log []event, when string, keep func() bool) bool {
	t.Helper()
	flushed := make([]int, len(m.images)) // by disk: the events before it are durable
	for i, e := range log {
		if e.data == nil {
			flushed[e.disk] = i
		}
	}
	var disks []string
	for d, image := range m.images {
		// A name of its own: mount(8) takes a loop device that is still being let
		// go of again, with what it has cached.
		m.cuts++
		name := fmt.Sprintf("%s.cut%d", image, m.cuts)
		defer os.Remove(name)
		copyImage(t, image+".base", name)
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range log {
			if e.disk != d || e.data == nil || i > flushed[d] && !keep() {
				continue
			}
			if _, err := f.WriteAt(e.data, e.off); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		disks = append(disks, name)
	}
	unmount := m.mount(t, disks)
	defer unmount()
	reopen(t, m.dir)
	return s.verify(t, m.dir, when)
}

// copyImage copies a disk image with its holes.
func copyImage(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}
