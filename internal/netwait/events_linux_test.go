// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "record the messages in testdata again; needs root")

// recorded are datagrams that a kernel sent (6.18), by what had been done.
func recorded(t testing.TB) map[string][][]byte {
	t.Helper()
	f, err := os.Open("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][][]byte{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		what, bytes, _ := strings.Cut(lines.Text(), ": ")
		b, err := hex.DecodeString(bytes)
		if err != nil {
			t.Fatal(err)
		}
		out[what] = append(out[what], b)
	}
	return out
}

// TestRecord writes testdata/messages.txt: what the kernel says when each of
// these is done.
func TestRecord(t *testing.T) {
	if !*update {
		return
	}
	namespace(t)
	src, err := openSocket([]int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1000)
	go func() {
		for {
			b := make([]byte, 64<<10)
			n, _, _, err := src.receive(b)
			if err != nil {
				return
			}
			got <- b[:n]
		}
	}()
	var text strings.Builder
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"veth made", func() error { return addVeth("ens3", "peer") }},
		{"links up", func() error { return errors.Join(linkUp("ens3"), linkUp("peer")) }},
		{"address added", func() error { return addAddr("ens3", "192.0.2.7/24") }},
		{"default route added", func() error { return addRoute("ens3", "", "192.0.2.1") }},
		{"other route added", func() error { return addRoute("ens3", "198.51.100.0/24", "192.0.2.1") }},
		{"address removed", func() error { return delAddr("ens3", "192.0.2.7/24") }},
		{"link deleted", func() error { return delLink("ens3") }},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		time.Sleep(100 * time.Millisecond)
		for len(got) > 0 {
			fmt.Fprintf(&text, "%s: %x\n", step.what, <-got)
		}
	}
	if err := os.WriteFile("testdata/messages.txt", []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWeigh(t *testing.T) {
	messages := recorded(t)
	type weight struct {
		matter bool
		from   Table
	}
	for what, want := range map[string]weight{
		"veth made": {true, Links}, "links up": {true, Links}, "address added": {true, Addresses}, "default route added": {true, Routes},
		"other route added": {false, Routes}, "address removed": {true, Addresses}, "link deleted": {true, Links},
	} {
		if len(messages[what]) == 0 {
			t.Errorf("%s: nothing is recorded", what)
		}
		all := weight{from: Routes}
		for _, b := range messages[what] {
			_, matter, from := weigh(b)
			all = weight{all.matter || matter, min(all.from, from)}
		}
		if all != want {
			t.Errorf("%s: %+v; want %+v", what, all, want)
		}
	}
	address, other := messages["address added"][0], messages["other route added"][0]
	for _, tt := range []struct {
		name   string
		b      []byte
		events int
		matter bool
		from   Table
	}{
		{"nothing", nil, 0, false, Routes},
		{"half a header", address[:8], 1, true, Links},
		{"half a message", address[:20], 1, true, Links},
		{"a length of 0", append([]byte{0, 0, 0, 0}, address[4:]...), 1, true, Links},
		{"a length of 4 GiB", append([]byte{255, 255, 255, 255}, address[4:]...), 1, true, Links},
		{"a route without a body", []byte{16, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1, true, Routes},
		{"two routes", slices.Concat(other, other), 2, false, Routes},
		{"a route and an address", slices.Concat(other, address), 2, true, Addresses},
		{"a route and rubbish", append(slices.Clone(other), 1, 2, 3), 2, true, Links},
		{"an error of the kernel's", []byte{20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1, true, Links},
	} {
		if events, matter, from := weigh(tt.b); events != tt.events || matter != tt.matter || from != tt.from {
			t.Errorf("%s: weigh = %d, %v, %v; want %d, %v, %v", tt.name, events, matter, from, tt.events, tt.matter, tt.from)
		}
	}
}

func FuzzWeigh(f *testing.F) {
	for _, list := range recorded(f) {
		for _, b := range list {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if events, _, _ := weigh(b); events > len(b) {
			t.Errorf("weigh counts %d messages in %d bytes", events, len(b))
		}
	})
}

// script is a source that says what a test wants, then nothing until it is closed.
type script struct {
	steps  []step
	closed chan struct{}
}

type step struct {
	b         []byte
	truncated bool
	foreign   bool
	err       error
}

func (s *script) source() source {
	s.closed = make(chan struct{})
	return source{
		receive: func(buf []byte) (int, bool, bool, error) {
			if len(s.steps) == 0 {
				<-s.closed
				return 0, false, false, os.ErrClosed
			}
			next := s.steps[0]
			s.steps = s.steps[1:]
			return copy(buf, next.b), next.truncated, !next.foreign, next.err
		},
		close: func() error {
			select {
			case <-s.closed:
			default:
				close(s.closed)
			}
			return nil
		},
	}
}

// TestEventsBecomeHints feeds the loop with a kernel's own bytes and with what
// goes wrong on real machines: each is a hint, none an end or a busy loop.
func TestEventsBecomeHints(t *testing.T) {
	messages := recorded(t)
	address, other := messages["address added"][0], messages["other route added"][0]
	for _, tt := range []struct {
		name   string
		steps  []step
		hinted bool
		events int
	}{
		{"an address", []step{{b: address}}, true, 1},
		{"a route that does not matter", []step{{b: other}}, false, 0},
		{"the same, cut off", []step{{b: other, truncated: true}}, true, 1},
		{"messages were lost", []step{{err: unix.ENOBUFS}}, true, 1},
		{"a signal", []step{{err: unix.EINTR}, {err: unix.EINTR}}, false, 0},
		{"a signal, then an address", []step{{err: unix.EINTR}, {b: address}}, true, 1},
		{"not from the kernel", []step{{b: address, foreign: true}}, false, 0},
		{"malformed", []step{{b: []byte("malformed")}}, true, 1},
		{"empty", []step{{}}, false, 0},
		{"lost, then three addresses", []step{{err: unix.ENOBUFS}, {b: address}, {b: address}, {b: address}}, true, 4},
		{"the socket fails", []step{{err: unix.EIO}}, true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			first := true
			hints, err := subscribe(ctx, func() (source, error) {
				s := &script{}
				if first {
					s.steps, first = tt.steps, false
				}
				return s.source(), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			select {
			case h, open := <-hints:
				if !tt.hinted || !open || h.Events != tt.events || h.At.IsZero() {
					t.Errorf("%s: hint %+v, %v; want %v with %d events", tt.name, h, open, tt.hinted, tt.events)
				}
			default:
				if tt.hinted {
					t.Errorf("%s: no hint", tt.name)
				}
			}
			cancel()
			if _, open := <-hints; open {
				t.Errorf("%s: a hint after the end", tt.name)
			}
		})
	}
}

// TestASocketThatAlwaysFails is opened anew with pauses that grow.
func TestASocketThatAlwaysFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var opened atomic.Int64
		hints, err := subscribe(ctx, func() (source, error) {
			if opened.Add(1)%3 == 0 {
				return source{}, unix.EMFILE
			}
			return (&script{steps: []step{{err: unix.EBADF}}}).source(), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := opened.Load(); n < 10 || n > 60 {
			t.Errorf("the socket was opened %d times in a minute; want again and again, and no busy loop", n)
		}
		if len(hints) != 1 {
			t.Error("no hint that something may have been missed")
		}
		cancel()
		synctest.Wait()
	})
}

func TestSubscribeFails(t *testing.T) {
	if _, err := subscribe(t.Context(), func() (source, error) { return source{}, unix.EPERM }); !errors.Is(err, unix.EPERM) {
		t.Errorf("subscribe = %v; want EPERM", err)
	}
}

func addVeth(name, peer string) error {
	return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer})
}

func linkUp(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

func linkDown(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetDown(l)
}

func delLink(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkDel(l)
}

func editAddr(name, text string, edit func(netlink.Link, *netlink.Addr) error) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(text)
	if err != nil {
		return err
	}
	return edit(l, a)
}

func addAddr(name, text string) error { return editAddr(name, text, netlink.AddrAdd) }
func delAddr(name, text string) error { return editAddr(name, text, netlink.AddrDel) }

// addRoute adds a route; without dst it is a default one.
func addRoute(name, dst, gw string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: l.Attrs().Index, Gw: ip(gw)}
	if dst != "" {
		if r.Dst, err = netlink.ParseIPNet(dst); err != nil {
			return err
		}
	}
	return netlink.RouteAdd(r)
}
