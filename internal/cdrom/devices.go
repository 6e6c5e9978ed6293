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

// probing tells whether a disc may still come by itself: whether there is a
// device that can carry one and that udev, which loads drivers, is not done
// with. Such a device is one that has no driver and is not yet in udev's
// database: udevd may not even have begun to read its queue. One that is there
// may still be having its driver loaded and its ports probed, for udev writes its
// database first; that ends before udev takes the file queue away (as
// udevadm-settle(8) reads it). Where there is no udev, all drivers are built in
// and were there before any process.
func (f Finder) probing() bool {
	if !exists(path.Join(f.Run, "udev/control")) {
		return false
	}
	busy := exists(path.Join(f.Run, "udev/queue"))
	for _, bus := range carriers {
		dir := path.Join(f.Sys, "bus", bus.name, "devices")
		entries, _ := os.ReadDir(dir) // a machine need not have the bus
		for _, e := range entries {
			dev := path.Join(dir, e.Name())
			carries, scans := bus.carries(dev)
			if !carries {
				continue
			}
			handled := exists(path.Join(f.Run, "udev/data", "+"+bus.name+":"+e.Name()))
			if busy && scans || !handled && !exists(path.Join(dev, "driver")) {
				return true
			}
		}
	}
	return false
}

// carriers are the buses on which a disc can come. carries tells a device that
// can bring one, and scans one that has to look for what is attached to it: its
// driver is there before its disks are.
var carriers = []struct {
	name    string
	carries func(dev string) (carries, scans bool)
}{
	// PCI class 01: mass storage controller, but 08, NVMe, which carries no disc
	// (PCI Code and ID Assignment). A virtio one (vendor 1af4) scans as a virtio
	// device.
	{"pci", func(dev string) (carries, scans bool) {
		class := attribute(dev, "class")
		carries = strings.HasPrefix(class, "0x01") && !strings.HasPrefix(class, "0x0108")
		return carries, attribute(dev, "vendor") != "0x1af4"
	}},
	// Virtio device IDs 2, block, and 8, SCSI host (virtio 1.2 §5).
	{"virtio", func(dev string) (bool, bool) {
		id := attribute(dev, "device")
		return id == "0x0002" || id == "0x0008", id == "0x0008"
	}},
	// SCSI peripheral device types 0, disk, and 5, CD/DVD.
	{"scsi", func(dev string) (bool, bool) {
		t := attribute(dev, "type")
		return t == "0" || t == "5", false
	}},
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
