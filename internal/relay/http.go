// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// httpError is what a client is told in place of an answer.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

func badRequest(text string) error { return &httpError{400, text} }

// request is the head of a client's request.
type request struct {
	method, version string
	target          target
	connect         bool
	authority, path string   // of the absolute form
	headers         []string // as they came
	length          int64    // of the body
}

// serveHTTP serves one request. A connection carries one: the next one may be
// for another host, and is then checked like the first.
func (r *Relay) serveHTTP(ctx context.Context, c client) {
	q, err := readRequest(c.in)
	if err != nil {
		var bad *httpError
		if errors.As(err, &bad) {
			r.log.add(Connection{Protocol: "http", Result: "refused: " + bad.text, Count: 1})
			refuseHTTP(c, bad.status, bad.text)
		}
		return
	}
	kind := "http"
	if q.connect {
		kind = "connect"
	}
	far, entry, err := r.open(ctx, kind, q.target)
	if err != nil {
		refuseHTTP(c, statusFor(err), q.target.String()+": "+err.Error())
		return
	}
	defer far.Close()
	if q.connect {
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n") // a failure shows in the tunnel
		r.tunnel(ctx, c, far, entry)
		return
	}
	r.forward(ctx, c, far, q, entry)
}

// readRequest reads a request's head and holds it to what can be relayed
// without a doubt about where it ends.
func readRequest(in *bufio.Reader) (request, error) {
	var q request
	lines, err := readHead(in)
	if err != nil {
		return q, err
	}
	words := strings.Split(lines[0], " ")
	if len(words) != 3 || words[0] == "" || words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0" {
		return q, badRequest("it is neither a request of HTTP/1.0 or HTTP/1.1 nor SOCKS5")
	}
	if strings.ContainsFunc(words[0]+words[1], func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return q, badRequest("its first line has a control character in it") // which some servers take for a blank
	}
	q.method, q.version, q.headers = words[0], words[2], lines[1:]
	if q.method == "CONNECT" {
		q.connect = true
		if q.target, err = parseTarget(words[1], 0); err != nil {
			return q, badRequest(fmt.Sprintf("CONNECT %.100q: %v", words[1], err))
		}
		return q, nil
	}
	if err := q.absolute(words[1]); err != nil {
		return q, err
	}
	return q, q.body()
}

// absolute reads the absolute form of a request's target (RFC 9112 §3.2.2).
func (q *request) absolute(uri string) error {
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case !ok:
		return badRequest("this is a proxy and no server: ask for http://HOST/…, or CONNECT")
	case !strings.EqualFold(scheme, "http"):
		return &httpError{501, "this proxy relays http:// requests, and everything else by CONNECT or SOCKS5"}
	}
	q.authority, q.path = rest, "/"
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		q.authority, q.path = rest[:i], rest[i:]
	}
	q.path, _, _ = strings.Cut(q.path, "#")
	if !strings.HasPrefix(q.path, "/") {
		q.path = "/" + q.path
	}
	q.authority = q.authority[strings.LastIndexByte(q.authority, '@')+1:] // a password is the client's to send
	var err error
	if q.target, err = parseTarget(q.authority, 80); err != nil {
		return badRequest(fmt.Sprintf("%.100q: %v", q.authority, err))
	}
	return nil
}

// body finds out how long the body is (RFC 9112 §6.3). A request that leaves
// two answers is not relayed.
func (q *request) body() error {
	var lengths []string
	for _, h := range q.headers {
		name, value, _ := strings.Cut(h, ":")
		switch strings.ToLower(name) {
		case "transfer-encoding":
			return &httpError{411, "a request with Transfer-Encoding is not relayed: send Content-Length, or CONNECT"}
		case "content-length":
			lengths = append(lengths, strings.TrimSpace(value))
		}
	}
	if len(lengths) == 0 {
		return nil
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil || len(lengths) > 1 {
		return badRequest("its Content-Length is not one number")
	}
	q.length = int64(n)
	return nil
}

// readHead reads lines up to the empty one, without their ends; the first is
// the request or status line, the others are header fields.
func readHead(in *bufio.Reader) ([]string, error) {
	var lines []string
	for size := 0; ; {
		b, err := in.ReadSlice('\n')
		if size += len(b); errors.Is(err, bufio.ErrBufferFull) || size > maxHead {
			return nil, &httpError{431, fmt.Sprintf("its first lines are longer than %d bytes", maxHead)}
		}
		if err != nil {
			return nil, err
		}
		line := strings.TrimSuffix(string(b[:len(b)-1]), "\r")
		switch {
		case line == "" && len(lines) == 0: // RFC 9112 §2.2: an empty line before is let pass
			continue
		case line == "":
			return lines, nil
		case strings.ContainsAny(line, "\r\x00"):
			return nil, badRequest("its first lines have a carriage return or a NUL byte in them")
		case len(lines) > 0 && !validField(line):
			return nil, badRequest("it has a line that is no header field")
		}
		lines = append(lines, line)
	}
}

// validField holds a header line to NAME: VALUE. A blank before the colon and a
// folded line are read differently by different servers (RFC 9112 §5.1, §5.2).
func validField(line string) bool {
	name, _, ok := strings.Cut(line, ":")
	return ok && name != "" && !strings.ContainsAny(name, " \t")
}

// endToEnd are the fields that are not for the next hop alone (RFC 9110 §7.6.1):
// all but the named ones and those that Connection names.
func endToEnd(fields []string, also ...string) []string {
	drop := append([]string{"connection", "proxy-connection", "keep-alive", "te", "trailer", "upgrade", "proxy-authorization"}, also...)
	for _, f := range fields {
		if name, value, _ := strings.Cut(f, ":"); strings.EqualFold(name, "connection") {
			for option := range strings.SplitSeq(value, ",") {
				option = strings.ToLower(strings.TrimSpace(option))
				if option != "content-length" && option != "transfer-encoding" { // they say where the message ends
					drop = append(drop, option)
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(fields), func(f string) bool {
		name, _, _ := strings.Cut(f, ":")
		return slices.Contains(drop, strings.ToLower(name))
	})
}

// forward sends a request on in origin form and brings the answer back.
func (r *Relay) forward(ctx context.Context, c client, far net.Conn, q request, entry *Connection) {
	stop := context.AfterFunc(ctx, func() { _ = far.Close() })
	defer stop()
	_ = c.SetReadDeadline(time.Time{})
	head := append([]string{q.method + " " + q.path + " " + q.version, "Host: " + q.authority}, endToEnd(q.headers, "host")...)
	head = append(head, "Connection: close", "", "")
	sent := make(chan error, 1)
	go func() {
		in := io.MultiReader(strings.NewReader(strings.Join(head, "\r\n")), io.LimitReader(c.in, q.length))
		err := r.carry(unended{far}, in, &entry.Sent)
		if err == nil {
			_, err = io.Copy(io.Discard, c.in) // what else it asks for, it asks for again
		}
		sent <- err
	}()
	back := r.answer(c, far, entry)
	closeWrite(c)
	soon := time.Now().Add(lingerTime)
	_ = c.SetReadDeadline(soon) // to close with bytes unread would reset what it has not read yet
	_ = far.SetWriteDeadline(soon)
	err := <-sent
	if !errors.Is(err, errBytes) {
		err = nil
	}
	var bad *httpError
	if errors.As(back, &bad) {
		entry.Result = "failed: " + bad.text
	}
	r.finish(ctx, entry, back, err)
}

// unended is a connection that carry does not half-close: some servers take the
// end of a request's bytes for the end of the client.
type unended struct{ net.Conn }

func (unended) CloseWrite() error { return nil }

// answer copies an answer, of which only the head is looked at: it has to tell
// the client that the connection ends with it.
func (r *Relay) answer(c client, far net.Conn, entry *Connection) error {
	in := bufio.NewReaderSize(far, maxHead)
	for {
		lines, err := readHead(in)
		if err == nil && !strings.HasPrefix(lines[0], "HTTP/1.") {
			err = errors.New("no HTTP/1")
		}
		if err != nil {
			bad := &httpError{502, fmt.Sprintf("%s gave no answer in HTTP: %v", entry.Target, err)}
			refuseHTTP(c, bad.status, bad.text)
			return bad
		}
		interim := strings.HasPrefix(lines[0][len("HTTP/1."):], "1 1") && !strings.HasPrefix(lines[0][len("HTTP/1."):], "1 101")
		head := append([]string{lines[0]}, endToEnd(lines[1:])...)
		if !interim {
			head = append(head, "Connection: close")
		}
		head = append(head, "", "")
		first := strings.NewReader(strings.Join(head, "\r\n")) // it counts, too: interim answers can go on for ever
		if !interim {
			return r.carry(c, io.MultiReader(first, in), &entry.Received)
		}
		if err := r.carry(unended{c}, first, &entry.Received); err != nil {
			return err
		}
	}
}

// refuseHTTP tells a client in words why it gets nothing.
func refuseHTTP(c client, status int, text string) {
	reasons := map[int]string{400: "Bad Request", 403: "Refused by ctxagent", 411: "Length Required", 431: "Request Header Fields Too Large",
		501: "Not Implemented", 502: "Bad Gateway", 504: "Gateway Timeout"}
	body := "ctxagent: " + text + "\n"
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, reasons[status], len(body), body) // a client that is gone gets nothing
	closeWrite(c)
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, c.in)
}

func statusFor(err error) int {
	var no *refusedError
	switch {
	case errors.As(err, &no):
		return 403
	case timedOut(err):
		return 504
	}
	return 502
}
