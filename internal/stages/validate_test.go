// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/internal/report"
)

// TestValidators puts a stand-in for rsyslogd into the root that refuses two
// files that are legal each for itself. The real one is asked in the guest tests.
func TestValidators(t *testing.T) {
	const honest = "#!/bin/sh\necho '*.* @@192.0.2.1:514' >/etc/rsyslog.d/60-site.conf\n"
	// It also tries what no validator has any business with.
	const daemon = "#!/bin/sh\necho intruder >/etc/motd\n[ \"$1\" = -N1 ] || exit 9\n"
	for _, tt := range []struct {
		name, daemon, script string
		outcome              report.Outcome
		says                 string // of the refusal, or of a warning
	}{
		{"content", daemon + "exit 0\n", honest, report.Applied, ""},
		{"not in the image", "", honest, report.Applied, ""},
		{"together they make no sense", daemon + "cat /etc/rsyslog.d/* | { ! grep -c 192.0.2; } && exit 0\necho 'error: two targets'; exit 1\n",
			honest, report.Refused, `"/usr/sbin/rsyslogd -N1" accepts its configuration without this change and not with it: 1; error: two targets`},
		{"the image's own is broken", daemon + "echo 'error: always'; exit 1\n", honest, report.Applied, "error: always"},
		{"another class's change", daemon + "exit 1\n", "#!/bin/sh\nmkdir -p /opt/slurm\necho x >/opt/slurm/x\n", report.Applied, ""},
		{"it is killed", daemon + "grep 192.0.2 /etc/rsyslog.d/60-site.conf && kill -9 $$\nexit 0\n", honest, report.Refused, "not with it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			if tt.daemon != "" {
				name := filepath.Join(m.RootPath, "usr/sbin/rsyslogd")
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(tt.daemon), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			r := m.script(t, Prolog, tt.script)
			var says []string
			for _, x := range r.Refusals {
				says = append(says, x.Reason)
			}
			if r.Outcome != tt.outcome || !strings.Contains(strings.Join(append(says, r.Warnings...), "\n"), tt.says) || tt.says == "" && len(r.Warnings) > 0 {
				t.Errorf("outcome %s, refusals %q, warnings %q; want %s, %q", r.Outcome, says, r.Warnings, tt.outcome, tt.says)
			}
			if got := content(t, m, "etc/motd"); got != "hello\n" {
				t.Errorf("the validator wrote to the root: %q", got)
			}
		})
	}
}
