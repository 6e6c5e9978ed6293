// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// List takes a snapshot of the calling thread's network namespace, as far as the
// criteria ask for it.
func List(c Criteria) (Snapshot, error) {
	var l lister
	defer l.close()
	return l.list(c, Links)
}

// lister takes snapshots over one socket: to make one for each question takes
// the kernel twice as long as all the answers. It belongs to the network
// namespace of the thread that asked first. The zero value is ready.
type lister struct {
	mu   sync.Mutex
	h    *netlink.Handle
	last Snapshot // taken over h
}

// answerTime is for an answer of the kernel's; more is a fault of the socket.
const answerTime = 10 * time.Second

// list takes a snapshot of the tables from the given one on. A dump that the kernel interrupted (NLM_F_DUMP_INTR) is
// inconsistent and is taken again. After an error the next one has a new socket,
// and is of all tables.
func (l *lister) list(c Criteria, from Table) (Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range 20 {
		s, err := l.dump(c, from)
		if err == nil {
			return s, nil
		}
		l.drop()
		if !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, unix.EINTR) {
			return s, err
		}
	}
	return Snapshot{}, fmt.Errorf("the kernel interrupted 20 dumps: %w", netlink.ErrDumpInterrupted)
}

func (l *lister) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

func (l *lister) drop() {
	if l.h != nil {
		l.h.Close()
		l.h = nil
	}
}

func (l *lister) dump(c Criteria, from Table) (s Snapshot, err error) {
	if l.h == nil {
		from = Links
		if l.h, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return s, fmt.Errorf("open an rtnetlink socket: %w", err)
		}
		if err := l.h.SetSocketTimeout(answerTime); err != nil {
			return s, err
		}
	}
	s = l.last // whose tables nobody writes to
	if from <= Links {
		if s.Links, err = allLinks(l.h); err != nil {
			return s, fmt.Errorf("list links: %w", err)
		}
	}
	if from <= Addresses {
		if s.Addrs, err = allAddresses(l.h); err != nil {
			return s, fmt.Errorf("list addresses: %w", err)
		}
	}
	if s.Routes, err = defaultRoutes(l.h); err != nil {
		return s, fmt.Errorf("list routes: %w", err)
	}
	if c.Require == GatewayResolved {
		if err := resolved(l.h, s.Routes); err != nil {
			return s, err
		}
	}
	l.last = s
	return s, nil
}

func allLinks(h *netlink.Handle) ([]Link, error) {
	list, err := h.LinkList()
	if err != nil {
		return nil, err
	}
	var out []Link
	for _, l := range list {
		a := l.Attrs()
		out = append(out, Link{
			Index: a.Index, Name: a.Name, MAC: a.HardwareAddr.String(), Kind: l.Type(), Medium: a.EncapType, Operstate: a.OperState.String(), Master: a.MasterIndex,
			Loopback: a.Flags&net.FlagLoopback != 0, Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
		})
	}
	return out, nil
}

func allAddresses(h *netlink.Handle) ([]Addr, error) {
	list, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []Addr
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ones, _ := a.Mask.Size()
		out = append(out, Addr{
			Link: a.LinkIndex, Prefix: netip.PrefixFrom(ip.Unmap(), ones), Scope: scope(a.Scope), Tentative: a.Flags&unix.IFA_F_TENTATIVE != 0,
			Failed: a.Flags&unix.IFA_F_DADFAILED != 0, Deprecated: a.Flags&unix.IFA_F_DEPRECATED != 0,
		})
	}
	return out, nil
}

// scope is ip-address(8)'s word for an address's scope (rtnetlink(7)).
func scope(n int) string {
	switch n {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	}
	return strconv.Itoa(n)
}

// defaultRoutes asks once for both families: each question is a wait.
func defaultRoutes(h *netlink.Handle) ([]Route, error) {
	table, err := h.RouteList(nil, netlink.FAMILY_ALL) // of the main table
	if err != nil {
		return nil, err
	}
	return leadingOut(table), nil
}

// leadingOut are those of a table's routes that take packets to anywhere: not to
// a network alone, not to nowhere (unreachable, blackhole, prohibit, throw), and
// through a link that carries. One of several hops is as many routes.
func leadingOut(table []netlink.Route) []Route {
	var out []Route
	for _, r := range table {
		if ones, _ := prefixLength(r.Dst); ones != 0 || r.Type != unix.RTN_UNICAST {
			continue
		}
		hops := r.MultiPath
		if len(hops) == 0 {
			hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw, Via: r.Via, Flags: r.Flags}}
		}
		for _, hop := range hops {
			if hop.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) == 0 {
				out = append(out, Route{Link: hop.LinkIndex, IPv6: r.Family == netlink.FAMILY_V6, Gateway: nextRouter(hop), Metric: r.Priority, Table: r.Table})
			}
		}
	}
	return out
}

// nextRouter is a hop's next router: of IPv4 routes it may have an IPv6 address
// (RTA_VIA, RFC 5549).
func nextRouter(h *netlink.NexthopInfo) netip.Addr {
	gw, _ := netip.AddrFromSlice(h.Gw)
	if via, ok := h.Via.(*netlink.Via); ok && !gw.IsValid() {
		gw, _ = netip.AddrFromSlice(via.Addr)
	}
	return gw.Unmap()
}

// resolved marks the routes whose gateway the kernel knows how to reach on the
// link. Without a gateway, or on a link without addresses, there is nothing to
// know (NUD_NOARP).
func resolved(h *netlink.Handle, routes []Route) error {
	type neighbour struct {
		link int
		ip   netip.Addr
	}
	known := map[neighbour]bool{}
	neighbours, err := h.NeighList(0, 0)
	if err != nil {
		return fmt.Errorf("list neighbours: %w", err)
	}
	const usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT | netlink.NUD_NOARP
	for _, n := range neighbours {
		if ip, ok := netip.AddrFromSlice(n.IP); ok && n.State&usable != 0 {
			known[neighbour{n.LinkIndex, ip.Unmap()}] = true
		}
	}
	for i, r := range routes {
		routes[i].Resolved = !r.Gateway.IsValid() || known[neighbour{r.Link, r.Gateway}]
	}
	return nil
}

// resolve has the kernel look for a neighbour (NTF_USE, as a packet to it would).
func resolve(link int, gateway netip.Addr) error {
	return netlink.NeighSet(&netlink.Neigh{LinkIndex: link, IP: gateway.AsSlice(), State: netlink.NUD_NONE, Flags: netlink.NTF_USE})
}

// Local says whether the kernel takes an address for its own, or for one of
// many: what it would do with a packet to it.
func Local(a netip.Addr) (bool, error) {
	routes, err := netlink.RouteGet(a.Unmap().AsSlice())
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EACCES):
		return false, nil // no way there: the connection will say so
	case err != nil:
		return false, fmt.Errorf("ask for the route to %s: %w", a, err)
	}
	for _, r := range routes {
		if r.Type != unix.RTN_UNICAST {
			return true, nil
		}
	}
	return false, nil
}

// prefixLength is 0 for a default route, whose destination the library leaves
// out or gives as 0.0.0.0/0 or ::/0.
func prefixLength(n *net.IPNet) (ones, bits int) {
	if n == nil {
		return 0, 0
	}
	return n.Mask.Size()
}
