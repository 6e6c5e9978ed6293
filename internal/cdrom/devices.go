// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
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
	found := map[string]candidate{}
	for _, e := range entries {
		c := candidate{name: e.Name()}
		dir := path.Join(f.Sys, "class/block", c.name)
		// SCSI peripheral device type 5: CD/DVD (SPC-4, table "Peripheral device type").
		c.optical = strings.HasPrefix(c.name, "sr") || attribute(dir, "device/type") == "5"
		disk := slices.ContainsFunc(disks, func(p string) bool { return strings.HasPrefix(c.name, p) })
		if !c.optical && (!disk || attribute(dir, "size") == "0" || !f.WritableDisks && attribute(dir, "ro") != "1") {
			continue
		}
		if exists(path.Join(dir, "partition")) {
			if real, err := filepath.EvalSymlinks(dir); err == nil {
				c.parent = path.Base(path.Dir(real))
			}
		}
		found[c.rank()] = c
	}
	var out []candidate
	for _, rank := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[rank])
	}
	return out
}

// rank sorts as the candidates do.
func (c candidate) rank() string {
	switch {
	case c.optical:
		return "0" + c.name
	case c.parent == "":
		return "1" + c.name
	}
	return "2" + c.name
}

// attribute reads one sysfs attribute; "" if there is none. Dozens are read for
// each look, while a disc waits: os.ReadFile would ask more than twice as much of
// the kernel, to be ready for files that are long or slow.
func attribute(dir, name string) string {
	fd, err := unix.Open(dir+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	var b [maxAttribute]byte
	n, _ := unix.Read(fd, b[:])
	_ = unix.Close(fd) // it was read, if it could be
	return strings.TrimSpace(string(b[:max(n, 0)]))
}

// maxAttribute is longer, in bytes, than any attribute that is read here.
const maxAttribute = 128

// probing tells whether a disc may still come by itself: whether a device that
// can carry one is on its way through udev, which loads drivers, or through its
// driver. Where there is no udev, all drivers are built in and were there before
// any process.
func (f Finder) probing() bool {
	if !exists(path.Join(f.Run, "udev/control")) {
		return false
	}
	for _, bus := range carriers {
		dir := path.Join(f.Sys, "bus", bus.name, "devices")
		entries, _ := os.ReadDir(dir) // a machine need not have the bus
		for _, e := range entries {
			dev := path.Join(dir, e.Name())
			if !bus.carries(dev) {
				continue
			}
			if !exists(path.Join(dev, "driver")) {
				// udev writes its database first and loads the driver then; that ends
				// before it takes the file queue away (as udevadm-settle(8) reads it).
				// With neither, udevd may not even have begun. In this order: each is
				// looked at after what comes before it.
				if !exists(path.Join(f.Run, "udev/data", "+"+bus.name+":"+e.Name())) || exists(path.Join(f.Run, "udev/queue")) {
					return true
				}
				if !exists(path.Join(dev, "driver")) {
					continue
				}
			}
			if f.loading(dev) || !bus.shows(dev) {
				return true
			}
		}
	}
	return false
}

// loading tells whether the module of a device's driver is still at its
// beginning. Its end waits for the ports that the driver probes in parallel,
// and only then gives the memory of that part back (do_init_module in the
// kernel's kernel/module: async_synchronize_full, then init size 0). A driver
// has no link to its module before it has looked at all devices, and some that
// are built in never have one: then any module that is at its beginning counts.
func (f Finder) loading(dev string) bool {
	modules := []string{path.Join(dev, "driver/module")}
	if !exists(modules[0]) {
		modules, _ = filepath.Glob(path.Join(f.Sys, "module/*")) // the pattern is sound
	}
	return slices.ContainsFunc(modules, func(module string) bool {
		size := attribute(module, "initsize")
		return size != "" && size != "0"
	})
}

// carriers are the buses on which a disc can come. carries tells a device that
// can bring one; shows tells whether a driver has made of it what it makes, for
// the link to the driver is there before the driver has begun.
var carriers = []struct {
	name    string
	carries func(dev string) bool
	shows   func(dev string) bool
}{
	// PCI class 01: mass storage controller, but 08, NVMe, which carries no disc
	// (PCI Code and ID Assignment). It may well have nothing attached.
	{"pci", func(dev string) bool {
		class := attribute(dev, "class")
		return strings.HasPrefix(class, "0x01") && !strings.HasPrefix(class, "0x0108")
	}, func(string) bool { return true }},
	// Virtio device IDs 2, block, and 8, SCSI host (virtio 1.2 §5).
	{"virtio", func(dev string) bool {
		id := attribute(dev, "device")
		return id == "0x0002" || id == "0x0008"
	}, func(dev string) bool { return attribute(dev, "device") != "0x0002" || exists(path.Join(dev, "block")) }},
	// USB interfaces of class 08, mass storage. The driver waits a second before
	// it looks for the disk (usb-storage, delay_use), which is a SCSI device.
	{"usb", func(dev string) bool { return attribute(dev, "bInterfaceClass") == "08" },
		func(dev string) bool {
			disks, _ := filepath.Glob(path.Join(dev, "host*", "target*", "*:*:*:*"))
			return len(disks) > 0
		}},
	// SCSI peripheral device types 0, disk, and 5, CD/DVD. Behind the buses that
	// bring them.
	{"scsi", func(dev string) bool {
		t := attribute(dev, "type")
		return t == "0" || t == "5"
	}, func(dev string) bool { return exists(path.Join(dev, "block")) }},
}

func exists(name string) bool {
	return unix.Access(name, unix.F_OK) == nil
}
