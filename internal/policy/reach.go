// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ReachRule says of one target whether an epilog may connect there. Exactly one
// of Allow and Deny is set: "any", a CIDR, an address, a host name, or
// "*.domain" for all names below it.
type ReachRule struct {
	Allow string   `yaml:"allow"`
	Deny  string   `yaml:"deny"`
	Ports []string `yaml:"ports"` // "443" or "9600-9700"; none: all

	any    bool
	host   string // without "*."
	below  bool   // names below host, and not host itself
	prefix netip.Prefix
	ports  [][2]uint16
}

// String is the rule as the policy writes it.
func (r *ReachRule) String() string {
	s := "allow " + r.Allow
	if r.Deny != "" {
		s = "deny " + r.Deny
	}
	if len(r.Ports) > 0 {
		s += " ports " + strings.Join(r.Ports, ",")
	}
	return s
}

// parse reads the rule's target and ports.
func (r *ReachRule) parse() error {
	if (r.Allow == "") == (r.Deny == "") {
		return errors.New("a rule has either allow: TARGET or deny: TARGET")
	}
	for _, p := range r.Ports {
		first, last, isRange := strings.Cut(p, "-")
		if !isRange {
			last = first
		}
		lo, err1 := strconv.ParseUint(first, 10, 16)
		hi, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || lo == 0 || lo > hi {
			return fmt.Errorf("%q is no port from 1 to 65535 and no range such as 9600-9700", p)
		}
		r.ports = append(r.ports, [2]uint16{uint16(lo), uint16(hi)})
	}
	t := r.Allow + r.Deny
	if r.any = t == "any"; r.any {
		return nil
	}
	if p, err := netip.ParsePrefix(t); err == nil {
		if p.Masked() != p {
			return fmt.Errorf("%q has bits behind its prefix: it would be %s", t, p.Masked())
		}
		r.prefix = unmap(p)
		return nil
	}
	if a, err := netip.ParseAddr(t); err == nil && a.Zone() == "" {
		r.prefix = unmap(netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	r.host, r.below = strings.CutPrefix(strings.ToLower(strings.TrimSuffix(t, ".")), "*.")
	if !validHost(r.host) {
		return fmt.Errorf("%q is neither any, a CIDR, an address, a host name, nor *.DOMAIN", t)
	}
	return nil
}

// unmap writes an IPv4-mapped prefix as the IPv4 one: so are the addresses that
// it is held against.
func unmap(p netip.Prefix) netip.Prefix {
	if !p.Addr().Is4In6() {
		return p
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96) // at least 96: a shorter one has bits behind it
}

// validHost takes names of at least two labels, or one that is no number: what
// looks like an address in another notation is a mistake.
func validHost(h string) bool {
	letter := false
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, b := range []byte(label) {
			switch {
			case b >= 'a' && b <= 'z', b == '_':
				letter = true
			case b >= '0' && b <= '9', b == '-':
			default:
				return false
			}
		}
	}
	return letter && len(h) <= 253
}

// Reachable says whether an epilog may connect to a port of an address, and by
// which rule. The name is what it asked for, in lower case, or "" if it named
// the address. With an address that is not valid the question is whether the
// name may be looked up: whether any address could be allowed for it.
//
// The first rule that fits decides; without one it is refused. What unreachable
// knows is refused whatever the rules say.
func (n *Network) Reachable(name string, addr netip.Addr, port uint16) (rule string, err error) {
	addr = addr.Unmap()
	if addr.IsValid() {
		if why := unreachable(addr); why != "" {
			return "", errors.New(why)
		}
	}
	for i := range n.Reach {
		r := &n.Reach[i]
		switch fits, maybe := r.fits(name, addr, port); {
		case (fits || maybe) && r.Allow != "":
			return r.String(), nil
		case fits:
			return "", fmt.Errorf("network.reach of the policy says %q", r)
		}
	}
	return "", errors.New("no rule of the policy's network.reach allows it")
}

// fits tells whether a rule is about a target. Maybe is that of a rule for
// addresses before the name is looked up. A denied range covers addresses that
// carry one of its own, too.
func (r *ReachRule) fits(name string, addr netip.Addr, port uint16) (fits, maybe bool) {
	if !slices.ContainsFunc(r.ports, func(p [2]uint16) bool { return p[0] <= port && port <= p[1] }) && len(r.ports) > 0 {
		return false, false
	}
	switch {
	case r.any:
		return true, false
	case r.below:
		return strings.HasSuffix(name, "."+r.host), false
	case r.host != "":
		return name == r.host, false
	case !addr.IsValid():
		return false, true
	}
	return r.prefix.Contains(addr) || r.Deny != "" && slices.ContainsFunc(carried(addr), r.prefix.Contains), false
}

// metadata are the addresses outside link-local at which clouds serve a
// machine's metadata, credentials among it: AWS (its pods, too), Oracle, Google
// and Scaleway by IPv6, Azure, Alibaba, and Oracle's older cloud.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd00:ec2::23"), netip.MustParseAddr("fd00:c1::a9fe:a9fe"),
	netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("fd00:42::42"),
	netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"),
}

// reserved are ranges that are no one host elsewhere (RFC 6890, RFC 1112 §4).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),   // "this network": Linux takes 0.0.0.0 for itself
	netip.MustParsePrefix("240.0.0.0/4"), // with the broadcast address
	netip.MustParsePrefix("::/96"),       // IPv4-compatible, deprecated
	netip.MustParsePrefix("fec0::/10"),   // site-local, deprecated
}

// unreachable says why no policy can open an address; "" if one may. The
// machine's own addresses are the kernel's to know and not looked at here.
func unreachable(addr netip.Addr) string {
	if why := notUnicast(addr); why != "" {
		return addr.String() + " is " + why
	}
	for _, inner := range carried(addr) {
		if why := notUnicast(inner); why != "" {
			return fmt.Sprintf("%s carries %s, which is %s", addr, inner, why)
		}
	}
	return ""
}

func notUnicast(a netip.Addr) string {
	switch {
	case a.Zone() != "":
		return "an address with a zone"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsUnspecified():
		return "the unspecified address"
	case slices.Contains(metadata, a), a == netip.AddrFrom4([4]byte{169, 254, 169, 254}):
		return "a metadata address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast():
		return "a multicast address"
	case a.Is4In6():
		return "an IPv4-mapped address"
	case slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) }):
		return "a reserved address"
	}
	return ""
}

// carried are the IPv4 addresses to which a router may turn an IPv6 address:
// NAT64 by its well-known prefix (RFC 6052) or one of the local-use prefix (RFC
// 8215), 6to4 (RFC 3056), and Teredo's server and client (RFC 4380 §4).
func carried(a netip.Addr) []netip.Addr {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	switch {
	case wellKnownNAT64.Contains(a):
		return []netip.Addr{v4(b[12:])}
	case localNAT64.Contains(a):
		return locallyTranslated(b)
	case sixToFour.Contains(a):
		return []netip.Addr{v4(b[2:])}
	case teredo.Contains(a):
		return []netip.Addr{v4(b[4:]), v4([]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	}
	return nil
}

func v4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }

// locallyTranslated are the addresses that an address of 64:ff9b:1::/48 carries
// by each length of prefix that a site may have chosen there (RFC 6052 §2.2; byte
// 8 is left out). A shorter prefix that would give 0.0.0.0/8 is not meant: its
// place is then that of zeros before the address of a /96.
func locallyTranslated(b [16]byte) []netip.Addr {
	all := []netip.Addr{v4(b[12:])}
	short := slices.Concat(b[6:8], b[9:13])
	for i := range 3 { // /48, /56, /64
		if short[i] != 0 {
			all = append(all, v4(short[i:]))
		}
	}
	return all
}

var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64     = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour      = netip.MustParsePrefix("2002::/16")
	teredo         = netip.MustParsePrefix("2001::/32")
)
