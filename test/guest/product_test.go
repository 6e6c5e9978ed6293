// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildAgent builds the real binary, once for all tests.
func buildAgent(t testing.TB) string {
	t.Helper()
	binary, err := builtAgent()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// builtAgent is a second's work, which dozens of guests would repeat. TestMain takes
// its directory away.
var builtAgent = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ctxtest-agent-")
	if err != nil {
		return "", err
	}
	agentDir = dir
	binary := filepath.Join(dir, "ctxagent")
	cmd := exec.Command("make", "-s", "-C", "../..", "binary", "OUT="+binary)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the agent: %w: %s", err, out)
	}
	return binary, nil
})

var agentDir string

func TestMain(m *testing.M) {
	status := m.Run()
	if agentDir != "" {
		if err := os.RemoveAll(agentDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(status)
}

// receipt is what the tests read of a receipt; the field names are the contract.
type receipt struct {
	Outcome  string   `json:"outcome"`
	ExitCode int      `json:"exit_code"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
	Changes  []change `json:"changes"`
	Refusals []struct{ Path, Unit, Rule string }
	Units    []struct{ Unit, Action, Result string }
	Disc     struct{ Device, Label, Digest string }
	Network  struct {
		Interface, Address, Gateway string
		Events                      int
	}
	Script struct {
		ExitStatus *int   `json:"exit_status"`
		OutputTail string `json:"output_tail"`
	}
	Durations map[string]int64 `json:"durations_ms"`
	Clock     struct {
		Started  int64 `json:"started_monotonic_us"`
		Disc     int64 `json:"disc_monotonic_us"`
		Released int64 `json:"released_monotonic_us"`
		Script   int64 `json:"script_monotonic_us"`
		Ended    int64 `json:"ended_monotonic_us"`
	}
}

type change struct{ Path, Op, Class string }

func receiptOf(t *testing.T, r *Result, stage string) receipt {
	t.Helper()
	b, ok := r.Files["/run/ctxagent/"+stage+".json"]
	if !ok {
		t.Fatalf("the guest has no receipt of the %s; console:\n%s", stage, r.Console())
	}
	var got receipt
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("receipt of the %s: %v\n%s", stage, err, b)
	}
	t.Logf("receipt of the %s: %s, exit status %d, %d ms: %s", stage, got.Outcome, got.ExitCode, got.Durations["total"], got.Error)
	return got
}

// boot boots a guest with the product and a disc, and shows its console if the
// test fails.
func boot(t *testing.T, c Config) *Result {
	t.Helper()
	if c.Image == (Image{}) {
		c.Image = needGuest(t)
	}
	c.Payload = append(Product(buildAgent(t), "../../dist"), c.Payload...)
	if c.Network == nil {
		c.Network = &Network{}
	}
	r, err := Boot(t.Context(), c)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console:\n%s", r.Console())
			t.Logf("journal:\n%s", r.Files["journal"])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("booted and powered off in %.1f s", r.Took.Seconds())
	return r
}

// reached fails the test unless the boot came to multi-user.target.
func reached(t *testing.T, r *Result) {
	t.Helper()
	if state := r.Properties("multi-user.target")["ActiveState"]; state != "active" {
		t.Errorf("multi-user.target is %q; want active: the boot has to go on", state)
	}
}

// exampleDisc is the disc of examples/, with a munge key.
func exampleDisc(t *testing.T, key []byte) map[string]string {
	t.Helper()
	files := map[string]string{"munge.key": string(key)}
	for _, name := range []string{"prolog.sh", "epilog.sh", "context.sh"} {
		b, err := os.ReadFile(filepath.Join("../../examples", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

const exampleReport = `
logger -t ctxtest 'a line for the log host'
for i in 1 2 3 4 5 6 7 8 9 10; do systemctl is-active --quiet slurmd && break; sleep 0.5; done
file slurmd systemctl show slurmd munge rsyslog prometheus-node-exporter -p Id,ActiveState,SubState,NRestarts
file munge sh -c 'munge -n | unmunge'
file key sha256sum /etc/munge/munge.key
file owner stat -c '%U %a' /etc/munge/munge.key
file status ctxagent status
file enabled systemctl is-enabled slurmd
file journal.json journalctl -b -o json --no-pager -u systemd-networkd.service
# The test holds this connection open until it has the log line and the metrics.
file scraped timeout 30 busybox nc 192.0.2.101 80
`

func TestExamplesContextualiseAGuest(t *testing.T) {
	key := bytes.Repeat([]byte("ctxagent test key, not a secret "), 32)
	syslog := listen(t)
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	scraped := make(chan string, 1)
	wanted := hold(t, func(ctx context.Context) error {
		body, err := poll(ctx, fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
		if err == nil {
			scraped <- body
		}
		return errors.Join(err, syslog.wait(ctx, "a line for the log host"))
	})
	image, agent := needGuest(t), buildAgent(t)
	disk := sealedDisk(t, image, agent)
	r := boot(t, Config{
		Image: image, Root: disk, Timeout: 5 * time.Minute,
		CDs:     []string{writeDisc(t, exampleDisc(t, key))},
		Payload: []File{Route("192.0.2.2")},
		// The examples' own network, so that they are used as they are.
		Network: &Network{
			Net:      "192.0.2.0/24",
			Services: []Service{{Guest: "192.0.2.10:514", Host: syslog.addr}, {Guest: "192.0.2.101:80", Host: wanted}},
			Forwards: []Forward{{Host: port, Guest: 9105}},
		},
		Report: exampleReport + DefaultReport + sealReport,
	})
	reached(t, r)
	checkSealed(t, r, disk, agent)
	prolog, epilog := receiptOf(t, r, "prolog"), receiptOf(t, r, "epilog")
	for stage, got := range map[string]receipt{"prolog": prolog, "epilog": epilog} {
		if got.Outcome != "applied" || got.ExitCode != 0 || got.Disc.Label != "CONTEXT" || got.Disc.Device != "/dev/sr0" {
			t.Errorf("%s: %+v; want applied from /dev/sr0", stage, got)
		}
	}
	checkOrder(t, r, prolog, epilog)

	if !strings.Contains(syslog.text(), "a line for the log host") {
		t.Errorf("the log host got:\n%s\nwant the guest's line", syslog.text())
	}
	select {
	case body := <-scraped:
		if !strings.Contains(body, `site_info{site="EXAMPLE-SITE"} 1`) {
			t.Errorf("the exporter does not show the site's name:\n%.500s", body)
		}
	default:
		t.Error("the exporter never answered on the site's port")
	}
	sum := sha256.Sum256(key)
	if got := string(r.Files["key"]); !strings.HasPrefix(got, hex.EncodeToString(sum[:])) {
		t.Errorf("munge.key in the guest is %q; want the site's", got)
	}
	if got := string(r.Files["munge"]); !strings.Contains(got, "Success") || r.Exits["munge"] != 0 {
		t.Errorf("munge -n | unmunge: %s", got)
	}
	if got := strings.TrimSpace(string(r.Files["owner"])); got != "munge 400" {
		t.Errorf("munge.key is %q; want owner munge and mode 400", got)
	}
	if got := string(r.Files["slurmd"]); strings.Count(got, "ActiveState=active") != 4 || strings.Count(got, "SubState=running") != 4 {
		t.Errorf("units:\n%s\nwant all four running", got)
	}
	t.Logf("in the guest, ctxagent status says:\n%s", r.Files["status"])
}

// checkOrder proves by the guest's own monotonic clock that the prolog ended
// before the first link was touched, and that the epilog ran on the address that
// DHCP gave.
func checkOrder(t *testing.T, r *Result, prolog, epilog receipt) {
	t.Helper()
	configured := networkdTime(t, r, "ens3: Gained carrier", "ens3: Link UP")
	address := networkdTime(t, r, "DHCPv4 address 192.0.2.15")
	manager, err := strconv.ParseInt(r.Properties("systemd-networkd.service")["ExecMainStartTimestampMonotonic"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("guest clock: prolog ended %d µs, networkd started %d, link configured %d, address %d, epilog.sh started %d",
		prolog.Clock.Ended, manager, configured, address, epilog.Clock.Script)
	if prolog.Clock.Ended == 0 || prolog.Clock.Ended >= configured || prolog.Clock.Ended >= manager {
		t.Error("the prolog had not ended when the network manager started")
	}
	if epilog.Clock.Script <= configured {
		t.Error("the epilog ran before the link was configured")
	}
	if epilog.Network.Address != "192.0.2.15/24" || epilog.Network.Gateway != "192.0.2.2" || epilog.Network.Interface != "ens3" {
		t.Errorf("netwait decided on %+v; want 192.0.2.15/24 by 192.0.2.2 on ens3", epilog.Network)
	}
	if !strings.Contains(epilog.Script.OutputTail, "192.0.2.15") {
		t.Errorf("epilog.sh printed %q; want the address in it", epilog.Script.OutputTail)
	}
}

// networkdTime is the monotonic time of the network manager's first message
// that holds one of texts.
func networkdTime(t *testing.T, r *Result, texts ...string) int64 {
	t.Helper()
	for line := range bytes.Lines(r.Files["journal.json"]) {
		var entry struct {
			Message any    `json:"MESSAGE"`
			Unit    string `json:"_SYSTEMD_UNIT"`
			At      string `json:"__MONOTONIC_TIMESTAMP"`
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("journal: %v: %s", err, line)
		}
		text, _ := entry.Message.(string)
		if entry.Unit == "systemd-networkd.service" && slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(text, s) }) {
			at, err := strconv.ParseInt(entry.At, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
	}
	t.Fatalf("the network manager never said any of %q", texts)
	return 0
}

func TestNoDisc(t *testing.T) {
	for name, tt := range map[string]struct {
		cds  []string
		says string
	}{
		"no drive":       {nil, "no drive or read-only disk"},
		"an empty drive": {[]string{""}, "/dev/sr0: no medium in the drive"},
	} {
		t.Run(name, func(t *testing.T) {
			r := boot(t, Config{CDs: tt.cds})
			reached(t, r)
			for _, stage := range []string{"prolog", "epilog"} {
				got := receiptOf(t, r, stage)
				if got.Outcome != "no-media" || got.ExitCode != 0 || !strings.Contains(got.Error, tt.says) {
					t.Errorf("%s: %+v; want no-media, exit status 0, %q", stage, got, tt.says)
				}
				// Not a deadline that ran out: the wait ended with the reason for it.
				if strings.Contains(got.Error, "still being probed") || got.Durations["media"] >= 10_000 { // media.wait
					t.Errorf("%s waited %d ms for a disc that nobody announced", stage, got.Durations["media"])
				}
			}
			if state := r.Properties("ctxagent-prolog.service")["ActiveState"]; state != "active" {
				t.Errorf("ctxagent-prolog.service is %q; want active", state)
			}
		})
	}
}

const overstep = `#!/bin/sh
echo 'intruder:x:0:0::/root:/bin/sh' >>/etc/passwd
echo 'ssh-ed25519 AAAA intruder@example.org' >/root/.ssh/authorized_keys
printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/intruder.service
echo '*.* @@192.0.2.1:514' >/etc/rsyslog.d/50-site.conf
`

// manifest takes the fingerprint of the whole root file system: every path with
// type, mode, owner, size, times and link target, and every file's SHA-256. Left
// out is the agent's own state alone.
const manifest = `#!/bin/sh
cd /
find . -xdev -path ./var/lib/ctxagent -prune -o -fstype ext4 -printf '%p %y %m %U %G %s %T@ %C@ %l\n' | LC_ALL=C sort >/run/ctxtest-$1.meta
find . -xdev -path ./var/lib/ctxagent -prune -o -fstype ext4 -type f -print0 | LC_ALL=C sort -z | xargs -0 -n 200 -P 2 sha256sum | LC_ALL=C sort -k 2 >/run/ctxtest-$1.sums
`
