// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespace moves the test to a network namespace of its own. Its thread is
// never given back: the goroutine ends with it locked.
func namespace(t *testing.T) {
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

// TestKernelReportsALinkStepByStep configures a veth pair the way a network
// manager does, each step later than the last, while Wait waits.
func TestKernelReportsALinkStepByStep(t *testing.T) {
	namespace(t)
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		failed <- configure()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	f, err := Kernel().Wait(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if f.Interface != "ctx0" || f.Address != netip.MustParsePrefix("192.0.2.7/24") || f.Gateway != netip.MustParseAddr("192.0.2.1") || f.Hints == 0 {
		t.Errorf("facts %+v; want ctx0 192.0.2.7/24 by 192.0.2.1, after hints", f)
	}
}

func configure() error {
	pause := func() { time.Sleep(20 * time.Millisecond) }
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "ctx0"}, PeerName: "ctx1"}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	for _, name := range []string{"ctx0", "ctx1"} {
		pause()
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
	}
	pause()
	l, err := netlink.LinkByName("ctx0")
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr("192.0.2.7/24")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		return err
	}
	pause()
	return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: netip.MustParseAddr("192.0.2.1").AsSlice()})
}

func TestKernelEndsWithItsContext(t *testing.T) {
	namespace(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Kernel().Wait(ctx, true); err == nil {
		t.Error("Wait returned in an empty namespace")
	}
}
