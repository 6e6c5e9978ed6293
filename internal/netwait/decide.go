// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"sort"
	"strings"
	"time"
)

// Criteria are what "configured" means (docs/network.md). The zero value is
// every Ethernet-like link, any family, an address alone.
type Criteria struct {
	Interfaces []string // globs; none: every Ethernet-like link
	Family     Family
	Require    Require
	Settle     time.Duration
}

// Family says which addresses count.
type Family string

// The families. Both means one of each, on the same link.
const (
	Any  Family = "any"
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
	Both Family = "both"
)

// Require says what has to be there beside an address.
type Require string

// What can be required; each includes the one before.
const (
	Address         Require = "address"
	DefaultRoute    Require = "route"
	GatewayResolved Require = "gateway-resolved"
)

// Link is one network link (rtnetlink RTM_NEWLINK).
type Link struct {
	Index     int
	Name      string
	MAC       string
	Kind      string // IFLA_INFO_KIND: "veth", "bridge" …; "device" for a driver's own
	Medium    string // ARPHRD_* in words: "ether", "infiniband", "none" …
	Operstate string // RFC 2863 as the kernel words it: "up", "unknown", "down" …
	Master    int    // index of the bridge, bond or VRF it belongs to
	Loopback  bool
	Up        bool // IFF_UP: somebody switched it on
	Carrier   bool // IFF_LOWER_UP: the driver has a signal
}

// Addr is one address of a link (RTM_NEWADDR).
type Addr struct {
	Link       int
	Prefix     netip.Prefix
	Scope      string // ip-address(8)'s word: "global", "site", "link", "host"
	Tentative  bool   // duplicate address detection runs (RFC 4862 §5.4)
	Failed     bool   // it found another with this address
	Deprecated bool   // its preferred lifetime is over (RFC 4862 §5.5.4)
}

// Route is a default route of the main table (RTM_NEWROUTE). Gateway is not
// valid for a route that leads straight to the link.
type Route struct {
	Link     int
	IPv6     bool
	Gateway  netip.Addr
	Metric   int
	Table    int
	Resolved bool // the kernel has the gateway's link-layer address, or needs none
}

// Snapshot is what the kernel had at one moment.
type Snapshot struct {
	Links  []Link
	Addrs  []Addr
	Routes []Route
}

// Facts are what a decision rests on.
type Facts struct {
	Interface  string
	Index      int
	MAC        string
	Operstate  string
	Address    netip.Prefix // IPv4 if there is one
	Addresses  []Addr       // all of the link's that can be used
	Gateway    netip.Addr   // not valid without a default route that has one
	Gateways   []netip.Addr // of all default routes through the link
	RouteTable int          // 0 without a route
	Waited     time.Duration
	Events     int       // kernel messages until the decision
	EventAt    time.Time // of the last message before the decision; zero if there was none
	DecidedAt  time.Time

	metric int
}

// same tells whether two decisions rest on the same link, addresses and routes.
func (f Facts) same(g Facts) bool {
	return f.Index == g.Index && f.Interface == g.Interface && f.Address == g.Address && f.Gateway == g.Gateway &&
		slices.Equal(f.Addresses, g.Addresses) && slices.Equal(f.Gateways, g.Gateways)
}

// Decide says whether the network is configured: a link that counts and is up
// with carrier, a usable global address on it, and what else is required, of
// the same family and through the same link. If not, missing says for each link
// what there is and what it lacks; the facts then have a gateway only if its
// answer is all that is missing. Of several links the one with the default route
// of the lowest metric wins, then that of the lowest index.
func Decide(s Snapshot, c Criteria) (facts Facts, missing string, ok bool) {
	var words, leftOut []string
	var best, almost *Facts
	links := slices.Clone(s.Links)
	sort.Slice(links, func(i, j int) bool { return links[i].Index < links[j].Index })
	for _, l := range links {
		if why := excluded(s, l, c); why != "" {
			leftOut = append(leftOut, l.Name+" ("+why+")")
			continue
		}
		f, lack, done := decideLink(s, l, c)
		words = append(words, l.Name+": "+lack)
		switch {
		case done && (best == nil || f.metric < best.metric):
			best = &f
		case !done && almost == nil && f.Gateway.IsValid():
			almost = &f
		}
	}
	if best != nil {
		return *best, "", true
	}
	if almost != nil {
		facts = *almost
	}
	return facts, explain(words, leftOut), false
}

// Explain says in words what there is, whether it suffices or not.
func Explain(s Snapshot, c Criteria) (text string, ok bool) {
	f, missing, ok := Decide(s, c)
	if !ok {
		return missing, false
	}
	i := slices.IndexFunc(s.Links, func(l Link) bool { return l.Index == f.Index })
	_, words, _ := decideLink(s, s.Links[i], c)
	return f.Interface + ": " + words, true
}

const maxWords = 8 // links or addresses that are named: a node can have hundreds

func explain(words, leftOut []string) string {
	text := strings.Join(bounded(words), " | ")
	if len(words) == 0 {
		text = "there is no link to wait for"
	}
	if len(leftOut) > 0 && len(words) == 0 {
		text += "; left out: " + strings.Join(bounded(leftOut), ", ")
	}
	return text
}

func bounded(list []string) []string {
	if n := len(list) - maxWords; n > 0 {
		return append(list[:maxWords:maxWords], fmt.Sprintf("%d more", n))
	}
	return list
}

// excluded says why a link does not count. What the endorser names counts,
// whatever it is, but for loopback.
func excluded(s Snapshot, l Link, c Criteria) string {
	switch {
	case l.Loopback:
		return "loopback"
	case len(c.Interfaces) > 0 && slices.ContainsFunc(c.Interfaces, func(glob string) bool { ok, _ := path.Match(glob, l.Name); return ok }):
		return ""
	case len(c.Interfaces) > 0:
		return "not among network.interfaces"
	case l.Medium != "ether" && l.Medium != "infiniband":
		return "not like Ethernet: " + l.Medium
	case l.Master != 0 && !vrf(s, l.Master):
		return "a port of another link" // which has the addresses
	case l.Kind == "dummy" || l.Kind == "ifb":
		return l.Kind
	case l.Kind == "bridge" && !slices.ContainsFunc(s.Links, func(p Link) bool { return p.Master == l.Index }):
		return "a bridge without a port"
	case l.Kind == "veth" && !slices.ContainsFunc(s.Routes, func(r Route) bool { return r.Link == l.Index }):
		return "a veth without a default route" // a container's end
	}
	return ""
}

// vrf tells whether a link's master leaves it its addresses.
func vrf(s Snapshot, index int) bool {
	return slices.ContainsFunc(s.Links, func(l Link) bool { return l.Index == index && l.Kind == "vrf" })
}

// decideLink says in words what a link has, as far as it matters, and whether
// that is enough.
func decideLink(s Snapshot, l Link, c Criteria) (f Facts, words string, done bool) {
	f = Facts{Interface: l.Name, Index: l.Index, MAC: l.MAC, Operstate: l.Operstate, metric: int(^uint(0) >> 1)}
	switch {
	case !l.Up:
		return f, "down", false
	case !l.Carrier:
		return f, "up, no carrier", false
	case l.Operstate != "up" && l.Operstate != "unknown": // some drivers do not say
		return f, "up, carrier, operstate " + l.Operstate, false
	}
	v4, v6 := f.family(s, c, false), f.family(s, c, true)
	lines := addressWords(s, l)
	var lacks []string
	switch c.Family {
	case IPv4:
		done, lacks = v4.done, []string{v4.lack}
	case IPv6:
		done, lacks = v6.done, []string{v6.lack}
	case Both:
		done, lacks = v4.done && v6.done, []string{v4.lack, v6.lack}
	default:
		if done = v4.done || v6.done; !done {
			lacks = []string{cmp.Or(v4.found, v6.found, "no usable address yet")}
		}
	}
	f.choose(c, v4, v6, done)
	if done && f.RouteTable != 0 {
		lacks = append(lacks, "default route")
		if f.Gateway.IsValid() {
			lacks = append(lacks[:len(lacks)-1], "default route by "+f.Gateway.String())
		}
	}
	lines = append(append([]string{"up, carrier"}, lines...), slices.DeleteFunc(lacks, func(l string) bool { return l == "" })...)
	return f, strings.Join(lines, "; "), done
}

// addressWords names a link's addresses and what each is good for.
func addressWords(s Snapshot, l Link) []string {
	var words []string
	for _, a := range s.Addrs {
		if a.Link == l.Index {
			words = append(words, a.Prefix.String()+" "+cmp.Or(unusable(a), "ok"))
		}
	}
	if len(words) == 0 {
		return []string{"no address"}
	}
	return bounded(words)
}

// choose takes address and gateway of the family that decides: IPv4 where both
// do. Of an undecided link it keeps a gateway that has not answered.
func (f *Facts) choose(c Criteria, v4, v6 half, done bool) {
	for _, h := range []half{v4, v6} {
		counts := c.Family != IPv4 && h.ipv6 || c.Family != IPv6 && !h.ipv6
		if done && counts && h.done || !done && counts && h.unresolved {
			f.Address, f.Gateway = h.address, h.gateway
			if h.table != 0 {
				f.RouteTable, f.metric = h.table, h.metric
			}
			return
		}
	}
}

// half is one family's part of a decision.
type half struct {
	ipv6       bool
	address    netip.Prefix
	gateway    netip.Addr
	table      int
	metric     int
	done       bool
	unresolved bool   // the gateway's answer is all that is missing
	lack       string // in words
	found      string // the same, if at least an address is there
}

// family decides for one family on one link.
func (f *Facts) family(s Snapshot, c Criteria, ipv6 bool) half {
	h := half{ipv6: ipv6, lack: "no usable " + map[bool]string{false: "IPv4", true: "IPv6"}[ipv6] + " address yet"}
	for _, a := range s.Addrs {
		if a.Link != f.Index || a.Prefix.Addr().Is6() != ipv6 || unusable(a) != "" {
			continue
		}
		f.Addresses = append(f.Addresses, a)
		if !h.address.IsValid() {
			h.address = a.Prefix
		}
	}
	var routes []Route
	for _, r := range s.Routes {
		if r.Link == f.Index && r.IPv6 == ipv6 {
			routes = append(routes, r)
		}
	}
	sort.SliceStable(routes, func(i, j int) bool {
		a, b := routes[i], routes[j]
		if a.Metric == b.Metric { // of several hops one that answers will do
			return a.Resolved && !b.Resolved
		}
		return a.Metric < b.Metric
	})
	for _, r := range routes {
		if r.Gateway.IsValid() && !slices.Contains(f.Gateways, r.Gateway) {
			f.Gateways = append(f.Gateways, r.Gateway)
		}
	}
	if !h.address.IsValid() {
		return h
	}
	h.lack = ""
	if len(routes) > 0 {
		h.gateway, h.table, h.metric = routes[0].Gateway, routes[0].Table, routes[0].Metric
	}
	switch {
	case c.Require != DefaultRoute && c.Require != GatewayResolved:
		h.done = true
	case len(routes) == 0:
		h.lack = "no default route yet"
		if c.Family == Both {
			h.lack = "no default route for " + h.address.Addr().String() + " yet"
		}
	case c.Require == GatewayResolved && !routes[0].Resolved:
		h.lack, h.unresolved = "the gateway "+h.gateway.String()+" has not answered yet", true
	default:
		h.done = true
	}
	h.found = h.lack
	return h
}

// unusable says why an address does not count; "" if it does.
func unusable(a Addr) string {
	ip := a.Prefix.Addr()
	switch {
	case ip.IsLinkLocalUnicast(): // 169.254.0.0/16 (RFC 3927), fe80::/10
		return "link-local"
	case ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast():
		return "no address of a host"
	case a.Scope != "global":
		return "of scope " + a.Scope
	case a.Failed:
		return "failed: another machine has it"
	case a.Tentative:
		return "tentative"
	case a.Deprecated:
		return "deprecated"
	}
	return ""
}
