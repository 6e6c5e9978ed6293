// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// lateRounds is how often a disc comes in one boot.
const lateRounds = 10

// lateReport runs the prolog again and again, says on the console when a disc may
// come and go, and brings back every receipt.
var lateReport = fmt.Sprintf(`for i in $(seq %d); do
	say "disc $i may come"
	systemctl restart ctxagent-prolog.service
	file "$i" cat /run/ctxagent/prolog.json
	say "disc $i may go"
	sleep 2
done
`, lateRounds)

// announced is what the host says of a disc to come.
var announced = []string{"-smbios", "type=11,value=ctxagent.expect=yes"}

// lateBus is a way in which a disc arrives.
type lateBus struct {
	name        string
	benchmarked bool // only
	generic     bool // needs drivers that only the generic kernel has
	config      Config
	bring, rid  func(*Monitor) error
}

// lateBuses are the ways for a disc in the file iso.
func lateBuses(iso string) []lateBus {
	insert := func(m *Monitor) error { return m.Insert("drive0", iso) }
	eject := func(m *Monitor) error { return m.Insert("drive0", "") }
	plug := func(driver string) func(*Monitor) error {
		return func(m *Monitor) error {
			return m.Do("device_add", map[string]any{"driver": driver, "drive": "late", "id": "disk0"})
		}
	}
	pull := func(m *Monitor) error { return m.Do("device_del", map[string]any{"id": "disk0"}) }
	node := []string{"-blockdev", "driver=raw,node-name=late,read-only=on,file.driver=file,file.filename=" + escape(iso)}
	return []lateBus{
		{"ide-cd", false, false, Config{CDs: []string{""}}, insert, eject},
		{"scsi-cd", true, false, Config{Devices: []string{"-device", "virtio-scsi-pci", "-device", "scsi-cd,id=drive0"}}, insert, eject},
		{"sata-cd", true, true, Config{Machine: "q35", Devices: []string{"-device", "ide-cd,id=drive0,bus=ide.1"}}, insert, eject},
		{"virtio-disk", false, false, Config{Devices: node}, plug("virtio-blk-pci"), pull},
		{"usb-stick", true, true, Config{Devices: append(node, "-device", "qemu-xhci")}, plug("usb-storage"), pull},
	}
}

// BenchmarkLateDisc is the time from the uevent of a disc that the host has
// announced to the start of its script, by the receipt's clock, in software
// emulation: the median and the greatest of ten arrivals for each boot, and how
// much of it is before the agent has the disc's bytes.
func BenchmarkLateDisc(b *testing.B) {
	image, err := BaseImage(b.Context(), b.Output())
	if err != nil {
		b.Skip(err)
	}
	iso := writeDisc(b, map[string]string{"prolog.sh": "#!/bin/sh\necho late but in time\n"})
	for _, bus := range lateBuses(iso) {
		b.Run(bus.name, func(b *testing.B) {
			c := bus.config
			if bus.generic {
				if c.Kernel, err = GenericKernel(b.Context(), os.Stderr); err != nil {
					b.Skip(err)
				}
			}
			c.Image, c.Network, c.Payload = image, &Network{}, Product(buildAgent(b), "../../dist")
			c.Devices = append(c.Devices, announced...)
			c.Report, c.Monitor, c.ReportWait = lateReport, bus.attend, 2*time.Minute
			var all []float64
			for b.Loop() {
				r, err := Boot(b.Context(), c)
				if err != nil {
					b.Fatal(err)
				}
				all = append(all, lateTimes(b, r)...)
			}
			b.ReportMetric(median(all), "median-ms")
			b.ReportMetric(slices.Max(all), "max-ms")
			b.ReportMetric(slices.Min(all), "min-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// attend brings the disc and takes it away when the guest says so.
func (l lateBus) attend(line Line, m *Monitor) {
	switch {
	case strings.Contains(line.Text, "may come"):
		time.AfterFunc(2*time.Second, func() { _ = l.bring(m) }) // without it there is no receipt of a disc
	case strings.Contains(line.Text, "may go"):
		_ = l.rid(m)
	}
}

// lateTimes are those of one boot, in milliseconds.
func lateTimes(b *testing.B, r *Result) []float64 {
	b.Helper()
	var times []float64
	for i := range lateRounds {
		var got receipt
		if err := json.Unmarshal(r.Files[fmt.Sprint(i+1)], &got); err != nil {
			b.Fatal(err)
		}
		if got.Outcome != "unchanged" || got.Clock.Disc == 0 {
			b.Fatalf("round %d: %s; want the script run, by an event", i+1, r.Files[fmt.Sprint(i+1)])
		}
		times = append(times, float64(got.Clock.Script-got.Clock.Disc)/1000)
	}
	return times
}
