// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Events listens to the kernel's uevents and to udev's own, which come when it
// is done with a device (netlink family 15, multicast groups 1 and 2), and to
// udev's queue in the directory run. They are hints: each only leads to another
// scan, and nothing that one says is believed.
func Events(run string) func(context.Context) (Hints, error) {
	return func(ctx context.Context) (Hints, error) {
		uevents, err := ueventSocket()
		if err != nil {
			return Hints{}, err
		}
		disks, devices := make(chan time.Time, 1), make(chan time.Time, 1)
		to := map[news]chan<- time.Time{diskNews: disks, deviceNews: devices}
		files := []*os.File{uevents}
		if queue, err := watchQueue(run); err == nil {
			files = append(files, queue)
			go forward(queue, to, func([]byte) news { return diskNews })
		} else if !errors.Is(err, os.ErrNotExist) { // a system without udev has none
			return Hints{}, errors.Join(err, uevents.Close())
		}
		go forward(uevents, to, newsOf)
		context.AfterFunc(ctx, func() {
			for _, f := range files {
				_ = f.Close() // ends its forward
			}
		})
		return Hints{disks, devices}, nil
	}
}

// forward turns each message into a hint, but those of devices that bring no
// disc. ENOBUFS means that the kernel dropped messages, which is only another
// hint.
func forward(f *os.File, to map[news]chan<- time.Time, about func([]byte) news) {
	buf := make([]byte, 16<<10)
	for {
		n, err := f.Read(buf)
		what := diskNews
		switch {
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			return
		case err == nil:
			what = about(buf[:n])
		}
		if what == noNews {
			continue
		}
		select {
		case to[what] <- time.Now():
		default: // an earlier one is waiting
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
