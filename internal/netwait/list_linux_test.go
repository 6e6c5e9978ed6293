// SPDX-License-Identifier: Apache-2.0

package netwait

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestListerKeepsOneSocket: for as long as it waits, and none afterwards.
func TestListerKeepsOneSocket(t *testing.T) {
	namespace(t)
	before := descriptors(t)
	var l lister
	for range 10 {
		if _, err := l.list(gateway); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(descriptors(t)) - len(before); n != 1 {
		t.Errorf("after 10 snapshots %d descriptors are open; want one", n)
	}
	l.close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Kernel(gateway).Wait(ctx); err == nil {
		t.Error("Wait returned in an empty namespace")
	}
	for range 100 { // both sockets are closed in the background
		if len(descriptors(t)) == len(before) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d descriptors are open; want %d as before", len(descriptors(t)), len(before))
}

// TestListerAfterAnError: a socket that fails is not used again.
func TestListerAfterAnError(t *testing.T) {
	namespace(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	before := descriptors(t)
	var l lister
	defer l.close()
	if _, err := l.list(gateway); err != nil {
		t.Fatal(err)
	}
	for fd := range descriptors(t) {
		if !before[fd] {
			if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil { // it is no socket any more
				t.Fatal(err)
			}
		}
	}
	if s, err := l.list(gateway); err == nil {
		t.Errorf("over a broken socket list = %+v; want an error", s)
	}
	if s, err := l.list(gateway); err != nil || len(s.Links) != 1 {
		t.Errorf("after that list = %+v, %v; want a new socket", s, err)
	}
}

// TestDumpThatIsInterrupted: the kernel says so of a dump during which a table
// changed (NLM_F_DUMP_INTR), and it is taken again. A storm of links makes it
// happen; no snapshot may have half a link.
func TestDumpThatIsInterrupted(t *testing.T) {
	namespace(t)
	stop := make(chan struct{})
	done := aside(t, func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			if err := addVeth("ens3", "peer"); err != nil {
				return err
			}
			if err := delLink("ens3"); err != nil {
				return err
			}
		}
	})
	var l lister
	defer l.close()
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
		if s, err := l.list(gateway); err != nil || len(s.Links)%2 == 0 { // lo, or lo and a pair
			t.Fatalf("list = %+v, %v", s, err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// descriptors are the open ones, but for that of the look itself.
func descriptors(t *testing.T) map[int]bool {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[int]bool{}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		}
		if err == nil {
			open[fd] = true
		}
	}
	return open
}
