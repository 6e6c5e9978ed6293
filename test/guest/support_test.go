// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// needGuest returns the base image, or skips the test where guests cannot run. With
// CTXAGENT_REQUIRE_GUEST=1 that is a failure.
func needGuest(t *testing.T) Image {
	t.Helper()
	if testing.Short() && os.Getenv("CTXAGENT_REQUIRE_GUEST") != "1" {
		t.Skip("SKIPPED: no guest is booted with -short")
	}
	image, err := BaseImage(t.Context(), os.Stderr)
	switch {
	case err == nil:
		return image
	case errors.Is(err, ErrUnavailable) && os.Getenv("CTXAGENT_REQUIRE_GUEST") != "1":
		t.Skipf("SKIPPED, NOTHING WAS TESTED IN A GUEST: %v", err)
	}
	t.Fatal(err)
	return Image{}
}

// writeDisc writes an ISO file with these files at its root, as a site would.
func writeDisc(t testing.TB, files map[string]string) string {
	t.Helper()
	tree := t.TempDir()
	for name, content := range files {
		file := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	iso := filepath.Join(t.TempDir(), "context.iso")
	cmd := exec.CommandContext(t.Context(), "xorriso", "-as", "mkisofs", "-quiet",
		"-V", "CONTEXT", "-r", "-o", iso, tree)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("write disc: %v: %s", err, out)
	}
	return iso
}

// follow keeps the console and logs it if the test fails.
func follow(t *testing.T) func(Line) {
	var lines []Line
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console:\n%s", join(lines))
		}
	})
	return func(line Line) { lines = append(lines, line) }
}

// sink is a listener on 127.0.0.1 that keeps what every connection sends.
type sink struct {
	addr string
	mu   sync.Mutex
	got  strings.Builder
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

// listen starts a sink that ends with the test.
func listen(t *testing.T) *sink {
	s := &sink{}
	s.addr = serve(t, func(conn net.Conn) { io.Copy(s, conn) })
	return s
}

// serve accepts on 127.0.0.1 until the test ends, handles each connection and closes it.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, handle)
	return listener.Addr().String()
}

// serveOn is serve for a listener that is there.
func serveOn(t *testing.T, listener net.Listener, handle func(net.Conn)) {
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
}

// poll asks for url until it is answered or ctx ends, and returns the body. There is no
// event to wait for: QEMU takes the connection long before the guest listens.
func poll(ctx context.Context, url string) (string, error) {
	client := &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	for {
		body, err := fetch(ctx, client, url)
		if err == nil {
			return body, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("poll %s: %w; last: %w", url, context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func fetch(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(body), err
}

// hold answers a connection of the guest only when until returns: it keeps the
// guest from powering off before the test has what it wants of it.
func hold(t *testing.T, until func(context.Context) error) string {
	return serve(t, func(net.Conn) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		if err := until(ctx); err != nil {
			t.Logf("wait for the guest: %v", err)
		}
	})
}

// wait returns when the sink has got text.
func (s *sink) wait(ctx context.Context, text string) error {
	for !strings.Contains(s.text(), text) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the listener never got %q: %w", text, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}
