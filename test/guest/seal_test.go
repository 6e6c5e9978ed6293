// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mounted runs a shell on the files of a disk, which is mounted where it begins. The
// mount is in a namespace of its own: nothing stays, whatever happens.
func mounted(t *testing.T, disk, script string, env ...string) (string, int) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("unshare", "-m", "sh", "-ec", `mount -o loop "$1" "$2" && cd "$2" && eval "$3"`, "sh", disk, dir, script)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// sealedDisk is a disk of the image with the product, and slurmd not enabled, as
// its builder has sealed it. Disabling slurmd by systemctl would disable rsyslog, too,
// which the image has enabled (systemd.unit(5), Also=). What the harness lays over it at boot may change.
func sealedDisk(t *testing.T, image Image, agent string) (disk string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("mounting the image needs root")
		}
		t.Skip("SKIPPED: mounting the image needs root")
	}
	policy, err := os.ReadFile("../../dist/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// A guest on a busy machine probes its devices for longer than the default waits.
	text := strings.Replace(string(policy), "wait: 10s", "wait: 1m", 1) + "  - /usr/lib/ctxtest/**\n  - /etc/systemd/system/ctxtest-report.service\n" +
		"  - /etc/systemd/system/multi-user.target.wants/ctxtest-report.service\n  - /etc/systemd/network/80-dhcp.network\n"
	archive, err := payloadTar(append(Product(agent, "../../dist"), File{Path: "/etc/ctxagent/policy.yaml", Content: text}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk = filepath.Join(dir, "root.ext4")
	product := filepath.Join(dir, "product.tar")
	if err := os.WriteFile(product, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "--sparse=always", image.Root, disk).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	out, status := mounted(t, disk, `tar -xf "$PRODUCT"; rm etc/systemd/system/multi-user.target.wants/slurmd.service
sed -i 's/^WantedBy=.*/&\nAlso=rsyslog.service/' lib/systemd/system/slurmd.service
grep -q ^Also= lib/systemd/system/slurmd.service
"$AGENT" seal --root .`, "PRODUCT="+product, "AGENT="+agent)
	if status != 0 {
		t.Fatalf("seal: exit status %d: %s", status, out)
	}
	t.Logf("sealed: %s", out)
	return disk
}

// verified is what `ctxagent verify --json` prints.
type verified struct {
	Differences []struct{ Path, Op, Explained, By string }
	Counts      map[string]int
}

func parseVerified(t *testing.T, text string) (v verified, unexplained []string) {
	t.Helper()
	text = text[:strings.LastIndex(text, "}")+1] // what is said on stderr comes behind
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("verify --json: %v: %s", err, text)
	}
	for _, d := range v.Differences {
		if d.Explained == "no" {
			unexplained = append(unexplained, d.Path)
		}
	}
	t.Logf("verify: %v", v.Counts)
	return v, unexplained
}

// sealReport looks at the running root, does what no context does, and puts the
// image's own back.
const sealReport = `
file verify ctxagent verify --json
echo x >/usr/local/bin/stray
file revert ctxagent revert
file reverted systemctl is-enabled slurmd
sync
`

const slurmdLink = "/etc/systemd/system/multi-user.target.wants/slurmd.service"

// checkSealed holds what the guest said against the manifest of its image, and
// the disk that it left.
func checkSealed(t *testing.T, r *Result, disk, agent string) {
	t.Helper()
	v, unexplained := parseVerified(t, string(r.Files["verify"]))
	if r.Exits["verify"] != 0 || len(unexplained) > 0 {
		t.Errorf("verify in the guest: exit status %d, unexplained %q; want everything explained", r.Exits["verify"], unexplained)
	}
	for _, p := range []string{"/etc/rsyslog.d/50-site.conf", "/etc/munge/munge.key", slurmdLink} {
		if !slices.ContainsFunc(v.Differences, func(d struct{ Path, Op, Explained, By string }) bool {
			return d.Path == p && d.Explained == "context"
		}) {
			t.Errorf("verify does not explain %s by the context", p)
		}
	}
	if r.Exits["revert"] != 0 || !strings.Contains(string(r.Files["revert"]), "disable slurmd.service: disabled") {
		t.Errorf("revert: exit status %d: %s; want slurmd disabled again", r.Exits["revert"], r.Files["revert"])
	}
	if got := strings.TrimSpace(string(r.Files["reverted"])); got != "disabled" {
		t.Errorf("slurmd is %q after the revert; want disabled, as before", got)
	}
	out, status := mounted(t, disk, `"$AGENT" verify --json --root .`, "AGENT="+agent)
	v, unexplained = parseVerified(t, out)
	if status != 1 || !slices.Equal(unexplained, []string{"/usr/local/bin/stray"}) || v.Counts["context"] > 0 {
		t.Errorf("the disk after the revert: exit status %d, unexplained %q, %v; want 1, the stray file alone, and nothing of a context", status, unexplained, v.Counts)
	}
	if out, status := mounted(t, disk, `rm usr/local/bin/stray; "$AGENT" verify --root .`, "AGENT="+agent); status != 0 {
		t.Errorf("the disk without the stray file: exit status %d: %s; want what was sealed", status, out)
	}
}
