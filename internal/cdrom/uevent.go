// SPDX-License-Identifier: Apache-2.0

package cdrom

import "bytes"

// subsystems are those through which a disc comes.
var subsystems = []string{"block", "module", "pci", "scsi", "usb", "virtio"}

// bringsDisc reports whether a uevent is of a device that may bring a disc: its
// payload, behind a header, is a list of NAME=value that each end with a NUL,
// the kernel's (Documentation/core-api/kobject.rst) as well as udev's.
func bringsDisc(message []byte) bool {
	const key = "SUBSYSTEM="
	for field := range bytes.SplitSeq(message, []byte{0}) {
		value, ok := bytes.CutPrefix(field, []byte(key))
		if !ok {
			continue
		}
		for _, s := range subsystems {
			if string(value) == s {
				return true
			}
		}
		return false
	}
	return true // a message that does not say may be any
}
