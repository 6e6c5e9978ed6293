// SPDX-License-Identifier: Apache-2.0

package units

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestActWithoutManager: where no service manager can be reached every request
// has its error, and nothing hangs. What Act does to a real one is shown in a
// guest (test/guest).
func TestActWithoutManager(t *testing.T) {
	if _, err := os.Stat("/run/systemd/private"); err == nil {
		t.Skip("this machine has a service manager, and a test must not act on it")
	}
	reqs := []Request{{"restart", "rsyslog.service"}, {"enable", "slurmd.service"}}
	got := Act(context.Background(), reqs)
	if len(got) != len(reqs) {
		t.Fatalf("Act = %d results; want %d", len(got), len(reqs))
	}
	for i, r := range got {
		if r.Request != reqs[i] || r.Err == nil || !strings.Contains(r.Err.Error(), "connect to the service manager") {
			t.Errorf("result %+v; want an error for %v", r, reqs[i])
		}
	}
}

func TestActOnNothing(t *testing.T) {
	if got := Act(context.Background(), nil); got != nil {
		t.Errorf("Act(nil) = %v; want nothing, and no connection", got)
	}
}
