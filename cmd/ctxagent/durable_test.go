// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cutAfterRun runs stages on a disk of its own, takes its power at the instant
// at which the last one has ended, and prints the receipt that the next boot finds.
// What the file system still keeps to itself is lost: commit= and the short time keep it
// from writing that by itself. The mounts are in a namespace of their own.
const cutAfterRun = `set -e
disk=$1 dir=$2 options=$3; shift 3
mount -o "loop$options" "$disk" "$dir"
mkdir -p "$dir/var/lib" "$dir/run"
sync -f "$dir"
for media; do "$CTXAGENT" run prolog --root "$dir" --media "$media" >/dev/null 2>&1 || true; done
cp --sparse=always "$disk" "$disk.cut"
umount "$dir"
mount -o loop,"$AGAIN" "$disk.cut" "$dir"
cat "$dir/var/lib/ctxagent/prolog.json"
`

// TestReceiptSurvivesAPowerCut: the receipt that is kept over boots is whole and is
// the last one, whether there was one before or not even its directory. These
// stages change nothing: no flush but the receipt's own helps it.
func TestReceiptSurvivesAPowerCut(t *testing.T) {
	needRoot(t)
	bad := filepath.Join(t.TempDir(), "bad.iso")
	if err := os.WriteFile(bad, []byte("no disc"), 0o644); err != nil {
		t.Fatal(err)
	}
	for kind, how := range map[string]struct {
		mkfs           []string
		options, again string
		size           int64
	}{
		"ext4":  {[]string{"mke2fs", "-q", "-t", "ext4"}, ",commit=300", "rw", 64 << 20},
		"xfs":   {[]string{"mkfs.xfs", "-q"}, "", "nouuid", 320 << 20},
		"btrfs": {[]string{"mkfs.btrfs", "-q"}, ",commit=300", "rw", 128 << 20},
	} {
		for what, media := range map[string][]string{"the first receipt": {bad}, "the second receipt": {filepath.Dir(bad), bad}} {
			t.Run(kind+", "+what, func(t *testing.T) {
				disk := filepath.Join(t.TempDir(), "disk")
				if err := os.WriteFile(disk, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(disk, how.size); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(how.mkfs[0], append(how.mkfs[1:], disk)...).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", how.mkfs[0], err, out)
				}
				cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", cutAfterRun, "sh", disk, t.TempDir(), how.options}, media...)...)
				cmd.Env = append(os.Environ(), "CTXAGENT="+binary, "AGAIN="+how.again)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				var got struct{ Outcome, Error string }
				if err := json.Unmarshal(out, &got); err != nil || got.Outcome != "unusable" || !strings.Contains(got.Error, filepath.Base(bad)) {
					t.Errorf("after the power cut the receipt is %q, %v; want the last one, whole", out, err)
				}
			})
		}
	}
}
