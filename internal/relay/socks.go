// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"syscall"
)

// Of RFC 1928: version, methods (§3), commands and address types (§4), replies (§6).
const (
	socksVersion = 5

	noAuthentication = 0x00
	noMethod         = 0xff

	commandConnect = 1

	typeIPv4 = 1
	typeName = 3
	typeIPv6 = 4

	replySucceeded          = 0
	replyFailure            = 1
	replyNotAllowed         = 2
	replyNetworkUnreachable = 3
	replyHostUnreachable    = 4
	replyConnectionRefused  = 5
	replyCommandUnknown     = 7
	replyAddressTypeUnknown = 8
)

// serveSOCKS does what RFC 1928 asks of a server, for CONNECT alone: BIND and UDP
// would let the site's hosts call in.
func (r *Relay) serveSOCKS(ctx context.Context, c client) {
	if !negotiate(c) {
		return
	}
	t, reply, err := readSOCKS(c.in)
	if err != nil {
		if reply != replySucceeded {
			answerSOCKS(c, reply)
			r.log.add(Connection{Protocol: "socks5", Result: "refused: " + err.Error(), Count: 1})
		}
		return
	}
	far, entry, err := r.open(ctx, "socks5", t)
	if err != nil {
		answerSOCKS(c, replyFor(err))
		return
	}
	defer far.Close()
	answerSOCKS(c, replySucceeded)
	r.tunnel(ctx, c, far, entry)
}

// negotiate reads the greeting (§3) and agrees to no authentication.
func negotiate(c client) bool {
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return false
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(c.in, methods); err != nil {
		return false
	}
	method := byte(noMethod)
	for _, m := range methods {
		if m == noAuthentication {
			method = m
		}
	}
	_, err := c.Write([]byte{socksVersion, method})
	return err == nil && method != noMethod
}

// readSOCKS reads a request (§4, §5). With an error comes the reply that says
// so, or replySucceeded where the client is not to be answered.
func readSOCKS(in io.Reader) (t target, reply byte, err error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return t, replySucceeded, err
	}
	if head[0] != socksVersion {
		return t, replyFailure, errors.New("a SOCKS request of another version")
	}
	var host string
	switch head[3] {
	case typeIPv4, typeIPv6:
		a := make([]byte, map[byte]int{typeIPv4: 4, typeIPv6: 16}[head[3]])
		if _, err := io.ReadFull(in, a); err != nil {
			return t, replySucceeded, err
		}
		addr, _ := netip.AddrFromSlice(a) // 4 or 16 bytes
		host = addr.String()
	case typeName:
		length := make([]byte, 1)
		if _, err := io.ReadFull(in, length); err != nil {
			return t, replySucceeded, err
		}
		name := make([]byte, length[0])
		if _, err := io.ReadFull(in, name); err != nil {
			return t, replySucceeded, err
		}
		host = string(name)
	default:
		return t, replyAddressTypeUnknown, errors.New("a SOCKS request with an unknown type of address")
	}
	port := make([]byte, 2)
	if _, err := io.ReadFull(in, port); err != nil {
		return t, replySucceeded, err
	}
	if head[1] != commandConnect {
		return t, replyCommandUnknown, errors.New("a SOCKS command other than CONNECT")
	}
	n := binary.BigEndian.Uint16(port)
	if n == 0 {
		return t, replyFailure, errors.New("a SOCKS request for port 0")
	}
	t, err = newTarget(host, n)
	return t, replyFailure, err
}

// answerSOCKS sends a reply (§6). The bound address stays 0.0.0.0:0: the script
// has no use for an address of the machine's.
func answerSOCKS(c client, reply byte) {
	_, _ = c.Write([]byte{socksVersion, reply, 0, typeIPv4, 0, 0, 0, 0, 0, 0}) // a client that is gone gets nothing
}

func replyFor(err error) byte {
	var no *refusedError
	switch {
	case errors.As(err, &no):
		return replyNotAllowed
	case errors.Is(err, syscall.ECONNREFUSED):
		return replyConnectionRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return replyNetworkUnreachable
	case unreachable(err), timedOut(err), isLookup(err):
		return replyHostUnreachable
	}
	return replyFailure
}
