// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"slices"
	"strconv"
	"testing"
)

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
