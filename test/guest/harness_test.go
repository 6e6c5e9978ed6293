// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// placeholder is a unit that does early what the agent does: something small, before the
// network is configured.
const placeholder = `[Unit]
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target
After=local-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/placeholder
`

// harnessReport proves each way between the guest and the test.
const harnessReport = `
wait_for() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 50 ] || return 1
		sleep 0.2
	done
} >/dev/null 2>&1
has_disc() { [ "$(cat /sys/class/block/sr0/size)" -gt 0 ]; }
send() { printf 'hello from the guest %s\n' "$1" | busybox nc 10.0.2.100 514; }

wait_for ip route show default
file addresses ip -4 -o address
file first send 1
file second send 2
file elsewhere timeout 5 busybox nc 10.0.2.2 22
wait_for has_disc
file disc head -c 65536 /dev/sr0
file disk head -c 65536 /dev/vda
file disk/ro cat /sys/block/vda/ro
file proof cat /run/proof
file mode stat -c '%a %u %g' /usr/local/bin/placeholder /root /tmp
file link readlink /etc/placeholder-link
# The test holds this connection open until it has what it wants from the guest.
file scraped timeout 30 busybox nc 10.0.2.101 80
`

func TestHarness(t *testing.T) {
	image := needGuest(t)
	iso := writeDisc(t, map[string]string{"prolog.sh": "#!/bin/sh\nexit 0\n"})
	lines := listen(t)
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var metrics string
	var scrape error
	scraped := make(chan struct{})
	go func() {
		defer close(scraped)
		metrics, scrape = poll(ctx, fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	}()
	gate := serve(t, func(net.Conn) { <-scraped })

	script := filepath.Join(t.TempDir(), "placeholder")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho done >/run/proof\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := Boot(t.Context(), Config{
		Image: image,
		Payload: append(Unit("placeholder.service", placeholder, "sysinit.target"),
			File{Path: "/usr/local/bin/placeholder", Mode: 0o750, Source: script},
			File{Path: "/etc/placeholder-link", Target: "/run/proof"}),
		CDs:   []string{iso},
		Disks: []string{iso},
		Network: &Network{
			Services: []Service{
				{Guest: "10.0.2.100:514", Host: lines.addr},
				{Guest: "10.0.2.101:80", Host: gate},
			},
			Forwards: []Forward{{Host: port, Guest: 9100}},
		},
		Report:  harnessReport + DefaultReport,
		Console: follow(t),
	})
	stop()
	if err != nil {
		t.Fatal(err)
	}
	check(t, result, iso)
	if !result.PoweredOff {
		t.Error("PoweredOff = false; want true")
	}
	if got, want := lines.text(), "hello from the guest 1\nhello from the guest 2\n"; got != want {
		t.Errorf("the listener got %q; want %q", got, want)
	}
	if <-scraped; !strings.Contains(metrics, "node_exporter_build_info") {
		t.Errorf("node_exporter through the forward said %.200q, error %v", metrics, scrape)
	}
	reached, _ := result.Find("Reached target multi-user.target")
	t.Logf("multi-user.target after %.1f s, power-off after %.1f s",
		reached.At.Seconds(), result.Took.Seconds())
}

// check compares the blocks of harnessReport.
func check(t *testing.T, result *Result, iso string) {
	t.Helper()
	for name, want := range map[string]string{
		"addresses": "inet 10.0.2.15/24 ",
		"proof":     "done\n",
		"mode":      "750 0 0\n700 0 0\n1777 0 0\n",
		"link":      "/run/proof\n",
		"disk/ro":   "1\n",
		"state":     "running\n",
		"journal":   "placeholder.service",
	} {
		if got := result.Files[name]; !bytes.Contains(got, []byte(want)) {
			t.Errorf("report block %q = %q; want %q in it", name, got, want)
		}
	}
	reached(t, result)
	if result.Exits["elsewhere"] == 0 {
		t.Error("the guest reached a host that it was not given")
	}
	disc, err := os.ReadFile(iso)
	if err != nil {
		t.Fatal(err)
	}
	disc = disc[:min(len(disc), 65536)]
	for _, name := range []string{"disc", "disk"} {
		if !bytes.Equal(result.Files[name], disc) {
			t.Errorf("the start of the %s is not that of the ISO file (%d bytes)", name, len(result.Files[name]))
		}
	}
}

// TestDrives shows what the guest sees of an empty drive beside a full one, and that
// there is no network where none was asked for.
func TestDrives(t *testing.T) {
	image := needGuest(t)
	result, err := Boot(t.Context(), Config{
		Image: image,
		CDs:   []string{"", writeDisc(t, map[string]string{"epilog.sh": "exit 0\n"})},
		Report: `udevadm settle
file read0 head -c 1 /dev/sr0
file read1 head -c 1 /dev/sr1
file links ls /sys/class/net
`,
		Console: follow(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Files["read0"]; !bytes.Contains(got, []byte("No medium found")) {
		t.Errorf("reading the empty drive said %q; want %q", got, "No medium found")
	}
	if result.Exits["read1"] != 0 {
		t.Errorf("reading the full drive said %q", result.Files["read1"])
	}
	if got := string(result.Files["links"]); got != "lo\n" {
		t.Errorf("links = %q; want only lo", got)
	}
}

// TestBadEnds shows what Boot says of guests that do not power off.
func TestBadEnds(t *testing.T) {
	image := needGuest(t)
	for name, test := range map[string]struct {
		config Config
		want   []string
	}{
		"panic":   {Config{KernelArgs: []string{"rdinit=/missing"}}, []string{`"guest-reset"`, "Kernel panic"}},
		"timeout": {Config{Timeout: 4 * time.Second}, []string{"no power-off after 4s", "last console lines"}},
		"no disc": {Config{CDs: []string{"/missing.iso"}}, []string{"/missing.iso", "No such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Image = image
			result, err := Boot(t.Context(), test.config)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Boot = %v; want %q in it", err, want)
				}
			}
			if result.PoweredOff {
				t.Error("PoweredOff = true; want false")
			}
		})
	}
}
