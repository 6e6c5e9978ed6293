// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/dist"
)

// TestCloneIsANewInstance: with stages.run: once-per-context a stage is not run
// again on its machine, and is on one that was made of a copy of the disk: the
// hypervisor gives that another product UUID, where the kernel shows it.
func TestCloneIsANewInstance(t *testing.T) {
	root := busyboxRoot(t)
	const uuid = "sys/devices/virtual/dmi/id/product_uuid"
	write(t, root, map[string]string{
		uuid: "0A1B2C3D-0000-4000-8000-000000000001\n", "sys/class/dmi/.keep": "",
		"etc/ctxagent/policy.yaml": strings.Replace(string(dist.Policy), "run: every-boot", "run: once-per-context", 1),
	})
	if err := os.Symlink("../../devices/virtual/dmi/id", filepath.Join(root, "sys/class/dmi/id")); err != nil {
		t.Fatal(err)
	}
	iso := disc(t, map[string]string{"prolog.sh": goodScript + "echo the script runs\n"})
	run := func(root string) (ran bool) {
		t.Helper()
		r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso)
		if r.status != 0 {
			t.Fatalf("prolog: exit status %d: %s", r.status, r.stderr)
		}
		return strings.Contains(r.stderr, "the script runs")
	}
	if !run(root) {
		t.Fatal("the first boot does not run the script")
	}
	if run(root) {
		t.Error("the second boot runs the script again")
	}
	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := exec.Command("cp", "-a", root, clone).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	// Kernels differ in the case of the letters.
	write(t, clone, map[string]string{uuid: "0a1b2c3d-0000-4000-8000-000000000001\n"})
	if run(clone) {
		t.Error("the same UUID in small letters is taken for another machine")
	}
	write(t, clone, map[string]string{uuid: "0A1B2C3D-0000-4000-8000-000000000002\n"})
	if !run(clone) {
		t.Error("a clone of the disk does not run the script")
	}
	if run(clone) {
		t.Error("the clone's second boot runs the script again")
	}
	write(t, clone, map[string]string{"etc/rsyslog.d/50-site.conf": "mine\n"})
	if err := os.Remove(filepath.Join(clone, uuid)); err != nil {
		t.Fatal(err)
	}
	if !run(clone) {
		t.Error("a machine without a UUID is taken for the one that the disk had before")
	}
}
