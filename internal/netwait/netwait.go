// SPDX-License-Identifier: Apache-2.0

// Package netwait blocks until rtnetlink(7) reports a configured interface. Its
// input is the kernel's links, addresses and routes; its output is the facts it
// decided on. It configures nothing, asks nobody over the network, and does not
// know which network manager the guest has.
package netwait

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Link is one network link (rtnetlink RTM_NEWLINK).
type Link struct {
	Index     int
	Name      string
	MAC       string
	Operstate string // RFC 2863 as the kernel words it: "up", "unknown", "down" …
	Loopback  bool
	Up        bool // IFF_UP: somebody switched it on
	Carrier   bool // IFF_LOWER_UP: the driver has a signal
}

// Addr is one address of a link (RTM_NEWADDR). Usable is false while duplicate
// address detection runs or when it failed (RFC 4862 §5.4), and when the
// address is deprecated.
type Addr struct {
	Link   int
	Prefix netip.Prefix
	Global bool // scope global, and neither 169.254.0.0/16 (RFC 3927) nor fe80::/10
	Usable bool
}

// Route is a default route of the main table (RTM_NEWROUTE). Gateway is not
// valid for a route that leads straight to the link.
type Route struct {
	Link    int
	IPv6    bool
	Gateway netip.Addr
}

// Snapshot is what the kernel had at one moment.
type Snapshot struct {
	Links  []Link
	Addrs  []Addr
	Routes []Route
}

// Facts are what a decision rests on.
type Facts struct {
	Interface string
	Index     int
	MAC       string
	Operstate string
	Address   netip.Prefix
	Gateway   netip.Addr // not valid without a default route that has one
	Waited    time.Duration
	Hints     int // how many kernel messages led to another look
}

// Waiter waits; its fields are how it sees the machine. Kernel gives the real
// ones.
type Waiter struct {
	// Subscribe starts to listen; a value hints that something changed. The
	// channel is closed when its context ends.
	Subscribe func(context.Context) (<-chan struct{}, error)
	// List takes a fresh snapshot.
	List func() (Snapshot, error)
}

// Wait returns when a link is configured. The end of ctx is an error that says
// what is still missing.
func (w Waiter) Wait(ctx context.Context, route bool) (Facts, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start, seen := time.Now(), 0
	hints, err := w.Subscribe(ctx) // before the first List: nothing falls between
	if err != nil {
		return Facts{}, fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	for {
		s, err := w.List()
		if err != nil {
			return Facts{}, fmt.Errorf("list links and addresses: %w", err)
		}
		facts, missing, ok := Decide(s, route)
		if ok {
			facts.Waited, facts.Hints = time.Since(start), seen
			return facts, nil
		}
		select {
		case _, open := <-hints:
			if !open && ctx.Err() == nil {
				return Facts{}, fmt.Errorf("rtnetlink ended early: %s", missing)
			}
			seen++
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return Facts{}, fmt.Errorf("wait for a configured link: %w: %s", context.Cause(ctx), missing)
		}
	}
}

// Decide says whether the network is configured: a link other than loopback
// that is up with carrier, a usable global address on it, and, if route is set,
// a default route of the same family through it. If not, missing says for each
// link what it lacks. With several, the lowest link index wins, and IPv4.
func Decide(s Snapshot, route bool) (facts Facts, missing string, ok bool) {
	var lacks []string
	links := slices.SortedFunc(slices.Values(s.Links), func(a, b Link) int { return cmp.Compare(a.Index, b.Index) })
	for _, l := range links {
		if l.Loopback {
			continue
		}
		facts, lack := decideLink(s, l, route)
		if lack == "" {
			return facts, "", true
		}
		lacks = append(lacks, l.Name+": "+lack)
	}
	if len(lacks) == 0 {
		return Facts{}, "there is no link but loopback", false
	}
	return Facts{}, strings.Join(lacks, "; "), false
}

func decideLink(s Snapshot, l Link, route bool) (Facts, string) {
	switch {
	case !l.Up:
		return Facts{}, "down"
	case !l.Carrier:
		return Facts{}, "no carrier"
	case l.Operstate != "up" && l.Operstate != "unknown": // some drivers do not say
		return Facts{}, "operstate " + l.Operstate
	}
	lack := "no address"
	addrs := slices.SortedStableFunc(slices.Values(s.Addrs), func(a, b Addr) int {
		return cmp.Compare(a.Prefix.Addr().BitLen(), b.Prefix.Addr().BitLen())
	})
	for _, a := range addrs {
		switch {
		case a.Link != l.Index:
			continue
		case !a.Global:
			lack = better(lack, "no global address")
			continue
		case !a.Usable:
			lack = better(lack, a.Prefix.String()+" is tentative or deprecated")
			continue
		}
		f := Facts{Interface: l.Name, Index: l.Index, MAC: l.MAC, Operstate: l.Operstate, Address: a.Prefix}
		i := slices.IndexFunc(s.Routes, func(r Route) bool { return r.Link == l.Index && r.IPv6 == a.Prefix.Addr().Is6() })
		if i >= 0 {
			f.Gateway = s.Routes[i].Gateway
			return f, ""
		}
		if !route {
			return f, ""
		}
		lack = a.Prefix.String() + " ok, no default route yet"
	}
	return Facts{}, lack
}

// better keeps what is nearest to being configured.
func better(old, next string) string {
	if strings.Contains(old, " ok, ") {
		return old
	}
	return next
}
