// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// networkPolicy is a policy with these lines in its network section.
func networkPolicy(lines string) File {
	return File{Path: "/etc/ctxagent/policy.yaml", Content: "version: 1\nlimits: {deadline: 1m, bytes: 16MiB, inodes: 1000, changes: 100, processes: 64, memory: 128MiB}\n" +
		"media: {wait: 1m, max_bytes: 1MiB, max_files: 10}\nnetwork:\n  timeout: 2m\n" + lines}
}

// askSite asks the site's host by the relay, as any client of HTTP would, then
// for what must not answer, and then the same host without the relay.
func askSite(urls ...string) string {
	return `#!/bin/bash
echo "<$CTX_INTERFACE $CTX_ADDRESS $CTX_GATEWAY $CTX_DNS>"
p=${http_proxy#http://}
ask() {
	exec 3<>"/dev/tcp/$1/$2" || return
	printf 'GET %s HTTP/1.0\r\n\r\n' "$3" >&3
	echo "$3: $(tail -n 1 <&3)"
}
for url in ` + strings.Join(urls, " ") + ` http://127.0.0.1:9100/metrics; do
	ask "${p%:*}" "${p#*:}" "$url"
done
ask ` + site4 + ` 80 /direct
exit 0
`
}

const (
	ask4    = "http://" + site4 + "/hello"
	ask6    = "http://[" + site6 + "]/hello"
	askName = "http://www.example.org/hello"
)

// networkCase is a way in which a network comes up.
type networkCase struct {
	name    string
	manager manager
	site    []string // what the site tells the guest: options of dnsmasq
	policy  string   // of its network section
	address string   // of which network the epilog's address has to be
	asks    []string // what the site's web server must answer
}

// networkCases has each network manager, and each family of addresses.
var networkCases = []networkCase{
	{"networkd, IPv6 alone by router advertisement", networkd("IPv6AcceptRA=yes\n"), advert, "  family: ipv6\n", site6 + "/64", []string{ask6}},
	{"ifupdown, IPv4 by DHCP", ifupdown("iface ens4 inet dhcp\n"), dhcp4, "", site4 + "/24", []string{ask4, askName}},
	{"NetworkManager, dual stack", networkManager(""), slices.Concat(dhcp4, advert), "  family: both\n", site4 + "/24", []string{ask4, ask6, askName}},
	{"by hand, a static address", byHand(), nil, "", site4 + "/24", []string{ask4}},
}

// moreNetworkCases are the other pairs of a manager and a family.
var moreNetworkCases = []networkCase{
	{"networkd, IPv4 by DHCP", networkd("DHCP=ipv4\nIPv6AcceptRA=no\n"), dhcp4, "", site4 + "/24", []string{ask4}},
	{"networkd, dual stack", networkd("DHCP=ipv4\nIPv6AcceptRA=yes\n"), slices.Concat(dhcp4, advert), "  family: both\n", site4 + "/24", []string{ask4, ask6}},
	{"ifupdown, IPv6 alone by router advertisement", ifupdown("iface ens4 inet6 auto\n"), advert, "  family: ipv6\n", site6 + "/64", []string{ask6}},
	{"ifupdown, dual stack", ifupdown("iface ens4 inet dhcp\niface ens4 inet6 auto\n"), slices.Concat(dhcp4, advert), "  family: both\n", site4 + "/24", []string{ask4, ask6}},
	{"NetworkManager, IPv4 by DHCP", networkManager("[ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n"), dhcp4, "", site4 + "/24", []string{ask4, askName}},
	{"NetworkManager, IPv6 alone by router advertisement", networkManager("[ipv4]\nmethod=disabled\n[ipv6]\nmethod=auto\n"), advert, "", site6 + "/64", []string{ask6}},
}

// TestNetworks boots a guest for each way in which a network comes up, from real
// daemons at the other end of its cable. The epilog must be right in each, the
// prolog over before the network manager starts, and network-online.target never
// reached: what would pull it in is masked, and nothing of ours does. With
// CTXAGENT_SOAK=1 each manager has each family.
func TestNetworks(t *testing.T) {
	cases := networkCases
	if os.Getenv("CTXAGENT_SOAK") != "" {
		cases = append(slices.Clone(cases), moreNetworkCases...)
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.boot(t, Config{})
			tt.check(t, r)
		})
	}
}

// boot boots a guest on a wire of its own.
func (n networkCase) boot(t *testing.T, c Config) *Result {
	t.Helper()
	w := newWire(t)
	if n.site != nil {
		w.dnsmasq(t, n.site...)
	}
	c.Disks = []string{writeDisc(t, map[string]string{"epilog.sh": askSite(n.asks...)})}
	c.Payload = slices.Concat(n.manager.payload, []File{networkPolicy(n.policy)}, c.Payload)
	c.Network = &Network{Tap: w.tap}
	c.ReportWait = 2 * time.Minute
	c.KernelArgs = []string{"systemd.mask=munge.service", "systemd.mask=slurmd.service"} // they want network-online.target
	c.Report = "file show-network systemctl show network-online.target " + n.manager.unit + `
file network ip address
` + DefaultReport
	return boot(t, c)
}

// check is what holds for every network.
func (n networkCase) check(t *testing.T, r *Result) receipt {
	t.Helper()
	reached(t, r)
	epilog := receiptOf(t, r, "epilog")
	if epilog.Outcome != "unchanged" || epilog.Network.Interface != "ens4" || !onSite(epilog.Network.Address, n.address) {
		t.Errorf("epilog %+v; want it on ens4 with an address of %s\n%s", epilog, n.address, r.Files["network"])
	}
	output := epilog.Script.OutputTail
	t.Logf("epilog.sh printed %q", output)
	for _, url := range n.asks {
		if !strings.Contains(output, url+": hello from the site\n") {
			t.Errorf("epilog.sh printed %q; want the site's answer to %s", output, url)
		}
	}
	if strings.Count(output, "hello") != 2*len(n.asks) || strings.Contains(output, "node_") {
		t.Errorf("epilog.sh printed %q; want nothing but the site, and that by the relay alone", output)
	}
	if ended, started := r.stamp(t, "ctxagent-prolog.service", "ExecMainExit"), r.stamp(t, n.manager.unit, "ExecMainStart"); ended == 0 || started < ended {
		t.Errorf("%s started at %v and the prolog ended at %v; want it before", n.manager.unit, started, ended)
	}
	if online := r.Properties("network-online.target"); online["ActiveState"] != "inactive" || r.stamp(t, "network-online.target", "ActiveEnter") != 0 {
		t.Errorf("network-online.target is %s; want it never reached", online["ActiveState"])
	}
	for _, unit := range []string{"ctxagent-prolog.service", "ctxagent-epilog.service", "ctxagent.target"} {
		for _, how := range []string{"Requires", "Wants", "After"} {
			if strings.Contains(r.Properties(unit)[how], "network-online.target") {
				t.Errorf("%s has %s=network-online.target", unit, how)
			}
		}
	}
	return epilog
}

// stamp is one of a unit's times on the guest's monotonic clock, 0 for none.
func (r *Result) stamp(t *testing.T, unit, what string) time.Duration {
	t.Helper()
	us, err := strconv.ParseInt(r.Properties(unit)[what+"TimestampMonotonic"], 10, 64)
	if err != nil {
		t.Errorf("%s has no %s: %v", unit, what, err)
	}
	return time.Duration(us) * time.Microsecond
}

// TestCarrierComesLate pulls the cable out before the guest looks at it, and
// plugs it in 10 s after network managers may start. CTXAGENT_SOAK=1 does it.
func TestCarrierComesLate(t *testing.T) {
	needSoak(t)
	const late = 10 * time.Second
	for _, tt := range networkCases[:3] {
		t.Run(tt.name, func(t *testing.T) {
			plug, done := once("Reached target network-pre.target", late, func(m *Monitor) error { return m.SetLink(true) })
			r := tt.boot(t, Config{Monitor: unplugged(plug)})
			if err := done(); err != nil {
				t.Fatal(err)
			}
			epilog := tt.check(t, r)
			if waited := time.Duration(epilog.Durations["network"]) * time.Millisecond; waited < late/2 {
				t.Errorf("the epilog waited for %v; want most of the %v without carrier", waited, late)
			}
		})
	}
}

// TestLinkFlaps takes the cable out and in 20 times from when the epilog begins to
// wait. The policy wants the network to last for 3 s, so that the epilog has to
// come after the last time. CTXAGENT_SOAK=1 does it.
func TestLinkFlaps(t *testing.T) {
	needSoak(t)
	const half = 600 * time.Millisecond // the kernel tells of a carrier once a second (linkwatch)
	for _, tt := range networkCases[:3] {
		t.Run(tt.name, func(t *testing.T) {
			tt.policy += "  settle: 3s\n"
			var last time.Time
			flap, done := once("Starting ctxagent-epilog", 0, func(m *Monitor) error {
				for range 20 {
					time.Sleep(half)
					if err := m.SetLink(false); err != nil {
						return err
					}
					time.Sleep(half)
					if err := m.SetLink(true); err != nil {
						return err
					}
				}
				last = time.Now()
				return nil
			})
			var decided time.Time
			r := tt.boot(t, Config{Monitor: flap, Console: func(l Line) {
				if strings.Contains(l.Text, "epilog: unchanged") {
					decided = time.Now()
				}
			}})
			if err := done(); err != nil {
				t.Fatal(err)
			}
			epilog := tt.check(t, r)
			if after := decided.Sub(last); decided.IsZero() || after < 3*time.Second {
				t.Errorf("the epilog ended %v after the link came to rest; want its settle of 3 s at least", after)
			}
			if epilog.Network.Events < 40 {
				t.Errorf("%d events; want those of 20 flaps", epilog.Network.Events)
			}
		})
	}
}

// TestCableIsNeverPlugged has no network at all: the epilog is not run, and the
// boot goes on. CTXAGENT_SOAK=1 does it.
func TestCableIsNeverPlugged(t *testing.T) {
	needSoak(t)
	n := networkCase{manager: networkd("DHCP=ipv4\n"), site: dhcp4}
	r := n.boot(t, Config{Monitor: unplugged(func(Line, *Monitor) {}), Payload: []File{impatient(t)}})
	reached(t, r)
	if epilog := receiptOf(t, r, "epilog"); epilog.Outcome != "no-network" || epilog.ExitCode != 5 || !strings.Contains(epilog.Error, "ens4: up, no carrier") {
		t.Errorf("epilog %+v; want no-network, and that there is no carrier", epilog)
	}
}

// unplugged pulls the cable out with the first line of the console, and goes on.
func unplugged(then func(Line, *Monitor)) func(Line, *Monitor) {
	first := true
	return func(l Line, m *Monitor) {
		if first {
			first = false
			_ = m.SetLink(false) // what QEMU refuses shows in Faults
		}
		then(l, m)
	}
}

func needSoak(t *testing.T) {
	t.Helper()
	if os.Getenv("CTXAGENT_SOAK") == "" {
		t.Skip("left out: make soak (CTXAGENT_SOAK=1) does it")
	}
}
