// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// RelayAddr is where a Spec's Relay listens, as the command sees it: the port of
// SOCKS (IANA), on a loopback that nothing else is on.
const RelayAddr = "127.0.0.1:1080"

// openLoopback sets the namespace's lo up, listens at RelayAddr, and hands the
// socket to the agent. A socket stays in the namespace in which it was made, so
// the agent can serve it and needs not enter.
func (in *inside) openLoopback() error {
	if !in.conf.Relay {
		return nil // the namespace has no way out, and its lo stays down
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd) // the agent's copy stays
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 1080, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return os.NewSyscallError("listen", err)
	}
	in.send(message{Relay: true}, fd)
	return nil
}

// loopbackUp is `ip link set lo up` (netdevice(7)).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl(SIOCSIFFLAGS)", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr))
}

// serveLoopback has the agent serve the socket that openLoopback sent.
func serveLoopback(ctx context.Context, side *sync.WaitGroup, f *os.File, serve func(context.Context, net.Listener)) error {
	l, err := net.FileListener(f) // a copy
	_ = f.Close()
	if err != nil {
		return err
	}
	side.Go(func() {
		serve(ctx, l)
		_ = l.Close()
	})
	return nil
}
