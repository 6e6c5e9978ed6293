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
		if _, err := os.Stat(path.Join(dir, "partition")); err == nil {
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

// probing tells whether a device may still come by itself: udev keeps the file
// queue for as long as it has events to handle (libudev's
// udev_queue_get_udev_is_active), and module loading, which is what a drive
// waits for, is one.
func (f Finder) probing() bool {
	_, err := os.Stat(path.Join(f.Run, "udev/queue"))
	return err == nil
}
