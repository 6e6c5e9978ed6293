// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"reflect"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// TestTablesThatAreNotReadAgain changes each of the kernel's tables in the ways
// that network managers do, and some that it tells nobody of: a look at those that
// the hints name finds what a look at all of them finds.
func TestTablesThatAreNotReadAgain(t *testing.T) {
	namespace(t)
	src, err := Kernel(gateway).Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var l lister
	defer l.close()
	if _, err := l.list(gateway, Links); err != nil {
		t.Fatal(err)
	}
	preferred := func() error {
		link, err := netlink.LinkByName("ens3")
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: ip("192.0.2.1"), Src: ip("192.0.2.8"), Priority: 5})
	}
	rename := func() error {
		link, err := netlink.LinkByName("ens3")
		if err != nil {
			return err
		}
		return netlink.LinkSetName(link, "ens4")
	}
	again := map[Table]int{}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"a pair of links", made},
		{"without DAD", set("ipv6/conf/ens3/accept_dad", "0")},
		{"links up", up},
		{"an address", func() error { return addAddr("ens3", "192.0.2.7/24") }},
		{"another one", func() error { return addAddr("ens3", "192.0.2.8/24") }},
		{"a default route", func() error { return addRoute("ens3", "", "192.0.2.1") }},
		{"one from the other address", preferred},
		{"the other address goes, and the route from it untold", func() error { return delAddr("ens3", "192.0.2.8/24") }},
		{"an IPv6 address", func() error { return addAddr("ens3", "2001:db8::7/64") }},
		{"its default route", func() error { return addRoute("ens3", "", "2001:db8::1") }},
		{"the link goes down, and its routes untold", func() error { return linkDown("ens3") }},
		{"another name", rename},
		{"up again", func() error { return linkUp("ens4") }},
		{"a default route again", func() error { return addRoute("ens4", "", "192.0.2.1") }},
		{"the other end goes", func() error { return delLink("peer") }},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		var got Snapshot
		for quiet := false; !quiet; {
			select {
			case h := <-src:
				again[h.From]++
				if got, err = l.list(gateway, h.From); err != nil {
					t.Fatal(err)
				}
			case <-time.After(150 * time.Millisecond):
				quiet = true
			}
		}
		want, err := List(gateway)
		if err != nil {
			t.Fatal(err)
		}
		if got.Links != nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: by the hints\n%+v; all tables are\n%+v", step.name, got, want)
		}
	}
	for _, from := range []Table{Links, Addresses, Routes} {
		if again[from] == 0 {
			t.Errorf("no look began with table %d: nothing was tried", from)
		}
	}
}
