// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// machine is a network that a test changes: its Waiter sees what is set.
type machine struct {
	hints  chan Hint
	mu     sync.Mutex
	now    Snapshot
	err    error
	looks  int
	before func() // each look
	asked  []netip.Addr
}

func newMachine() *machine { return &machine{hints: make(chan Hint, 1)} }

func (m *machine) waiter(c Criteria) Waiter {
	return Waiter{
		Criteria:  c,
		Subscribe: func(context.Context) (<-chan Hint, error) { return m.hints, nil },
		List: func(Table) (Snapshot, error) {
			if m.looks++; m.before != nil {
				m.before()
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.now, m.err
		},
		Resolve: func(_ int, gw netip.Addr) error { m.asked = append(m.asked, gw); return nil },
	}
}

// change sets what the next look sees, and hints at it.
func (m *machine) change(s Snapshot) {
	m.mu.Lock()
	m.now, m.err = s, nil
	m.mu.Unlock()
	give(m.hints, Hint{At: time.Now(), Events: 1})
}

var (
	unset   = Snapshot{Links: links(ens3)}
	halfway = Snapshot{Links: links(ens3), Addrs: addrs(v4)}
	ready   = Snapshot{Links: links(ens3), Addrs: addrs(v4), Routes: routes(gw4)}
)

func TestWaitSubscribesBeforeItLists(t *testing.T) {
	m := newMachine()
	w := m.waiter(gateway)
	w.Subscribe = func(context.Context) (<-chan Hint, error) {
		m.now = ready // between the two: an event that nobody will tell of again
		return m.hints, nil
	}
	f, err := w.Wait(t.Context())
	if err != nil || f.Interface != "ens3" || f.Events != 0 || !f.EventAt.IsZero() || f.DecidedAt.IsZero() {
		t.Errorf("Wait = %+v, %v; want what came while it subscribed", f, err)
	}
}

func TestWaitLooksAgainAtEachHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.now = unset
		go func() {
			time.Sleep(time.Second)
			m.change(halfway)
			time.Sleep(time.Second)
			m.change(ready)
		}()
		began := time.Now()
		f, err := m.waiter(gateway).Wait(t.Context())
		if err != nil || f.Waited != 2*time.Second || f.Events != 2 || f.EventAt.Sub(began) != 2*time.Second || f.DecidedAt.Sub(began) != 2*time.Second {
			t.Errorf("Wait = %+v, %v; want it after 2 s and two events", f, err)
		}
		if m.looks != 3 {
			t.Errorf("it looked %d times; want once at first and once for each event, and never in between", m.looks)
		}
	})
}

func TestWaitSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.now = halfway
		why := errors.New("the policy's time is over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, why)
		defer cancel()
		f, err := m.waiter(gateway).Wait(ctx)
		if !errors.Is(err, why) || !strings.Contains(err.Error(), "ens3: up, carrier; 192.0.2.7/24 ok; no default route yet") || f.Waited != time.Minute {
			t.Errorf("Wait = %+v, %v; want the cause and what is missing", f, err)
		}
		if m.looks != 1 {
			t.Errorf("it looked %d times in a minute without an event; want once", m.looks)
		}
	})
}

func TestSettle(t *testing.T) {
	c := gateway
	c.Settle = 5 * time.Second
	for _, tt := range []struct {
		name    string
		changes []Snapshot // one a second
		after   time.Duration
	}{
		{"stable", []Snapshot{ready}, 6 * time.Second},
		{"the same again", []Snapshot{ready, ready, ready}, 6 * time.Second},
		{"address added, then removed, then added", []Snapshot{ready, unset, ready}, 8 * time.Second},
		{"another address", []Snapshot{ready, {Links: links(ens3), Addrs: addrs(on(2, "192.0.2.8/24")), Routes: routes(gw4)}}, 7 * time.Second},
		{"renamed", []Snapshot{ready, {Links: links(link("lan0")), Addrs: addrs(v4), Routes: routes(gw4)}}, 7 * time.Second},
		{"deleted and made again", []Snapshot{ready, {Links: links(link("ens3", index(7))), Addrs: addrs(on(7, "192.0.2.7/24")), Routes: routes(via(7, "192.0.2.1"))}}, 7 * time.Second},
		{"another gateway", []Snapshot{ready, {Links: links(ens3), Addrs: addrs(v4), Routes: routes(via(2, "192.0.2.2"))}}, 7 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine()
			m.now = unset
			go func() {
				for _, s := range tt.changes {
					time.Sleep(time.Second)
					m.change(s)
				}
			}()
			f, err := m.waiter(c).Wait(t.Context())
			if err != nil || f.Waited != tt.after {
				t.Errorf("%s: Wait = %v after %v; want it after %v", tt.name, err, f.Waited, tt.after)
			}
		})
	}
}

// TestAnAddressThatGoesBeforeItSettled: what was configured for a moment is not.
func TestAnAddressThatGoesBeforeItSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.now = ready
		c := gateway
		c.Settle = 5 * time.Second
		go func() { time.Sleep(time.Second); m.change(unset) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if f, err := m.waiter(c).Wait(ctx); err == nil {
			t.Errorf("Wait = %+v; want an error", f)
		}
	})
}

// TestTablesThatCannotBeRead: neither an end nor a busy loop.
func TestTablesThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.err = errors.New("no buffer space available")
		go func() {
			time.Sleep(time.Minute)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.err, m.now = nil, ready // and nothing hints at it
		}()
		f, err := m.waiter(gateway).Wait(t.Context())
		if err != nil || f.Waited > time.Minute+lastTry {
			t.Errorf("Wait = %v after %v; want it to look again by itself", err, f.Waited)
		}
		if m.looks > 60 {
			t.Errorf("%d looks in a minute", m.looks)
		}
		m.err = errors.New("no buffer space available")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.waiter(gateway).Wait(ctx); err == nil || !strings.Contains(err.Error(), "no buffer space available") {
			t.Errorf("Wait = %v; want the reason", err)
		}
	})
}

// TestStormIsPaced: with looks that take long, most of the time nothing is done.
func TestStormIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.now = unset
		m.before = func() { time.Sleep(10 * time.Millisecond) }
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 10000 {
				time.Sleep(time.Millisecond)
				give(m.hints, Hint{At: time.Now(), Events: 1})
			}
			m.change(ready)
		}()
		f, err := m.waiter(gateway).Wait(t.Context())
		<-done
		if err != nil || f.Events < 9900 { // the look that decides can be under way when the last ones come
			t.Errorf("Wait = %+v, %v; want all events counted", f, err)
		}
		if m.looks > 340 {
			t.Errorf("%d looks of 10 ms in 10 s; want a third of the time at most", m.looks)
		}
	})
}

func TestGatewayIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.now = ready
		go func() {
			time.Sleep(3500 * time.Millisecond)
			m.change(Snapshot{Links: links(ens3), Addrs: addrs(v4), Routes: routes(via(2, "192.0.2.1", answered))})
		}()
		f, err := m.waiter(must(GatewayResolved)).Wait(t.Context())
		if err != nil || f.Waited != 3500*time.Millisecond || len(m.asked) != 4 || m.asked[0] != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("Wait = %+v, %v, asked %v; want the gateway asked once a second", f, err, m.asked)
		}
		other := newMachine()
		other.now = ready
		if _, err := other.waiter(gateway).Wait(t.Context()); err != nil || other.asked != nil {
			t.Errorf("without the criterion: %v, asked %v; want nobody asked", err, other.asked)
		}
	})
}
