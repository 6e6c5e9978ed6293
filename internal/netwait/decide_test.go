// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// link is an Ethernet link that is up, number 2 unless edited.
func link(name string, edit ...func(*Link)) Link {
	l := Link{Index: 2, Name: name, Kind: "device", Medium: "ether", Operstate: "up", Up: true, Carrier: true, MAC: "52:54:00:12:34:56"}
	for _, e := range edit {
		e(&l)
	}
	return l
}

func index(n int) func(*Link)     { return func(l *Link) { l.Index = n } }
func kind(k string) func(*Link)   { return func(l *Link) { l.Kind = k } }
func master(n int) func(*Link)    { return func(l *Link) { l.Master = n } }
func oper(s string) func(*Link)   { return func(l *Link) { l.Operstate = s } }
func medium(m string) func(*Link) { return func(l *Link) { l.Medium = m } }
func down(l *Link)                { l.Up, l.Carrier, l.Operstate = false, false, "down" }
func noCarrier(l *Link)           { l.Carrier, l.Operstate = false, "down" }

// on is a global address of a link.
func on(n int, prefix string, edit ...func(*Addr)) Addr {
	a := Addr{Link: n, Prefix: netip.MustParsePrefix(prefix), Scope: "global"}
	for _, e := range edit {
		e(&a)
	}
	return a
}

func tentative(a *Addr)  { a.Tentative = true }
func failed(a *Addr)     { a.Tentative, a.Failed = true, true } // the kernel sets both
func deprecated(a *Addr) { a.Deprecated = true }
func ofScope(s string) func(*Addr) {
	return func(a *Addr) { a.Scope = s }
}

// via is a default route through a link; the gateway's family is the route's.
func via(n int, gateway string, edit ...func(*Route)) Route {
	r := Route{Link: n, Table: 254}
	if gateway != "" {
		r.Gateway = netip.MustParseAddr(gateway)
		r.IPv6 = r.Gateway.Is6()
	}
	for _, e := range edit {
		e(&r)
	}
	return r
}

func metric(n int) func(*Route) { return func(r *Route) { r.Metric = n } }
func six(r *Route)              { r.IPv6 = true }
func answered(r *Route)         { r.Resolved = true }

var (
	lo  = Link{Index: 1, Name: "lo", Kind: "device", Medium: "loopback", Operstate: "unknown", Loopback: true, Up: true, Carrier: true}
	v4  = on(2, "192.0.2.7/24")
	v6  = on(2, "2001:db8::7/64")
	ll4 = on(2, "169.254.7.7/16", ofScope("link"))
	ll6 = on(2, "fe80::1/64", ofScope("link"))
	gw4 = via(2, "192.0.2.1")
	gw6 = via(2, "fe80::ff")
)

type row struct {
	name  string
	links []Link
	addrs []Addr
	route []Route
	c     Criteria
	want  string // "interface address gateway" decided on; "" is not configured
	words string // in what is missing
}

func links(l ...Link) []Link { return append([]Link{lo}, l...) }
func addrs(a ...Addr) []Addr {
	return append([]Addr{on(1, "127.0.0.1/8", ofScope("host")), on(1, "::1/128", ofScope("host"))}, a...)
}
func routes(r ...Route) []Route { return r }
func must(r Require) Criteria   { return Criteria{Family: Any, Require: r} }
func only(f Family) Criteria    { return Criteria{Family: f, Require: DefaultRoute} }
func named(globs ...string) Criteria {
	return Criteria{Interfaces: globs, Family: Any, Require: DefaultRoute}
}

var (
	ens3    = link("ens3")
	gateway = must(DefaultRoute)
)

var rows = []row{
	// links
	{"nothing at all", nil, nil, nil, gateway, "", "there is no link to wait for"},
	{"loopback alone", links(), addrs(), nil, gateway, "", "there is no link to wait for; left out: lo (loopback)"},
	{"loopback with a global address and a route", links(), addrs(on(1, "192.0.2.9/32")), routes(via(1, "")), gateway, "", "left out: lo (loopback)"},
	{"loopback that is named", links(), addrs(on(1, "192.0.2.9/32")), routes(via(1, "")), named("lo"), "", "left out: lo (loopback)"},
	{"an Ethernet card", links(ens3), addrs(v4), routes(gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"switched off", links(link("ens3", down)), addrs(v4), routes(gw4), gateway, "", "ens3: down"},
	{"no cable", links(link("ens3", noCarrier)), addrs(v4), routes(gw4), gateway, "", "ens3: up, no carrier"},
	{"dormant (802.1X)", links(link("ens3", oper("dormant"))), addrs(v4), routes(gw4), gateway, "", "ens3: up, carrier, operstate dormant"},
	{"testing", links(link("ens3", oper("testing"))), addrs(v4), routes(gw4), gateway, "", "operstate testing"},
	{"a driver that does not say", links(link("ens3", oper("unknown"))), addrs(v4), routes(gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"lower layer down (VLAN)", links(link("ens3.7", kind("vlan"), oper("lowerlayerdown"))), addrs(v4), routes(gw4), gateway, "", "operstate lowerlayerdown"},
	{"VLAN", links(link("ens3", index(3)), link("ens3.7", kind("vlan"))), addrs(v4), routes(gw4), gateway, "ens3.7 192.0.2.7/24 192.0.2.1", ""},
	{"macvlan", links(link("mv0", kind("macvlan"))), addrs(v4), routes(gw4), gateway, "mv0 192.0.2.7/24 192.0.2.1", ""},
	{"ipvlan", links(link("ipvl0", kind("ipvlan"))), addrs(v4), routes(gw4), gateway, "ipvl0 192.0.2.7/24 192.0.2.1", ""},
	{"InfiniBand", links(link("ib0", kind("ipoib"), medium("infiniband"))), addrs(v4), routes(gw4), gateway, "ib0 192.0.2.7/24 192.0.2.1", ""},
	{"bond", links(link("bond0", kind("bond")), link("ens3", index(3), master(2)), link("ens4", index(4), master(2))), addrs(v4), routes(gw4), gateway, "bond0 192.0.2.7/24 192.0.2.1", ""},
	{"an address left on a bond's port", links(link("bond0", index(3), kind("bond")), link("ens3", master(3))), addrs(v4), routes(gw4), gateway, "", "bond0: up, carrier; no address"},
	{"bridge with a port", links(link("br0", kind("bridge")), link("ens3", index(3), master(2))), addrs(v4), routes(gw4), gateway, "br0 192.0.2.7/24 192.0.2.1", ""},
	{"bridge without a port", links(link("br0", kind("bridge"))), addrs(v4), routes(gw4), gateway, "", "left out: lo (loopback), br0 (a bridge without a port)"},
	{"bridge without a port that is named", links(link("br0", kind("bridge"))), addrs(v4), routes(gw4), named("br*"), "br0 192.0.2.7/24 192.0.2.1", ""},
	{"dummy", links(link("dummy0", kind("dummy"))), addrs(v4), routes(gw4), gateway, "", "left out: lo (loopback), dummy0 (dummy)"},
	{"dummy that is named", links(link("dummy0", kind("dummy"))), addrs(v4), routes(gw4), named("dummy0"), "dummy0 192.0.2.7/24 192.0.2.1", ""},
	{"ifb", links(link("ifb0", kind("ifb"))), addrs(v4), routes(gw4), gateway, "", "ifb0 (ifb)"},
	{"a container's veth", links(link("veth1", kind("veth"))), addrs(v4), nil, must(Address), "", "veth1 (a veth without a default route)"},
	{"a container's veth in a bridge", links(link("docker0", index(3), kind("bridge")), link("veth1", kind("veth"), master(3))), addrs(on(3, "172.17.0.1/16")), nil, gateway, "", "docker0: up, carrier; 172.17.0.1/16 ok; no default route yet"},
	{"a veth with the default route", links(link("eth0", kind("veth"))), addrs(v4), routes(gw4), gateway, "eth0 192.0.2.7/24 192.0.2.1", ""},
	{"WireGuard", links(link("wg0", kind("wireguard"), medium("none"), oper("unknown"))), addrs(v4), routes(via(2, "")), gateway, "", "wg0 (not like Ethernet: none)"},
	{"WireGuard that is named", links(link("wg0", kind("wireguard"), medium("none"), oper("unknown"))), addrs(v4), routes(via(2, "")), named("wg0"), "wg0 192.0.2.7/24 -", ""},
	{"point-to-point", links(link("ppp0", kind("ppp"), medium("ppp"), oper("unknown"))), addrs(v4), routes(via(2, "")), gateway, "", "ppp0 (not like Ethernet: ppp)"},
	{"point-to-point that is named", links(link("ppp0", kind("ppp"), medium("ppp"), oper("unknown"))), addrs(on(2, "192.0.2.7/32")), routes(via(2, "")), named("ppp*"), "ppp0 192.0.2.7/32 -", ""},
	{"in a VRF, with a route in main", links(link("vrf1", index(3), kind("vrf")), link("ens3", master(3))), addrs(v4), routes(gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"a port whose master is not here", links(link("ens3", master(77))), addrs(v4), routes(gw4), gateway, "", "ens3 (a port of another link)"},
	{"team", links(link("team0", kind("team")), link("ens3", index(3), master(2))), addrs(v4), routes(gw4), gateway, "team0 192.0.2.7/24 192.0.2.1", ""},
	{"VLAN on a bond", links(link("bond0", index(3), kind("bond")), link("ens3", index(4), master(3)), link("bond0.7", kind("vlan"))), addrs(v4), routes(gw4), gateway, "bond0.7 192.0.2.7/24 192.0.2.1", ""},
	{"bridge on a VLAN whose card is down", links(link("ens3", index(4), noCarrier), link("ens3.7", index(3), kind("vlan"), master(2), oper("lowerlayerdown")), link("br0", kind("bridge"), noCarrier)), addrs(v4), routes(gw4), gateway, "", "br0: up, no carrier"},
	{"InfiniBand without a subnet manager", links(link("ib0", kind("ipoib"), medium("infiniband"), noCarrier)), addrs(v4), routes(gw4), gateway, "", "ib0: up, no carrier"},
	{"tunnel", links(link("gre1", kind("gre"), medium("ipgre"), oper("unknown"))), addrs(v4), routes(via(2, "")), gateway, "", "gre1 (not like Ethernet: ipgre)"},
	{"tun of a VPN beside the card", links(ens3, link("tun0", index(3), kind("tun"), medium("none"), oper("unknown"))), addrs(v4, on(3, "10.8.0.2/24")), routes(via(3, "10.8.0.1"), gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"a virtual machine's tap without an address", links(ens3, link("vnet0", index(3), kind("tun"), oper("unknown"))), addrs(v4), routes(gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"macvtap", links(link("macvtap0", kind("macvtap"))), addrs(v4), routes(gw4), gateway, "macvtap0 192.0.2.7/24 192.0.2.1", ""},
	{"renamed: the new name is named", links(link("lan0")), addrs(v4), routes(gw4), named("lan*"), "lan0 192.0.2.7/24 192.0.2.1", ""},
	{"renamed: the old name was named", links(link("lan0")), addrs(v4), routes(gw4), named("ens*"), "", "lan0 (not among network.interfaces)"},
	{"deleted, and its address and route still listed", links(), addrs(v4), routes(gw4), gateway, "", "there is no link to wait for"},
	{"deleted and made again: the old index counts for nothing", links(link("ens3", index(7))), addrs(v4), routes(gw4), gateway, "", "ens3: up, carrier; no address"},
	{"deleted and made again: configured anew", links(link("ens3", index(7))), addrs(v4, on(7, "192.0.2.8/24")), routes(gw4, via(7, "192.0.2.1")), gateway, "ens3 192.0.2.8/24 192.0.2.1", ""},
	{"moved to another namespace, another link stays", links(link("ens4", index(3))), addrs(v4), routes(gw4), gateway, "", "ens4: up, carrier; no address"},
	{"its other end in another namespace has its index", links(link("eth0", kind("veth"), master(0))), addrs(v4), routes(gw4), gateway, "eth0 192.0.2.7/24 192.0.2.1", ""},
	{"not among the named", links(ens3), addrs(v4), routes(gw4), named("eth*"), "", "ens3 (not among network.interfaces)"},
	{"one of the globs", links(ens3), addrs(v4), routes(gw4), named("eth*", "ens?"), "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"a broken glob matches nothing", links(ens3), addrs(v4), routes(gw4), named("ens["), "", "not among"},
	// addresses
	{"no address", links(ens3), addrs(), nil, gateway, "", "ens3: up, carrier; no address"},
	{"another link's address", links(ens3), addrs(on(3, "192.0.2.7/24")), routes(gw4), gateway, "", "ens3: up, carrier; no address"},
	{"link-local IPv6 alone", links(ens3), addrs(ll6), routes(gw6), gateway, "", "fe80::1/64 link-local; no usable address yet"},
	{"link-local IPv4 alone", links(ens3), addrs(ll4), routes(gw4), gateway, "", "169.254.7.7/16 link-local"},
	{"link-local with global scope", links(ens3), addrs(on(2, "169.254.7.7/16")), routes(gw4), gateway, "", "169.254.7.7/16 link-local"},
	{"scope link", links(ens3), addrs(on(2, "192.0.2.7/24", ofScope("link"))), routes(gw4), gateway, "", "192.0.2.7/24 of scope link"},
	{"scope host", links(ens3), addrs(on(2, "192.0.2.7/24", ofScope("host"))), routes(gw4), gateway, "", "of scope host"},
	{"tentative", links(ens3), addrs(on(2, "2001:db8::7/64", tentative)), routes(gw6), gateway, "", "2001:db8::7/64 tentative; no usable address yet"},
	{"duplicate", links(ens3), addrs(on(2, "2001:db8::7/64", failed)), routes(gw6), gateway, "", "2001:db8::7/64 failed: another machine has it"},
	{"deprecated", links(ens3), addrs(on(2, "2001:db8::7/64", deprecated)), routes(gw6), gateway, "", "2001:db8::7/64 deprecated"},
	{"deprecated, and a fresh one", links(ens3), addrs(on(2, "2001:db8::6/64", deprecated), v6), routes(gw6), gateway, "ens3 2001:db8::7/64 fe80::ff", ""},
	{"the first address is tentative", links(ens3), addrs(on(2, "192.0.2.6/24", tentative), v4), routes(gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"a private address", links(ens3), addrs(on(2, "10.1.2.3/8")), routes(via(2, "10.0.0.1")), gateway, "ens3 10.1.2.3/8 10.0.0.1", ""},
	{"a unique local address", links(ens3), addrs(on(2, "fd00::7/64")), routes(gw6), gateway, "ens3 fd00::7/64 fe80::ff", ""},
	{"a loopback address on a card", links(ens3), addrs(on(2, "127.0.0.2/8")), routes(gw4), gateway, "", "no address of a host"},
	{"duplicate, and another that is none", links(ens3), addrs(on(2, "2001:db8::6/64", failed), v6), routes(gw6), gateway, "ens3 2001:db8::7/64 fe80::ff", ""},
	{"a /32 with a gateway on the link", links(ens3), addrs(on(2, "192.0.2.7/32")), routes(via(2, "192.0.2.1")), gateway, "ens3 192.0.2.7/32 192.0.2.1", ""},
	{"multicast", links(ens3), addrs(on(2, "224.0.0.7/24")), routes(gw4), gateway, "", "no address of a host"},
	{"unspecified", links(ens3), addrs(on(2, "0.0.0.0/0")), routes(gw4), gateway, "", "no address of a host"},
	{"shared address space", links(ens3), addrs(on(2, "100.64.0.7/10")), routes(via(2, "100.64.0.1")), gateway, "ens3 100.64.0.7/10 100.64.0.1", ""},
	{"site scope", links(ens3), addrs(on(2, "fec0::7/64", ofScope("site"))), routes(gw6), gateway, "", "of scope site"},
	// families
	{"IPv6 alone, any", links(ens3), addrs(ll6, v6), routes(gw6), gateway, "ens3 2001:db8::7/64 fe80::ff", ""},
	{"dual stack, any: IPv4 is named", links(ens3), addrs(v6, v4), routes(gw6, gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"dual stack, only IPv6 has a route", links(ens3), addrs(v4, v6), routes(gw6), gateway, "ens3 2001:db8::7/64 fe80::ff", ""},
	{"IPv4 wanted, IPv6 there", links(ens3), addrs(v6), routes(gw6), only(IPv4), "", "no usable IPv4 address yet"},
	{"IPv6 wanted, IPv4 there", links(ens3), addrs(v4), routes(gw4), only(IPv6), "", "no usable IPv6 address yet"},
	{"IPv6 wanted, both there", links(ens3), addrs(v4, v6), routes(gw4, gw6), only(IPv6), "ens3 2001:db8::7/64 fe80::ff", ""},
	{"both wanted, both there", links(ens3), addrs(v4, v6), routes(gw4, gw6), only(Both), "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"both wanted, IPv6 is late", links(ens3), addrs(v4, ll6), routes(gw4), only(Both), "", "192.0.2.7/24 ok; fe80::1/64 link-local; no usable IPv6 address yet"},
	{"both wanted, IPv6 has no route", links(ens3), addrs(v4, v6), routes(gw4), only(Both), "", "no default route for 2001:db8::7 yet"},
	{"both wanted, on two links", links(ens3, link("ens4", index(3))), addrs(v4, on(3, "2001:db8::7/64")), routes(gw4, via(3, "fe80::ff")), only(Both), "", "ens3: up, carrier; 192.0.2.7/24 ok; no usable IPv6 address yet | ens4:"},
	// routes
	{"no route", links(ens3), addrs(v4), nil, gateway, "", "ens3: up, carrier; 192.0.2.7/24 ok; no default route yet"},
	{"no route needed", links(ens3), addrs(v4), nil, must(Address), "ens3 192.0.2.7/24 -", ""},
	{"no route needed, one there", links(ens3), addrs(v4), routes(gw4), must(Address), "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"route before the address", links(ens3), nil, routes(gw4), gateway, "", "ens3: up, carrier; no address"},
	{"route through another link", links(ens3), addrs(v4), routes(via(3, "192.0.2.1")), gateway, "", "no default route yet"},
	{"route of the other family", links(ens3), addrs(v4), routes(gw6), gateway, "", "no default route yet"},
	{"route without a gateway", links(ens3), addrs(v4), routes(via(2, "")), gateway, "ens3 192.0.2.7/24 -", ""},
	{"IPv4 by an IPv6 gateway", links(ens3), addrs(v4), routes(Route{Link: 2, Table: 254, Gateway: netip.MustParseAddr("fe80::ff")}), gateway, "ens3 192.0.2.7/24 fe80::ff", ""},
	{"IPv6 route without a gateway", links(ens3), addrs(v6), routes(via(2, "", six)), gateway, "ens3 2001:db8::7/64 -", ""},
	{"two gateways, the lower metric", links(ens3), addrs(v4), routes(via(2, "192.0.2.2", metric(200)), via(2, "192.0.2.1", metric(100))), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"route before the address, IPv6", links(ens3), addrs(ll6, on(2, "2001:db8::7/64", tentative)), routes(gw6), gateway, "", "2001:db8::7/64 tentative"},
	{"several hops, the first listed", links(ens3), addrs(v4), routes(via(2, "192.0.2.2"), via(2, "192.0.2.1")), gateway, "ens3 192.0.2.7/24 192.0.2.2", ""},
	{"several hops through two links", links(ens3, link("ens4", index(3))), addrs(v4, on(3, "198.51.100.7/24")), routes(via(3, "198.51.100.1"), gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"several hops, the first link has no address", links(ens3, link("ens4", index(3))), addrs(on(3, "198.51.100.7/24")), routes(gw4, via(3, "198.51.100.1")), gateway, "ens4 198.51.100.7/24 198.51.100.1", ""},
	{"the lower metric is that of a link without address", links(ens3, link("ens4", index(3))), addrs(v4), routes(via(3, "198.51.100.1"), via(2, "192.0.2.1", metric(600))), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"an address alone beats no address, whatever the route", links(ens3, link("ens4", index(3))), addrs(on(3, "198.51.100.7/24")), routes(gw4), must(Address), "ens4 198.51.100.7/24 -", ""},
	// several links
	{"two links, the lower metric", links(ens3, link("ens4", index(3))), addrs(v4, on(3, "198.51.100.7/24")), routes(via(2, "192.0.2.1", metric(200)), via(3, "198.51.100.1", metric(100))), gateway, "ens4 198.51.100.7/24 198.51.100.1", ""},
	{"two links, the lower index", links(link("ens9", index(9)), ens3), addrs(v4, on(9, "198.51.100.7/24")), routes(via(9, "198.51.100.1"), gw4), gateway, "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"the second link is ready first", links(ens3, link("ens4", index(3))), addrs(on(3, "198.51.100.7/24")), routes(via(3, "198.51.100.1")), gateway, "ens4 198.51.100.7/24 198.51.100.1", ""},
	{"both are told of", links(ens3, link("ens4", index(3), down)), addrs(v4), nil, gateway, "", "ens3: up, carrier; 192.0.2.7/24 ok; no default route yet | ens4: down"},
	// the gateway's answer
	{"gateway that has not answered", links(ens3), addrs(v4), routes(gw4), must(GatewayResolved), "", "192.0.2.7/24 ok; the gateway 192.0.2.1 has not answered yet"},
	{"gateway that has answered", links(ens3), addrs(v4), routes(via(2, "192.0.2.1", answered)), must(GatewayResolved), "ens3 192.0.2.7/24 192.0.2.1", ""},
	{"no route to a gateway", links(ens3), addrs(v4), nil, must(GatewayResolved), "", "no default route yet"},
	{"only the IPv6 gateway has answered", links(ens3), addrs(v4, v6), routes(gw4, via(2, "fe80::ff", answered)), must(GatewayResolved), "ens3 2001:db8::7/64 fe80::ff", ""},
	{"one of two hops has answered", links(ens3), addrs(v4), routes(gw4, via(2, "192.0.2.2", answered)), must(GatewayResolved), "ens3 192.0.2.7/24 192.0.2.2", ""},
	{"the spare gateway alone has answered", links(ens3), addrs(v4), routes(gw4, via(2, "192.0.2.2", metric(9), answered)), must(GatewayResolved), "", "the gateway 192.0.2.1 has not answered yet"},
	{"no gateway to ask", links(link("wg0", medium("none"))), addrs(v4), routes(via(2, "", answered)), Criteria{Interfaces: []string{"wg0"}, Require: GatewayResolved}, "wg0 192.0.2.7/24 -", ""},
	{"both wanted, one gateway silent", links(ens3), addrs(v4, v6), routes(via(2, "192.0.2.1", answered), gw6), Criteria{Family: Both, Require: GatewayResolved}, "", "the gateway fe80::ff has not answered yet"},
}

func TestDecide(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range rows {
		if seen[tt.name] {
			t.Errorf("two rows are called %q", tt.name)
		}
		seen[tt.name] = true
		f, missing, ok := Decide(Snapshot{tt.links, tt.addrs, tt.route}, tt.c)
		got := ""
		if ok {
			gw := "-"
			if f.Gateway.IsValid() {
				gw = f.Gateway.String()
			}
			got = fmt.Sprintf("%s %s %s", f.Interface, f.Address, gw)
		}
		if got != tt.want || !strings.Contains(missing, tt.words) || ok && missing != "" {
			t.Errorf("%s: Decide = %q, missing %q; want %q, missing %q", tt.name, got, missing, tt.want, tt.words)
		}
	}
	if len(rows) < 60 {
		t.Errorf("%d rows; want 60 at least", len(rows))
	}
}

// TestDecideDoesNotDependOnOrder: the kernel promises none.
func TestDecideDoesNotDependOnOrder(t *testing.T) {
	for _, tt := range rows {
		s := Snapshot{slices.Clone(tt.links), tt.addrs, tt.route}
		f, _, ok := Decide(s, tt.c)
		slices.Reverse(s.Links)
		g, _, again := Decide(s, tt.c)
		if ok != again || ok && !f.same(g) {
			t.Errorf("%s: with the links reversed Decide = %+v, %v; want %+v, %v", tt.name, g, again, f, ok)
		}
	}
}

func TestFacts(t *testing.T) {
	s := Snapshot{links(ens3), addrs(v6, on(2, "192.0.2.8/24"), v4, ll6, on(2, "2001:db8::8/64", deprecated)), routes(gw6, gw4, via(2, "192.0.2.2", metric(9)))}
	f, _, ok := Decide(s, gateway)
	var all, gws []string
	for _, a := range f.Addresses {
		all = append(all, a.Prefix.String()+" "+a.Scope)
	}
	for _, g := range f.Gateways {
		gws = append(gws, g.String())
	}
	if !ok || f.Index != 2 || f.MAC != ens3.MAC || f.Operstate != "up" || f.RouteTable != 254 ||
		!slices.Equal(all, []string{"192.0.2.8/24 global", "192.0.2.7/24 global", "2001:db8::7/64 global"}) || !slices.Equal(gws, []string{"192.0.2.1", "192.0.2.2", "fe80::ff"}) {
		t.Errorf("Decide = %+v, %v", f, ok)
	}
}

func TestExplain(t *testing.T) {
	text, ok := Explain(Snapshot{links(ens3), addrs(v4, ll6), routes(gw4)}, gateway)
	if want := "ens3: up, carrier; 192.0.2.7/24 ok; fe80::1/64 link-local; default route by 192.0.2.1"; text != want || !ok {
		t.Errorf("Explain = %q, %v; want %q", text, ok, want)
	}
	var many []Addr
	for i := range 300 {
		many = append(many, on(2, fmt.Sprintf("10.0.%d.1/32", i%256), deprecated))
	}
	if text, _ = Explain(Snapshot{links(ens3), many, nil}, gateway); len(text) > 500 || !strings.Contains(text, "292 more") {
		t.Errorf("Explain of 300 addresses is %d bytes long: %.200q…", len(text), text)
	}
}
