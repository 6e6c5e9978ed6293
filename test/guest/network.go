// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// Network is the guest's network: QEMU's own, in which DHCP gives it the address .15 of
// Net and it reaches nothing but Services, or whatever is at the other end of Tap. No
// packet of it leaves the host.
type Network struct {
	Net      string   // a /24 such as "192.0.2.0/24"; "" is 10.0.2.0/24
	Tap      *os.File // of a tap device, in place of all else here
	Services []Service
	Forwards []Forward
}

// Service lets the guest connect to a TCP listener of the test. Each connection of the
// guest is one at the listener, which must close it when it has read to the end.
type Service struct {
	Guest string // what the guest connects to, such as "10.0.2.100:514"
	Host  string // the listener's address, such as "127.0.0.1:40123"
}

// Forward lets the host connect to a TCP port of the guest at 127.0.0.1:Host. QEMU
// accepts before the guest does, so a client must be ready for a connection that is
// reset or says nothing, and try again.
type Forward struct {
	Host  int // see FreePort
	Guest int
}

// FreePort returns a TCP port that was free on 127.0.0.1 just now.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// option is the value of -netdev. A service starts busybox's nc for each connection: a
// guestfwd to a socket would be one connection for the whole life of the guest.
func (n *Network) option(busybox string) string {
	if n.Tap != nil {
		return "tap,id=net,fd=3"
	}
	var b strings.Builder
	b.WriteString("user,id=net,restrict=on")
	if n.Net != "" {
		b.WriteString(",net=" + n.Net)
	}
	for _, f := range n.Forwards {
		fmt.Fprintf(&b, ",hostfwd=tcp:127.0.0.1:%d-:%d", f.Host, f.Guest)
	}
	for _, s := range n.Services {
		host, port, _ := net.SplitHostPort(s.Host)
		command := fmt.Sprintf("'%s' nc %s %s", busybox, host, port)
		fmt.Fprintf(&b, ",guestfwd=tcp:%s-cmd:%s", s.Guest, escape(command))
	}
	return b.String()
}
