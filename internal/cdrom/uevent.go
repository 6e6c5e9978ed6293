// SPDX-License-Identifier: Apache-2.0

package cdrom

import "bytes"

// news is what a uevent is about.
type news int

const (
	noNews     news = iota
	deviceNews      // a device on which a disk may appear, or a driver
	diskNews        // a disk, or what is in it
)

// subsystems are those through which a disc comes.
var subsystems = []string{"module", "pci", "scsi", "usb", "virtio"}

// newsOf tells what a uevent is about: its payload, behind a header, is a list of
// NAME=value that each end with a NUL, the kernel's
// (Documentation/core-api/kobject.rst) as well as udev's.
func newsOf(message []byte) news {
	const key = "SUBSYSTEM="
	for field := range bytes.SplitSeq(message, []byte{0}) {
		value, ok := bytes.CutPrefix(field, []byte(key))
		if !ok {
			continue
		}
		if string(value) == "block" {
			return diskNews
		}
		for _, s := range subsystems {
			if string(value) == s {
				return deviceNews
			}
		}
		return noNews
	}
	return diskNews // a message that does not say may be any
}
