// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernels of Debian 11, 12 and 13: what the agent rests on is there in each of
// them, or it does without and says so.
var suites = []struct{ name, kernel string }{
	{"bullseye", "5.10."}, {"bookworm", "6.1."}, {"trixie", "6.12."},
}

// needSuite returns the image of a suite. A mirror that has it no more skips the test,
// but where guests are required: there a kernel that nobody tried is a failure.
func needSuite(t *testing.T, suite string) Image {
	t.Helper()
	needGuest(t)
	image, err := SuiteImage(t.Context(), suite, os.Stderr)
	if errors.Is(err, ErrNoSuite) && os.Getenv("CTXAGENT_REQUIRE_GUEST") != "1" {
		t.Skipf("SKIPPED, NOTHING WAS TESTED ON THIS KERNEL: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestKernels boots each of them; without a disc CTXAGENT_SOAK=1 alone does.
func TestKernels(t *testing.T) {
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			image := needSuite(t, s.name)
			t.Run("honest", func(t *testing.T) { honestOn(t, image, s.kernel) })
			t.Run("hostile", func(t *testing.T) { hostileOn(t, image, s.name) })
			if s.name != "bookworm" && os.Getenv("CTXAGENT_SOAK") != "" { // bookworm has TestNoDisc
				t.Run("no disc", func(t *testing.T) { noDiscOn(t, image) })
			}
		})
	}
}

// historical is a disc of scripts in the shapes of CERN and of CernVM, without
// the lines that a receipt would name.
func historical(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{"context.sh": "LOGHOST=192.0.2.10\nSYSLOG_SERVER=192.0.2.10\nCLUSTER=test\nORGANISATION=Example\nREPOSITORIES=none\n"}
	for stage, from := range map[string]struct {
		style string
		drop  []string
	}{
		"prolog.sh": {"cern", []string{"authorized_keys", "/root/.ssh", "sshd", "/etc/motd", "/etc/cron.d"}},
		"epilog.sh": {"cernvm", []string{"/etc/cvmfs", "autofs"}},
	} {
		b, err := os.ReadFile(filepath.Join("../../internal/stages/testdata/styles", from.style, "prolog.sh"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if !slices.ContainsFunc(from.drop, func(word string) bool { return strings.Contains(line, word) }) {
				files[stage] += line
			}
		}
	}
	return files
}

// honestOn contextualises a guest: the prolog's drop-in is applied, and what is
// logged arrives at the site's log host.
func honestOn(t *testing.T, image Image, kernel string) {
	syslog := listen(t)
	arrived := hold(t, func(ctx context.Context) error { return syslog.wait(ctx, "a line for the log host") })
	r := boot(t, Config{
		Image:   image,
		CDs:     []string{writeDisc(t, historical(t))},
		Payload: []File{Route("192.0.2.2"), patient(t)},
		Network: &Network{
			Net:      "192.0.2.0/24",
			Services: []Service{{Guest: "192.0.2.10:514", Host: syslog.addr}, {Guest: "192.0.2.101:80", Host: arrived}},
		},
		Report: `
(while :; do logger -t ctxtest 'a line for the log host'; sleep 1; done) &
file kernel uname -r
file drop-ins sh -c 'cat /etc/rsyslog.d/10-central.conf /etc/rsyslog.d/site.conf /etc/default/prometheus-node-exporter'
file arrived timeout 30 busybox nc 192.0.2.101 80
` + DefaultReport,
	})
	reached(t, r)
	if got := string(r.Files["kernel"]); !strings.HasPrefix(got, kernel) {
		t.Errorf("the guest's kernel is %q; want %s", got, kernel)
	}
	for _, stage := range []string{"prolog", "epilog"} {
		if got := receiptOf(t, r, stage); got.Outcome != "applied" || got.ExitCode != 0 {
			t.Errorf("%s: %+v; want applied\n%s", stage, got, r.Files["/run/ctxagent/"+stage+".json"])
		}
	}
	const want = "*.* @@192.0.2.10:514\n*.info @192.0.2.10\nARGS=\"--web.listen-address=:9100\"\n"
	if got := string(r.Files["drop-ins"]); got != want {
		t.Errorf("what was applied is %q; want %q", got, want)
	}
	if !strings.Contains(syslog.text(), "a line for the log host") {
		t.Errorf("the log host got %q; want the guest's line", syslog.text())
	}
}

func noDiscOn(t *testing.T, image Image) {
	r := boot(t, Config{Image: image, CDs: []string{""}})
	reached(t, r)
	for _, stage := range []string{"prolog", "epilog"} {
		if got := receiptOf(t, r, stage); got.Outcome != "no-media" || got.ExitCode != 0 {
			t.Errorf("%s: %+v; want no-media, exit status 0", stage, got)
		}
	}
}

// hostile tries what must not work, says what did, and leaves what must be refused.
const hostile = `#!/bin/sh
try() { if timeout 2 "$@" >/dev/null 2>&1; then echo "HOLE: $*"; fi; }
try mount -t tmpfs none /mnt
try unshare -m true
try chroot / /bin/true
try mknod /etc/null c 1 3
try sh -c 'echo x >/proc/sys/kernel/core_pattern'
try sh -c 'echo 1 >/proc/sys/kernel/sysrq'
try sh -c 'echo x >/proc/sysrq-trigger'
try ls /proc/1/root/
try cat /proc/1/environ
try grep . /etc/shadow
try ls /run/systemd/
try ip link set lo up
try logger --socket-errors=on -u /srv/victim-socket hello
try sh -c 'echo x >/srv/victim-fifo'
[ ! -e "$CONTEXT_DIR/folds" ] || { try sh -c 'echo x >/srv/fold/fifo'; try sh -c 'echo x >/srv/fold/new'; }
try sh -c 'echo x >/srv/stick/new'
[ ! -e /boot/efi ] || echo "HOLE: /boot/efi"
echo 'intruder:x:0:0::/root:/bin/sh' >>/etc/passwd
mkdir -p /root/.ssh; echo 'ssh-ed25519 AAAA intruder@example.org' >/root/.ssh/authorized_keys
printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/intruder.service
echo '*.* @@192.0.2.1:514' >/etc/rsyslog.d/50-site.conf
echo 'end of list'
`

// victims are units that make a guest's root a mixed one before the prolog:
// an EFI partition, a stick, a file system that overlayfs may not cover, with a
// FIFO in it, and a daemon that listens on a socket and a FIFO.
func victims() []File {
	files := []File{
		{Path: "/usr/lib/ctxtest/mixed", Mode: 0o755, Content: `#!/bin/sh
udevadm settle
mkdir -p /boot/efi /srv/stick /srv/fold
mount -t vfat -o ro /dev/vda /boot/efi
mount -t vfat -o ro /dev/vda /srv/stick
mount -t ext4 -o ro,noload /dev/vdb /srv/fold || exit 0
cat /srv/fold/fifo >/run/ctxtest-fold &
`},
		{Path: "/etc/systemd/system/ctxtest-victim.service", Content: "[Service]\nExecStart=/bin/touch /run/ctxtest-hit\nStandardInput=socket\n"},
		{Path: "/etc/systemd/system/ctxtest-victim-fifo.service", Content: "[Service]\nExecStart=/bin/touch /run/ctxtest-hit\n"},
		// What is run before there is any root but the kernel's own.
		{Path: "/usr/lib/ctxtest/early", Content: `
/busybox mkdir -p /proc /run /tmp /disc
/busybox mount -t proc proc /proc
echo : >/disc/prolog.sh
/sysroot/usr/bin/ctxagent check --root / /disc >/sysroot/early-said 2>&1
echo "exit status $?" >>/sysroot/early-said
/busybox umount /proc
`},
	}
	files = append(files, Unit("ctxtest-mixed.service", "[Unit]\nDefaultDependencies=no\nAfter=local-fs.target systemd-udev-trigger.service systemd-tmpfiles-setup-dev.service\n"+
		"Before=ctxagent-prolog.service ctxtest-before.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/lib/ctxtest/mixed\n", "sysinit.target")...)
	for name, listen := range map[string]string{"ctxtest-victim": "ListenDatagram=/srv/victim-socket", "ctxtest-victim-fifo": "ListenFIFO=/srv/victim-fifo"} {
		files = append(files, Unit(name+".socket", "[Unit]\nDefaultDependencies=no\nBefore=ctxagent-prolog.service ctxtest-before.service\n[Socket]\n"+listen+"\n", "sysinit.target")...)
	}
	return files
}

// mixedDisks are the disks that victims mounts: a FAT, and an ext4 that folds case.
func mixedDisks(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	tree, fat, fold := filepath.Join(dir, "tree"), filepath.Join(dir, "fat"), filepath.Join(dir, "fold")
	if err := errors.Join(os.Mkdir(tree, 0o755), unix.Mkfifo(filepath.Join(tree, "fifo"), 0o666), os.WriteFile(filepath.Join(tree, "file"), []byte("x\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mkfs.vfat", "-C", fat, "8192"},
		{"mke2fs", "-q", "-t", "ext4", "-O", "casefold", "-E", "encoding=utf8", "-d", tree, fold, "16M"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	return []string{fat, fold}
}

// hostileOn shows a guest a script that oversteps in every way of hostile, on a
// root of many parts: all of it is stopped or refused, and nothing is written.
func hostileOn(t *testing.T, image Image, suite string) {
	files := map[string]string{"prolog.sh": hostile}
	folds := suite != "bullseye" // whose kernel cannot mount an ext4 that folds case
	if folds {
		files["folds"] = ""
	}
	r := boot(t, Config{
		Image:   image,
		CDs:     []string{writeDisc(t, files)},
		Disks:   mixedDisks(t),
		Payload: append(append(fingerprints(), victims()...), patient(t)),
		Timeout: 6 * time.Minute, ReportWait: 3 * time.Minute,
		Report: `
file compare-meta cmp /run/ctxtest-before.meta /run/ctxtest-after.meta
file compare-sums cmp /run/ctxtest-before.sums /run/ctxtest-after.sums
file diff sh -c 'diff /run/ctxtest-before.meta /run/ctxtest-after.meta | head -50'
file mounts grep -E ' /(boot/efi|srv/(stick|fold)) ' /proc/mounts
file hit ls /run/ctxtest-hit
file fold-got cat /run/ctxtest-fold
file victims systemctl show -p ActiveState ctxtest-victim.socket ctxtest-victim-fifo.socket
file early cat /early-said
mkdir /run/disc; echo : >/run/disc/prolog.sh
file fold-root ctxagent check --root /srv/fold /run/disc
# The victims are alive: now they are to be hit.
logger -u /srv/victim-socket hello
for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /run/ctxtest-hit ] && break; sleep 0.5; done
file hit-now ls /run/ctxtest-hit
` + DefaultReport,
	})
	reached(t, r)
	checkHostile(t, r)
	checkMixed(t, r, folds)
	if got := string(r.Files["early"]); !strings.Contains(got, "the root is the initramfs") || !strings.Contains(got, "exit status 6") {
		t.Errorf("before there was a root, check said %q; want exit status 6 and why", got)
	}
	if got := string(r.Files["fold-root"]); folds && (!strings.Contains(got, "casefold") || r.Exits["fold-root"] != 6) {
		t.Errorf("check of a root that folds case said %q, exit status %d; want 6 and why", got, r.Exits["fold-root"])
	}
}

func checkHostile(t *testing.T, r *Result) {
	t.Helper()
	got := receiptOf(t, r, "prolog")
	if got.Outcome != "refused" || got.ExitCode != 3 {
		t.Errorf("outcome %s, exit code %d; want refused, 3", got.Outcome, got.ExitCode)
	}
	if out := got.Script.OutputTail; strings.Contains(out, "HOLE") || !strings.HasSuffix(out, "end of list\n") {
		t.Errorf("the script printed %q; want no hole", out)
	}
	var refused []string
	for _, x := range got.Refusals {
		refused = append(refused, x.Path)
	}
	for _, p := range []string{"/etc/passwd", "/etc/systemd/system/intruder.service", "/root/.ssh/authorized_keys"} {
		if !slices.Contains(refused, p) {
			t.Errorf("%s is not refused: %q", p, refused)
		}
	}
	if r.Exits["compare-meta"] != 0 || r.Exits["compare-sums"] != 0 {
		t.Errorf("the root file system differs:\n%s%s%s", r.Files["compare-meta"], r.Files["compare-sums"], r.Files["diff"])
	}
	if r.Exits["hit"] == 0 || len(r.Files["fold-got"]) > 0 && r.Exits["fold-got"] == 0 {
		t.Errorf("the script reached a daemon of the guest: %s %q", r.Files["hit"], r.Files["fold-got"])
	}
	if bytes.Count(r.Files["victims"], []byte("ActiveState=active")) != 2 || r.Exits["hit-now"] != 0 {
		t.Errorf("the victims were not there to be hit: %s", r.Files["victims"])
	}
}

// checkMixed looks at what the receipt says of the parts that no overlay covers.
func checkMixed(t *testing.T, r *Result, folds bool) {
	t.Helper()
	want, mounts := []string{"/srv/stick"}, 2
	if folds {
		want, mounts = []string{"/srv/fold", "/srv/stick"}, 3
	}
	if n := bytes.Count(r.Files["mounts"], []byte("\n")); n != mounts {
		t.Errorf("%d mounts are there; want %d:\n%s", n, mounts, r.Files["mounts"])
	}
	var got struct {
		Warnings []string
		Script   struct {
			ReadOnly []string `json:"read_only"`
		}
	}
	if err := json.Unmarshal(r.Files["/run/ctxagent/prolog.json"], &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Script.ReadOnly, want) {
		t.Errorf("read-only for the script: %q; want %q (warnings %q)", got.Script.ReadOnly, want, got.Warnings)
	}
	if notes := strings.Join(got.Warnings, "\n"); !strings.Contains(notes, "/srv/stick was read-only for the script: overlayfs cannot cover vfat") ||
		folds && !strings.Contains(notes, "/srv/fold was empty and read-only for the script: ") {
		t.Errorf("the receipt notes %q; want why", got.Warnings)
	}
}
