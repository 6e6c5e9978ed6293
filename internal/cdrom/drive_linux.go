// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const oNonblock = unix.O_NONBLOCK

// The kernel's CDROM_DRIVE_STATUS and its answers (include/uapi/linux/cdrom.h).
const (
	cdromDriveStatus = 0x5326
	cdsNoDisc        = 1
	cdsTrayOpen      = 2
	cdsNotReady      = 3
	cdslCurrent      = 0x7fffffff
)

const noteNotReady = "the drive is not ready yet"

// driveNote says why an optical drive has no disc to read, or "". Anything else
// than such a drive answers the ioctl with an error.
func driveNote(f *os.File) string {
	status, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), cdromDriveStatus, cdslCurrent)
	if errno != 0 {
		return ""
	}
	switch status {
	case cdsNoDisc:
		return "no medium in the drive"
	case cdsTrayOpen:
		return "the tray is open"
	case cdsNotReady:
		return noteNotReady
	}
	return ""
}

// openNote and openError tell the errors of an absent medium, which are no
// fault, from others.
func openNote(err error) string {
	if errors.Is(err, unix.ENOMEDIUM) || errors.Is(err, unix.ENXIO) {
		return "no medium in the drive"
	}
	return ""
}

func openError(err error) error {
	if openNote(err) != "" {
		return nil
	}
	return err
}
