// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	lookupTime  = 10 * time.Second // for the resolver to be told of its servers; Go reads resolv.conf anew after 5 s
	lookupPause = time.Second
)

// resolve gives the addresses of a target, with the name if it is one.
func (r *Relay) resolve(ctx context.Context, t target) (name string, _ []netip.Addr, _ error) {
	if a, err := netip.ParseAddr(t.host); err == nil {
		return "", []netip.Addr{a}, nil
	}
	if _, err := r.Allow(t.host, netip.Addr{}, t.port); err != nil {
		return "", nil, &refusedError{err.Error()} // not even asked for: a question is a message, too
	}
	addrs, err := r.lookup(ctx, t.host)
	if err != nil {
		return "", nil, fmt.Errorf("look up %s: %w", t.host, err)
	}
	if len(addrs) == 0 {
		return "", nil, fmt.Errorf("look up %s: it has no address", t.host)
	}
	return t.host, addrs, nil
}

// lookup asks the guest's resolver. Right after the network came up its network
// manager may not have told the resolver of the servers yet, or they may not
// answer: until lookupTime after the first question, what is a failure for the
// moment is asked again. A name that does not exist is not.
func (r *Relay) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	ask := r.Lookup
	if ask == nil {
		ask = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	r.first.Do(func() { r.patience = time.Now().Add(lookupTime) })
	for {
		addrs, err := ask(ctx, name)
		if !isPassing(err) || time.Now().After(r.patience) {
			return addrs, err
		}
		select {
		case <-time.After(lookupPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func isLookup(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}

// isPassing tells that a lookup failed for the moment: nobody answered, or a
// server that has its own trouble (SERVFAIL).
func isPassing(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && !dns.IsNotFound && (dns.IsTemporary || dns.IsTimeout)
}
