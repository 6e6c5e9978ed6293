// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"net/netip"
	"strings"
)

var (
	condorUser   = lazy(`\A(\*|[A-Za-z0-9_][A-Za-z0-9_.-]*)@(\*|(?:\*\.)?[A-Za-z0-9][A-Za-z0-9_.-]*)\z`)
	condorDomain = lazy(`\A(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\z`)
	condorOctets = lazy(`\A[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}\.\*\z`)

	// Who these are has not been shown: HTCondor manual, "Security", "The Unified Map File" and "Authorization".
	condorNobody = onUse(func() map[string]bool {
		return map[string]bool{"anonymous": true, "unauthenticated": true, "unmapped": true}
	})
)

// condorOne reports whether s names one of a few: HTCondor manual, "Authorization": user@domain, a host, or
// both with a slash between, and a star for any.
func condorOne(s string) bool {
	who, where, both := strings.Cut(s, "/")
	if !both || !strings.ContainsAny(who, "@*") {
		return condorNamedUser(s) || condorNamedHost(s)
	}
	anyone := who == "*" || who == "*@*"
	if !anyone && !condorNamedUser(who) {
		return false
	}
	return condorNamedHost(where) || !anyone && where == "*"
}

// condorNamedUser reports whether s is a user who had to say who it is.
func condorNamedUser(s string) bool {
	m := condorUser.FindStringSubmatch(s)
	return m != nil && (m[1] != "*" || m[2] != "*") && !condorNobody()[lower(m[1])] && !condorNobody()[lower(m[2])]
}

// condorNamedHost reports whether s is a host, a domain or a network of a size that one site may have.
func condorNamedHost(s string) bool {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Addr().Is4() && p.Bits() >= 8 || p.Addr().Is6() && p.Bits() >= 16
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return !addr.IsUnspecified()
	}
	return condorDomain.MatchString(s) && strings.Trim(s, "0123456789.") != "" || condorOctets.MatchString(s)
}
