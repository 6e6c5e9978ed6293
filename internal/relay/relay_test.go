// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// site is the network of a test: names, what may be reached, and listeners that
// stand for addresses of RFC 5737.
type site struct {
	names map[string][]string
	hosts map[string]string // 192.0.2.1:80 to the listener that answers there
	asked atomic.Int64      // names looked up
}

var errForbidden = errors.New("the rule of this test")

// start serves a relay for s and returns its address. Everything in 192.0.2.0/24
// may be reached; 192.0.2.99 is the machine's own.
func (s *site) start(t *testing.T, edit ...func(*Relay)) (*Relay, string) {
	t.Helper()
	r := &Relay{
		Allow: func(name string, a netip.Addr, port uint16) (string, error) {
			if a.IsValid() && !netip.MustParsePrefix("192.0.2.0/24").Contains(a) || port == 22 || name == "never.example.org" {
				return "", errForbidden
			}
			return "the test's", nil
		},
		Local: func(a netip.Addr) (bool, error) { return a == netip.MustParseAddr("192.0.2.99"), nil },
		Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
			s.asked.Add(1)
			var out []netip.Addr
			for _, a := range s.names[name] {
				out = append(out, netip.MustParseAddr(a))
			}
			if out == nil {
				return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			}
			return out, nil
		},
		Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			at, ok := s.hosts[to.String()]
			if !ok {
				at = "127.0.0.1:1" // nobody listens
			}
			return new(net.Dialer).DialContext(ctx, "tcp", at)
		},
		Connections: 100, Bytes: 64 << 20, Time: 20 * time.Second,
	}
	for _, e := range edit {
		e(r)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("Serve goes on 5 s after its context ended")
		}
	})
	return r, l.Addr().String()
}

// listen serves each connection with f.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return l.Addr().String()
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// talk sends text to the relay and returns all that comes back.
func talk(t *testing.T, proxy, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	closeWrite(c)
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%.80q: %.80q, then %v", text, b, err)
	}
	return string(b)
}

// entries waits until n connections are recorded: that is after the client has
// seen the end of its own.
func entries(t *testing.T, r *Relay, n int) []Connection {
	t.Helper()
	var list []Connection
	for range 500 {
		list, _ = r.Log()
		count := 0
		for _, e := range list {
			count += e.Count
		}
		if count >= n {
			return list
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("recorded %+v; want %d connections", list, n)
	return nil
}

// to is the entry of a target. They stand as they ended, and a connection that is
// over for the client may end behind its next one.
func to(t *testing.T, target string, list []Connection) Connection {
	t.Helper()
	i := slices.IndexFunc(list, func(c Connection) bool { return c.Target == target })
	if i < 0 {
		t.Fatalf("recorded %+v; want %s among them", list, target)
	}
	return list[i]
}

func TestCONNECT(t *testing.T) {
	s := &site{names: map[string][]string{"echo.example.org": {"192.0.2.1"}}, hosts: map[string]string{"192.0.2.1:7": listen(t, echo)}}
	r, proxy := s.start(t)
	for _, host := range []string{"192.0.2.1:7", "echo.example.org:7", "ECHO.example.org.:7"} {
		got := talk(t, proxy, "CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\nProxy-Connection: keep-alive\r\n\r\nearly data")
		if got != "HTTP/1.1 200 Connection established\r\n\r\nearly data" {
			t.Errorf("CONNECT %s: %q", host, got)
		}
	}
	byName := to(t, "echo.example.org:7", entries(t, r, 3))
	if byName.Address != "192.0.2.1" || byName.Result != "connected" || byName.Rule != "the test's" ||
		byName.Protocol != "connect" || byName.Count != 2 || byName.Sent != 20 || byName.Received != 20 {
		t.Errorf("recorded %+v; want two connections of 10 bytes each way", byName)
	}
}

func TestAbsoluteForm(t *testing.T) {
	var got string
	s := &site{hosts: map[string]string{"192.0.2.1:80": listen(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			line, err := in.ReadString('\n')
			if got += line; err != nil || line == "\r\n" {
				break
			}
		}
		body := make([]byte, 4)
		_, _ = io.ReadFull(in, body)
		got += string(body)
		_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello")
	})}}
	r, proxy := s.start(t)
	answer := talk(t, proxy, "POST http://u:p@192.0.2.1?q=1#f HTTP/1.1\r\nHost: other.example.org\r\nX: y\r\nConnection: x-hop, close\r\n"+
		"X-Hop: 1\r\nProxy-Authorization: Basic Zm9v\r\nTE: trailers\r\nContent-Length: 4\r\n\r\nbodyGET http://192.0.2.77/ HTTP/1.1\r\n\r\n")
	want := "POST /?q=1 HTTP/1.1\r\nHost: 192.0.2.1\r\nX: y\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
	if got != want {
		t.Errorf("the server got %q; want %q", got, want)
	}
	want = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
	if answer != want {
		t.Errorf("the client got %q; want %q", answer, want)
	}
	if e := entries(t, r, 1)[0]; e.Target != "192.0.2.1:80" || e.Protocol != "http" || e.Received != int64(len(answer)) {
		t.Errorf("recorded %+v", e)
	}
}

// TestSecondRequestIsNotForwarded: what a client pipelines may be for another
// host, and was not checked.
func TestSecondRequestIsNotForwarded(t *testing.T) {
	var got atomic.Pointer[string]
	s := &site{hosts: map[string]string{"192.0.2.1:80": listen(t, func(c net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		b, _ := io.ReadAll(c)
		text := string(b)
		got.Store(&text)
		_, _ = io.WriteString(c, "HTTP/1.0 204 No Content\r\n\r\n")
	})}}
	_, proxy := s.start(t)
	one := "GET http://192.0.2.1/ HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"
	if answer := talk(t, proxy, one+one+one); !strings.HasPrefix(answer, "HTTP/1.0 204") {
		t.Errorf("answer %q", answer)
	}
	if text := got.Load(); text == nil || strings.Count(*text, "GET") != 1 {
		t.Errorf("the server got %v; want one request", text)
	}
}

func TestRefusals(t *testing.T) {
	s := &site{names: map[string][]string{
		"rebind.example.org": {"127.0.0.1", "169.254.169.254"}, "own.example.org": {"192.0.2.99"}, "never.example.org": {"192.0.2.1"},
	}}
	r, proxy := s.start(t)
	for _, tt := range []struct{ request, status, text string }{
		{"CONNECT 127.0.0.1:80 HTTP/1.1", "403", errForbidden.Error()},
		{"CONNECT [::1]:80 HTTP/1.1", "403", errForbidden.Error()},
		{"CONNECT rebind.example.org:80 HTTP/1.1", "403", errForbidden.Error()},
		{"CONNECT 192.0.2.99:80 HTTP/1.1", "403", "this machine's own address"},
		{"CONNECT own.example.org:80 HTTP/1.1", "403", "this machine's own address"},
		{"CONNECT 192.0.2.1:22 HTTP/1.1", "403", errForbidden.Error()},
		{"GET http://127.0.0.1/ HTTP/1.1", "403", errForbidden.Error()},
		{"CONNECT 192.0.2.1:9 HTTP/1.1", "502", "refused"},
		{"CONNECT none.example.org:80 HTTP/1.1", "502", "no such host"},
		{"CONNECT 0x7f.1:80 HTTP/1.1", "502", "no such host"}, // a name, not 127.0.0.1
		{"CONNECT 2130706433:80 HTTP/1.1", "502", "no such host"},
		{"CONNECT [fe80::1%25lo]:80 HTTP/1.1", "400", ""},
		{"CONNECT [fe80::1%lo]:80 HTTP/1.1", "400", "zone"},
		{"CONNECT 192.0.2.1 HTTP/1.1", "400", "HOST:PORT"},
		{"CONNECT 192.0.2.1:0 HTTP/1.1", "400", "port"},
		{"CONNECT 192.0.2.1:65536 HTTP/1.1", "400", "port"},
		{"CONNECT 192.0.2.1:+80 HTTP/1.1", "400", "port"},
		{"CONNECT a/b:80 HTTP/1.1", "400", "characters"},
		{"GET / HTTP/1.1", "400", "this is a proxy"},
		{"GET https://192.0.2.1/ HTTP/1.1", "501", "CONNECT"},
		{"GET ftp://192.0.2.1/ HTTP/1.1", "501", "CONNECT"},
		{"GET http:///x HTTP/1.1", "400", "names no host"},
		{"GET http://192.0.2.1/ HTTP/2.0", "400", "neither"},
		{"GET http://192.0.2.1/ x HTTP/1.1", "400", "neither"},
		{"HELLO", "400", "neither"},
		{"GET http://192.0.2.1/ HTTP/1.1\r\nTransfer-Encoding: chunked", "411", "Content-Length"},
		{"GET http://192.0.2.1/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1", "400", "Content-Length"},
		{"GET http://192.0.2.1/ HTTP/1.1\r\nContent-Length: -1", "400", "Content-Length"},
		{"GET http://192.0.2.1/ HTTP/1.1\r\nContent-Length : 1", "400", "header field"},
		{"GET http://192.0.2.1/ HTTP/1.1\r\nX: a\r\n folded", "400", "header field"},
		{"GET http://192.0.2.1/ HTTP/1.1\r\nX: a\rb", "400", "carriage return"},
		{"GET http://192.0.2.1/ HTTP/1.1\r\nX: " + strings.Repeat("a", maxHead), "431", "longer than"},
	} {
		got := talk(t, proxy, tt.request+"\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status+" ") || !strings.Contains(got, tt.text) {
			t.Errorf("%.80q: answer %q; want status %s and %q", tt.request, got, tt.status, tt.text)
		}
	}
	asked := s.asked.Load()
	if got := talk(t, proxy, "CONNECT never.example.org:80 HTTP/1.1\r\n\r\n"); !strings.Contains(got, " 403 ") {
		t.Errorf("a name that no rule allows: %q", got)
	}
	if s.asked.Load() != asked {
		t.Error("a name that no rule allows was looked up: what is asked is a message, too")
	}
	list, _ := r.Log()
	for _, e := range list {
		if e.Result == "connected" || e.Sent+e.Received != 0 {
			t.Errorf("recorded %+v; want none that was connected", e)
		}
	}
	if len(list) < 20 {
		t.Errorf("%d refusals are recorded; want each", len(list))
	}
}

// TestTheCheckedAddressIsDialled has a name change its address after the first
// answer, as in DNS rebinding.
func TestTheCheckedAddressIsDialled(t *testing.T) {
	s := &site{}
	var dialled []string
	answers := []string{"192.0.2.1", "127.0.0.1"}
	_, proxy := s.start(t, func(r *Relay) {
		r.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			a := answers[0]
			answers = answers[1:]
			return []netip.Addr{netip.MustParseAddr(a)}, nil
		}
		r.Dial = func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
			dialled = append(dialled, to.String())
			return nil, errors.New("not in this test")
		}
	})
	talk(t, proxy, "CONNECT rebind.example.org:80 HTTP/1.1\r\n\r\n")
	talk(t, proxy, "CONNECT rebind.example.org:80 HTTP/1.1\r\n\r\n")
	if len(dialled) != 1 || dialled[0] != "192.0.2.1:80" {
		t.Errorf("dialled %q; want the first answer alone", dialled)
	}
}

func TestOtherAddressesAreTried(t *testing.T) {
	s := &site{names: map[string][]string{"two.example.org": {"127.0.0.1", "192.0.2.8", "192.0.2.1"}}, hosts: map[string]string{"192.0.2.1:7": listen(t, echo)}}
	r, proxy := s.start(t)
	if got := talk(t, proxy, "CONNECT two.example.org:7 HTTP/1.1\r\n\r\nx"); !strings.HasSuffix(got, "\r\n\r\nx") {
		t.Errorf("answer %q; want the third address to have answered", got)
	}
	if e := entries(t, r, 1)[0]; e.Address != "192.0.2.1" || e.Result != "connected" {
		t.Errorf("recorded %+v", e)
	}
}

func TestUnknownOwnershipRefuses(t *testing.T) {
	s := &site{hosts: map[string]string{"192.0.2.1:7": listen(t, echo)}}
	_, proxy := s.start(t, func(r *Relay) { r.Local = func(netip.Addr) (bool, error) { return false, errors.New("no answer") } })
	if got := talk(t, proxy, "CONNECT 192.0.2.1:7 HTTP/1.1\r\n\r\nx"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("answer %q; want none to be reached that may be our own", got)
	}
}

func TestLimits(t *testing.T) {
	flood := listen(t, func(c net.Conn) { _, _ = io.Copy(c, zeros{}) })
	for _, tt := range []struct {
		name, result string
		edit         func(*Relay)
	}{
		{"bytes", "cut off: " + errBytes.Error(), func(r *Relay) { r.Bytes = 1 << 20 }},
		{"time", "cut off: " + errTime.Error(), func(r *Relay) { r.Bytes, r.Time = 1<<60, 200*time.Millisecond }},
	} {
		s := &site{hosts: map[string]string{"192.0.2.1:7": flood, "192.0.2.1:80": flood}}
		r, proxy := s.start(t, tt.edit)
		c, err := net.Dial("tcp", proxy)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "CONNECT 192.0.2.1:7 HTTP/1.1\r\n\r\n")
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		n, _ := io.Copy(io.Discard, c)
		e := entries(t, r, 1)[0]
		if e.Result != tt.result {
			t.Errorf("%s: recorded %+v; want %q", tt.name, e, tt.result)
		}
		if tt.name == "bytes" && n > 1<<20+100 {
			t.Errorf("bytes: %d came through; want at most 1 MiB", n)
		}
	}
	s := &site{hosts: map[string]string{"192.0.2.1:7": listen(t, echo)}}
	_, proxy := s.start(t, func(r *Relay) { r.Connections = 2 })
	for i, want := range []string{"200", "200", "403"} {
		if got := talk(t, proxy, "CONNECT 192.0.2.1:7 HTTP/1.1\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 "+want) {
			t.Errorf("connection %d of 2: %q; want %s", i+1, got, want)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestTheListIsBounded: a script can ask in a loop, and for ever new targets.
func TestTheListIsBounded(t *testing.T) {
	var l record
	for i := range maxRecorded + 50 {
		l.add(Connection{Target: fmt.Sprint(i), Count: 1})
		l.add(Connection{Target: fmt.Sprint(i), Count: 1})
	}
	list, lost := l.list()
	if len(list) != maxRecorded || list[0].Count != 2 || lost != 100 {
		t.Errorf("%d entries, the first with count %d, %d lost; want %d, 2, 100", len(list), list[0].Count, lost, maxRecorded)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	hang := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c); time.Sleep(20 * time.Second) })
	s := &site{hosts: map[string]string{"192.0.2.1:7": hang}}
	_, proxy := s.start(t) // its clean-up fails the test if Serve stays
	for range parallel + 3 {
		c, err := net.Dial("tcp", proxy)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "CONNECT 192.0.2.1:7 HTTP/1.1\r\n\r\n")
	}
	time.Sleep(100 * time.Millisecond)
}

func TestSOCKS5(t *testing.T) {
	s := &site{names: map[string][]string{"echo.example.org": {"192.0.2.1"}}, hosts: map[string]string{"192.0.2.1:7": listen(t, echo)}}
	r, proxy := s.start(t)
	name := func(n string, port byte) string { return "\x03" + string(byte(len(n))) + n + "\x00" + string(port) }
	ok := "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	no := func(reply byte) string { return "\x05" + string(reply) + ok[2:] }
	for _, tt := range []struct{ what, greeting, request, want string }{
		{"an address", "\x05\x01\x00", "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x07hello", "\x05\x00" + ok + "hello"},
		{"a name", "\x05\x02\x02\x00", "\x05\x01\x00" + name("Echo.Example.Org", 7) + "hello", "\x05\x00" + ok + "hello"},
		{"an address as a name", "\x05\x01\x00", "\x05\x01\x00" + name("192.0.2.1", 7) + "x", "\x05\x00" + ok + "x"},
		{"loopback", "\x05\x01\x00", "\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x07", "\x05\x00" + no(replyNotAllowed)},
		{"loopback, IPv6", "\x05\x01\x00", "\x05\x01\x00\x04" + strings.Repeat("\x00", 15) + "\x01\x00\x07", "\x05\x00" + no(replyNotAllowed)},
		{"nobody listens", "\x05\x01\x00", "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x08", "\x05\x00" + no(replyConnectionRefused)},
		{"an unknown name", "\x05\x01\x00", "\x05\x01\x00" + name("none.example.org", 7), "\x05\x00" + no(replyHostUnreachable)},
		{"a bad name", "\x05\x01\x00", "\x05\x01\x00" + name("a b", 7), "\x05\x00" + no(replyFailure)},
		{"BIND", "\x05\x01\x00", "\x05\x02\x00\x01\xc0\x00\x02\x01\x00\x07", "\x05\x00" + no(replyCommandUnknown)},
		{"UDP ASSOCIATE", "\x05\x01\x00", "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x00" + no(replyCommandUnknown)},
		{"another type of address", "\x05\x01\x00", "\x05\x01\x00\x02", "\x05\x00" + no(replyAddressTypeUnknown)},
		{"port 0", "\x05\x01\x00", "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x00", "\x05\x00" + no(replyFailure)},
		{"a password alone", "\x05\x01\x02", "", "\x05\xff"},
		{"no method", "\x05\x00", "", "\x05\xff"},
		{"cut short", "\x05\x01\x00", "\x05\x01\x00\x01\xc0", "\x05\x00"},
	} {
		if got := talk(t, proxy, tt.greeting+tt.request); got != tt.want {
			t.Errorf("%s: answer %q; want %q", tt.what, got, tt.want)
		}
	}
	if e := to(t, "192.0.2.1:7", entries(t, r, 12)); e.Protocol != "socks5" || e.Count != 2 || e.Sent != 6 {
		t.Errorf("recorded %+v; want both connections to the address", e)
	}
}

// TestAgainstNetHTTP has Go's own client and server at the two ends.
func TestAgainstNetHTTP(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPost {
			_, _ = io.Copy(w, q.Body)
			return
		}
		if q.Host != "www.example.org" || q.RequestURI != "/big" {
			http.Error(w, q.Host+" "+q.RequestURI, 400)
			return
		}
		w.(http.Flusher).Flush() // no length is known: chunked
		_, _ = io.WriteString(w, big)
	}))
	defer web.Close()
	s := &site{names: map[string][]string{"www.example.org": {"192.0.2.1"}}, hosts: map[string]string{"192.0.2.1:80": web.Listener.Addr().String()}}
	_, proxy := s.start(t)
	client := clientOf(t, proxy)
	for range 3 {
		res, err := client.Get("http://www.example.org/big")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(b) != big {
			t.Errorf("GET: status %d, %d bytes, %v; want %d bytes", res.StatusCode, len(b), err, len(big))
		}
	}
	res, err := client.Post("http://www.example.org/", "text/plain", strings.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || string(b) != big {
		t.Errorf("POST: %d bytes, %v; want %d", len(b), err, len(big))
	}
}

// TestHalfClose: the site's side may end first, and the script goes on sending.
func TestHalfClose(t *testing.T) {
	got := make(chan string, 1)
	s := &site{hosts: map[string]string{"192.0.2.1:7": listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "bye")
		closeWrite(c)
		b, _ := io.ReadAll(c)
		got <- string(b)
	})}}
	_, proxy := s.start(t)
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "CONNECT 192.0.2.1:7 HTTP/1.1\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), "\r\n\r\nbye") {
		t.Fatalf("read %q, %v", b, err)
	}
	_, _ = io.WriteString(c, "still here")
	closeWrite(c)
	if text := <-got; text != "still here" {
		t.Errorf("after its own end the site's side got %q; want %q", text, "still here")
	}
}
