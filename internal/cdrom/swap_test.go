// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loop is a block device whose medium is the file iso.
func loop(t *testing.T, iso string) *os.File {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("not root")
		}
		t.Skip("SKIPPED: only root can make a loop device")
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--read-only", "--find", "--show", iso).CombinedOutput()
	if err != nil {
		t.Fatalf("losetup: %v: %s", err, out)
	}
	name := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", name).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	dev, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// change puts another medium into a loop device.
func change(t *testing.T, dev *os.File, iso string) {
	t.Helper()
	other, err := os.Open(iso)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	// LOOP_CHANGE_FD (include/uapi/linux/loop.h)
	if err := unix.IoctlSetInt(int(dev.Fd()), 0x4c06, int(other.Fd())); err != nil {
		t.Fatalf("change the medium: %v", err)
	}
}

// A disc that is changed after its root directory was read, and before its files
// are, leads to another look: nothing is made of both. One that is changed without
// end is no disc to use.
func TestSwappedDisc(t *testing.T) {
	var isos []string
	for _, word := range []string{"one", "two"} {
		isos = append(isos, iso(t, "CONTEXT", map[string]string{"manifest": "m\n", "manifest.sig": "s\n", "prolog.sh": "#!/bin/sh\necho " + word + "\n"}))
	}
	for _, tt := range []struct {
		changes int
		want    string
	}{{0, "one"}, {1, "two"}, {maxSwaps, "two"}, {maxSwaps + 1, ""}} {
		m := newMachine(t)
		dev := loop(t, isos[0])
		m.disk("sr0", "0", dev.Name())
		f := m.finder()
		f.AllowUnsigned = true
		looks := 0
		f.Verify = func(_, _ []byte) (string, error) { // called in the middle of the reading
			if looks++; looks <= tt.changes {
				change(t, dev, isos[looks%2])
			}
			return "", errors.New("unsigned")
		}
		dir := t.TempDir()
		into, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer into.Close()
		d, err := f.Find(t.Context(), into)
		if tt.want == "" {
			if _, ok := errors.AsType[*UnusableError](err); !ok || !errors.Is(err, errSwapped) {
				t.Errorf("%d changes: Find = %+v, %v; want %v", tt.changes, d, err, errSwapped)
			}
			continue
		}
		text, _ := os.ReadFile(filepath.Join(dir, "prolog.sh"))
		if err != nil || looks != tt.changes+1 || !strings.Contains(string(text), tt.want) {
			t.Errorf("%d changes: Find = %+v, %v after %d looks, with %q; want the disc that says %q", tt.changes, d, err, looks, text, tt.want)
		}
	}
}

// Who changes a disc may take it out first: the next one is waited for, announced or
// not, until the wait is over. Without one the first is no disc to use.
func TestSwappedDiscLeavesAGap(t *testing.T) {
	first := iso(t, "ONE", map[string]string{"manifest": "m\n", "manifest.sig": "s\n", "prolog.sh": "#!/bin/sh\n"})
	for _, next := range []string{iso(t, "TWO", script), ""} {
		m := newMachine(t)
		dev := loop(t, first)
		m.disk("sr0", "0", dev.Name())
		f := m.finder()
		f.AllowUnsigned, f.Wait = true, 2*time.Second
		looks := 0
		f.Verify = func(_, _ []byte) (string, error) { // called in the middle of the reading
			if looks++; looks == 1 {
				change(t, dev, first) // the same bytes: only the count of media tells
				if err := errors.Join(os.Remove(filepath.Join(m.dir, "dev/sr0")), os.RemoveAll(filepath.Join(m.dir, "sys/class/block/sr0"))); err != nil {
					t.Fatal(err)
				}
				if next != "" {
					time.AfterFunc(50*time.Millisecond, func() {
						m.disk("sr0", "0", next)
						m.hint <- time.Now()
					})
				}
			}
			return "", errors.New("unsigned")
		}
		d, err := m.find(f)
		if next != "" && (err != nil || d.Label != "TWO") {
			t.Errorf("Find = %+v, %v; want the disc that came", d, err)
		}
		if next == "" && !errors.Is(err, errSwapped) {
			t.Errorf("Find = %+v, %v; want %v", d, err, errSwapped)
		}
	}
}
