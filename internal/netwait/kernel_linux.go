// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Kernel is a Waiter on the network namespace of the calling thread.
func Kernel(c Criteria) Waiter {
	groups := []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE}
	if c.Require == GatewayResolved {
		groups = append(groups, unix.RTNLGRP_NEIGH)
	}
	var l lister
	return Waiter{
		Criteria: c,
		Subscribe: func(ctx context.Context) (<-chan Hint, error) {
			context.AfterFunc(ctx, l.close) // Wait ends it
			return subscribe(ctx, func() (source, error) { return openSocket(groups) })
		},
		List:    func(from Table) (Snapshot, error) { return l.list(c, from) },
		Resolve: resolve,
	}
}

// source is where events come from: a netlink socket, or a test.
type source struct {
	// receive reads one datagram and waits for it. It tells whether there was
	// more than the buffer holds, and whether the kernel sent it.
	receive func([]byte) (n int, truncated, kernel bool, err error)
	close   func() error
}

// The pause after a socket that failed doubles from the first to the second.
const (
	reopenFirst = 50 * time.Millisecond
	reopenLast  = 2 * time.Second
)

// subscribe turns what comes from a source into hints, of which one is under way
// at most. A socket that fails is opened anew, and that is a hint, too.
func subscribe(ctx context.Context, open func() (source, error)) (<-chan Hint, error) {
	src, err := open()
	if err != nil {
		return nil, err
	}
	hints := make(chan Hint, 1)
	go func() {
		defer close(hints)
		pause := reopenFirst
		for {
			stop := context.AfterFunc(ctx, func() { _ = src.close() })
			began := time.Now()
			pump(src, hints)
			if !stop() {
				return // ctx has closed it
			}
			_ = src.close()
			if time.Since(began) > reopenLast {
				pause = reopenFirst
			}
			for { // what happens now is seen by the look that the next hint leads to
				select {
				case <-time.After(pause):
				case <-ctx.Done():
					return
				}
				pause = min(2*pause, reopenLast)
				if src, err = open(); err == nil {
					break
				}
			}
			give(hints, Hint{At: time.Now()})
		}
	}()
	return hints, nil
}

// pump gives hints until the source fails. Messages that were lost (ENOBUFS), do
// not fit or make no sense are a hint like any.
func pump(src source, hints chan Hint) {
	seen := 0
	buf := make([]byte, 64<<10) // netlink(7): a message is never longer than the sender's page, or 32 KiB
	for {
		n, truncated, kernel, err := src.receive(buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			give(hints, Hint{At: time.Now(), Events: seen + 1})
			seen = 0
			continue
		case err != nil:
			return
		case !kernel:
			continue // any process may write to any netlink socket
		}
		events, matter, from := weigh(buf[:n])
		if truncated {
			from = Links
		}
		if seen += events; matter || truncated {
			give(hints, Hint{From: from, At: time.Now(), Events: seen})
			seen = 0
		}
	}
}

// give leaves a hint, together with one that nobody has taken yet.
func give(hints chan Hint, h Hint) {
	select {
	case old := <-hints:
		h.Events += old.Events
		h.From = min(h.From, old.From)
	default:
	}
	hints <- h // there is room: nobody else writes
}

// weigh counts a datagram's messages and says whether a decision can hang on
// one, and which table is the first that they are about. Routes other than default
// ones do not matter, and there may be a full table of them. What cannot be read
// may matter, and be about anything.
func weigh(b []byte) (events int, matter bool, from Table) {
	from = Routes
	for len(b) > 0 {
		events++
		if len(b) < unix.SizeofNlMsghdr {
			return events, true, Links
		}
		length := int(binary.NativeEndian.Uint32(b))
		if length < unix.SizeofNlMsghdr || length > len(b) {
			return events, true, Links
		}
		switch kind := binary.NativeEndian.Uint16(b[4:]); kind {
		case unix.NLMSG_NOOP:
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if body := b[unix.SizeofNlMsghdr:length]; len(body) < unix.SizeofRtMsg || body[1] == 0 { // rtm_dst_len
				matter = true
			}
		case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH: // they stand with the routes
			matter = true
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			matter, from = true, min(from, Addresses)
		default:
			matter, from = true, Links
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return events, matter, from
}

// openSocket opens a socket that the runtime's poller watches: a waiting agent
// uses no CPU.
func openSocket(groups []int) (source, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return source{}, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "rtnetlink")
	conn, err := f.SyscallConn()
	if err != nil {
		return source{}, errors.Join(err, f.Close())
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return source{}, errors.Join(os.NewSyscallError("bind", err), f.Close())
	}
	for _, g := range groups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
			return source{}, errors.Join(os.NewSyscallError("setsockopt", err), f.Close())
		}
	}
	receive := func(buf []byte) (n int, truncated, kernel bool, err error) {
		var (
			flags int
			from  unix.Sockaddr
			inner error
		)
		err = conn.Read(func(fd uintptr) bool {
			n, _, flags, from, inner = unix.Recvmsg(int(fd), buf, nil, 0)
			return !errors.Is(inner, unix.EAGAIN)
		})
		if err == nil {
			err = inner
		}
		sender, ok := from.(*unix.SockaddrNetlink)
		return max(n, 0), flags&unix.MSG_TRUNC != 0, ok && sender.Pid == 0, err
	}
	return source{receive: receive, close: f.Close}, nil
}
