// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"slices"
	"strconv"
	"testing"
)

// early has the drivers of the drive loaded before udev is told of it, as an
// initrd does.
var early = File{Path: "/etc/modules-load.d/ctxagent.conf", Content: "ata_piix\nsr_mod\n"}

// BenchmarkNetworkPre is how much later systemd reaches network-pre.target and starts
// the network manager where a disc is looked for, with no drive and with an empty one,
// the drivers loaded by udev, and early: against a program in the agent's place that
// does nothing, and for the manager against an image without ctxagent, in turn, in
// software emulation (medians).
func BenchmarkNetworkPre(b *testing.B) {
	image, err := BaseImage(b.Context(), b.Output())
	if err != nil {
		b.Skip(err)
	}
	agent := Product(buildAgent(b), "../../dist")
	payloads := map[string][]File{
		"agent": agent, "without": nil,
		"nothing": append(slices.Clone(agent), File{Path: "/usr/bin/ctxagent", Mode: 0o755, Content: "#!/bin/busybox true\n"}),
	}
	for _, c := range []struct {
		name    string
		cds     []string
		drivers []File
	}{
		{"no-drive/early", nil, []File{early}}, {"empty-drive/early", []string{""}, []File{early}},
		{"no-drive/udev", nil, nil}, {"empty-drive/udev", []string{""}, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			pre, manager, boots := map[string][]float64{}, map[string][]float64{}, []float64{}
			for b.Loop() {
				for name, payload := range payloads {
					r, err := Boot(b.Context(), Config{Image: image, Payload: slices.Concat(payload, c.drivers), CDs: c.cds, Network: &Network{}})
					if err != nil {
						b.Fatal(err)
					}
					manager[name] = append(manager[name], at(b, r, "systemd-networkd.service", "InactiveExit"))
					if name == "without" { // nobody asks for network-pre.target
						boots = append(boots, at(b, r, "multi-user.target", "ActiveEnter"))
					} else {
						pre[name] = append(pre[name], at(b, r, "network-pre.target", "ActiveEnter"))
					}
				}
			}
			target, network := median(pre["agent"])-median(pre["nothing"]), median(manager["agent"])-median(manager["without"])
			b.ReportMetric(target*1000, "target-ms")
			b.ReportMetric(100*target/median(boots), "target-%")
			b.ReportMetric(network*1000, "network-ms")
			b.ReportMetric(100*network/median(boots), "network-%")
			b.ReportMetric(median(boots), "boot-s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// at is when a unit changed its state, in seconds since the kernel's start.
func at(b *testing.B, r *Result, unit, change string) float64 {
	b.Helper()
	us, err := strconv.ParseFloat(r.Properties(unit)[change+"TimestampMonotonic"], 64)
	if err != nil {
		b.Fatal(err)
	}
	return us / 1e6
}

func median(times []float64) float64 {
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkBootWithoutDisc is what the agent costs a boot that has no context
// disc: the guest's own time to multi-user.target with the agent installed and
// without it, in turn, in software emulation (medians, in seconds).
func BenchmarkBootWithoutDisc(b *testing.B) {
	image, err := BaseImage(b.Context(), b.Output())
	if err != nil {
		b.Skip(err)
	}
	product := Product(buildAgent(b), "../../dist")
	times := map[string][]float64{}
	for b.Loop() {
		for name, payload := range map[string][]File{"with": product, "without": nil} {
			r, err := Boot(b.Context(), Config{Image: image, Payload: payload, CDs: []string{""}, Network: &Network{}})
			if err != nil {
				b.Fatal(err)
			}
			times[name] = append(times[name], at(b, r, "multi-user.target", "ActiveEnter"))
		}
	}
	for name, t := range times {
		b.ReportMetric(median(t), name+"-agent-s")
	}
	b.ReportMetric(0, "ns/op")
}
