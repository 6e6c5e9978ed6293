// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"sync"
	"time"
)

// maxRecorded is how many different entries the list has: a receipt is for
// reading, and a script can ask in a loop.
const maxRecorded = 1000

// Connection is what became of one request, or of several with the same end.
type Connection struct {
	Target   string // HOST:PORT as asked for
	Address  string // what was dialled; "" if nothing was
	Protocol string // "connect", "http" or "socks5"
	Rule     string // what allowed it
	Result   string // "connected", or "refused: …", "failed: …", "cut off: …"
	Count    int
	Sent     int64 // bytes from the script
	Received int64
	Duration time.Duration // the sum

	began time.Time
}

// record gathers connections; those alike but for size and time are one entry.
type record struct {
	mu      sync.Mutex
	entries []Connection
	index   map[[5]string]int
	lost    int
}

func (l *record) add(c Connection) {
	if !c.began.IsZero() { // a request that could not be read began nothing
		c.Duration = time.Since(c.began)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := [5]string{c.Target, c.Address, c.Protocol, c.Rule, c.Result}
	if i, ok := l.index[key]; ok {
		e := &l.entries[i]
		e.Count += c.Count
		e.Sent += c.Sent
		e.Received += c.Received
		e.Duration += c.Duration
		return
	}
	if len(l.entries) == maxRecorded {
		l.lost += c.Count
		return
	}
	if l.index == nil {
		l.index = map[[5]string]int{}
	}
	l.index[key] = len(l.entries)
	l.entries = append(l.entries, c)
}

func (l *record) list() ([]Connection, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Connection(nil), l.entries...), l.lost
}
