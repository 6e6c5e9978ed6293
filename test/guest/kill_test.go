// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

//go:embed inside/kill.sh
var killInit string

// contextOf makes a disc that writes and removes what another one of its kind
// does, with another word in it.
func contextOf(word string) map[string]string {
	return map[string]string{"prolog.sh": strings.ReplaceAll(`#!/bin/sh -e
umask 022
echo 'SLURMD_OPTIONS="-N WORD"' >/etc/default/slurmd
echo '*.* @@WORD.example.org:514' >/etc/rsyslog.d/60-site.conf
mkdir -p /opt/condor/common /opt/condor/WORD/sub
for i in $(seq 80); do
	echo "WORD $i" >/opt/condor/common/$i
	echo "WORD $i" >/opt/condor/WORD/sub/$i
done
ln -s WORD /opt/condor/current
chmod 700 /opt/condor/WORD/sub
echo written
`, "WORD", word)}
}

// TestKilledGuest kills QEMU at random moments while the guest applies two
// contexts in turn, most of them while it does so and not while a script runs, boots
// it again, and compares: one of the two, always, and no temporary name anywhere.
// CTXAGENT_SOAK=1 does it 50 times.
func TestKilledGuest(t *testing.T) {
	kills := 5
	if os.Getenv("CTXAGENT_SOAK") != "" {
		kills = 50
	}
	image := needGuest(t)
	root := filepath.Join(t.TempDir(), "root.ext4")
	if out, err := exec.Command("cp", "--sparse=always", image.Root, root).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	// The kernel's warnings tell of a disk that does not answer.
	c := Config{Image: image, Root: root, OneCPU: true, Timeout: 90 * time.Second, KernelArgs: []string{"loglevel=5"}, Payload: []File{
		{Path: "/usr/bin/ctxagent", Mode: 0o755, Source: buildAgent(t)},
		{Path: "/sbin/init", Mode: 0o755, Content: killInit},
		{Path: "/a.iso", Source: writeDisc(t, contextOf("first"))},
		{Path: "/b.iso", Source: writeDisc(t, contextOf("second"))},
	}}
	said, applying := firstBoot(t, c)
	known := map[string]string{"a": said["a"], "b": said["b"]}
	if said["a"] == "" || said["a"] == said["b"] || said["image"] == said["a"] || said["reverted"] != said["image"] {
		t.Fatalf("the guest says %v; want an image, two contexts that differ, and the image again after a revert", said)
	}
	seen, recovered := map[string]int{}, 0
	early, locked := 0, 0
	for i := 0; i < kills; i++ {
		after := time.Duration(rand.Int64N(int64(applying)))
		begun := false
		if said, begun = killAfter(t, c, after); said == nil {
			if begun {
				locked++
			} else {
				early++
			}
			if locked > 1+kills/10 || early > 2+kills/5 {
				t.Fatalf("the emulator stood still %d times before the guest's init, and %d times after", early, locked)
			}
			i--
			continue
		}
		state := "neither"
		for name, sum := range known {
			if said["state"] == sum {
				state = name
			}
		}
		seen[state]++
		if said["recovered:"] != "" {
			recovered++
		}
		if state == "neither" || said["recovery ended with"] != "0" || said["temporary names"] != "0" {
			t.Errorf("kill %d: the guest came back as %v; want one of %v", i, said, known)
		}
	}
	t.Logf("QEMU killed %d times: %v; something to recover %d times", kills, seen, recovered)
}

// firstBoot lets a guest say what each state looks like, and measures how long it
// takes from the end of a script until its change is in place: that depends on how
// busy this machine is, and is the time in which to kill.
func firstBoot(t *testing.T, c Config) (said map[string]string, applying time.Duration) {
	t.Helper()
	var written time.Duration
	follow := func(l Line) {
		switch {
		case strings.Contains(l.Text, "script: written"):
			written = l.At
		case strings.Contains(l.Text, "ctxagent prolog: applied") && written > 0:
			applying = max(applying, l.At-written)
		}
	}
	if said, _ = killAfter(t, c, 0, follow); said == nil {
		t.Fatal("the emulator stood still at the first boot: run the test again")
	}
	t.Logf("a change is in place at most %v after the end of its script", applying)
	return said, applying
}

// initWord is the first that the guest's init says.
const initWord = "ctxtest: init has begun"

// errNoInit is why a guest is killed that has not reached its init after so long; a
// quick one does in three seconds.
var errNoInit = errors.New("no init after 45 s")

// emulatorStoodStill tells a guest that hangs by a fault that cannot be the
// agent's, about one boot in 50 on a busy machine: one that did not get as far as
// its init, whose first word is said before the agent is called, or whose kernel
// said itself that it is locked up. It was killed like any other, at one moment
// more; the next boot is looked at.
func emulatorStoodStill(r *Result, err error) bool {
	_, locked := r.Find("watchdog: BUG: soft lockup")
	return errors.Is(err, errNoInit) || locked
}

// killAfter boots the guest, kills it so long after the end of one of the first
// two scripts, and returns what it said on its console until then, by the words
// before the last; nil if the emulator stood still, and then whether init had begun.
func killAfter(t *testing.T, c Config, after time.Duration, follow ...func(Line)) (said map[string]string, begun bool) {
	t.Helper()
	ctx, kill := context.WithCancelCause(t.Context())
	defer kill(nil)
	applying, scripts := false, 1+rand.IntN(2)
	noWord := time.AfterFunc(45*time.Second, func() { kill(errNoInit) })
	defer noWord.Stop()
	c.Console = func(l Line) {
		if strings.Contains(l.Text, initWord) {
			noWord.Stop()
		}
		for _, f := range follow {
			f(l)
		}
		applying = applying || strings.Contains(l.Text, "ctxtest: applying")
		if applying && strings.Contains(l.Text, "script: written") {
			if scripts--; scripts == 0 {
				time.AfterFunc(after, func() { kill(errPowerCut) })
			}
		}
	}
	r, err := Boot(ctx, c)
	if !errors.Is(err, errPowerCut) {
		if emulatorStoodStill(r, err) {
			t.Logf("the emulator stood still: %v", err)
			_, begun = r.Find(initWord)
			return nil, begun
		}
		t.Fatalf("Boot() = %v; want it killed while it applies", err)
	}
	said = map[string]string{}
	for _, l := range r.Lines {
		text := strings.TrimSpace(l.Text)
		if rest, ok := strings.CutPrefix(text, "recovered: "); ok {
			said["recovered:"] = rest
		}
		rest, ok := strings.CutPrefix(text, "ctxtest: ")
		if i := strings.LastIndexByte(rest, ' '); ok && i > 0 {
			if _, again := said[rest[:i]]; !again {
				said[rest[:i]] = rest[i+1:]
			}
		}
	}
	if f := said["failed"]; f != "" {
		t.Fatalf("a stage failed in the guest with %s:\n%s", f, r.Console())
	}
	fmt.Fprintf(os.Stderr, "%s: killed %v after the end of a script\n", t.Name(), after.Round(time.Millisecond))
	return said, true
}
