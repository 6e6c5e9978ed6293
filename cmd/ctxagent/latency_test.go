// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ctxagent/ctxagent/internal/stages"
)

// BenchmarkNetworkToEpilog measures from the last step of a configuration, the
// default route, to the start of what waits for it: the agent's epilog.sh, and
// what images do without it. Each iteration is one run of each.
func BenchmarkNetworkToEpilog(b *testing.B) {
	w := newWire(b)
	root := busyboxRoot(b)
	iso := disc(b, map[string]string{"epilog.sh": "#!/bin/sh\n:\n"})
	w.in(b, w.guest, func() error { return setUp("ens3", "192.0.2.7/24") })
	var agent, monitor, poll []int64
	for b.Loop() {
		agent = append(agent, w.agentLatency(b, root, iso))
		monitor = append(monitor, w.shellLatency(b, `ip monitor route | { grep -q -m 1 '^default'; echo up; }`))
		if len(poll) < 20 {
			poll = append(poll, w.shellLatency(b, `until ip route show default | grep -q .; do sleep 1; done; echo up`))
		}
	}
	for _, who := range []struct {
		name string
		us   []int64
	}{{"agent", agent}, {"ip-monitor", monitor}, {"poll-1s", poll}} {
		slices.Sort(who.us)
		b.ReportMetric(float64(who.us[len(who.us)/2])/1000, who.name+"-median-ms")
		b.ReportMetric(float64(who.us[len(who.us)*99/100])/1000, who.name+"-p99-ms")
	}
	b.ReportMetric(0, "ns/op") // a round is mostly waiting
}

// agentLatency is by the agent's own clock, in microseconds.
func (w *wire) agentLatency(b *testing.B, root, iso string) int64 {
	agent, out := w.start(b, "run", "epilog", "--root", root, "--media", iso)
	for range 500 {
		if _, err := os.Stat(filepath.Join(root, waitFile)); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // until the confinement stands
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
			Script int64 `json:"script_monotonic_us"`
		}
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Clock.Script < began {
		b.Fatalf("the script started at %d, the route came at %d: %v", r.Clock.Script, began, err)
	}
	return r.Clock.Script - began
}

// shellLatency is until a line of a shell's arrives here.
func (w *wire) shellLatency(b *testing.B, text string) int64 {
	cmd := exec.Command("sh", "-c", text)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.in(b, w.guest, cmd.Start)
	time.Sleep(150*time.Millisecond + time.Duration(time.Now().UnixNano()%1000)*time.Millisecond/2)
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

// up adds the default route and returns when it was asked for.
func (w *wire) up(b *testing.B) (began int64) {
	w.in(b, w.guest, func() error {
		began = stages.Monotonic()
		return route()
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
