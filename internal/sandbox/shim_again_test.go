// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSignalsCutNoRequestOff: Go's runtime sends SIGURG to its own threads, and a
// read with a time-out ends with EINTR then. A script's request must not be lost
// by that: its systemctl failed with a broken pipe.
func TestSignalsCutNoRequestOff(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	c := &control{}
	thread, answered := make(chan int), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		c.answer(pair[0])
		close(answered)
	}()
	tid := <-thread
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		if err := unix.Tgkill(os.Getpid(), tid, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unix.Write(pair[1], []byte(`{"Verb":"restart","Unit":"rsyslog.service"}`)); err != nil {
		t.Fatal(err)
	}
	<-answered
	if got := c.requests(); len(got) != 1 || got[0].Unit != "rsyslog.service" {
		t.Errorf("requests %v; want the one that was made", got)
	}
}

// TestSignalsCutNoConnectionOff: the backlog is full for a moment when a script
// asks for very many units, and connect(2) ends with EINTR, too.
func TestSignalsCutNoConnectionOff(t *testing.T) {
	name := filepath.Join(t.TempDir(), "control")
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if err := unix.Bind(l, &unix.SockaddrUnix{Name: name}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 0); err != nil {
		t.Fatal(err)
	}
	first, err := dial(name)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(first)
	thread, connected := make(chan int), make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		fd, err := dial(name)
		_ = unix.Close(fd)
		connected <- err
	}()
	tid := <-thread
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		if err := unix.Tgkill(os.Getpid(), tid, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-connected:
		t.Fatalf("dial = %v with the backlog full; want it to wait", err)
	default:
	}
	conn, _, err := unix.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(conn)
	if err := <-connected; err != nil {
		t.Errorf("dial = %v; want a connection when there is a place", err)
	}
}
