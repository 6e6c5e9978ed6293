// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Inside, systemctl, service and the like are this binary. It only records what
// was asked for: the request goes over a SOCK_SEQPACKET socket on a read-only
// tmpfs, so that a script can neither alter nor take back what it asked.

const (
	ownDir      = "/run/ctxagent"
	controlPath = ownDir + "/control"
	maxRequests = 1000
	maxRequest  = 1024
)

// shims are the names under which the binary records, with the paths that
// scripts use.
var shims = map[string][]string{
	"systemctl":        {"/usr/bin/systemctl", "/bin/systemctl"},
	"service":          {"/usr/sbin/service", "/sbin/service"},
	"rc-service":       {"/sbin/rc-service", "/usr/sbin/rc-service"},
	"invoke-rc.d":      {"/usr/sbin/invoke-rc.d"},
	"systemd-run":      {"/usr/bin/systemd-run"},
	"loginctl":         {"/usr/bin/loginctl"},
	"busctl":           {"/usr/bin/busctl"},
	"reboot":           {"/usr/sbin/reboot", "/sbin/reboot"},
	"poweroff":         {"/usr/sbin/poweroff", "/sbin/poweroff"},
	"halt":             {"/usr/sbin/halt", "/sbin/halt"},
	"shutdown":         {"/usr/sbin/shutdown", "/sbin/shutdown"},
	"telinit":          {"/usr/sbin/telinit", "/sbin/telinit"},
	"init":             {"/usr/sbin/init", "/sbin/init"},
	"update-rc.d":      {"/usr/sbin/update-rc.d"},
	"chkconfig":        {"/usr/sbin/chkconfig", "/sbin/chkconfig"},
	"initctl":          {"/usr/sbin/initctl", "/sbin/initctl"},
	"rc-update":        {"/sbin/rc-update"},
	"systemd-tmpfiles": {"/usr/bin/systemd-tmpfiles"},
}

// queries are what a script may ask without asking for anything; the answer is
// "cannot say", for inside there is no service manager.
var queries = map[string]int{
	"status": 3, "is-active": 3, "is-enabled": 1, "is-failed": 1, "show": 1, "cat": 1, "list-units": 0, "list-unit-files": 0,
	"is-system-running": 1, "--version": 0, "reset-failed": 0,
}

// valued are the options of systemctl(1) whose value is the next word.
var valued = []string{"-p", "--property", "-n", "--lines", "-o", "--output", "-t", "--type", "-s", "--signal", "-H", "--host", "-M", "--machine",
	"--root", "--state", "--job-mode", "--kill-whom", "--kill-who", "--what", "--preset-mode"}

// shim is the binary called as systemctl, service …; it returns the exit status.
func shim(name string, args []string, stderr io.Writer) int {
	reqs := parseShim(name, args)
	if len(reqs) == 1 {
		if reqs[0].Verb == "daemon-reload" {
			fmt.Fprintf(stderr, "%s daemon-reload: not needed: the agent does it where a unit is enabled\n", name)
			return 0
		}
		if status, ok := queries[reqs[0].Verb]; ok {
			fmt.Fprintf(stderr, "%s %s: ctxagent does not answer this inside a stage\n", name, reqs[0].Verb)
			return status
		}
	}
	for _, r := range reqs {
		if err := record(r); err != nil {
			fmt.Fprintf(stderr, "%s: record the request: %v\n", name, err)
			return 1
		}
	}
	return 0
}

// parseShim turns a command line into requests. What it does not understand is
// a request too, under the command's own name: the policy then refuses it.
func parseShim(name string, args []string) []Request {
	now := false
	var words []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case name == "systemctl" && slices.Contains(valued, a):
			i++ // and its value
		case a == "--now":
			now = true
		case a == "--version":
			return []Request{{Verb: a}}
		case !strings.HasPrefix(a, "-"):
			words = append(words, a)
		}
	}
	switch name {
	case "systemctl":
		return parseSystemctl(words, now)
	case "service", "rc-service", "invoke-rc.d":
		if len(words) == 2 {
			return []Request{{Verb: words[1], Unit: unitName(words[0])}}
		}
	}
	return []Request{{Verb: name, Unit: strings.Join(words, " ")}}
}

func parseSystemctl(words []string, now bool) []Request {
	if len(words) == 0 {
		return []Request{{Verb: "list-units"}}
	}
	verb, units := words[0], words[1:]
	if len(units) == 0 {
		return []Request{{Verb: verb}}
	}
	var out []Request
	for _, u := range units {
		if _, query := queries[verb]; query {
			return []Request{{Verb: verb}}
		}
		out = append(out, Request{Verb: verb, Unit: unitName(u)})
		if now && verb == "enable" {
			out = append(out, Request{Verb: "start", Unit: unitName(u)})
		} else if now {
			out = append(out, Request{Verb: verb + " --now", Unit: unitName(u)})
		}
	}
	return out
}

// unitName adds .service as systemctl(1) does.
func unitName(u string) string {
	if path.Ext(u) == "" {
		return u + ".service"
	}
	return u
}

// record sends one request and waits for the acknowledgement, so that a request
// that was answered is known outside. The sockets are used without package net:
// with it a test binary links cgo, which syscall.AllThreadsSyscall refuses.
func record(r Request) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(b) > maxRequest {
		return fmt.Errorf("the request is longer than %d bytes", maxRequest)
	}
	fd, err := dial(controlPath)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := again(unix.Write, fd, b); err != nil {
		return os.NewSyscallError("write", err)
	}
	if n, err := again(unix.Read, fd, make([]byte, 1)); err != nil || n != 1 {
		return fmt.Errorf("no acknowledgement: %w", os.NewSyscallError("read", err))
	}
	return nil
}

// dial connects to a socket; it waits for a place in a full backlog.
func dial(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	connect := func(int, []byte) (int, error) { return 0, unix.Connect(fd, &unix.SockaddrUnix{Name: name}) }
	err = setTimeout(fd, 2*patience)
	if err == nil {
		_, err = again(connect, fd, nil)
		err = os.NewSyscallError("connect", err)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// again repeats a call that a signal cut off. Go's runtime sends itself signals,
// and a socket with a time-out is cut off by every one (signal(7)).
func again(call func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		if n, err := call(fd, b); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func setTimeout(fd int, d time.Duration) error {
	tv := unix.NsecToTimeval(d.Nanoseconds())
	for _, opt := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, opt, &tv); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// control is the agent's end: it keeps the requests.
type control struct {
	mu   sync.Mutex
	reqs []Request
	l    *os.File
	over atomic.Bool // the command has ended: nobody waits for an answer
	done sync.WaitGroup
}

const (
	maxClients = 64              // that are answered at the same time
	patience   = 5 * time.Second // with each; a slow machine is no attack
)

// serve takes requests from the listening socket f. A client that says nothing
// holds up no other one, unless there are very many of them.
func (c *control) serve(f *os.File) {
	c.l = f
	fd := int(f.Fd())
	slots := make(chan struct{}, maxClients)
	c.done.Go(func() {
		for {
			conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
				continue
			}
			if err != nil {
				return // close shut it down
			}
			slots <- struct{}{}
			c.done.Go(func() {
				if !c.over.Load() {
					c.answer(conn)
				}
				_ = unix.Close(conn)
				<-slots
			})
		}
	})
}

// answer reads one packet. Its peer is hostile: what cannot be read is a request
// that gets refused. Descriptors sent along are dropped by the kernel: none are
// asked for.
func (c *control) answer(conn int) {
	if err := setTimeout(conn, patience); err != nil {
		return
	}
	buf := make([]byte, maxRequest+1)
	n, err := again(unix.Read, conn, buf)
	if err != nil || n == 0 {
		return
	}
	var r Request
	if err := json.Unmarshal(buf[:n], &r); err != nil || n > maxRequest || r.Verb == "" {
		r = Request{Verb: "unreadable request"}
	}
	c.keep(r)
	_, _ = again(unix.Write, conn, []byte{0})
}

// keep notes a request; one more than there may be takes the last place, so
// that the flood itself is refused.
func (c *control) keep(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.reqs) < maxRequests:
		c.reqs = append(c.reqs, r)
	default:
		c.reqs[maxRequests-1] = Request{Verb: "too many requests"}
	}
}

func (c *control) close() {
	if c.l != nil {
		c.over.Store(true)                               // a backlog left on purpose must not be waited for
		_ = unix.Shutdown(int(c.l.Fd()), unix.SHUT_RDWR) // wakes accept4
		c.done.Wait()
		_ = c.l.Close()
	}
}

func (c *control) requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reqs
}
