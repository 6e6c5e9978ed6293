// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fingerprints are units that take the manifest right before and right after
// the prolog, with nobody else running who writes to the root.
func fingerprints() []File {
	unit := func(when, order string) string {
		return "[Unit]\nDefaultDependencies=no\n" + order + "\n[Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStartSec=10min\nExecStart=/usr/lib/ctxtest/manifest " + when + "\n"
	}
	files := []File{{Path: "/usr/lib/ctxtest/manifest", Mode: 0o755, Content: manifest}, {Path: "/var/lib/ctxagent", Mode: fs.ModeDir | 0o700}}
	files = append(files, Unit("ctxtest-before.service", unit("before",
		"After=local-fs.target systemd-tmpfiles-setup.service systemd-random-seed.service systemd-update-utmp.service systemd-journal-flush.service "+
			"systemd-sysusers.service systemd-machine-id-commit.service ldconfig.service systemd-hwdb-update.service systemd-udevd.service "+
			"systemd-journal-catalog-update.service systemd-update-done.service\nBefore=ctxagent-prolog.service sysinit.target"), "sysinit.target")...)
	return append(files, Unit("ctxtest-after.service", unit("after", "After=ctxagent-prolog.service\nBefore=sysinit.target network-pre.target"), "sysinit.target")...)
}

func TestOversteppingScriptIsRefusedWhole(t *testing.T) {
	r := boot(t, Config{
		CDs:     []string{writeDisc(t, map[string]string{"prolog.sh": overstep, "epilog.sh": "#!/bin/sh\nexit 0\n"})},
		Payload: append(fingerprints(), Unit("ctxtest-behind.service", behindTarget+"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n", "multi-user.target")...),
		Timeout: 6 * time.Minute, ReportWait: 3 * time.Minute,
		Report: `
file compare-meta cmp /run/ctxtest-before.meta /run/ctxtest-after.meta
file compare-sums cmp /run/ctxtest-before.sums /run/ctxtest-after.sums
file diff sh -c 'diff /run/ctxtest-before.meta /run/ctxtest-after.meta | head -50'
file counts wc -l /run/ctxtest-before.meta /run/ctxtest-after.sums
file show-behind systemctl show ctxtest-behind.service
` + DefaultReport,
	})
	reached(t, r)
	got := receiptOf(t, r, "prolog")
	if got.Outcome != "refused" || got.ExitCode != 3 {
		t.Errorf("outcome %s, exit code %d; want refused, 3", got.Outcome, got.ExitCode)
	}
	touched := []string{"/etc/passwd", "/etc/rsyslog.d/50-site.conf", "/etc/systemd/system/intruder.service", "/root/.ssh/authorized_keys"}
	var paths, refused []string
	for _, c := range got.Changes {
		paths = append(paths, c.Path)
	}
	for _, x := range got.Refusals {
		refused = append(refused, x.Path)
	}
	if !slices.Equal(paths, touched) {
		t.Errorf("changes %q; want every path: %q", paths, touched)
	}
	if want := slices.DeleteFunc(touched, func(p string) bool { return strings.Contains(p, "rsyslog") }); !slices.Equal(refused, want) {
		t.Errorf("refusals %q; want %q", refused, want)
	}
	if r.Exits["compare-meta"] != 0 || r.Exits["compare-sums"] != 0 {
		t.Errorf("the root file system differs:\n%s%s%s", r.Files["compare-meta"], r.Files["compare-sums"], r.Files["diff"])
	}
	t.Logf("compared before and after the prolog: %s", bytes.ReplaceAll(r.Files["counts"], []byte("\n"), []byte("; ")))
	if n := bytes.Count(r.Files["counts"], []byte("\n")); n != 3 || bytes.HasPrefix(bytes.TrimSpace(r.Files["counts"]), []byte("0 ")) {
		t.Errorf("the manifests are empty: %s", r.Files["counts"])
	}
	if code := r.Properties("ctxagent-prolog.service")["ExecMainStatus"]; code != "3" {
		t.Errorf("the unit ended with status %s; want 3", code)
	}
	for _, unit := range []string{"ctxtest-behind.service", "ctxagent.target"} {
		if state := r.Properties(unit)["ActiveState"]; state != "inactive" {
			t.Errorf("%s is %q; want inactive: it is behind a prolog that was refused", unit, state)
		}
	}
	if e := receiptOf(t, r, "epilog"); e.ExitCode == 0 || e.Script.ExitStatus != nil {
		t.Errorf("the epilog ran after a refused prolog: %+v", e)
	}
}

// impatient is the default policy with little patience.
func impatient(t *testing.T) File {
	t.Helper()
	b, err := os.ReadFile("../../dist/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	short := strings.NewReplacer("deadline: 5m", "deadline: 8s", "timeout: 2m", "timeout: 8s").Replace(string(b))
	if strings.Count(short, ": 8s") != 2 {
		t.Fatal("the default policy has other deadlines")
	}
	return File{Path: "/etc/ctxagent/policy.yaml", Content: short}
}

func TestFailingAndHangingScripts(t *testing.T) {
	const write = "echo '*.* @@192.0.2.1:514' >/etc/rsyslog.d/50-site.conf\n"
	// The script itself starts nothing once the bomb is lit: sh(1) ends with a status
	// of its own when it cannot.
	const bomb = "bomb() { bomb | bomb & }\nsleep 2 & end=$!\nbomb 2>/dev/null &\nwait $end\n"
	for name, tt := range map[string]struct {
		script, outcome, says string
		status                *int
		code                  int
	}{
		"exit status 7 after a fork bomb": {"#!/bin/sh\n" + write + bomb + "exit 7\n", "failed", "prolog.sh ended with exit status 7", ptr(7), 1},
		"eats memory":                     {"#!/bin/sh\n" + write + "x=xxxxxxxx\nwhile :; do x=$x$x; done\n", "failed", "prolog.sh ran out of memory", nil, 1},
		"hangs":                           {"#!/bin/sh\n" + write + "trap '' TERM\nwhile :; do sleep 60; done\n", "timeout", "prolog.sh ran longer than 8s", nil, 1},
		"does not load":                   {"#!/bin/sh\n" + `echo 'action(type="omfwd" target="192.0.2.1" protocol="tcp" queue.type="disk")' >/etc/rsyslog.d/50-site.conf`, "refused", "the policy refused one thing", ptr(0), 3},
	} {
		t.Run(name, func(t *testing.T) {
			var payload []File
			if tt.outcome == "timeout" {
				payload = append(payload, impatient(t))
			}
			r := boot(t, Config{
				CDs:     []string{writeDisc(t, map[string]string{"prolog.sh": tt.script})},
				Payload: payload,
				Report:  "file written ls /etc/rsyslog.d\nfile cgroups sh -c 'find /sys/fs/cgroup -name \"ctxagent-[0-9]*\"'\nfile left sh -c 'ps ax | grep \"[s]leep 60\"'\n" + DefaultReport,
			})
			reached(t, r)
			got := receiptOf(t, r, "prolog")
			if got.Outcome != tt.outcome || got.ExitCode != tt.code || !strings.Contains(got.Error, tt.says) {
				t.Errorf("outcome %s, exit code %d, error %q; want %s, %d, %q", got.Outcome, got.ExitCode, got.Error, tt.outcome, tt.code, tt.says)
			}
			if (got.Script.ExitStatus == nil) != (tt.status == nil) || tt.status != nil && *got.Script.ExitStatus != *tt.status {
				t.Errorf("exit status of the script is %v; want %v", got.Script.ExitStatus, tt.status)
			}
			if bytes.Contains(r.Files["written"], []byte("50-site.conf")) {
				t.Error("a change of a failed script was applied")
			}
			if tt.outcome == "refused" && (len(got.Refusals) != 1 || got.Refusals[0].Rule != "validator") {
				t.Errorf("refusals %+v; want what the real rsyslogd says", got.Refusals)
			}
			if len(r.Files["left"]) > 0 {
				t.Errorf("processes of the script are left: %s", r.Files["left"])
			}
			if slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.Contains(w, "no cgroup") }) || len(r.Files["cgroups"]) > 0 {
				t.Errorf("warnings %q, cgroups left %s; want a cgroup, and none left", got.Warnings, r.Files["cgroups"])
			}
			if strings.Contains(name, "bomb") && !slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.Contains(w, "limits.processes") }) {
				t.Errorf("warnings %q; want that limits.processes held", got.Warnings)
			}
			if _, ok := r.Find("ctxagent prolog: " + tt.outcome); !ok {
				t.Error("the console does not say so")
			}
			if code := r.Properties("ctxagent-prolog.service")["ExecMainStatus"]; code != strconv.Itoa(tt.code) {
				t.Errorf("the unit ended with status %s; want %d", code, tt.code)
			}
		})
	}
}

func TestTwoDiscsAreRefused(t *testing.T) {
	one := writeDisc(t, map[string]string{"prolog.sh": "#!/bin/sh\n"})
	two := writeDisc(t, map[string]string{"epilog.sh": "#!/bin/sh\n"})
	r := boot(t, Config{CDs: []string{one}, Disks: []string{two}})
	reached(t, r)
	got := receiptOf(t, r, "prolog")
	if got.Outcome != "ambiguous" || got.ExitCode != 4 || !strings.Contains(got.Error, "/dev/sr0") || !strings.Contains(got.Error, "/dev/vda") {
		t.Errorf("%+v; want ambiguous, 4, and both devices named", got)
	}
}

// TestNoNetwork boots a guest whose DHCP server names no router, and whose policy
// asks for a default route: the epilog is not run, and the boot goes on.
func TestNoNetwork(t *testing.T) {
	r := boot(t, Config{
		CDs:     []string{writeDisc(t, map[string]string{"epilog.sh": "#!/bin/sh\necho '*.* @@192.0.2.1:514' >/etc/rsyslog.d/50-site.conf\n"})},
		Payload: []File{impatient(t)},
		Report:  "file written ls /etc/rsyslog.d\n" + DefaultReport,
	})
	reached(t, r)
	got := receiptOf(t, r, "epilog")
	if got.Outcome != "no-network" || got.ExitCode != 5 || !strings.Contains(got.Error, "ens3: up, carrier; 10.0.2.15/24 ok; no default route yet") {
		t.Errorf("%+v; want no-network, 5, and what is missing", got)
	}
	if got.Script.ExitStatus != nil || bytes.Contains(r.Files["written"], []byte("50-site.conf")) {
		t.Error("the epilog ran without a network")
	}
	if state := r.Properties("ctxagent.target")["ActiveState"]; state != "inactive" {
		t.Errorf("ctxagent.target is %q; want inactive", state)
	}
}

func ptr(n int) *int { return &n }
