// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const oNonblock = unix.O_NONBLOCK

// The kernel's CDROM_DRIVE_STATUS with its answers, CDROM_MEDIA_CHANGED
// (include/uapi/linux/cdrom.h), and BLKGETDISKSEQ (include/uapi/linux/fs.h).
const (
	cdromDriveStatus  = 0x5326
	cdsNoDisc         = 1
	cdsTrayOpen       = 2
	cdsNotReady       = 3
	cdromMediaChanged = 0x5325
	cdslCurrent       = 0x7fffffff
	blkGetDiskSeq     = 0x80081280
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

// sequence is another number after each change of media that the kernel has noticed;
// 0 for anything but a block device. Before Linux 5.15 it is 1 if there was a change
// since the last time that a process asked, and 0 otherwise.
func sequence(f *os.File) uint64 {
	var seq uint64
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), blkGetDiskSeq, uintptr(unsafe.Pointer(&seq))); errno == 0 {
		return seq
	}
	if changed, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), cdromMediaChanged, cdslCurrent); errno == 0 {
		return uint64(changed)
	}
	return 0
}

// swapped tells whether the medium of a drive may have been changed since it was
// opened, where err is what came of reading. The kernel refuses reads then, until
// it has looked at the drive anew, for whoever opens it next (UNIT ATTENTION in
// drivers/scsi/scsi_lib.c, sr_check_events in drivers/scsi/sr.c): after that it
// reads the new medium through what was opened before. An ATA drive's change may be
// counted twice, before that open and after it.
func (d *disc) swapped(err error) bool {
	if sequence(d.File) != d.sequence {
		return true
	}
	if !errors.Is(err, unix.EIO) {
		return false
	}
	anew, err := os.OpenFile(d.Name(), os.O_RDONLY|oNonblock, 0)
	if err != nil {
		return false // the read's own error says more
	}
	defer anew.Close()
	return sequence(anew) != d.sequence
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
