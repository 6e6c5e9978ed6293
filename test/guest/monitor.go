// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"encoding/json"
	"io"
	"net"
)

// monitor talks QMP, QEMU's control protocol, far enough to learn why the guest ended:
// QEMU's exit status is 0 for a power-off, a reset and a panic alike.
type monitor struct {
	listener net.Listener
	done     chan struct{}
	reason   string // of the SHUTDOWN event; read after done
}

// listenMonitor makes the socket at path to which QEMU connects.
func listenMonitor(path string) (*monitor, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	m := &monitor{listener: listener, done: make(chan struct{})}
	go m.serve()
	return m, nil
}

// serve takes the one connection and reads events until QEMU closes it.
func (m *monitor) serve() {
	defer close(m.done)
	conn, err := m.listener.Accept()
	if err != nil {
		return // closed: QEMU did not start
	}
	defer conn.Close()
	// No event comes before this; the answer is skipped like all that is no SHUTDOWN.
	if _, err := io.WriteString(conn, `{"execute":"qmp_capabilities"}`+"\n"); err != nil {
		return
	}
	for decoder := json.NewDecoder(conn); ; {
		var message struct {
			Event string `json:"event"`
			Data  struct {
				Reason string `json:"reason"`
			} `json:"data"`
		}
		if err := decoder.Decode(&message); err != nil {
			return
		}
		if message.Event == "SHUTDOWN" {
			m.reason = message.Data.Reason
		}
	}
}

// end returns QEMU's reason for the end of the guest, "" if it gave none. Call it after
// QEMU has ended.
func (m *monitor) end() string {
	m.listener.Close()
	<-m.done
	return m.reason
}
