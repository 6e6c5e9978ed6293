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

// BenchmarkNetworkPre is what looking for a disc adds to the time at which
// systemd reaches network-pre.target, with no drive and with an empty one, in
// turn, in software emulation (medians): the agent, and a program in its place
// that does nothing; the drivers loaded by udev, and early.
func BenchmarkNetworkPre(b *testing.B) {
	image, err := BaseImage(b.Context(), b.Output())
	if err != nil {
		b.Skip(err)
	}
	product := Product(buildAgent(b), "../../dist")
	nothing := append(slices.Clone(product), File{Path: "/usr/bin/ctxagent", Mode: 0o755, Content: "#!/bin/busybox true\n"})
	drives := map[string][]string{"no-drive": nil, "empty-drive": {""}}
	payloads := map[string][]File{
		"agent": product, "nothing": nothing,
		"agent-early": append(slices.Clone(product), early), "nothing-early": append(slices.Clone(nothing), early),
	}
	times := map[string][]float64{}
	for b.Loop() {
		for drive, cds := range drives {
			for name, payload := range payloads {
				r, err := Boot(b.Context(), Config{Image: image, Payload: payload, CDs: cds, Network: &Network{}})
				if err != nil {
					b.Fatal(err)
				}
				for what, unit := range map[string]string{"network-pre": "network-pre.target", "boot": "multi-user.target"} {
					us, err := strconv.ParseFloat(r.Properties(unit)["ActiveEnterTimestampMonotonic"], 64)
					if err != nil {
						b.Fatal(err)
					}
					key := drive + "-" + name + "-" + what
					times[key] = append(times[key], us/1e6)
				}
			}
		}
	}
	median := func(key string) float64 {
		slices.Sort(times[key])
		return times[key][len(times[key])/2]
	}
	for drive := range drives {
		for _, when := range []string{"", "-early"} {
			floor := median(drive + "-nothing" + when + "-network-pre")
			added := median(drive+"-agent"+when+"-network-pre") - floor
			b.ReportMetric(added*1000, drive+when+"-added-ms")
			b.ReportMetric(100*added/median(drive+"-nothing"+when+"-boot"), drive+when+"-added-%")
			b.ReportMetric(floor, drive+when+"-floor-s")
		}
	}
	b.ReportMetric(0, "ns/op")
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
			us, err := strconv.ParseFloat(r.Properties("multi-user.target")["ActiveEnterTimestampMonotonic"], 64)
			if err != nil {
				b.Fatal(err)
			}
			times[name] = append(times[name], us/1e6)
		}
	}
	for name, t := range times {
		slices.Sort(t)
		b.ReportMetric(t[len(t)/2], name+"-agent-s")
	}
	b.ReportMetric(0, "ns/op")
}
