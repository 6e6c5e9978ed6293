// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// wire is two network namespaces: the site's, in which the test serves, and the
// guest's, in which the agent runs, with a veth pair between them. The guest's
// is that of an idle process, so that it is there before the agent is.
type wire struct {
	site, guest chan func() error // run on a thread of that namespace
	done        chan error
}

// newWire makes the namespaces; ens3 in the guest's is down and has no address.
func newWire(t testing.TB) *wire {
	t.Helper()
	needRoot(t)
	w := &wire{site: make(chan func() error), guest: make(chan func() error), done: make(chan error)}
	for _, calls := range []chan func() error{w.site, w.guest} {
		go func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			err := unix.Unshare(unix.CLONE_NEWNET)
			for f := range calls {
				if err == nil {
					w.done <- f()
				} else {
					w.done <- err
				}
			}
		}()
	}
	t.Cleanup(func() { close(w.site); close(w.guest) })
	var guestNS int
	w.in(t, w.guest, func() (err error) {
		guestNS, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	defer unix.Close(guestNS)
	w.in(t, w.site, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "site0"}, PeerName: "ens3", PeerNamespace: netlink.NsFd(guestNS)}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		return setUp("site0", "192.0.2.1/24")
	})
	return w
}

// in runs f in a namespace.
func (w *wire) in(t testing.TB, calls chan func() error, f func() error) {
	t.Helper()
	calls <- f
	if err := <-w.done; err != nil {
		t.Fatal(err)
	}
}

// setUp sets a link up and gives it addresses.
func setUp(name string, addrs ...string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return err
	}
	for _, text := range addrs {
		a, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return err
		}
	}
	return nil
}

// route adds the guest's default route.
func route() error {
	l, err := netlink.LinkByName("ens3")
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 1)})
}

// serve answers each connection to an address of a namespace with one line.
func (w *wire) serve(t testing.TB, calls chan func() error, addr, line string) {
	t.Helper()
	var l net.Listener
	w.in(t, calls, func() (err error) { l, err = net.Listen("tcp", addr); return err })
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				_, _ = c.Read(buf)
				_, _ = fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s\n", len(line)+1, line)
			}()
		}
	}()
}

// start starts the agent in the guest's namespace.
func (w *wire) start(t testing.TB, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // as the units have it
	w.in(t, w.guest, cmd.Start)                    // a process begins in its maker's namespace
	timer := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop(); _ = cmd.Process.Kill() })
	return cmd, &out
}

// ask runs a command of the agent in the guest's namespace to its end.
func (w *wire) ask(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd, out := w.start(t, args...)
	_ = cmd.Wait()
	return out.String(), cmd.ProcessState.ExitCode()
}

const reaching = `#!/bin/sh
p=${http_proxy#http://}
get() { echo "$1: $(printf 'GET %s HTTP/1.0\r\n\r\n' "$1" | busybox nc "${p%:*}" "${p#*:}" 2>&1 | busybox tail -n 1)"; }
direct() { printf 'GET / HTTP/1.0\r\n\r\n' | busybox nc -w 3 "$1" "$2" 2>&1; }
echo "$CTX_INTERFACE $CTX_ADDRESS $CTX_GATEWAY $CTX_ADDRESSES"
get http://192.0.2.1/
get http://192.0.2.1:22/
get http://127.0.0.1:8080/
get http://192.0.2.7:8080/
get http://169.254.169.254/
direct 192.0.2.1 80
direct 192.0.2.7 8080
direct 127.0.0.1 8080
direct 169.254.169.254 80
echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf
`

// TestEpilogWaitsAndReachesTheSite configures the guest's link step by step while
// the agent waits, and then has the script look for every way out: the site's
// host by the relay and nothing else. The guest's own services and the metadata
// address are there, and must not answer.
func TestEpilogWaitsAndReachesTheSite(t *testing.T) {
	w := newWire(t)
	root := busyboxRoot(t)
	policy, err := os.ReadFile("../../dist/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, root, map[string]string{"etc/ctxagent/policy.yaml": strings.Replace(string(policy), "    - allow: any", "    - deny: any\n      ports: [22]\n    - allow: any", 1)})
	w.in(t, w.guest, func() error { return setUp("lo", "169.254.169.254/32") })
	w.serve(t, w.site, "192.0.2.1:80", "the site")
	w.serve(t, w.site, "192.0.2.1:22", "LEAK")
	w.serve(t, w.guest, "0.0.0.0:8080", "LEAK")
	w.serve(t, w.guest, "0.0.0.0:80", "LEAK")

	agent, out := w.start(t, "run", "epilog", "--root", root, "--media", disc(t, map[string]string{"epilog.sh": reaching}))
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return nil }, "left out: lo (loopback), ens3 (a veth without a default route)"},
		{func() error { return setUp("ens3", "192.0.2.7/24") }, "left out: lo (loopback), ens3"},
	} {
		w.in(t, w.guest, step.do)
		time.Sleep(200 * time.Millisecond)
		status, exit := w.ask(t, "status", "--root", root)
		if exit != 0 || !strings.Contains(status, "epilog: waiting for the network: there is no link to wait for; "+step.want) || !strings.Contains(status, " s of 120 s)") {
			t.Errorf("status: %d, %q; want %q", exit, status, step.want)
		}
		if text, exit := w.ask(t, "run", "epilog", "--explain", "--root", root); exit != 5 || !strings.Contains(text, "the network is not up yet: there is no link") {
			t.Errorf("run epilog --explain: %d, %q", exit, text)
		}
	}
	w.in(t, w.guest, route)
	if err := agent.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, exit := w.ask(t, "run", "epilog", "--explain", "--root", root); exit != 0 || !strings.Contains(text, "the network is up: ens3: up, carrier; 192.0.2.7/24 ok; ") {
		t.Errorf("run epilog --explain: %d, %q", exit, text)
	}
	checkReached(t, root)
	if text, exit := w.ask(t, "status", "--root", root); exit != 0 || strings.Contains(text, "waiting") || !strings.Contains(text, "reached   192.0.2.1:80 by http: connected") {
		t.Errorf("status afterwards: %d, %q", exit, text)
	}
}

func checkReached(t *testing.T, root string) {
	t.Helper()
	r := receiptFields(t, root, "epilog")
	output := fmt.Sprint(r["script"].(map[string]any)["output_tail"])
	if !strings.Contains(output, "ens3 192.0.2.7 192.0.2.1 192.0.2.7/24") || !strings.Contains(output, "http://192.0.2.1/: the site\n") || strings.Contains(output, "LEAK") ||
		strings.Count(output, "the site") != 1 {
		t.Errorf("the script printed:\n%s\nwant the site by the relay, and nothing else", output)
	}
	want := map[string]string{
		"192.0.2.1:80": "connected", "192.0.2.1:22": `refused: network.reach of the policy says "deny any ports 22"`, "127.0.0.1:8080": "refused: 127.0.0.1 is a loopback address",
		"192.0.2.7:8080": "refused: 192.0.2.7 is this machine's own address", "169.254.169.254:80": "refused: 169.254.169.254 is a metadata address",
	}
	for _, c := range r["connections"].([]any) {
		c := c.(map[string]any)
		if target := c["target"].(string); want[target] != c["result"] {
			t.Errorf("%s: %v; want %q", target, c["result"], want[target])
		} else {
			delete(want, target)
		}
	}
	if len(want) > 0 {
		t.Errorf("not recorded: %v", want)
	}
	n := r["network"].(map[string]any)
	if n["interface"] != "ens3" || n["address"] != "192.0.2.7/24" || n["route_table"] != 254.0 || n["events"].(float64) < 2 || n["decided_monotonic_us"].(float64) < n["event_monotonic_us"].(float64) {
		t.Errorf("network %v", n)
	}
}

// TestOnTimeoutRunAnyway: the policy may prefer an epilog without a network to
// none.
func TestOnTimeoutRunAnyway(t *testing.T) {
	w := newWire(t)
	root := busyboxRoot(t)
	write(t, root, map[string]string{"etc/ctxagent/policy.yaml": "version: 1\nlimits: {deadline: 10s, bytes: 8MiB, inodes: 1000, processes: 256, memory: 512MiB, changes: 100}\n" +
		"media: {wait: 0s, max_bytes: 1MiB, max_files: 10}\nnetwork: {timeout: 1s, on_timeout: run-anyway}\n"})
	out, exit := w.ask(t, "run", "epilog", "--root", root, "--media", disc(t, map[string]string{"epilog.sh": "#!/bin/sh\necho \"<$CTX_INTERFACE$CTX_ADDRESS>\"\n"}))
	r := receiptFields(t, root, "epilog")
	if exit != 0 || r["outcome"] != "unchanged" || !strings.Contains(fmt.Sprint(r["script"]), "<>") || !strings.Contains(fmt.Sprint(r["network"]), "network.timeout") ||
		!strings.Contains(fmt.Sprint(r["warnings"]), "network.on_timeout") {
		t.Errorf("%d: %s\nreceipt %v", exit, out, r)
	}
}

// TestWaitingAgentSleeps: without an event no thread of the agent's or of the
// process that it holds ready is ever woken, by the kernel's own count.
func TestWaitingAgentSleeps(t *testing.T) {
	w := newWire(t)
	root := busyboxRoot(t)
	agent, out := w.start(t, "run", "epilog", "--root", root, "--media", disc(t, map[string]string{"epilog.sh": goodScript}))
	const asleep = 3 * time.Second
	var woken int
	for range 5 { // it may still be setting up the confinement
		time.Sleep(time.Second)
		before := switches(t, agent.Process.Pid)
		time.Sleep(asleep)
		if woken = switches(t, agent.Process.Pid) - before; woken == 0 {
			break
		}
	}
	if woken != 0 {
		t.Errorf("its threads were woken %d times in %v without an event: %s", woken, asleep, out)
	}
	if status, _ := w.ask(t, "status", "--root", root); !strings.Contains(status, "waiting for the network") {
		t.Errorf("status %q; want it waiting all the while", status)
	}
}

// switches counts how often the threads of a process and of its children have
// given up a CPU (proc_pid_status(5)): each of them was woken, but for the first.
func switches(t *testing.T, pid int) (n int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task + "/status")
		if err != nil {
			continue // that one has ended
		}
		for line := range strings.Lines(string(status)) {
			if name, value, _ := strings.Cut(line, ":"); strings.HasSuffix(name, "voluntary_ctxt_switches") {
				count, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				n += count
			}
		}
		children, err := os.ReadFile(task + "/children")
		if err != nil {
			continue
		}
		for child := range strings.FieldsSeq(string(children)) {
			if id, err := strconv.Atoi(child); err == nil {
				n += switches(t, id)
			}
		}
	}
	return n
}

// TestWaitEndsWhenAsked: a stage that waits can be stopped at once.
func TestWaitEndsWhenAsked(t *testing.T) {
	w := newWire(t)
	root := busyboxRoot(t)
	agent, out := w.start(t, "run", "epilog", "--root", root, "--media", disc(t, map[string]string{"epilog.sh": goodScript}))
	time.Sleep(500 * time.Millisecond)
	began := time.Now()
	_ = agent.Process.Signal(syscall.SIGTERM)
	_ = agent.Wait()
	if took := time.Since(began); took > 5*time.Second || agent.ProcessState.ExitCode() == 0 {
		t.Errorf("it took %v to end with %v: %s", took, agent.ProcessState, out)
	}
}
