// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// qemuLine is the guide's command; what stands for a machine of the reader's own
// comes before the options that attach the disc.
var qemuLine = regexp.MustCompile(`(?m)^qemu-system-x86_64 … (.*)$`)

// TestSiteGuideBoots pastes the guide's commands, asking the guest's own disk image
// what it will say, and boots the guest with the options by which the guide attaches
// the disc: init, check, pack, boot.
func TestSiteGuideBoots(t *testing.T) {
	image, agent := needGuest(t), buildAgent(t)
	guide, err := os.ReadFile("../../docs/site-guide.md")
	if err != nil {
		t.Fatal(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(agent, filepath.Join(bin, "ctxagent")); err != nil {
		t.Fatal(err)
	}
	sudo := "#!/bin/sh\ncase $2 in check) shift 2; exec ctxagent check --root " + image.Root + " \"$@\" ;; esac\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "sudo"), []byte(sudo), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, b := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1) {
		cmd := exec.Command("bash", "-euc", b[1])
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", b[1], err, out)
		}
	}
	m := qemuLine.FindSubmatch(guide)
	if m == nil {
		t.Fatal("the guide has no QEMU command")
	}
	options := strings.Fields(strings.Replace(string(m[1]), "file=context.iso", "file="+filepath.Join(dir, "context.iso"), 1))
	if !slices.Contains(options, "-device") {
		t.Fatalf("the guide's options are %q", options)
	}
	r := boot(t, Config{Image: image, Devices: options, Payload: []File{Route("10.0.2.2")}, Report: `
for i in 1 2 3 4 5 6 7 8 9 10; do systemctl is-active --quiet slurmd && break; sleep 0.5; done
file active systemctl is-active rsyslog prometheus-node-exporter munge slurmd
` + DefaultReport})
	reached(t, r)
	if active := string(r.Files["active"]); active != "active\nactive\nactive\nactive\n" {
		t.Errorf("rsyslog, node_exporter, munge and slurmd are %q; want each active", active)
	}
	for _, stage := range []string{"prolog", "epilog"} {
		if got := receiptOf(t, r, stage); got.Outcome != "applied" || got.Disc.Device != "/dev/sr0" {
			t.Errorf("%s: %s from %s: %s; want applied from /dev/sr0", stage, got.Outcome, got.Disc.Device, got.Error)
		}
	}
}
