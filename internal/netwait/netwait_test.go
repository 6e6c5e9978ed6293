// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	lo   = Link{Index: 1, Name: "lo", Operstate: "unknown", Loopback: true, Up: true, Carrier: true}
	eth  = Link{Index: 2, Name: "ens3", Operstate: "up", Up: true, Carrier: true, MAC: "52:54:00:12:34:56"}
	v4   = Addr{Link: 2, Prefix: netip.MustParsePrefix("192.0.2.7/24"), Global: true, Usable: true}
	v6   = Addr{Link: 2, Prefix: netip.MustParsePrefix("2001:db8::7/64"), Global: true, Usable: true}
	gw4  = Route{Link: 2, Gateway: netip.MustParseAddr("192.0.2.1")}
	gw6  = Route{Link: 2, IPv6: true, Gateway: netip.MustParseAddr("fe80::1")}
	far4 = Route{Link: 3, Gateway: netip.MustParseAddr("192.0.2.1")}
)

func with(l Link, edit func(*Link)) Link { edit(&l); return l }
func addr(a Addr, edit func(*Addr)) Addr { edit(&a); return a }

func TestDecide(t *testing.T) {
	for _, tt := range []struct {
		name    string
		s       Snapshot
		route   bool
		address string // decided on; "" is not configured
		missing string
	}{
		{"nothing", Snapshot{}, true, "", "no link but loopback"},
		{"loopback with an address and a route", Snapshot{[]Link{lo}, []Addr{{1, v4.Prefix, true, true}}, []Route{{Link: 1}}}, true, "", "no link but loopback"},
		{"configured, IPv4", Snapshot{[]Link{lo, eth}, []Addr{v4}, []Route{gw4}}, true, "192.0.2.7/24", ""},
		{"configured, IPv6", Snapshot{[]Link{lo, eth}, []Addr{v6}, []Route{gw6}}, true, "2001:db8::7/64", ""},
		{"both: IPv4 is named", Snapshot{[]Link{lo, eth}, []Addr{v6, v4}, []Route{gw6, gw4}}, true, "192.0.2.7/24", ""},
		{"IPv4 has no route, IPv6 has", Snapshot{[]Link{lo, eth}, []Addr{v4, v6}, []Route{gw6}}, true, "2001:db8::7/64", ""},
		{"no route", Snapshot{[]Link{lo, eth}, []Addr{v4}, nil}, true, "", "ens3: 192.0.2.7/24 ok, no default route yet"},
		{"no route needed", Snapshot{[]Link{lo, eth}, []Addr{v4}, nil}, false, "192.0.2.7/24", ""},
		{"route through another link", Snapshot{[]Link{lo, eth}, []Addr{v4}, []Route{far4}}, true, "", "no default route yet"},
		{"route before the address", Snapshot{[]Link{lo, eth}, nil, []Route{gw4}}, true, "", "ens3: no address"},
		{"down", Snapshot{[]Link{with(eth, func(l *Link) { l.Up = false })}, []Addr{v4}, []Route{gw4}}, true, "", "ens3: down"},
		{"no carrier", Snapshot{[]Link{with(eth, func(l *Link) { l.Carrier = false })}, []Addr{v4}, []Route{gw4}}, true, "", "ens3: no carrier"},
		{"dormant", Snapshot{[]Link{with(eth, func(l *Link) { l.Operstate = "dormant" })}, []Addr{v4}, []Route{gw4}}, true, "", "ens3: operstate dormant"},
		{"a driver that does not say", Snapshot{[]Link{with(eth, func(l *Link) { l.Operstate = "unknown" })}, []Addr{v4}, []Route{gw4}}, true, "192.0.2.7/24", ""},
		{"tentative", Snapshot{[]Link{eth}, []Addr{addr(v6, func(a *Addr) { a.Usable = false })}, []Route{gw6}}, true, "", "tentative"},
		{"link-local only", Snapshot{[]Link{eth}, []Addr{addr(v6, func(a *Addr) { a.Global = false })}, []Route{gw6}}, true, "", "no global address"},
		{"the other link's address", Snapshot{[]Link{eth}, []Addr{addr(v4, func(a *Addr) { a.Link = 3 })}, []Route{gw4}}, true, "", "ens3: no address"},
		{"lowest index wins", Snapshot{[]Link{with(eth, func(l *Link) { l.Index, l.Name = 9, "ens9" }), eth},
			[]Addr{addr(v4, func(a *Addr) { a.Link = 9 }), v6}, []Route{{Link: 9}, gw6}}, true, "2001:db8::7/64", ""},
	} {
		f, missing, ok := Decide(tt.s, tt.route)
		if ok != (tt.address != "") || ok && f.Address.String() != tt.address || !strings.Contains(missing, tt.missing) {
			t.Errorf("%s: Decide = %v, %q, %v; want %q, %q", tt.name, f.Address, missing, ok, tt.address, tt.missing)
		}
	}
}

func TestWaitSubscribesBeforeItLists(t *testing.T) {
	configured := false
	w := Waiter{
		Subscribe: func(context.Context) (<-chan struct{}, error) {
			configured = true // falls between, if the order is wrong
			return make(chan struct{}), nil
		},
		List: func() (Snapshot, error) {
			if configured {
				return Snapshot{[]Link{eth}, []Addr{v4}, []Route{gw4}}, nil
			}
			return Snapshot{}, nil
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if f, err := w.Wait(ctx, true); err != nil || f.Interface != "ens3" || f.Gateway != gw4.Gateway {
		t.Errorf("Wait = %+v, %v; want ens3 by %v", f, err, gw4.Gateway)
	}
}

func TestWaitSaysWhatIsMissing(t *testing.T) {
	why := errors.New("the deadline of the test")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, why)
	defer cancel()
	w := Waiter{
		Subscribe: func(context.Context) (<-chan struct{}, error) { return make(chan struct{}), nil },
		List:      func() (Snapshot, error) { return Snapshot{[]Link{eth}, []Addr{v4}, nil}, nil },
	}
	if _, err := w.Wait(ctx, true); !errors.Is(err, why) || !strings.Contains(err.Error(), "no default route yet") {
		t.Errorf("error %v; want the cause and what is missing", err)
	}
}
