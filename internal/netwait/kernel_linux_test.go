// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func ip(text string) net.IP {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return nil
	}
	return a.AsSlice()
}

// namespace moves the test to a network namespace of its own. Its thread is
// never given back: the goroutine ends with it locked.
func namespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("a network namespace needs root")
		}
		t.Skip("SKIPPED, NO KERNEL WAS ASKED: a network namespace needs root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// aside runs f in another thread of the test's namespace.
func aside(t testing.TB, f func() error) <-chan error {
	t.Helper()
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return done
}

func all(steps ...func() error) func() error {
	return func() error {
		for i, s := range steps {
			time.Sleep(20 * time.Millisecond)
			if err := s(); err != nil {
				return fmt.Errorf("step %d: %w", i+1, err)
			}
		}
		return nil
	}
}

func made() error { return addVeth("ens3", "peer") }

func up() error {
	if err := linkUp("peer"); err != nil {
		return err
	}
	return linkUp("ens3")
}

func set(name, value string) func() error {
	return func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) }
}

// TestKernel configures links the way network managers do, each step later than
// the last, while Wait waits; the facts are the kernel's.
func TestKernel(t *testing.T) {
	quick := gateway
	late := gateway
	late.Settle = 300 * time.Millisecond
	add := func(name, addr string) func() error { return func() error { return addAddr(name, addr) } }
	del := func(name, addr string) func() error { return func() error { return delAddr(name, addr) } }
	def := func(name, gw string) func() error { return func() error { return addRoute(name, "", gw) } }
	link := func(l netlink.Link) func() error { return func() error { return netlink.LinkAdd(l) } }
	for _, tt := range []struct {
		name string
		c    Criteria
		do   func() error
		want string // "" is not configured within a second
	}{
		{"by hand", quick, all(made, up, add("ens3", "192.0.2.7/24"), def("ens3", "192.0.2.1")), "ens3 192.0.2.7/24 192.0.2.1"},
		{"IPv6 without DAD", quick, all(made, set("ipv6/conf/ens3/accept_dad", "0"), up, add("ens3", "2001:db8::7/64"), def("ens3", "2001:db8::1")), "ens3 2001:db8::7/64 2001:db8::1"},
		{"IPv6 with DAD", quick, all(made, up, add("ens3", "2001:db8::7/64"), def("ens3", "2001:db8::1")), "ens3 2001:db8::7/64 2001:db8::1"},
		{"duplicate address", quick, all(made, set("ipv6/conf/peer/accept_dad", "0"), up, add("peer", "2001:db8::7/64"), add("ens3", "2001:db8::7/64"), def("ens3", "2001:db8::1")), ""},
		{"no route", quick, all(made, up, add("ens3", "192.0.2.7/24")), ""},
		{"peer is down", quick, all(made, func() error { return linkUp("ens3") }, add("ens3", "192.0.2.7/24"), def("ens3", "192.0.2.1")), ""},
		{"link-local alone", quick, all(made, up, add("ens3", "169.254.7.7/16")), ""},
		{"only a special route", quick, all(made, up, add("ens3", "192.0.2.7/24"), func() error {
			return netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Type: unix.RTN_UNREACHABLE})
		}), ""},
		{"several hops", quick, all(made, up, add("ens3", "192.0.2.7/24"), func() error {
			l, err := netlink.LinkByName("ens3")
			if err != nil {
				return err
			}
			n := l.Attrs().Index
			return netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, MultiPath: []*netlink.NexthopInfo{{LinkIndex: n, Gw: ip("192.0.2.1")}, {LinkIndex: n, Gw: ip("192.0.2.2")}}})
		}), "ens3 192.0.2.7/24 192.0.2.1"},
		{"moved to another namespace", quick, all(made, up, add("ens3", "192.0.2.7/24"), func() error { return elsewhere("ens3") }), ""},
		{"another table", quick, all(made, up, add("ens3", "192.0.2.7/24"), func() error {
			l, err := netlink.LinkByName("ens3")
			if err != nil {
				return err
			}
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: ip("192.0.2.1"), Table: 100})
		}), ""},
		{"flapping 20 times", late, all(made, up, func() error {
			for range 20 {
				if err := linkDown("peer"); err != nil {
					return err
				}
				time.Sleep(5 * time.Millisecond)
				if err := linkUp("peer"); err != nil {
					return err
				}
				time.Sleep(5 * time.Millisecond)
			}
			return nil
		}, add("ens3", "192.0.2.7/24"), def("ens3", "192.0.2.1")), "ens3 192.0.2.7/24 192.0.2.1"},
		{"address removed before it settled", late, all(made, up, add("ens3", "192.0.2.7/24"), def("ens3", "192.0.2.1"), del("ens3", "192.0.2.7/24")), ""},
		{"renamed", quick, all(made, func() error {
			l, err := netlink.LinkByName("ens3")
			if err != nil {
				return err
			}
			return netlink.LinkSetName(l, "lan0")
		}, func() error { return linkUp("peer") }, func() error { return linkUp("lan0") }, add("lan0", "192.0.2.7/24"), def("lan0", "192.0.2.1")), "lan0 192.0.2.7/24 192.0.2.1"},
		{"deleted and made again", quick, all(made, up, add("ens3", "192.0.2.7/24"), func() error { return delLink("ens3") }, made, up, add("ens3", "192.0.2.8/24"), def("ens3", "192.0.2.1")), "ens3 192.0.2.8/24 192.0.2.1"},
		{"bridge with a port", quick, all(made, up, link(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}), func() error {
			port, err := netlink.LinkByName("ens3")
			if err != nil {
				return err
			}
			br, err := netlink.LinkByName("br0")
			if err != nil {
				return err
			}
			return netlink.LinkSetMaster(port, br)
		}, func() error { return linkUp("br0") }, add("br0", "192.0.2.7/24"), def("br0", "192.0.2.1")), "br0 192.0.2.7/24 192.0.2.1"},
		{"bridge without a port", quick, all(link(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}), func() error { return linkUp("br0") }, add("br0", "192.0.2.7/24"),
			func() error { return addRoute("br0", "", "192.0.2.1") }), ""},
		{"macvlan", quick, all(made, up, func() error {
			l, err := netlink.LinkByName("ens3")
			if err != nil {
				return err
			}
			return netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mv0", ParentIndex: l.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE})
		}, func() error { return linkUp("mv0") }, add("mv0", "192.0.2.7/24"), def("mv0", "192.0.2.1")), "mv0 192.0.2.7/24 192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			namespace(t)
			limit := 10 * time.Second
			if tt.want == "" {
				limit = 700 * time.Millisecond
			}
			if tt.name == "duplicate address" {
				limit = 2500 * time.Millisecond // DAD takes a second and more
			}
			done := aside(t, tt.do)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			f, err := Kernel(tt.c).Wait(ctx)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			got := ""
			if err == nil {
				got = fmt.Sprintf("%s %s %s", f.Interface, f.Address, f.Gateway)
			}
			if got != tt.want || err == nil && (f.Events == 0 || f.EventAt.IsZero()) {
				t.Errorf("Wait = %q, %v, %d events; want %q", got, err, f.Events, tt.want)
			}
		})
	}
}

// elsewhere moves a link to a namespace that ends with the call, and the link
// with it.
func elsewhere(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	moved := make(chan error)
	tid := make(chan int)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			tid <- 0
			moved <- err
			return
		}
		tid <- unix.Gettid()
		<-moved
	}()
	n := <-tid
	if n == 0 {
		return <-moved
	}
	err = netlink.LinkSetNsPid(l, n)
	moved <- nil
	return err
}

// TestGatewayThatAnswers: with an address of the gateway at the other end of the
// wire the kernel resolves it, and without one it does not.
func TestGatewayThatAnswers(t *testing.T) {
	for _, answers := range []bool{true, false} {
		namespace(t)
		if err := all(made, up, func() error { return addAddr("ens3", "192.0.2.7/24") }, func() error { return addRoute("ens3", "", "192.0.2.1") })(); err != nil {
			t.Fatal(err)
		}
		if answers { // the other end, in another namespace: the machine does not ask itself
			away(t, "peer", "192.0.2.1/24")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		f, err := Kernel(must(GatewayResolved)).Wait(ctx)
		cancel()
		if (err == nil) != answers {
			t.Errorf("gateway answers %v: Wait = %+v, %v", answers, f, err)
		}
	}
}

// away moves a link to a namespace that has nothing else, and sets it up there.
func away(t *testing.T, name, addr string) {
	t.Helper()
	ready, hold := make(chan int), make(chan struct{})
	t.Cleanup(func() { close(hold) })
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- -1
			return
		}
		ready <- unix.Gettid()
		<-result
		err := linkUp(name)
		if err == nil {
			err = addAddr(name, addr)
		}
		result <- err
		<-hold
	}()
	tid := <-ready
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", tid))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netlink.LinkSetNsFd(l, int(ns.Fd())); err != nil {
		t.Fatal(err)
	}
	result <- nil
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

// TestStorm: 10,000 events a second, and at the end the state that counts. With
// CTXAGENT_SOAK=1 it lasts ten seconds.
func TestStorm(t *testing.T) {
	namespace(t)
	if err := all(made, up, func() error { return addAddr("ens3", "192.0.2.7/24") })(); err != nil {
		t.Fatal(err)
	}
	duration := time.Second
	if os.Getenv("CTXAGENT_SOAK") == "1" {
		duration = 10 * time.Second
	}
	sent := 0
	var made time.Duration // of CPU, for the events themselves
	done := aside(t, func() error {
		defer func() { made = used(unix.RUSAGE_THREAD) }() // a thread of this function's alone
		l, err := netlink.LinkByName("ens3")
		if err != nil {
			return err
		}
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		began := time.Now()
		for i := 0; time.Since(began) < duration; i++ { // two messages for a route, four for an address
			n := byte(i)
			dst := &net.IPNet{IP: net.IPv4(198, 51, 100, n), Mask: net.CIDRMask(32, 32)}
			a := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 100+n%100), Mask: net.CIDRMask(24, 32)}}
			if err := h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: dst, Scope: unix.RT_SCOPE_LINK}); err != nil {
				return err
			}
			if err := h.AddrAdd(l, a); err != nil {
				return err
			}
			if err := h.AddrDel(l, a); err != nil {
				return err
			}
			if err := h.RouteDel(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: dst, Scope: unix.RT_SCOPE_LINK}); err != nil {
				return err
			}
			sent += 6
			if ahead := time.Duration(sent)*time.Second/10000 - time.Since(began); ahead > 0 {
				time.Sleep(ahead)
			}
		}
		return h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 1)})
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu := -used(unix.RUSAGE_SELF)
	ctx, cancel := context.WithTimeout(t.Context(), duration+10*time.Second)
	defer cancel()
	f, err := Kernel(gateway).Wait(ctx)
	if failed := <-done; failed != nil {
		t.Fatal(failed)
	}
	cpu += used(unix.RUSAGE_SELF) - made
	if err != nil || f.Address != netip.MustParsePrefix("192.0.2.7/24") || f.Gateway != netip.MustParseAddr("192.0.2.1") {
		t.Fatalf("Wait = %+v, %v; want the final state", f, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d events made in %v, %d seen; waiting used %v of CPU (%.0f%% of one), the heap grew by %d bytes, the decision came %v after its event",
		sent, duration, f.Events, cpu, 100*cpu.Seconds()/f.Waited.Seconds(), int64(after.HeapAlloc)-int64(before.HeapAlloc), f.DecidedAt.Sub(f.EventAt))
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if f.DecidedAt.Sub(f.EventAt) > time.Second {
		t.Errorf("the decision came %v after its event", f.DecidedAt.Sub(f.EventAt))
	}
}

// used is the CPU time of the process or of the calling thread.
func used(who int) time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(who, &u) // it cannot fail for these two: getrusage(2)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestWaitingUsesNoCPU: without an event there is no wake-up.
func TestWaitingUsesNoCPU(t *testing.T) {
	namespace(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	looks := 0
	w := Kernel(gateway)
	list := w.List
	w.List = func(from Table) (Snapshot, error) { looks++; return list(from) }
	var usage [2]syscall.Rusage
	_ = syscall.Getrusage(unix.RUSAGE_THREAD, &usage[0])
	if _, err := w.Wait(ctx); err == nil {
		t.Error("Wait returned in an empty namespace")
	}
	_ = syscall.Getrusage(unix.RUSAGE_THREAD, &usage[1])
	if looks != 1 {
		t.Errorf("%d looks in a second without an event; want the first alone", looks)
	}
	if n := usage[1].Nvcsw - usage[0].Nvcsw; n > 20 {
		t.Errorf("the waiting thread slept and woke %d times", n)
	}
}
