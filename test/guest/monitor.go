// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"encoding/json"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Monitor talks QMP, QEMU's control protocol, far enough to learn why the guest
// ended (QEMU's exit status is 0 for a power-off, a reset and a panic alike), and to
// change what is attached to it.
type Monitor struct {
	listener net.Listener
	done     chan struct{}
	reason   string // of the SHUTDOWN event; read after done

	ready  chan struct{} // conn is set
	conn   net.Conn
	mu     sync.Mutex // guards what is written to conn, and faults
	faults []string   // what QEMU refused
	said   chan string
}

// listenMonitor makes the socket at path to which QEMU connects.
func listenMonitor(path string) (*Monitor, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	m := &Monitor{listener: listener, done: make(chan struct{}), ready: make(chan struct{}),
		said: make(chan string, 1)}
	go m.serve()
	return m, nil
}

// serve takes the one connection and reads events until QEMU closes it.
func (m *Monitor) serve() {
	defer close(m.done)
	conn, err := m.listener.Accept()
	if err != nil {
		return // closed: QEMU did not start
	}
	defer conn.Close()
	m.conn = conn
	close(m.ready)
	// No event comes before this; the answer is skipped like all that is no SHUTDOWN.
	if err := m.Do("qmp_capabilities", nil); err != nil {
		return
	}
	for decoder := json.NewDecoder(conn); ; {
		var message struct {
			Event string `json:"event"`
			Data  struct {
				Reason string `json:"reason"`
			} `json:"data"`
			Return any             `json:"return"`
			Error  json.RawMessage `json:"error"`
		}
		if err := decoder.Decode(&message); err != nil {
			return
		}
		if message.Event == "SHUTDOWN" {
			m.reason = message.Data.Reason
		}
		if text, ok := message.Return.(string); ok {
			select {
			case m.said <- text:
			default: // nobody has taken the last one
			}
		}
		if message.Error != nil {
			m.mu.Lock()
			m.faults = append(m.faults, string(message.Error))
			m.mu.Unlock()
		}
	}
}

// Do sends a command and does not wait for its answer; Faults has what QEMU refused.
func (m *Monitor) Do(command string, arguments any) error {
	<-m.ready
	b, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if arguments == nil {
		b, err = json.Marshal(map[string]any{"execute": command})
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err = m.conn.Write(append(b, '\n'))
	return err
}

// Insert puts an ISO file into the drive with this QEMU id, whose tray it opens and
// closes; with "" the drive is empty then.
func (m *Monitor) Insert(drive, iso string) error {
	if iso == "" {
		return m.Do("eject", map[string]any{"id": drive, "force": true})
	}
	return m.Do("blockdev-change-medium", map[string]any{
		"id": drive, "filename": iso, "format": "raw", "read-only-mode": "read-only", "force": true})
}

// SetLink plugs the network card's cable in, or pulls it out.
func (m *Monitor) SetLink(up bool) error {
	return m.Do("set_link", map[string]any{"name": "net", "up": up})
}

// Faults are the answers of QEMU that were errors.
func (m *Monitor) Faults() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.faults)
}

var whereCPU = regexp.MustCompile(`CPU#\d+|RIP=\w+|EIP=\w+|HLT=\d`)

// where says where each CPU of the guest is and whether it is halted, for the error
// about a guest that hangs; "" if QEMU does not answer within two seconds.
func (m *Monitor) where() string {
	select {
	case <-m.ready:
	default:
		return ""
	}
	if err := m.Do("human-monitor-command", map[string]any{"command-line": "info registers -a"}); err != nil {
		return ""
	}
	select {
	case text := <-m.said:
		return strings.Join(whereCPU.FindAllString(text, -1), " ")
	case <-m.done:
	case <-time.After(2 * time.Second):
	}
	return ""
}

// end returns QEMU's reason for the end of the guest, "" if it gave none. Call it after
// QEMU has ended.
func (m *Monitor) end() string {
	m.listener.Close()
	<-m.done
	return m.reason
}
