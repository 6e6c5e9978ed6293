// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

// FuzzRequest reads heads of HTTP requests: what is taken has a target that reads
// as itself, and nothing that another reader could take for an end of line.
func FuzzRequest(f *testing.F) {
	for _, head := range []string{
		"CONNECT www.example.org:443 HTTP/1.1\r\nHost: www.example.org:443\r\n\r\n", "GET http://192.0.2.1/a?b#c HTTP/1.0\n\n",
		"POST http://u:p@[2001:db8::1]:8080 HTTP/1.1\r\nContent-Length: 4\r\nConnection: close, x\r\n\r\nbody", "\r\n\r\nGET http://a HTTP/1.1\r\n\r\n",
		"CONNECT [::ffff:127.0.0.1]:80 HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", "GET http://a..:1/ HTTP/1.1\r\nX: y\r\n z\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := readRequest(bufio.NewReaderSize(bytes.NewReader(b), maxHead))
		if err != nil {
			return
		}
		if again, err := newTarget(q.target.host, q.target.port); err != nil || again != q.target || q.target.port == 0 {
			t.Errorf("%q: target %+v reads as %+v, %v", b, q.target, again, err)
		}
		for _, line := range append(q.headers, q.method, q.path, q.authority) {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%q: %q is sent on", b, line)
			}
		}
		if strings.ContainsAny(q.method+q.path+q.authority, " \t\v") || !q.connect && !strings.HasPrefix(q.path, "/") || q.length < 0 {
			t.Errorf("%q: method %q, path %q, host %q, length %d", b, q.method, q.path, q.authority, q.length)
		}
	})
}

// FuzzSOCKS reads SOCKS5 requests.
func FuzzSOCKS(f *testing.F) {
	for _, request := range []string{
		"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", "\x05\x01\x00\x03\x0fwww.example.org\x01\xbb", "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50",
		"\x05\x02\x00\x01\xc0\x00\x02\x01\x00\x50", "\x05\x01\x00\x03\x00\x00\x50", "\x05\x01\x00\x03\xff",
	} {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		target, _, err := readSOCKS(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again, err := newTarget(target.host, target.port); err != nil || again != target || target.port == 0 {
			t.Errorf("%q: target %+v reads as %+v, %v", b, target, again, err)
		}
	})
}
