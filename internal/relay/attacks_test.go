// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestNoHostInDisguise writes what may not be reached in other ways: none is
// dialled. The rule of this test lets everything pass that is not an address of
// the machine's, so that it is the notation alone that is tried.
func TestNoHostInDisguise(t *testing.T) {
	var dialled atomic.Int64
	s := &site{names: map[string][]string{"denied.example.org": {"192.0.2.1"}, "denied.example.org.": {"192.0.2.1"}}} // a resolver knows both
	r, proxy := s.start(t, func(r *Relay) {
		r.Allow = func(name string, a netip.Addr, _ uint16) (string, error) {
			if a = a.Unmap(); a.IsValid() && (a.IsLoopback() || a.IsUnspecified()) || name == "denied.example.org" {
				return "", errForbidden
			}
			return "the test's", nil
		}
		r.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
			dialled.Add(1)
			return nil, io.ErrUnexpectedEOF
		}
	})
	for _, host := range []string{
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "0.0.0.0", "[::]", "[::ffff:0.0.0.0]", // addresses
		"2130706433", "017700000001", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1", "127.1", "127.0.1", "127.00.0.1", "0", "１２７.0.0.1", "127。0。0。1", // for inet_aton(3), not for us
		"127.0.0.1.", "127.0.0.1..", ".127.0.0.1", "127.0.0.1%00.example.org", "127.0.0.1\x00.example.org", "[127.0.0.1]", "[::1", "::1", "[::1%lo]",
		"denied.example.org", "DENIED.example.org.", "denied.example.org..", "denied..example.org", ".denied.example.org", // names
		"192.0.2.1@127.0.0.1", "127.0.0.1#@192.0.2.1", "127.0.0.1\t192.0.2.1",
	} {
		for _, request := range []string{"CONNECT " + host + ":80 HTTP/1.1\r\n\r\n", "GET http://" + host + "/ HTTP/1.1\r\n\r\n", "GET http://" + host + ":80/ HTTP/1.1\r\n\r\n"} {
			if got := talk(t, proxy, request); !strings.HasPrefix(got, "HTTP/1.1 4") && !strings.Contains(got, "no such host") {
				t.Errorf("%q: answer %q; want a refusal", request, got)
			}
		}
		bare := strings.Trim(host, "[]")
		socks := "\x05\x01\x00\x05\x01\x00\x03" + string([]byte{byte(len(bare))}) + bare + "\x00\x50"
		if got := talk(t, proxy, socks); strings.HasPrefix(got, "\x05\x00\x05\x00") {
			t.Errorf("SOCKS5 %q: answer %q; want a refusal", bare, got)
		}
	}
	if n := dialled.Load(); n != 0 {
		list, _ := r.Log()
		t.Errorf("%d of them were dialled: %+v", n, list)
	}
}

// TestSOCKSNames tries the ends of what a name's one byte of length can say.
func TestSOCKSNames(t *testing.T) {
	s := &site{}
	_, proxy := s.start(t)
	for what, name := range map[string]string{
		"empty": "", "a NUL": "a\x00b", "255 bytes": strings.Repeat("a", 255), "255 bytes of NUL": strings.Repeat("\x00", 255), "254 bytes": strings.Repeat("a", 254),
		"a new line": "a\r\nb", "no ASCII": "\xff\xfe", "a blank": " 192.0.2.1",
	} {
		asked := s.asked.Load()
		got := talk(t, proxy, "\x05\x01\x00\x05\x01\x00\x03"+string([]byte{byte(len(name))})+name+"\x00\x50")
		if got != "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00" || s.asked.Load() != asked {
			t.Errorf("%s: answer %q, looked up %d times; want a failure, and nobody asked", what, got, s.asked.Load()-asked)
		}
	}
}

// TestSmuggling sends what servers and proxies are known to read differently. The
// site's server must see one request, and the head that was checked.
func TestSmuggling(t *testing.T) {
	var got atomic.Pointer[string]
	s := &site{hosts: map[string]string{"192.0.2.1:80": listen(t, func(c net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		b, _ := io.ReadAll(c)
		text := string(b)
		got.Store(&text)
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})}}
	_, proxy := s.start(t)
	const inner = "GET http://192.0.2.1/inner HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"
	for name, request := range map[string]string{
		"both lengths":            "POST http://192.0.2.1/ HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"an unknown encoding":     "POST http://192.0.2.1/ HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + inner,
		"a blank before a colon":  "POST http://192.0.2.1/ HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
		"a folded line":           "POST http://192.0.2.1/ HTTP/1.1\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"a bare carriage return":  "POST http://192.0.2.1/ HTTP/1.1\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":             "POST http://192.0.2.1/ HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n" + inner,
		"two lengths in one":      "POST http://192.0.2.1/ HTTP/1.1\r\nContent-Length: 0, 5\r\n\r\n" + inner,
		"a signed length":         "POST http://192.0.2.1/ HTTP/1.1\r\nContent-Length: +5\r\n\r\n" + inner,
		"a length in hexadecimal": "POST http://192.0.2.1/ HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n" + inner,
		"a length of 2^64":        "POST http://192.0.2.1/ HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n" + inner,
		"a NUL in a field":        "GET http://192.0.2.1/ HTTP/1.1\r\nX: \x00\r\n\r\n" + inner,
		"a tab in the target":     "GET http://192.0.2.1/\tHTTP/1.1 HTTP/1.1\r\n\r\n" + inner,
		"a tab in the method":     "GET\t/ http://192.0.2.1/ HTTP/1.1\r\n\r\n" + inner,
		"a vertical tab":          "GET http://192.0.2.1/\v HTTP/1.1\r\n\r\n" + inner,
		"a tab for a blank":       "GET\thttp://192.0.2.1/\tHTTP/1.1\r\n\r\n" + inner,
		"an empty method":         " http://192.0.2.1/ HTTP/1.1\r\n\r\n" + inner,
	} {
		got.Store(nil)
		if answer := talk(t, proxy, request); !strings.HasPrefix(answer, "HTTP/1.1 4") || got.Load() != nil {
			t.Errorf("%s: answer %q; want a refusal, and nothing sent", name, answer)
		}
	}
	for name, request := range map[string]string{ // and what is well formed loses what would follow
		"a length of 0":        "POST http://192.0.2.1/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + inner,
		"a length that hides":  "POST http://192.0.2.1/ HTTP/1.1\r\nConnection: content-length\r\nContent-Length: 0\r\n\r\n" + inner,
		"another Host":         "GET http://192.0.2.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: other.example.org\r\n\r\n" + inner,
		"lines ended by LF":    "GET http://192.0.2.1/ HTTP/1.1\nX: y\n\n" + inner,
		"an upgrade to HTTP/2": "GET http://192.0.2.1/ HTTP/1.1\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + inner,
	} {
		got.Store(nil)
		answer := talk(t, proxy, request)
		text := got.Load()
		if text == nil {
			t.Errorf("%s: answer %q; want it sent on", name, answer)
			continue
		}
		if !strings.HasPrefix(answer, "HTTP/1.1 204") || strings.Contains(*text, "inner") || strings.Count(*text, "Host: ") != 1 || !strings.Contains(*text, "Host: 192.0.2.1\r\n") ||
			strings.Contains(*text, "pgrade") || strings.HasPrefix(request, "POST") && !strings.Contains(*text, "Content-Length: 0\r\n") {
			t.Errorf("%s: the server got %q and the client %q; want the first request alone", name, *text, answer)
		}
	}
}

// TestInterimAnswersCount: an answer's head is bytes like any, and a server can
// send "100 Continue" for ever.
func TestInterimAnswersCount(t *testing.T) {
	s := &site{hosts: map[string]string{"192.0.2.1:80": listen(t, func(c net.Conn) {
		line := "HTTP/1.1 100 Continue\r\nX: " + strings.Repeat("a", 8<<10) + "\r\n\r\n"
		for {
			if _, err := io.WriteString(c, line); err != nil {
				return
			}
		}
	})}}
	r, proxy := s.start(t, func(r *Relay) { r.Bytes = 1 << 20 })
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "GET http://192.0.2.1/ HTTP/1.1\r\n\r\n")
	n, err := io.Copy(io.Discard, c)
	if n > 1<<20 || err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("%d bytes came through, then %v; want at most 1 MiB", n, err)
	}
	if e := entries(t, r, 1)[0]; e.Result != "cut off: "+errBytes.Error() || e.Received == 0 {
		t.Errorf("recorded %+v; want it cut off", e)
	}
}

// TestWhatCannotBeReadTookNoTime: such a request is recorded without a duration.
func TestWhatCannotBeReadTookNoTime(t *testing.T) {
	s := &site{}
	r, proxy := s.start(t)
	talk(t, proxy, "HELLO\r\n\r\n")
	talk(t, proxy, "HELLO\r\n\r\n")
	talk(t, proxy, "\x05\x01\x00\x05\x09\x00\x01\xc0\x00\x02\x01\x00\x07")
	for _, e := range entries(t, r, 3) {
		if e.Duration != 0 {
			t.Errorf("recorded %+v; want no duration", e)
		}
	}
}

// TestIdleConnections opens a thousand and says nothing, or says it slowly: they
// are served 64 at a time, none for longer than headTime, and then others are.
func TestIdleConnections(t *testing.T) {
	s := &site{hosts: map[string]string{"192.0.2.1:7": listen(t, echo)}}
	_, proxy := s.start(t, func(r *Relay) { r.head = 100 * time.Millisecond })
	for i := range 1000 {
		c, err := net.Dial("tcp", proxy)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%3 == 1 {
			_, _ = io.WriteString(c, "GET http://192.0.2.1/ HT")
		}
		if i%3 == 2 {
			go drip(c)
		}
	}
	began := time.Now()
	got := talk(t, proxy, "CONNECT 192.0.2.1:7 HTTP/1.1\r\n\r\nx")
	if took := time.Since(began); !strings.HasSuffix(got, "\r\n\r\nx") || took > 9*time.Second {
		t.Errorf("behind 1000 idle connections: %q after %v; want an answer after 16 rounds of 0.1 s", got, took)
	}
}

// drip sends one byte after the other of a head without an end (slowloris).
func drip(c net.Conn) {
	_, err := io.WriteString(c, "GET http://192.0.2.1/ HTTP/1.1\r\nX: ")
	for err == nil {
		time.Sleep(30 * time.Millisecond)
		_, err = io.WriteString(c, "a")
	}
}

// TestOneForbiddenAddressOfMany: of the addresses of a name only those are
// dialled that may be, wherever the others stand among them.
func TestOneForbiddenAddressOfMany(t *testing.T) {
	var many []string
	for range 200 {
		many = append(many, "127.0.0.1", "169.254.169.254", "::1", "192.0.2.99")
	}
	s := &site{names: map[string][]string{"many.example.org": append(many, "192.0.2.1")}}
	var dialled atomic.Pointer[[]string]
	dialled.Store(&[]string{})
	_, proxy := s.start(t, func(r *Relay) {
		r.Dial = func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
			list := append(*dialled.Load(), to.String())
			dialled.Store(&list)
			return nil, io.ErrUnexpectedEOF
		}
	})
	talk(t, proxy, "CONNECT many.example.org:80 HTTP/1.1\r\n\r\n")
	if list := *dialled.Load(); len(list) != 1 || list[0] != "192.0.2.1:80" {
		t.Errorf("dialled %q; want the one that is allowed", list)
	}
}

// TestResolverThatIsNotReady: what fails for the moment is asked again, what does
// not exist is not, and neither is anything for ever.
func TestResolverThatIsNotReady(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    *net.DNSError
		fails  int64 // times
		asked  int64
		status string
	}{
		{"no server yet", &net.DNSError{Err: "connection refused", IsTemporary: true}, 2, 3, "200"},
		{"no answer", &net.DNSError{Err: "i/o timeout", IsTimeout: true}, 1, 2, "200"},
		{"no such host", &net.DNSError{Err: "no such host", IsNotFound: true}, 9, 1, "502"},
		{"no such host, it seems", &net.DNSError{Err: "no such host", IsNotFound: true, IsTemporary: true}, 9, 1, "502"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &site{hosts: map[string]string{"192.0.2.1:7": listen(t, echo)}}
			_, proxy := s.start(t, func(r *Relay) {
				r.Lookup = func(context.Context, string) ([]netip.Addr, error) {
					if s.asked.Add(1) <= tt.fails {
						return nil, tt.err
					}
					return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
				}
			})
			got := talk(t, proxy, "CONNECT www.example.org:7 HTTP/1.1\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status) || s.asked.Load() != tt.asked {
				t.Errorf("asked %d times, answer %q; want %d times and status %s", s.asked.Load(), got, tt.asked, tt.status)
			}
		})
	}
}
