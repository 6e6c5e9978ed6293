// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/internal/starter"
)

// TestInitPassesCheck: each choice of parts, untouched, is what a guest with the
// default policy applies, and lint has nothing to warn of.
func TestInitPassesCheck(t *testing.T) {
	root := busyboxRoot(t)
	for _, applet := range []string{"id", "nproc", "awk", "cp", "chmod", "chown"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	values := []string{"--loghost", "192.0.2.10", "--site", "EXAMPLE", "--manager", "batch.example.org", "--cluster", "example"}
	for _, syslog := range []string{"rsyslog", "none"} {
		for _, monitoring := range []string{"node_exporter", "none"} {
			for _, batch := range append(starter.Parts["batch"], "none") {
				if syslog == "none" && monitoring == "none" && batch == "none" {
					continue
				}
				dir := filepath.Join(t.TempDir(), "disc")
				r := ctxagent(t, append([]string{"init", dir, "--syslog", syslog, "--monitoring", monitoring, "--batch", batch}, values...)...)
				if r.status != 0 {
					t.Fatalf("init: exit status %d: %s", r.status, r.stderr)
				}
				c := ctxagent(t, "check", "--root", root, dir)
				if c.status != 0 || strings.Contains(c.stdout, "warning:") || strings.Contains(c.stdout, "error:") || !strings.Contains(c.stdout, "would be applied") {
					t.Errorf("%s, %s, %s: exit status %d:\n%s%s", syslog, monitoring, batch, c.status, c.stdout, c.stderr)
				}
				if p := ctxagent(t, "pack", dir, "-o", dir+".iso"); p.status != 0 {
					t.Errorf("pack: exit status %d: %s", p.status, p.stderr)
				}
			}
		}
	}
}

func TestInitAsks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disc")
	r := ctxagent(t, "init", dir, "--syslog", "rsyslog")
	if r.status != 2 || !strings.Contains(r.stderr, "--loghost is missing") {
		t.Errorf("without a terminal: exit status %d: %s; want 2 and the flag", r.status, r.stderr)
	}
	// On a terminal of script(1): a wrong answer is asked again, none is the preset.
	cmd := exec.Command("script", "-qec", binary+" init "+dir, "/dev/null")
	cmd.Stdin = strings.NewReader("\nnone\nslurm\na b\nlog.example.org\n\nctl.example.org\nexample\n")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "a host name or an address") {
		t.Fatalf("%v:\n%s", err, out)
	}
	b, err := os.ReadFile(dir + "/context.sh")
	for _, want := range []string{"SITE_LOGHOST=log.example.org\n", "SITE_LOGPORT=514\n", "SITE_MANAGER=ctl.example.org\n", "SITE_CLUSTER=example\n"} {
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("no %q in %s, %v", want, b, err)
		}
	}
	if r := ctxagent(t, "init", dir, "--syslog", "rsyslog", "--loghost", "x"); r.status != 2 || !strings.Contains(r.stderr, "not empty") {
		t.Errorf("into a directory with files: exit status %d: %s", r.status, r.stderr)
	}
}
