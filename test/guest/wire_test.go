// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What the host's end of a wire has, RFC 5737 and RFC 3849.
const (
	site4 = "192.0.2.1"
	site6 = "2001:db8::1"
)

// wire is the host's end of a guest's cable: a tap device in a network namespace
// of its own, in which the site's daemons run. No packet of it leaves the host.
type wire struct {
	tap   *os.File
	calls chan func() error // run on a thread of the namespace
	done  chan error
}

// newWire makes the namespace, with a web server on port 80 that says hello.
func newWire(t *testing.T) *wire {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("a network namespace needs root")
		}
		t.Skip("SKIPPED, NO NETWORK WAS TRIED: a network namespace needs root")
	}
	w := &wire{calls: make(chan func() error), done: make(chan error)}
	go func() {
		runtime.LockOSThread() // for good: the thread, and the namespace with it, ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		for f := range w.calls {
			if err == nil {
				w.done <- f()
			} else {
				w.done <- err
			}
		}
	}()
	t.Cleanup(func() { close(w.calls) })
	w.in(t, w.plug)
	t.Cleanup(func() { _ = w.tap.Close() })
	for _, addr := range []string{site4, site6} {
		w.hello(t, net.JoinHostPort(addr, "80"))
	}
	return w
}

// in runs f in the namespace.
func (w *wire) in(t *testing.T, f func() error) {
	t.Helper()
	w.calls <- f
	if err := <-w.done; err != nil {
		t.Fatal(err)
	}
}

// plug makes the tap device and gives it the site's addresses.
func (w *wire) plug() error {
	tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "guest0"}, Mode: netlink.TUNTAP_MODE_TAP, Queues: 1, NonPersist: true, Flags: netlink.TUNTAP_NO_PI}
	if err := netlink.LinkAdd(tap); err != nil {
		return fmt.Errorf("make a tap device: %w", err)
	}
	w.tap = tap.Fds[0]
	if err := netlink.LinkSetUp(tap); err != nil {
		return err
	}
	for _, prefix := range []string{site4 + "/24", site6 + "/64"} {
		a, err := netlink.ParseAddr(prefix)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(tap, a); err != nil {
			return err
		}
	}
	return nil
}

// hello answers each connection to an address of the namespace like a web server.
func (w *wire) hello(t *testing.T, addr string) {
	t.Helper()
	var l net.Listener
	w.in(t, func() (err error) { l, err = net.Listen("tcp", addr); return err })
	serveOn(t, l, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\nhello from the site\n")
	})
}

// dnsmasq starts the site's DNS server, with a name for the web server, and what
// else of it the options ask for. It ends with the test.
func (w *wire) dnsmasq(t *testing.T, options ...string) {
	t.Helper()
	if _, err := exec.LookPath("dnsmasq"); err != nil {
		t.Fatalf("%v (test/setup.sh installs it)", err)
	}
	log := filepath.Join(t.TempDir(), "dnsmasq.log")
	cmd := exec.Command("dnsmasq", append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=", "--log-facility=" + log, "--log-dhcp",
		"--interface=guest0", "--bind-interfaces", "--no-resolv", "--no-hosts", "--no-ping", "--dhcp-authoritative", "--dhcp-leasefile=" + log + ".leases",
		"--address=/www.example.org/" + site4, "--address=/www.example.org/" + site6,
	}, options...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // the thread that starts it lives as long as the wire; a change of user or group would undo it
	w.in(t, cmd.Start)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("dnsmasq:\n%s", b)
		}
	})
}

// The site's services, as dnsmasq's options.
var (
	dhcp4  = []string{"--dhcp-range=192.0.2.15,192.0.2.15,255.255.255.0,1h", "--dhcp-option=option:router," + site4}
	advert = []string{"--enable-ra", "--dhcp-range=2001:db8::,ra-only,64,1h"}
)

// onSite tells whether an address is one of a wire's networks.
func onSite(address, prefix string) bool {
	p, err := netip.ParsePrefix(address)
	return err == nil && netip.MustParsePrefix(prefix).Contains(p.Addr()) && strings.Contains(address, "/")
}
