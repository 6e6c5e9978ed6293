// SPDX-License-Identifier: Apache-2.0

// Package netwait blocks until rtnetlink(7) reports a configured network. Its
// input is the kernel's links, addresses and routes, and the endorser's
// criteria (docs/network.md); its output is the facts it decided on, or words
// that say what is missing. It does not know which network manager the guest
// has, and configures nothing. It asks nobody over the network, unless the
// criteria demand a gateway that answers.
//
// Events are hints and state is the truth: it subscribes, then lists, then waits
// for a hint and lists again. No event can be lost to it that matters, for what
// an event says is never used.
package netwait

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Table is one of the kernel's. A change of one may change the tables behind it
// without a word: with a link that goes down its IPv4 routes go, and so does a
// route whose preferred source goes (fib_sync_down_dev and fib_sync_down_addr in
// net/ipv4/fib_semantics.c tell nobody). What is before it stands.
type Table int

const (
	Links Table = iota
	Addresses
	Routes
)

// Hint tells that something may have changed.
type Hint struct {
	From   Table     // the first table that may have
	At     time.Time // of the last event
	Events int       // since the hint before
}

// Waiter waits; its functions are how it sees the machine. Kernel gives the real
// ones.
type Waiter struct {
	Criteria Criteria
	// Subscribe starts to listen and returns hints until its context ends.
	Subscribe func(context.Context) (<-chan Hint, error)
	// List takes a snapshot; the tables before from may be those of the last one.
	List func(from Table) (Snapshot, error)
	// Resolve has the kernel find a gateway's link-layer address, as any packet
	// to it would. It is called for Criteria that want it answered.
	Resolve func(link int, gateway netip.Addr) error
}

const (
	askAgain = time.Second            // between two attempts at a gateway
	firstTry = 50 * time.Millisecond  // after a snapshot that failed
	lastTry  = 2 * time.Second        // that pause doubles up to here
	longGap  = 500 * time.Millisecond // between two looks at very long tables
)

// Wait returns when the network is configured and has been for as long as the
// criteria say. The end of ctx is an error that says what is still missing, and
// the Facts then hold how long that took and how many events were seen.
func (w Waiter) Wait(ctx context.Context) (Facts, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := look{w: w, c: w.Criteria, start: time.Now()}
	hints, err := w.Subscribe(ctx) // before the first List: nothing falls between
	if err != nil {
		return Facts{}, fmt.Errorf("subscribe to rtnetlink: %w", err)
	}
	from := Links
	for {
		again, done := l.take(from)
		if done {
			return l.facts, nil
		}
		timer := time.NewTimer(again)
		if again == 0 {
			timer.Stop() // nothing to do before the next hint: no wake-up
		}
		from = Links
		select {
		case h, open := <-hints:
			if !open {
				hints = nil // its context ended, and so does Wait
				break
			}
			from, l.facts.EventAt = h.From, h.At
			l.events += h.Events
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if !l.pause(ctx) {
			f := Facts{Waited: time.Since(l.start), Events: l.events}
			return f, fmt.Errorf("wait for a configured network: %w: %s", context.Cause(ctx), l.missing)
		}
	}
}

// look is the state from one look at the machine to the next.
type look struct {
	w        Waiter
	c        Criteria
	start    time.Time
	events   int
	facts    Facts // of the last look that found the network configured
	since    time.Time
	settling bool
	missing  string
	failed   time.Duration // the pause after a snapshot that failed; 0 after one that did not
	asked    time.Time     // for the gateway
	took     time.Duration // of the last look
	ended    time.Time
}

// take looks once, at the tables from the given one on. If the decision is not made it returns after how long to look
// again without a hint, 0 for not at all.
func (l *look) take(from Table) (again time.Duration, done bool) {
	began := time.Now()
	defer func() {
		l.ended = time.Now()
		l.took = l.ended.Sub(began)
	}()
	s, err := l.w.List(from)
	if err != nil {
		l.settling, l.missing = false, fmt.Sprintf("the kernel's tables cannot be read: %v", err)
		l.failed = min(max(2*l.failed, firstTry), lastTry)
		return l.failed, false
	}
	l.failed = 0
	facts, missing, ok := Decide(s, l.c)
	l.missing = missing
	if !ok {
		l.settling = false
		return l.ask(facts), false
	}
	if !l.settling || !facts.same(l.facts) {
		l.since, l.settling = began, true
	}
	facts.EventAt, facts.Events = l.facts.EventAt, l.events
	l.facts = facts
	if left := l.c.Settle - time.Since(l.since); left > 0 {
		l.missing = fmt.Sprintf("%s: configured, but not yet for %v", facts.Interface, l.c.Settle)
		return left, false
	}
	l.facts.DecidedAt = time.Now()
	l.facts.Waited = l.facts.DecidedAt.Sub(l.start)
	return 0, true
}

// ask wants an answer from the link's gateways, if that is all that is missing.
func (l *look) ask(f Facts) time.Duration {
	if l.c.Require != GatewayResolved || !f.Gateway.IsValid() || l.w.Resolve == nil {
		return 0
	}
	if time.Since(l.asked) >= askAgain {
		l.asked = time.Now()
		for _, gw := range f.Gateways { // any of those with the lowest metric will do
			if err := l.w.Resolve(f.Index, gw); err != nil {
				l.missing += fmt.Sprintf(" (%s cannot be asked: %v)", gw, err)
			}
		}
	}
	return askAgain
}

// pause keeps a storm of events, or tables that take long to read, from using
// up a CPU: at least twice as long as the last look took passes before the next.
// It reports false when ctx has ended.
func (l *look) pause(ctx context.Context) bool {
	if left := min(2*l.took, longGap) - time.Since(l.ended); left > 0 {
		select {
		case <-time.After(left):
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}
