// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/stages"
)

// BenchmarkNetworkToEpilog measures from the last step of a configuration, the
// default route, to the start of what waits for it: the agent's epilog.sh, and
// what images do without it. Each iteration is one run of each; the poll, whose
// answer is known, has 50 at most.
func BenchmarkNetworkToEpilog(b *testing.B) {
	w := newWire(b)
	root := busyboxRoot(b)
	iso := disc(b, map[string]string{"epilog.sh": "#!/bin/sh\n:\n"})
	w.in(b, w.guest, func() error { return setUp("ens3", "192.0.2.7/24") })
	managed := newManaged(b)
	var all latencies
	for b.Loop() {
		w.agentLatency(b, root, iso, &all)
		all.add("ip-monitor", w.shellLatency(b, `ip monitor route | { grep -q -m 1 '^default'; echo up; }`, 0))
		all.add("wait-online", managed.latency(b))
		if len(all.us["poll-1s"]) < 50 {
			all.add("poll-1s", w.shellLatency(b, `until ip route show default | grep -q .; do sleep 1; done; echo up`, time.Duration(time.Now().UnixNano()%1000)*time.Millisecond))
		}
	}
	all.report(b)
	b.ReportMetric(0, "ns/op") // a round is mostly waiting
}

// latencies are microseconds, by what was measured.
type latencies struct{ us map[string][]int64 }

func (l *latencies) add(what string, us int64) {
	if l.us == nil {
		l.us = map[string][]int64{}
	}
	l.us[what] = append(l.us[what], us)
}

func (l *latencies) report(b *testing.B) {
	for what, us := range l.us {
		slices.Sort(us)
		b.ReportMetric(float64(us[len(us)/2])/1000, what+"-median-ms")
		b.ReportMetric(float64(us[len(us)*99/100])/1000, what+"-p99-ms")
	}
}

// agentLatency is by the agent's own clock: the whole, and its parts.
func (w *wire) agentLatency(b *testing.B, root, iso string, l *latencies) {
	agent, out := w.start(b, "run", "epilog", "--root", root, "--media", iso)
	for range 500 {
		if _, err := os.Stat(filepath.Join(root, waitFile)); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(400 * time.Millisecond) // until the confinement stands, on a busy machine, too
	began := w.up(b)
	if err := agent.Wait(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	w.in(b, w.guest, unroute)
	text, err := os.ReadFile(filepath.Join(root, "run/ctxagent/epilog.json"))
	if err != nil {
		b.Fatal(err)
	}
	var r struct {
		Clock struct {
			Released int64 `json:"released_monotonic_us"`
			Script   int64 `json:"script_monotonic_us"`
		}
		Network struct {
			Event   int64 `json:"event_monotonic_us"`
			Decided int64 `json:"decided_monotonic_us"`
		}
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Clock.Script < began {
		b.Fatalf("the script started at %d, the route came at %d: %v", r.Clock.Script, began, err)
	}
	l.add("agent", r.Clock.Script-began)
	l.add("agent/1-event", r.Network.Event-began)
	l.add("agent/2-decided", r.Network.Decided-r.Network.Event)
	l.add("agent/3-released", r.Clock.Released-r.Network.Decided)
	l.add("agent/4-started", r.Clock.Script-r.Clock.Released)
}

// shellLatency is until a line of a shell's arrives here. The route comes when the
// shell waits, and a moment later.
func (w *wire) shellLatency(b *testing.B, text string, moment time.Duration) int64 {
	cmd := exec.Command("sh", "-c", text)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.in(b, w.guest, cmd.Start)
	time.Sleep(150*time.Millisecond + moment)
	began := w.up(b)
	line, err := bufio.NewReader(out).ReadString('\n')
	ended := stages.Monotonic()
	if err != nil || strings.TrimSpace(line) != "up" {
		b.Fatalf("%q: %q, %v", text, line, err)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group: `ip monitor` goes on otherwise
	_ = cmd.Wait()
	w.in(b, w.guest, unroute)
	return ended - began
}

// up adds the default route and returns when the kernel was asked for it.
func (w *wire) up(b *testing.B) (began int64) {
	w.in(b, w.guest, func() error {
		l, err := netlink.LinkByName("ens3")
		if err != nil {
			return err
		}
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		began = stages.Monotonic()
		return h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 1)})
	})
	return began
}

func unroute() error {
	l, err := netlink.LinkByName("ens3")
	if err != nil {
		return err
	}
	routes, err := netlink.RouteList(l, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Gw != nil {
			return netlink.RouteDel(&r)
		}
	}
	return fmt.Errorf("there is no default route among %d", len(routes))
}

// managed is a guest's namespace whose network manager is systemd-networkd, so
// that its systemd-networkd-wait-online can be measured: that knows a network by
// the daemon's files alone. The mounts are those that it needs apart from the
// machine's: /run, and a read-only /sys, which says that there is no udev.
type managed struct {
	*wire
	networkd *exec.Cmd
	routes   chan netlink.RouteUpdate
}

const startNetworkd = `set -e
mount --make-rprivate /
mount -t tmpfs run /run
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /run/systemd/network
chown -R systemd-network:systemd-network /run/systemd/netif
printf '[Match]\nName=ens3\n[Network]\nAddress=192.0.2.7/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n[Route]\nGateway=192.0.2.1\n' >/run/systemd/network/ens3.network
mount -t sysfs -o ro sys /sys
exec /lib/systemd/systemd-networkd`

func newManaged(b *testing.B) *managed {
	b.Helper()
	m := &managed{wire: newWire(b), routes: make(chan netlink.RouteUpdate, 100)}
	done := make(chan struct{})
	b.Cleanup(func() { close(done) })
	m.in(b, m.guest, func() error { return netlink.RouteSubscribe(m.routes, done) })
	m.networkd = exec.Command("unshare", "--mount", "sh", "-c", startNetworkd)
	m.in(b, m.guest, m.networkd.Start)
	b.Cleanup(func() { _ = m.networkd.Process.Kill(); _ = m.networkd.Wait() })
	return m
}

// latency is from the default route, as the kernel tells of it, to a line of a
// shell's after the tool has ended.
func (m *managed) latency(b *testing.B) int64 {
	site := func(set func(netlink.Link) error) {
		m.in(b, m.site, func() error {
			l, err := netlink.LinkByName("site0")
			if err != nil {
				return err
			}
			return set(l)
		})
	}
	site(netlink.LinkSetDown)
	m.offline(b)
	cmd := exec.Command("nsenter", "--mount", "--target", fmt.Sprint(m.networkd.Process.Pid),
		"sh", "-c", "/lib/systemd/systemd-networkd-wait-online --interface=ens3 && echo up")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	m.in(b, m.guest, cmd.Start)
	time.Sleep(200 * time.Millisecond)
	for len(m.routes) > 0 {
		<-m.routes
	}
	site(netlink.LinkSetUp)
	var began int64
	for r := range m.routes {
		if r.Type == unix.RTM_NEWROUTE && r.Gw != nil {
			began = stages.Monotonic()
			break
		}
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	ended := stages.Monotonic()
	if err != nil || strings.TrimSpace(line) != "up" {
		b.Fatalf("systemd-networkd-wait-online: %q, %v", line, err)
	}
	_ = cmd.Wait()
	return ended - began
}

// offline waits until the daemon has noted that there is no carrier.
func (m *managed) offline(b *testing.B) {
	for range 1000 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/run/systemd/netif/state", m.networkd.Process.Pid))
		if err == nil && strings.Contains(string(text), "OPER_STATE=no-carrier") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatal("systemd-networkd does not see that the cable is out")
}
