// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// anAddress allows one literal address to listen on or to send from: not "every address", which would
// listen wider than an image that named one.
var anAddress = rule{"a literal address other than 0.0.0.0 and ::", func(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == "" && !a.Unmap().IsUnspecified()
}}

// aPeer allows whom a daemon answers: a host, an address or a network that is not nearly everybody.
var aPeer = either(anyHost, rule{"a network of /8 or narrower (IPv6: /16)", narrowNetwork})

// narrowNetwork reports whether s is a network in CIDR notation that leaves most of the Internet out.
func narrowNetwork(s string) bool {
	p, err := netip.ParsePrefix(s)
	return err == nil && narrow(p)
}

// narrow looks at IPv4 within IPv6 as IPv4: Zabbix and APR take ::ffff:0.0.0.0/96 and ::/96 for all of it.
func narrow(p netip.Prefix) bool {
	switch a := p.Addr().As16(); {
	case p.Addr().Is4():
		return p.Bits() >= 8
	case [10]byte(a[:10]) == [10]byte{}:
		return p.Bits() >= 96+8
	}
	return p.Bits() >= 16
}

// aLoopback allows an address that only this machine reaches.
var aLoopback = match("127.0.0.1, ::1 or localhost", `127\.0\.0\.1|::1|localhost`)

// from allows the decimal numbers from low to high, without a leading zero: some daemons read one as octal.
func from(low, high int) rule {
	return rule{"a number from " + strconv.Itoa(low) + " to " + strconv.Itoa(high), func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && low <= n && n <= high && strconv.Itoa(n) == s
	}}
}

// commas allows items with commas between, and blanks around them: not blanks alone, of which some daemons take
// the first item for the whole list.
func commas(item rule) rule {
	return rule{"a list with commas between, each item " + item.want, func(s string) bool {
		for part := range strings.SplitSeq(s, ",") {
			if !item.ok(strings.Trim(part, " \t")) {
				return false
			}
		}
		return true
	}}
}

// words allows exactly the given words, for daemons that compare with case.
func words(list ...string) rule {
	return rule{"one of " + strings.Join(list, ", "), func(s string) bool { return slices.Contains(list, s) }}
}
