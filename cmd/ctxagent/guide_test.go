// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSiteGuideCanBePasted runs each ```sh block of the guide in one directory, in
// order, as a reader would. What is for other machines stands in blocks without a
// language.
func TestSiteGuideCanBePasted(t *testing.T) {
	needRoot(t)
	guide, err := os.ReadFile("../../docs/site-guide.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	if len(blocks) < 6 {
		t.Fatalf("%d blocks", len(blocks))
	}
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "ctxagent")); err != nil {
		t.Fatal(err)
	}
	// Whoever runs the tests is root already. The machine at hand may hold other
	// files and daemons than a guest, so that the rehearsal asks a small root.
	root := busyboxRoot(t)
	for _, applet := range []string{"id", "nproc", "awk", "cp", "chmod", "chown"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	sudo := "#!/bin/sh\ncase $2 in check) shift 2; exec ctxagent check --root " + root + " \"$@\" ;; esac\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "sudo"), []byte(sudo), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		cmd := exec.Command("bash", "-euc", b[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		t.Logf("%s%s", b[1], out)
		if err != nil || strings.Contains(string(out), "warning:") {
			t.Errorf("%v", err)
		}
	}
	r := ctxagent(t, "run", "prolog", "--root", root, "--media", filepath.Join(dir, "context.iso"))
	if r.status != 0 || receiptFields(t, root, "prolog")["outcome"] != "applied" {
		t.Errorf("a guest with that disc: exit status %d: %s", r.status, r.stderr)
	}
}
