// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Events listens to the kernel's uevents and to udev's own, which come when it
// is done with a device (netlink family 15, multicast groups 1 and 2), and to
// udev's queue in the directory run. They are hints: each only leads to another
// scan, and nothing that one says is believed.
func Events(run string) func(context.Context) (<-chan struct{}, error) {
	return func(ctx context.Context) (<-chan struct{}, error) {
		uevents, err := ueventSocket()
		if err != nil {
			return nil, err
		}
		hints := make(chan struct{}, 1)
		files := []*os.File{uevents}
		if queue, err := watchQueue(run); err == nil {
			files = append(files, queue)
			go forward(queue, hints, func([]byte) bool { return true })
		} else if !errors.Is(err, os.ErrNotExist) { // a system without udev has none
			return nil, errors.Join(err, uevents.Close())
		}
		go forward(uevents, hints, bringsDisc)
		context.AfterFunc(ctx, func() {
			for _, f := range files {
				_ = f.Close() // ends its forward
			}
		})
		return hints, nil
	}
}

// forward turns each message into a hint, but those of devices that bring no
// disc. ENOBUFS means that the kernel dropped messages, which is only another
// hint.
func forward(f *os.File, hints chan<- struct{}, matters func([]byte) bool) {
	buf := make([]byte, 16<<10)
	for {
		n, err := f.Read(buf)
		switch {
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			return
		case err == nil && !matters(buf[:n]):
			continue
		}
		select {
		case hints <- struct{}{}:
		default: // one is waiting already
		}
	}
}

func ueventSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 | 2}); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "uevents"), nil
}

// watchQueue reports when udev's queue file goes.
func watchQueue(run string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	if _, err := unix.InotifyAddWatch(fd, run+"/udev", unix.IN_DELETE); err != nil {
		return nil, errors.Join(os.NewSyscallError("inotify_add_watch", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "udev queue"), nil
}
