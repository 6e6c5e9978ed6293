// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Kernel is a Waiter on the network namespace of the calling process.
func Kernel() Waiter { return Waiter{Subscribe: subscribe, List: list} }

// subscribe joins the groups for links, addresses and routes. Messages are not
// looked at: a lost or malformed one (ENOBUFS among them) is a hint like any.
func subscribe(ctx context.Context) (<-chan struct{}, error) {
	sock, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, err
	}
	hints := make(chan struct{}, 1)
	go func() {
		defer close(hints)
		for {
			if _, _, err := sock.Receive(); err != nil && (ctx.Err() != nil || errors.Is(err, net.ErrClosed)) {
				return
			}
			select {
			case hints <- struct{}{}:
			default: // one is waiting already
			}
		}
	}()
	context.AfterFunc(ctx, sock.Close)
	return hints, nil
}

// list takes a snapshot. A dump that the kernel interrupted (NLM_F_DUMP_INTR)
// is inconsistent and is taken again.
func list() (Snapshot, error) {
	for range 20 {
		s, err := dump()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return s, err
		}
	}
	return Snapshot{}, fmt.Errorf("the kernel interrupted 20 dumps: %w", netlink.ErrDumpInterrupted)
}

func dump() (Snapshot, error) {
	var s Snapshot
	links, err := netlink.LinkList()
	if err != nil {
		return s, err
	}
	for _, l := range links {
		a := l.Attrs()
		s.Links = append(s.Links, Link{
			Index: a.Index, Name: a.Name, MAC: a.HardwareAddr.String(), Operstate: a.OperState.String(),
			Loopback: a.Flags&net.FlagLoopback != 0, Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
		})
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return s, err
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		ones, _ := a.Mask.Size()
		s.Addrs = append(s.Addrs, Addr{
			Link: a.LinkIndex, Prefix: netip.PrefixFrom(ip, ones),
			Global: a.Scope == unix.RT_SCOPE_UNIVERSE && !ip.IsLinkLocalUnicast() && !ip.IsLoopback(),
			Usable: a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED|unix.IFA_F_DEPRECATED) == 0,
		})
	}
	s.Routes, err = defaultRoutes()
	return s, err
}

func defaultRoutes() ([]Route, error) {
	var out []Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, family) // of the main table
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			if ones, _ := prefixLength(r.Dst); ones != 0 || r.Type != unix.RTN_UNICAST {
				continue
			}
			hops := r.MultiPath
			if len(hops) == 0 {
				hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw}}
			}
			for _, h := range hops {
				gw, _ := netip.AddrFromSlice(h.Gw)
				out = append(out, Route{Link: h.LinkIndex, IPv6: family == netlink.FAMILY_V6, Gateway: gw.Unmap()})
			}
		}
	}
	return out, nil
}

// prefixLength is 0 for a default route, whose destination the library leaves
// out or gives as 0.0.0.0/0 or ::/0.
func prefixLength(n *net.IPNet) (ones, bits int) {
	if n == nil {
		return 0, 0
	}
	return n.Mask.Size()
}
