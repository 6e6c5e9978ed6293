// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestListerKeepsOneSocket: for as long as it waits, and none afterwards.
func TestListerKeepsOneSocket(t *testing.T) {
	namespace(t)
	before := sockets(t)
	var l lister
	for range 10 {
		if _, err := l.list(gateway, Links); err != nil {
			t.Fatal(err)
		}
	}
	if opened := since(t, before); len(opened) != 1 {
		t.Errorf("after 10 snapshots the sockets %v are open; want one", opened)
	}
	l.close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Kernel(gateway).Wait(ctx); err == nil {
		t.Error("Wait returned in an empty namespace")
	}
	for range 100 { // both sockets are closed in the background
		if len(since(t, before)) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the sockets %v are open still; want none but those from before", since(t, before))
}

// TestListerAfterAnError: a socket that fails is not used again.
func TestListerAfterAnError(t *testing.T) {
	namespace(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	before := sockets(t)
	var l lister
	defer l.close()
	if _, err := l.list(gateway, Links); err != nil {
		t.Fatal(err)
	}
	for _, fd := range since(t, before) {
		if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil { // it is no socket any more
			t.Fatal(err)
		}
	}
	if s, err := l.list(gateway, Links); err == nil {
		t.Errorf("over a broken socket list = %+v; want an error", s)
	}
	if s, err := l.list(gateway, Links); err != nil || len(s.Links) != 1 {
		t.Errorf("after that list = %+v, %v; want a new socket", s, err)
	}
}

// TestLeadingOut has the routes of a table as the library gives them.
func TestLeadingOut(t *testing.T) {
	whole4 := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	whole6 := &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	half := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(1, 32)}
	gw := ip("192.0.2.1")
	hop := func(link int, gw string, flags int) *netlink.NexthopInfo {
		return &netlink.NexthopInfo{LinkIndex: link, Gw: ip(gw), Flags: flags}
	}
	for _, tt := range []struct {
		name string
		r    netlink.Route
		six  bool
		want []string // link and gateway
	}{
		{"without a destination", netlink.Route{Type: unix.RTN_UNICAST, LinkIndex: 2, Gw: gw}, false, []string{"2 192.0.2.1"}},
		{"to 0.0.0.0/0", netlink.Route{Type: unix.RTN_UNICAST, Dst: whole4, LinkIndex: 2, Gw: gw}, false, []string{"2 192.0.2.1"}},
		{"to ::/0", netlink.Route{Type: unix.RTN_UNICAST, Dst: whole6, LinkIndex: 2, Gw: ip("fe80::1")}, true, []string{"2 fe80::1"}},
		{"to half of all", netlink.Route{Type: unix.RTN_UNICAST, Dst: half, LinkIndex: 2, Gw: gw}, false, nil},
		{"unreachable", netlink.Route{Type: unix.RTN_UNREACHABLE, LinkIndex: 1}, true, nil},
		{"blackhole", netlink.Route{Type: unix.RTN_BLACKHOLE, Dst: whole4}, false, nil},
		{"prohibit", netlink.Route{Type: unix.RTN_PROHIBIT, Dst: whole4}, false, nil},
		{"throw", netlink.Route{Type: unix.RTN_THROW, Dst: whole4}, false, nil},
		{"local", netlink.Route{Type: unix.RTN_LOCAL, Dst: whole4, LinkIndex: 1}, false, nil},
		{"link down", netlink.Route{Type: unix.RTN_UNICAST, LinkIndex: 2, Gw: gw, Flags: unix.RTNH_F_LINKDOWN}, false, nil},
		{"dead", netlink.Route{Type: unix.RTN_UNICAST, LinkIndex: 2, Gw: gw, Flags: unix.RTNH_F_DEAD}, false, nil},
		{"on the link", netlink.Route{Type: unix.RTN_UNICAST, LinkIndex: 2, Gw: gw, Flags: unix.RTNH_F_ONLINK}, false, []string{"2 192.0.2.1"}},
		{"without a gateway", netlink.Route{Type: unix.RTN_UNICAST, LinkIndex: 2}, false, []string{"2 invalid IP"}},
		{"by an IPv6 router", netlink.Route{Type: unix.RTN_UNICAST, LinkIndex: 2, Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: ip("fe80::1")}}, false, []string{"2 fe80::1"}},
		{"several hops", netlink.Route{Type: unix.RTN_UNICAST, MultiPath: []*netlink.NexthopInfo{hop(2, "192.0.2.1", 0), hop(3, "198.51.100.1", 0)}}, false, []string{"2 192.0.2.1", "3 198.51.100.1"}},
		{"one hop's link is down", netlink.Route{Type: unix.RTN_UNICAST, MultiPath: []*netlink.NexthopInfo{hop(2, "192.0.2.1", unix.RTNH_F_LINKDOWN), hop(3, "198.51.100.1", 0)}}, false, []string{"3 198.51.100.1"}},
	} {
		var got []string
		if tt.r.Family = netlink.FAMILY_V4; tt.six {
			tt.r.Family = netlink.FAMILY_V6
		}
		for _, r := range leadingOut([]netlink.Route{tt.r}) {
			got = append(got, fmt.Sprint(r.Link, " ", r.Gateway))
			if r.IPv6 != tt.six {
				t.Errorf("%s: %+v is of the other family", tt.name, r)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

// TestDumpThatIsInterrupted: the kernel says so of a dump during which a table
// changed (NLM_F_DUMP_INTR), and it is taken again. A storm of links makes it
// happen; no snapshot may have half a link.
func TestDumpThatIsInterrupted(t *testing.T) {
	namespace(t)
	const others = 100 // links: a dump of one part cannot be interrupted
	for i := range others / 2 {
		if err := addVeth(fmt.Sprint("a", i), fmt.Sprint("b", i)); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	done := aside(t, func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			if err := addVeth("ens3", "peer"); err != nil {
				return err
			}
			if err := delLink("ens3"); err != nil {
				return err
			}
		}
	})
	var l lister
	defer l.close()
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
		if s, err := l.list(gateway, Links); err != nil || len(s.Links) != others+1 && len(s.Links) != others+3 { // lo, or lo and a pair
			t.Fatalf("list = %d links, %v; want all of one moment", len(s.Links), err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestLocal(t *testing.T) {
	namespace(t)
	if err := all(made, up, func() error { return linkUp("lo") }, func() error { return addAddr("ens3", "192.0.2.7/24") }, func() error { return addRoute("ens3", "", "192.0.2.1") },
		set("ipv6/conf/ens3/accept_dad", "0"), func() error { return addAddr("ens3", "2001:db8::7/64") }, func() error { return addRoute("ens3", "", "2001:db8::1") })(); err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	anyIP, err := netlink.ParseIPNet("203.0.113.0/24") // a whole network that the machine takes for its own
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: anyIP, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST}); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"192.0.2.7": true, "::ffff:192.0.2.7": true, "127.0.0.1": true, "192.0.2.255": true, "203.0.113.77": true, "2001:db8::7": true, "::1": true,
		"192.0.2.1": false, "198.51.100.1": false, "2001:db8::1": false, "2001:db8:1::1": false,
	} {
		if got, err := Local(netip.MustParseAddr(addr)); err != nil || got != want {
			t.Errorf("Local(%s) = %v, %v; want %v", addr, got, err, want)
		}
	}
}

func TestNowhereIsNotLocal(t *testing.T) {
	namespace(t)
	if own, err := Local(netip.MustParseAddr("192.0.2.1")); own || err != nil {
		t.Errorf("Local without any route = %v, %v; want false", own, err)
	}
}

// sockets are the descriptors of this process's open sockets by their inode, which
// unlike the number of a descriptor is not used again at once: the sockets of a test
// before this one may be closed meanwhile.
func sockets(t *testing.T) map[string]int {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]int{}
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if fd, bad := strconv.Atoi(e.Name()); err == nil && bad == nil && strings.HasPrefix(link, "socket:") {
			open[link] = fd
		}
	}
	return open
}

// since are the descriptors of the sockets that were not open before.
func since(t *testing.T, before map[string]int) (opened []int) {
	t.Helper()
	for inode, fd := range sockets(t) {
		if _, old := before[inode]; !old {
			opened = append(opened, fd)
		}
	}
	return opened
}
