// SPDX-License-Identifier: Apache-2.0

// Command demo boots the test guest with a context disc and shows what happens
// as it happens: the prolog, the network, the epilog, the log line that arrives
// at the site's log host, and the receipts.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ctxagent/ctxagent/test/guest"
)

// report runs in the guest when the boot has settled. The last command ends
// when the host has seen the log line.
const report = `
logger -t demo 'hello from the contextualised guest'
for i in 1 2 3 4 5 6 7 8 9 10; do systemctl is-active --quiet slurmd && break; sleep 0.5; done
file status ctxagent status
file exporter busybox wget -q -O - http://127.0.0.1:9105/metrics
file munge sh -c 'munge -n | unmunge | head -n 1'
file units systemctl is-active rsyslog prometheus-node-exporter munge slurmd
file hold timeout 25 busybox nc 192.0.2.101 80
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// screen writes whole lines from several sources.
type screen struct {
	mu    sync.Mutex
	start time.Time
}

func (s *screen) show(who, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Printf("%6.1fs  %-8s  %s\n", time.Since(s.start).Seconds(), who, text)
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: demo BINARY DISC")
	}
	image, err := guest.BaseImage(ctx, os.Stdout)
	if err != nil {
		return err
	}
	s := &screen{start: time.Now()}
	arrived := make(chan struct{})
	syslog, err := serve(logHost(s, arrived))
	if err != nil {
		return err
	}
	hold, err := serve(func(net.Conn) {
		select {
		case <-arrived:
		case <-time.After(20 * time.Second):
		}
	})
	if err != nil {
		return err
	}
	r, err := guest.Boot(ctx, guest.Config{
		Image:   image,
		Payload: append(guest.Product(args[0], "dist"), guest.Route("192.0.2.2")),
		CDs:     []string{args[1]},
		Network: &guest.Network{Net: "192.0.2.0/24", Services: []guest.Service{
			{Guest: "192.0.2.10:514", Host: syslog}, {Guest: "192.0.2.101:80", Host: hold},
		}},
		Report:  report,
		Console: func(l guest.Line) { console(s, l.Text) },
	})
	if err != nil {
		return err
	}
	return conclude(r)
}

// console shows the lines that tell the story.
func console(s *screen, text string) {
	for _, part := range []string{"ctxagent", "network-pre", "networkd", "rsyslog", "exporter", "munge.service", "slurmd", "multi-user.target", "Linux version"} {
		if strings.Contains(text, part) && !strings.Contains(text, "Job ") {
			s.show("guest", strings.TrimSpace(text))
			return
		}
	}
}

// logHost is the site's: it shows the line that the guest was asked to log.
func logHost(s *screen, arrived chan struct{}) func(net.Conn) {
	var once sync.Once
	return func(c net.Conn) {
		sc := bufio.NewScanner(c)
		for sc.Scan() {
			if strings.Contains(sc.Text(), "hello from") {
				s.show("loghost", sc.Text())
				once.Do(func() { close(arrived) })
			}
		}
	}
}

// serve accepts connections on 127.0.0.1 for as long as the demo runs.
func serve(handle func(net.Conn)) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return l.Addr().String(), nil
}

// conclude shows the receipts and what came of them.
func conclude(r *guest.Result) error {
	fmt.Printf("\nIn the guest, `ctxagent status` says:\n\n%s\n", r.Files["status"])
	for l := range strings.Lines(string(r.Files["exporter"])) {
		if strings.HasPrefix(l, "site_info") {
			fmt.Printf("node_exporter on the site's port answers:  %s", l)
		}
	}
	fmt.Printf("munge -n | unmunge with the site's key:      %s", r.Files["munge"])
	fmt.Printf("rsyslog, node_exporter, munge, slurmd are:   %s\n", strings.Join(strings.Fields(string(r.Files["units"])), ", "))
	// is-active is content with one that is.
	if units := strings.Fields(string(r.Files["units"])); len(units) != 4 || slices.ContainsFunc(units, func(s string) bool { return s != "active" }) {
		return fmt.Errorf("not every unit is active")
	}
	fmt.Println("(munge was restarted with the site's key; slurmd is ordered behind ctxagent.target)")
	fmt.Printf("The guest lived for %.1f s.\n", r.Took.Seconds())
	return nil
}
