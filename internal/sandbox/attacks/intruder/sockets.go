// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// socketArgs are the arguments of socket(2). "high" has a bit in the upper half
// of the first one, which the kernel cuts off.
var socketArgs = map[string][3]uint64{
	"inet:dccp": {unix.AF_INET, unix.SOCK_DCCP, 0}, "inet:seqpacket": {unix.AF_INET, unix.SOCK_SEQPACKET, 0}, "inet6:dccp": {unix.AF_INET6, unix.SOCK_DCCP, 0},
	"inet:raw": {unix.AF_INET, unix.SOCK_RAW, 255}, "inet:raw-icmp": {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, "inet6:raw": {unix.AF_INET6, unix.SOCK_RAW, 255},
	"inet:sctp": {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, "inet6:sctp": {unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_SCTP},
	"inet:mptcp": {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, "inet:l2tp": {unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_L2TP},
	"inet:udplite": {unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE}, "packet:raw": {unix.AF_PACKET, unix.SOCK_RAW, 0x300},
	"packet:dgram": {unix.AF_PACKET, unix.SOCK_DGRAM, 0x300}, "packet:high": {1<<32 | unix.AF_PACKET, unix.SOCK_RAW, 0x300},
	"vsock:stream": {unix.AF_VSOCK, unix.SOCK_STREAM, 0}, "vsock:dgram": {unix.AF_VSOCK, unix.SOCK_DGRAM, 0}, "vsock:high": {1<<32 | unix.AF_VSOCK, unix.SOCK_STREAM, 0},
	"alg:seqpacket": {unix.AF_ALG, unix.SOCK_SEQPACKET, 0}, "key:raw": {unix.AF_KEY, unix.SOCK_RAW, 2}, "bluetooth:raw": {unix.AF_BLUETOOTH, unix.SOCK_RAW, 1},
	"xdp:raw": {unix.AF_XDP, unix.SOCK_RAW, 0}, "qipcrtr:dgram": {unix.AF_QIPCRTR, unix.SOCK_DGRAM, 0}, "nfc:seqpacket": {unix.AF_NFC, unix.SOCK_SEQPACKET, 0},
	"ax25:dgram": {unix.AF_AX25, unix.SOCK_DGRAM, 0}, "pppox:stream": {unix.AF_PPPOX, unix.SOCK_STREAM, 0}, "rxrpc:dgram": {unix.AF_RXRPC, unix.SOCK_DGRAM, unix.AF_INET},
	"llc:dgram": {unix.AF_LLC, unix.SOCK_DGRAM, 0}, "can:raw": {unix.AF_CAN, unix.SOCK_RAW, 1}, "tipc:raw": {unix.AF_TIPC, unix.SOCK_SEQPACKET, 0},
	"x25:seqpacket": {unix.AF_X25, unix.SOCK_SEQPACKET, 0}, "rds:seqpacket": {unix.AF_RDS, unix.SOCK_SEQPACKET, 0}, "smc:stream": {unix.AF_SMC, unix.SOCK_STREAM, 0},
}

var netlinkProtocols = map[string]int{
	"route": unix.NETLINK_ROUTE, "uevent": unix.NETLINK_KOBJECT_UEVENT, "audit": unix.NETLINK_AUDIT, "netfilter": unix.NETLINK_NETFILTER, "generic": unix.NETLINK_GENERIC,
	"xfrm": unix.NETLINK_XFRM, "diag": unix.NETLINK_SOCK_DIAG, "connector": unix.NETLINK_CONNECTOR, "scsi": unix.NETLINK_SCSITRANSPORT, "crypto": unix.NETLINK_CRYPTO,
	"fib": unix.NETLINK_FIB_LOOKUP, "selinux": unix.NETLINK_SELINUX,
}

var _ = add(map[string]func(string) string{
	"socket": try(func(what string) error {
		a := socketArgs[what]
		return descriptor(unix.SYS_SOCKET, uintptr(a[0]), uintptr(a[1]), uintptr(a[2]))
	}),
	"socketpair": try(func(what string) error {
		family := map[string]int{"vsock": unix.AF_VSOCK, "tipc": unix.AF_TIPC, "inet": unix.AF_INET}[what]
		_, err := unix.Socketpair(family, unix.SOCK_STREAM, 0)
		return err
	}),
	"netlink": try(func(what string) error {
		return descriptor(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, uintptr(netlinkProtocols[what]))
	}),
	"connect":         try(func(p string) error { return connectUnix(p, unix.SOCK_STREAM) }),
	"datagram":        try(func(p string) error { return connectUnix(p, unix.SOCK_DGRAM) }),
	"tcp":             try(func(to string) error { return connectInet(to, unix.SOCK_STREAM) }),
	"tcp6":            try(connectInet6),
	"udp":             try(func(to string) error { return connectInet(to, unix.SOCK_DGRAM) }),
	"listen":          try(listen),
	"bind-low":        try(func(port string) error { return listen("0.0.0.0:" + port) }),
	"listen-unix":     try(listenUnix),
	"if-up":           try(interfaceUp),
	"if-address":      try(interfaceAddress),
	"netlink-address": try(func(string) error { return rtnetlink(unix.RTM_NEWADDR, unix.SizeofIfAddrmsg, sendTo) }),
	"netlink-route":   try(func(string) error { return rtnetlink(unix.RTM_NEWROUTE, unix.SizeofRtMsg, sendTo) }),
	"netlink-write":   try(func(string) error { return rtnetlink(unix.RTM_NEWADDR, unix.SizeofIfAddrmsg, unix.Write) }),
	"netlink-dup":     try(func(string) error { return rtnetlink(unix.RTM_NEWLINK, unix.SizeofIfInfomsg, sendFrom4) }),
	"iptables-replace": try(func(string) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		const replace = 64 // IPT_SO_SET_REPLACE, include/uapi/linux/netfilter_ipv4/ip_tables.h
		return unix.SetsockoptString(fd, unix.IPPROTO_IP, replace, string(make([]byte, 96)))
	}),
	"bind-device": try(func(string) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.BindToDevice(fd, "eth0")
	}),
	"so-mark": try(func(string) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 1)
	}),
	"tun":             try(func(p string) error { return opened(p, unix.O_RDWR) }),
	"congestion":      try(func(alg string) error { return tcpOption(unix.TCP_CONGESTION, alg) }),
	"ulp":             try(func(ulp string) error { return tcpOption(unix.TCP_ULP, ulp) }),
	"control":         try(func(packet string) error { return control([]byte(packet)) }),
	"control-long":    try(func(string) error { return control([]byte(`{"Verb":"` + strings.Repeat("x", 100000) + `"}`)) }),
	"control-empty":   func(string) string { return result(ignore(control(nil), unix.ENODATA)) },
	"control-flood":   try(controlFlood),
	"control-hold":    try(controlHold),
	"control-accept":  try(controlAccept),
	"pass-descriptor": try(passDescriptor),
})

func connectUnix(p string, kind int) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: p}); err != nil { // "@x" is abstract
		return err
	}
	if kind == unix.SOCK_DGRAM {
		_, err = unix.Write(fd, []byte("intruder\n"))
	}
	return err
}

func connectInet(to string, kind int) error {
	addr, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := timeouts(fd, time.Second); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("intruder\n"))
	return err
}

func connectInet6(to string) error {
	i := strings.LastIndexByte(to, ':')
	addr, err := netip.ParseAddr(to[:i])
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := timeouts(fd, time.Second); err != nil {
		return err
	}
	return unix.Connect(fd, &unix.SockaddrInet6{Port: number(to[i+1:]), Addr: addr.As16()})
}

func timeouts(fd int, d time.Duration) error {
	tv := unix.NsecToTimeval(d.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
		return err
	}
	return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
}

func listen(at string) error {
	addr, err := netip.ParseAddrPort(at)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return err
	}
	return unix.Listen(fd, 1)
}

func listenUnix(p string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: p}); err != nil {
		return err
	}
	return unix.Listen(fd, 1)
}

func interfaceUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

func interfaceAddress(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := req.SetInet4Addr([]byte{192, 0, 2, 1}); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFADDR, req)
}

// rtnetlink sends one request with an empty body and returns the kernel's answer.
func rtnetlink(kind uint16, body int, send func(int, []byte) (int, error)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	msg := make([]byte, unix.SizeofNlMsghdr+body)
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint16(msg[4:], kind)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE)
	if _, err := send(fd, msg); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	if _, _, err := unix.Recvfrom(fd, answer, 0); err != nil {
		return err
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

func sendTo(fd int, b []byte) (int, error) {
	return len(b), unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// sendFrom4 sends from descriptor 4, which has another meaning in sandbox-init.
func sendFrom4(fd int, b []byte) (int, error) {
	if err := unix.Dup2(fd, 4); err != nil {
		return 0, err
	}
	defer unix.Close(4)
	return sendTo(4, b)
}

func tcpOption(option int, value string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.SetsockoptString(fd, unix.IPPROTO_TCP, option, value)
}

// controlPath is the agent's socket for the stand-in of systemctl.
const controlPath = "/run/ctxagent/control"

func dialControl() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := timeouts(fd, 10*time.Second); err != nil {
		return -1, err
	}
	return fd, again(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: controlPath}) })
}

// again repeats a call that a signal of Go's runtime cut off.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func control(packet []byte) error {
	fd, err := dialControl()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var n int
	err = again(func() error { _, err := unix.Write(fd, packet); return err })
	if err == nil {
		err = again(func() (err error) { n, err = unix.Read(fd, make([]byte, 1)); return err })
	}
	if err == nil && n == 0 {
		return unix.ENODATA
	}
	return err
}

func controlFlood(n string) error {
	for i := range number(n) {
		// The agent closes a connection that says nothing for a moment.
		if err := control(fmt.Appendf(nil, `{"Verb":"restart","Unit":"unit%d.service"}`, i)); err != nil && !errors.Is(err, unix.EPIPE) {
			return err
		}
	}
	return nil
}

// controlHold leaves connections open over which nothing comes; the process ends
// with them in the agent's backlog.
func controlHold(n string) error {
	for range number(n) {
		if _, err := dialControl(); err != nil {
			return err
		}
	}
	return nil
}

func controlAccept(string) error {
	fd, err := dialControl()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, _, err = unix.Accept(fd)
	return err
}

// passDescriptor sends the agent a writable descriptor of p, many times over.
func passDescriptor(p string) error {
	f, err := os.OpenFile(p, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	fds := make([]int, 200)
	for i := range fds {
		fds[i] = int(f.Fd())
	}
	fd, err := dialControl()
	if err != nil {
		return err
	}
	packet := []byte(`{"Verb":"restart","Unit":"rsyslog.service"}`)
	if err := unix.Sendmsg(fd, packet, unix.UnixRights(fds...), nil, 0); err != nil {
		return err
	}
	_, err = unix.Read(fd, make([]byte, 1))
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("*.* @192.0.2.1"), 0)
	return err
}
