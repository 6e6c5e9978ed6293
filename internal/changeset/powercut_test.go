// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestApplySurvivesAPowerCut applies changes on an ext4 of its own and then takes
// the disk as it is, with nothing written back after Apply has returned: what a
// machine finds that lost its power at that moment. A flush left out shows as an
// empty file or as one that is not there.
func TestApplySurvivesAPowerCut(t *testing.T) {
	needRoot(t)
	o, changes := staged(t, everything)
	disk, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-d", o.lower, disk, "32M").CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v: %s", err, out)
	}
	// commit= keeps the journal from being written by itself in the meantime.
	loop(t, disk, dir, "loop,commit=300")
	if err := apply(t, dir, approve(t, changes)); err != nil {
		t.Fatal(err)
	}
	// What the loop device was given is in the file; what is still in the file
	// system's own cache is not.
	cut, after := disk+".cut", t.TempDir()
	if out, err := exec.Command("cp", "--sparse=always", disk, cut).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	loop(t, cut, after, "loop")
	for _, c := range changes {
		p := filepath.Join(after, c.Path)
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			t.Errorf("%s %s: %v", c.Op, c.Path, err)
			continue
		}
		if attrOf(&st) != c.Attr || typeOf(&st) != c.Type {
			t.Errorf("%s %s: %s %+v; want %s %+v", c.Op, c.Path, typeOf(&st), attrOf(&st), c.Type, c.Attr)
		}
		if c.SHA256After == "" {
			continue
		}
		parent, err := os.Open(filepath.Dir(p))
		if err != nil {
			t.Fatal(err)
		}
		sum, _, err := digest(parent, filepath.Base(p), -1)
		if err != nil || sum != c.SHA256After {
			t.Errorf("%s %s: %d bytes, digest %.12s, %v; want %d bytes, %.12s", c.Op, c.Path, st.Size, sum, err, c.Size, c.SHA256After)
		}
		if err := parent.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// loop mounts a file system from a file until the test ends.
func loop(t *testing.T, image, dir, options string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", options, image, dir).CombinedOutput(); err != nil {
		unable(t, "mount %s: %v: %s", options, err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}
