// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// loadDaemons asks the real daemons in a root of theirs, which is the disk /dev/vda.
// A daemon drops to a user of its own, and /tmp must be there for it.
const loadDaemons = `#!/bin/sh -e
mkdir /run/daemons
cd /run/daemons
mkdir lower top root
mount -t tmpfs -o size=200m top top
mkdir top/upper top/work
udevadm settle # the disk
mount -o ro /dev/vda lower
mount -t overlay -o lowerdir=lower,upperdir=top/upper,workdir=top/work overlay root
chmod 1777 root/tmp
cd lower/ctxtest
export CTXAGENT_DAEMONS=/run/daemons/root CTXAGENT_REQUIRE_DAEMONS=1 CTXAGENT_DAEMON_PATIENCE=8
exec ./grammar.test -test.v -test.timeout 50m -test.run '^(TestDaemons|TestBatchReaders)$' -test.skip '^TestBatchReaders/htcondor$'
`

// TestDaemons has the real daemons of Debian 12 load, in a guest, what sites write and
// the grammars accept: each takes it, and starts no program for it. CTXAGENT_SOAK=1
// does it; internal/grammar does the same in the machine's own kernel. HTCondor is in
// no Debian 12.
func TestDaemons(t *testing.T) {
	if os.Getenv("CTXAGENT_SOAK") == "" {
		t.Skip("left out: make soak (CTXAGENT_SOAK=1) does it")
	}
	image := needGuest(t)
	out, err := exec.Command("../daemons.sh", "12").Output()
	if err != nil {
		t.Fatalf("the daemons' root: %v", err)
	}
	root, dir := strings.TrimSpace(string(out)), t.TempDir()
	disk, own := filepath.Join(dir, "daemons.ext4"), filepath.Join(dir, "own", "ctxtest")
	script := `set -e
mkdir -p "$OWN" && cp -a ../../internal/grammar/testdata "$OWN"
go test -c -trimpath -ldflags='-s -w' -o "$OWN/grammar.test" ../../internal/grammar
truncate -s 1G "$DISK"
PATH=$PATH:/usr/sbin:/sbin
tar -C "$ROOT" --exclude=./proc/* --exclude=./sys/* -c . | tar -x -C "$OWN/.."
mke2fs -q -t ext4 -d "$OWN/.." "$DISK"`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "ROOT="+root, "DISK="+disk, "OWN="+own)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the disk: %v: %s", err, out)
	}
	r, err := Boot(t.Context(), Config{
		Image: image, Disks: []string{disk}, Timeout: time.Hour,
		Payload: []File{{Path: "/usr/lib/ctxtest/daemons", Mode: 0o755, Content: loadDaemons}},
		Report:  "file daemons /usr/lib/ctxtest/daemons\n", Console: follow(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	said := r.Files["daemons"]
	loaded := bytes.Count(said, []byte("--- PASS: "))
	t.Logf("in %.0f s with the boot, %d passed:\n%s", r.Took.Seconds(), loaded, said)
	if r.Exits["daemons"] != 0 || loaded < 50 || bytes.Contains(said, []byte("--- SKIP")) {
		t.Errorf("it ended with status %d, %d passed", r.Exits["daemons"], loaded)
	}
}
