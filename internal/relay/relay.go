// SPDX-License-Identifier: Apache-2.0

// Package relay is the epilog's way out: a proxy for HTTP (RFC 9110 §9.3.6
// CONNECT, RFC 9112 §3.2.2 absolute-form) and SOCKS5 (RFC 1928) on one listener,
// told apart by the first byte. Its input is that listener, inside the script's
// network namespace, and a rule that says what may be reached; its output is
// TCP connections made outside, and a list of all that was asked for. Names are
// resolved here, and the address that was checked is the one that is dialled.
// It keeps no state between connections, reads no policy and serves no files.
//
// The two lines that a proxy has to understand are read by hand: net/http would
// add a third to the binary, and it follows more of HTTP than is needed here.
package relay

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	parallel    = 64               // connections at one time; more wait in the backlog
	maxHead     = 32 << 10         // bytes of a request's or answer's first lines, and of a copy's buffer
	headTime    = 10 * time.Second // for a request's first lines to come
	dialTime    = 30 * time.Second // for all addresses of a target together
	lingerTime  = time.Second      // for a client to take the last bytes
	acceptPause = 50 * time.Millisecond
)

// Relay serves one stage. All fields but the functions that say so have to be
// set; none may change while it serves.
type Relay struct {
	// Allow says whether a port may be reached, and by which rule. The name is
	// what the client asked for, "" if that was an address. It is asked before a
	// name is looked up, with an address that is not valid, and then for each
	// address. The error's text is for people.
	Allow func(name string, addr netip.Addr, port uint16) (rule string, err error)
	// Local says whether an address is this machine's own.
	Local func(netip.Addr) (bool, error)
	// Lookup and Dial are the machine's; nil is the net package's.
	Lookup func(context.Context, string) ([]netip.Addr, error)
	Dial   func(context.Context, netip.AddrPort) (net.Conn, error)

	Connections int           // in the whole stage
	Bytes       int64         // in the whole stage, both ways together
	Time        time.Duration // of one connection

	head     time.Duration // shorter in tests; 0 is headTime
	served   atomic.Int64
	carried  atomic.Int64
	first    sync.Once // lookup, which sets
	patience time.Time
	log      record
}

// Serve relays until ctx ends. When it returns the listener is closed and no
// connection is left.
func (r *Relay) Serve(ctx context.Context, l net.Listener) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var conns sync.WaitGroup
	defer conns.Wait()
	slots := make(chan struct{}, parallel)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // ECONNABORTED, EMFILE: the next one may do
			<-slots
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		conns.Go(func() {
			defer func() { <-slots }()
			r.serve(ctx, c)
		})
	}
}

// Log lists what was asked for, in the order of the first time; lost counts the
// connections that the list had no room for.
func (r *Relay) Log() (list []Connection, lost int) { return r.log.list() }

// client is a connection from inside, with what was read ahead of need.
type client struct {
	net.Conn
	in *bufio.Reader
}

// CloseWrite is that of the connection, which its interface hides.
func (c client) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

// serve speaks to one client, until the end of its connection.
func (r *Relay) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, r.Time, errTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c := client{conn, bufio.NewReaderSize(conn, maxHead)}
	_ = conn.SetReadDeadline(time.Now().Add(cmp.Or(r.head, headTime)))
	first, err := c.in.Peek(1)
	if err != nil {
		return // it asked for nothing
	}
	if first[0] == socksVersion {
		r.serveSOCKS(ctx, c)
	} else {
		r.serveHTTP(ctx, c)
	}
}

var (
	errTime  = errors.New("the policy's network.relay.time is over")
	errBytes = errors.New("the policy's network.relay.bytes are used up")
)

// refusedError tells that a target may not be reached; nothing was sent there.
type refusedError struct{ why string }

func (e *refusedError) Error() string { return e.why }

// target is what a client asks to be connected with.
type target struct {
	host string // a name in lower case, or an address
	port uint16
}

func (t target) String() string { return net.JoinHostPort(t.host, fmt.Sprint(t.port)) }

// open checks a target, dials it, and returns the record that the connection
// will be. Names are looked up once: what is dialled is what was checked.
func (r *Relay) open(ctx context.Context, kind string, t target) (net.Conn, *Connection, error) {
	entry := &Connection{Target: t.String(), Protocol: kind, Count: 1, began: time.Now()}
	conn, err := r.dialAllowed(ctx, t, entry)
	var no *refusedError
	switch {
	case err == nil:
		entry.Result = "connected"
	case errors.As(err, &no):
		entry.Result = "refused: " + no.why
	default:
		entry.Result = "failed: " + err.Error()
	}
	if err != nil {
		r.log.add(*entry)
	}
	return conn, entry, err
}

func (r *Relay) dialAllowed(ctx context.Context, t target, entry *Connection) (net.Conn, error) {
	if r.served.Add(1) > int64(r.Connections) {
		return nil, &refusedError{"the policy's network.relay.connections are used up"}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	name, addrs, err := r.resolve(ctx, t)
	if err != nil {
		return nil, err
	}
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	for i, a := range addrs {
		rule, err := r.allowed(name, a, t.port)
		if err != nil {
			note(err)
			continue
		}
		entry.Address, entry.Rule = a.String(), rule
		conn, err := r.dialOne(ctx, netip.AddrPortFrom(a, t.port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		note(err)
	}
	return nil, first
}

// allowed asks the rule, and then the kernel: an address of this machine is
// refused whatever the rule says.
func (r *Relay) allowed(name string, a netip.Addr, port uint16) (rule string, err error) {
	if rule, err = r.Allow(name, a, port); err != nil {
		return "", &refusedError{err.Error()}
	}
	own, err := r.Local(a)
	if err != nil {
		return "", fmt.Errorf("is %s this machine's own: %w", a, err) // not known: not dialled
	}
	if own {
		return "", &refusedError{a.String() + " is this machine's own address"}
	}
	return rule, nil
}

// dialOne leaves each of the addresses that are still to try its share of time.
func (r *Relay) dialOne(ctx context.Context, to netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	if r.Dial != nil {
		return r.Dial(ctx, to)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to.String()) // an address: nothing is looked up again
}

// parseTarget reads HOST:PORT; without a port it is fallback, unless that is 0.
func parseTarget(s string, fallback uint16) (target, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil && fallback != 0 {
		host, port, err = net.SplitHostPort(s + ":" + fmt.Sprint(fallback))
	}
	if err != nil {
		return target{}, errors.New("it is not HOST:PORT")
	}
	var n uint16
	for _, d := range port {
		if d < '0' || d > '9' || n > 6553 || n == 6553 && d > '5' {
			return target{}, errors.New("its port is not a number from 1 to 65535")
		}
		n = n*10 + uint16(d-'0')
	}
	if n == 0 {
		return target{}, errors.New("its port is not a number from 1 to 65535")
	}
	return newTarget(host, n)
}

// newTarget takes an address or a host name (RFC 1123 §2.1, and the underscore
// that is met in the field). Numbers in other notations, such as 0x7f.1, are
// names here and are never taken for addresses.
func newTarget(host string, port uint16) (target, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return target{}, errors.New("an address with a zone is link-local")
		}
		return target{a.String(), port}, nil
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || len(host) > 253 {
		return target{}, errors.New("it names no host")
	}
	if strings.HasPrefix(host, ".") || strings.HasSuffix(host, ".") || strings.Contains(host, "..") {
		return target{}, errors.New("its host name has an empty label") // "evil.example.org.." would be no name that a rule knows
	}
	for _, b := range []byte(host) {
		if ok := b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '.' || b == '_'; !ok {
			return target{}, errors.New("its host name has characters that no host name has")
		}
	}
	return target{host, port}, nil
}

// tunnel copies both ways until both have ended, or the connection's time has,
// or the stage's bytes are used up.
func (r *Relay) tunnel(ctx context.Context, c client, far net.Conn, entry *Connection) {
	stop := context.AfterFunc(ctx, func() { _ = far.Close() })
	defer stop()
	_ = c.SetReadDeadline(time.Time{})
	ended := make(chan error, 1)
	go func() { ended <- r.carry(far, c.in, &entry.Sent) }()
	back := r.carry(c, far, &entry.Received)
	if errors.Is(back, errBytes) {
		_ = far.Close()
		_ = c.Close()
	}
	r.finish(ctx, entry, back, <-ended)
}

// carry copies one way and hands the end of it on. An error closes both, so
// that the other way ends, too.
func (r *Relay) carry(dst net.Conn, src io.Reader, count *int64) error {
	buf := make([]byte, maxHead)
	for {
		n, err := src.Read(buf)
		if r.carried.Add(int64(n)) > r.Bytes {
			_ = dst.Close()
			return errBytes
		}
		m, werr := dst.Write(buf[:n])
		*count += int64(m)
		switch {
		case werr != nil:
			if other, ok := src.(net.Conn); ok {
				_ = other.Close()
			}
			return werr
		case errors.Is(err, io.EOF):
			closeWrite(dst)
			return nil
		case err != nil:
			_ = dst.Close()
			return err
		}
	}
}

// closeWrite sends a FIN: one way has ended, the other may go on.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}

// finish completes the record of a connection that was made.
func (r *Relay) finish(ctx context.Context, entry *Connection, ends ...error) {
	for _, err := range ends {
		if errors.Is(err, errBytes) {
			entry.Result = "cut off: " + errBytes.Error()
		}
	}
	if errors.Is(context.Cause(ctx), errTime) {
		entry.Result = "cut off: " + errTime.Error()
	}
	r.log.add(*entry)
}

// timedOut, unreachable and the like are told apart for the client's sake.
func timedOut(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

func unreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}
