// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRelayIsTheOnlyWayOut(t *testing.T) {
	root := newRoot(t)
	outside, err := net.Listen("tcp", "127.0.0.1:0") // a service of the machine's own
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	var ended atomic.Bool
	res := run(t, root, `
		echo hello | busybox nc 127.0.0.1 1080
		busybox nc -w 2 127.0.0.1 `+portOf(outside)+` </dev/null && echo LEAK
		ip -o link | grep -v lo: && echo LEAK
		ip addr add 192.0.2.1/24 dev lo 2>/dev/null && echo LEAK
		(while true; do busybox nc 127.0.0.1 1080 </dev/null >/dev/null; done) &
	`, func(s *Spec) {
		s.Env = append(s.Env, "PATH=/bin")
		s.Relay = func(ctx context.Context, l net.Listener) {
			context.AfterFunc(ctx, func() { _ = l.Close() })
			for {
				c, err := l.Accept()
				if err != nil {
					ended.Store(true)
					return
				}
				line := make([]byte, 6)
				_, _ = io.ReadFull(c, line)
				_, _ = io.WriteString(c, "the relay has "+string(line))
				_ = c.Close()
			}
		}
	})
	if res.ExitStatus != 0 || !strings.Contains(res.Output, "the relay has hello") || strings.Contains(res.Output, "LEAK") {
		t.Errorf("exit %d, output %q; want the relay's answer and nothing else reached", res.ExitStatus, res.Output)
	}
	if !ended.Load() {
		t.Error("Run returned and the relay is served on")
	}
}

func TestWithoutRelayTheLoopbackIsDown(t *testing.T) {
	res := run(t, newRoot(t), `ip -o link show lo; busybox nc 127.0.0.1 1080 </dev/null && echo LEAK`)
	if strings.Contains(res.Output, "LEAK") || strings.Contains(res.Output, "UP") {
		t.Errorf("output %q; want lo down", res.Output)
	}
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestHoldReleasesTheCommand(t *testing.T) {
	const late = 300 * time.Millisecond
	var after time.Time
	res := run(t, newRoot(t), `echo "$CTX_LATE"`, func(s *Spec) {
		s.Hold = func(context.Context) (Release, error) {
			time.Sleep(late)
			then := func() {
				time.Sleep(late) // nobody waits for it
				after = time.Now()
			}
			return Release{Env: []string{"CTX_LATE=192.0.2.7\nbyte \xff"}, Then: then}, nil
		}
	})
	if res.Output != "192.0.2.7\nbyte \xff\n" {
		t.Errorf("output %q; want Hold's variable", res.Output)
	}
	if res.Confined.IsZero() || res.Released.IsZero() || !res.Confined.Before(res.Released) || res.Started.Before(res.Released) {
		t.Errorf("confined %v, released %v, started %v; want that order", res.Confined, res.Released, res.Started)
	}
	if after.Before(res.Started) {
		t.Errorf("started at %v, and what can wait was done at %v; want it later", res.Started, after)
	}
	t.Logf("from the release to the start: %v", res.Started.Sub(res.Released))
}

// TestHoldThatIsOverAtOnce: the release comes right behind the configuration,
// while that is still being read.
func TestHoldThatIsOverAtOnce(t *testing.T) {
	res := run(t, newRoot(t), `echo "$CTX_EARLY"`, func(s *Spec) {
		s.Hold = func(context.Context) (Release, error) { return Release{Env: []string{"CTX_EARLY=192.0.2.7"}}, nil }
	})
	if res.Output != "192.0.2.7\n" {
		t.Errorf("output %q; want Hold's variable", res.Output)
	}
}

func TestHoldsErrorStartsNothing(t *testing.T) {
	why := errors.New("no network")
	spec := Spec{
		Root: newRoot(t), Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20, Command: []string{"/bin/sh", "-c", "echo LEAK"},
		Hold: func(context.Context) (Release, error) { return Release{}, why },
	}
	if _, err := Run(t.Context(), spec); !errors.Is(err, why) || errors.Is(err, ErrUnsupported) {
		t.Errorf("Run = %v; want Hold's error", err)
	}
}

// The command, and what is on its disc, may come with the release, whether or not
// the confinement stands by then.
func TestReleaseBringsTheCommand(t *testing.T) {
	for _, tt := range []struct {
		name    string
		release Release
		output  string
		is      error
	}{
		{"a command", Release{Command: []string{"/bin/sh", "-c", `cat late "$@"`, "sh", "/byte\xff"}}, "came late\ncat: ", nil},
		{"by the PATH of the release", Release{Command: []string{"sh", "-c", "cat late"}, Env: []string{"PATH=/bin"}}, "came late\n", nil},
		{"the second one", Release{Command: []string{"/bin/none"}, Else: [][]string{{"/bin/cat", "late"}}}, "came late\n", nil},
		{"none that is there", Release{Command: []string{"/bin/none"}}, "", ErrNotFound},
		{"none at all", Release{}, "", errExec},
	} {
		spec := Spec{Root: newRoot(t), Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20}
		spec.Hold = func(context.Context) (Release, error) {
			time.Sleep(200 * time.Millisecond)
			return tt.release, os.WriteFile(filepath.Join(spec.Context, "late"), []byte("came late\n"), 0o644)
		}
		res, err := Run(t.Context(), spec)
		switch {
		case tt.is == errExec && (err == nil || !strings.Contains(err.Error(), errExec.Error())), tt.is == ErrNotFound && !errors.Is(err, ErrNotFound):
			t.Errorf("%s: Run = %v; want %v", tt.name, err, tt.is)
		case tt.is == nil && (err != nil || !strings.HasPrefix(res.Output, tt.output)):
			t.Errorf("%s: Run = %+v, %v; want %q", tt.name, res, err, tt.output)
		}
		if err == nil {
			err = res.Close()
		}
		if tt.is == nil && err != nil {
			t.Error(err)
		}
	}
}

// TestHoldEndsWithItsCause: nothing is waited for that cannot run any more.
func TestHoldEndsWithItsCause(t *testing.T) {
	forever := func(ctx context.Context) (Release, error) { <-ctx.Done(); return Release{}, ctx.Err() }
	spec := Spec{Root: newRoot(t), Work: t.TempDir(), Context: t.TempDir(), Bytes: 1 << 20, Inodes: 100, Processes: 64, Memory: 64 << 20, Command: []string{"/bin/sh"}, Hold: forever}
	began := time.Now()
	none := spec
	none.Command = []string{"/bin/none"}
	if _, err := Run(t.Context(), none); !errors.Is(err, ErrNotFound) {
		t.Errorf("without an interpreter Run = %v; want ErrNotFound", err)
	}
	asked := errors.New("asked to end")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(asked) })
	if _, err := Run(ctx, spec); !errors.Is(err, asked) {
		t.Errorf("Run = %v; want the cause %v", err, asked)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("both took %v", took)
	}
	if _, err := os.Stat(spec.Work); err != nil {
		t.Error(err)
	}
}
