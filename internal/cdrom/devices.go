// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// candidate is a block device that may hold a context disc.
type candidate struct {
	name    string // in /dev
	parent  string // the whole disk, for a partition
	optical bool
}

// disks are the names of disks that a hypervisor may present a disc as.
var disks = []string{"vd", "xvd", "sd", "hd"}

// candidates lists optical drives first, then disks that the kernel says are
// read-only, whole ones before their partitions. It asks sysfs alone: udev's
// links come later, if at all (sysfs(5), Documentation/ABI/stable/sysfs-block).
func (f Finder) candidates() []candidate {
	entries, _ := os.ReadDir(path.Join(f.Sys, "class/block")) // none without sysfs
	var out []candidate
	for _, e := range entries {
		c := candidate{name: e.Name()}
		dir := path.Join(f.Sys, "class/block", c.name)
		if exists(path.Join(dir, "partition")) {
			if real, err := filepath.EvalSymlinks(dir); err == nil {
				c.parent = path.Base(path.Dir(real))
			}
		}
		// SCSI peripheral device type 5: CD/DVD (SPC-4, table "Peripheral device type").
		c.optical = strings.HasPrefix(c.name, "sr") || attribute(dir, "device/type") == "5"
		disk := slices.ContainsFunc(disks, func(p string) bool { return strings.HasPrefix(c.name, p) })
		if c.optical || disk && attribute(dir, "size") != "0" && (f.WritableDisks || attribute(dir, "ro") == "1") {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		switch {
		case a.optical != b.optical:
			return before(a.optical)
		case (a.parent == "") != (b.parent == ""):
			return before(a.parent == "")
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

func before(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

// attribute reads one sysfs attribute; "" if there is none.
func attribute(dir, name string) string {
	b, _ := os.ReadFile(path.Join(dir, name))
	return strings.TrimSpace(string(b))
}

// probing tells whether a device may still come by itself. It may while udev has
// events to handle, for which it keeps the file queue (as udevadm-settle(8)
// reads it), and while a device that can carry a disc has neither a driver nor
// been handled by udev, which is what loads drivers: udevd may not even have
// started to read its queue. Where there is no udev, all drivers there will be
// are built in and were there before any process.
func (f Finder) probing() bool {
	if exists(path.Join(f.Run, "udev/queue")) {
		return true
	}
	if !exists(path.Join(f.Run, "udev/control")) {
		return false
	}
	for _, bus := range carriers {
		dir := path.Join(f.Sys, "bus", bus.name, "devices")
		entries, _ := os.ReadDir(dir) // a machine need not have the bus
		for _, e := range entries {
			dev := path.Join(dir, e.Name())
			handled := exists(path.Join(f.Run, "udev/data", "+"+bus.name+":"+e.Name()))
			if bus.carries(dev) && !exists(path.Join(dev, "driver")) && !handled {
				return true
			}
		}
	}
	return false
}

// carriers are the buses on which a disc can come, with what tells its devices
// from others.
var carriers = []struct {
	name    string
	carries func(dev string) bool
}{
	// PCI class 01: mass storage controller (PCI Code and ID Assignment).
	{"pci", func(dev string) bool { return strings.HasPrefix(attribute(dev, "class"), "0x01") }},
	// Virtio device IDs 2, block, and 8, SCSI host (virtio 1.2 §5).
	{"virtio", func(dev string) bool {
		return slices.Contains([]string{"0x0002", "0x0008"}, attribute(dev, "device"))
	}},
	{"scsi", func(dev string) bool { return attribute(dev, "type") == "5" }},
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
