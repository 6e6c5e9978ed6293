// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Line is one line of the guest's console.
type Line struct {
	At   time.Duration // since QEMU was started, by the host's clock
	Text string        // without line end and terminal control
}

var terminalControl = regexp.MustCompile("\x1b(\\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[A-Z=>78])|[\x00-\x08\x0b-\x1f]")

// console splits what it is given into lines and hands on each as it comes.
type console struct {
	start  time.Time
	follow func(Line)

	mu      sync.Mutex
	partial []byte
	lines   []Line
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partial = append(c.partial, p...)
	for {
		text, rest, found := bytes.Cut(c.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		c.add(text)
		c.partial = rest
	}
}

// close hands on a last line without an end and returns all lines.
func (c *console) close() []Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.partial) > 0 {
		c.add(c.partial)
		c.partial = nil
	}
	return c.lines
}

func (c *console) add(text []byte) {
	line := Line{
		At:   time.Since(c.start),
		Text: strings.TrimRight(terminalControl.ReplaceAllString(string(text), ""), " "),
	}
	c.lines = append(c.lines, line)
	if c.follow != nil {
		c.follow(line)
	}
}
