// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/internal/report"
)

// lateDisc is a machine whose host has announced a disc (SMBIOS type 11), with
// udev at work and no drive; then the disc comes, and udev's queue goes. It is
// made of mounts in a namespace of its own.
const lateDisc = `set -e
mount -t tmpfs none /run && mkdir /run/udev && : >/run/udev/queue
mount -t tmpfs none /sys/class/block
mount -t tmpfs none /sys/firmware && mkdir -p /sys/firmware/dmi/tables
printf '\013\005\002\000\001ctxagent.expect=yes\000\000\177\004\003\000\000\000' >/sys/firmware/dmi/tables/DMI
mount --bind /dev "$TMP" && mount -t tmpfs none /dev
for n in null zero full random urandom tty; do cp -a "$TMP/$n" /dev/; done
"$AGENT" run prolog --root "$ROOT" & agent=$!
sleep 2.5 # until the confinement stands
ln -s "$ISO" /dev/sr0
mkdir /sys/class/block/sr0
rm /run/udev/queue
wait $agent
`

// TestLateDiscRunsAtOnce is the promise that a disc which the host has announced
// runs within 100 ms of the uevent that brings it, where nothing is emulated.
func TestLateDiscRunsAtOnce(t *testing.T) {
	root := busyboxRoot(t)
	iso := disc(t, map[string]string{"prolog.sh": "#!/bin/sh\necho late but in time\n"})
	var after []time.Duration
	for range 5 {
		cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", lateDisc)
		cmd.Env = append(os.Environ(), "AGENT="+binary, "ROOT="+root, "ISO="+iso, "TMP="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(root, "run/ctxagent/prolog.json"))
		if err != nil {
			t.Fatal(err)
		}
		var r report.Receipt
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		c := r.Clock
		if r.Outcome != report.Unchanged || r.Script.OutputTail != "late but in time\n" || c.DiscMonotonic == 0 || c.ReleasedMonotonic < c.DiscMonotonic {
			t.Fatalf("%s; want the script run, by an event, from a confinement that stood", b)
		}
		if confined := c.StartedMonotonic + r.Durations["confine"]*1000; confined > c.DiscMonotonic {
			t.Errorf("the confinement took %d ms and stood only after the uevent", r.Durations["confine"])
		}
		after = append(after, time.Duration(c.ScriptMonotonic-c.DiscMonotonic)*time.Microsecond)
	}
	slices.Sort(after)
	t.Logf("from the uevent to the script: median %v of %v", after[len(after)/2], after)
	if after[len(after)/2] > 100*time.Millisecond {
		t.Errorf("from the uevent to the script: median %v; 100 ms are promised", after[len(after)/2])
	}
}
