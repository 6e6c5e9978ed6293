// SPDX-License-Identifier: Apache-2.0

package starter

import (
	"os/exec"
	"strings"
	"testing"
)

var answers = map[string]string{
	"loghost": "log.example.org", "logport": "514", "site": "EXAMPLE", "exporter-port": "9100", "manager": "batch.example.org", "cluster": "example",
}

// TestEveryChoice makes each tree: every part is there, and shellcheck has
// nothing to say.
func TestEveryChoice(t *testing.T) {
	for _, batch := range append(Parts["batch"], "none") {
		for _, syslog := range append(Parts["syslog"], "none") {
			files, err := Tree(map[string]string{"syslog": syslog, "monitoring": "node_exporter", "batch": batch}, answers)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if !strings.HasSuffix(f.Path, ".sh") {
					continue
				}
				cmd := exec.Command("shellcheck", "-")
				cmd.Stdin = strings.NewReader(string(f.Content))
				if out, err := cmd.CombinedOutput(); err != nil && f.Path != "context.sh" {
					t.Errorf("%s, %s: %s: %v\n%s", syslog, batch, f.Path, err, out)
				}
				if f.Path != "context.sh" && f.Mode != 0o755 {
					t.Errorf("%s has mode %v", f.Path, f.Mode)
				}
			}
		}
	}
}

func TestTreeRefuses(t *testing.T) {
	none := map[string]string{"syslog": "none", "monitoring": "none", "batch": "none"}
	with := func(m map[string]string, k, v string) map[string]string {
		out := map[string]string{}
		for a, b := range m {
			out[a] = b
		}
		out[k] = v
		return out
	}
	for _, tt := range []struct {
		chosen, answers map[string]string
		says            string
	}{
		{none, answers, "nothing is chosen"},
		{with(none, "batch", "cron"), answers, "one of htcondor, slurm"},
		{with(none, "syslog", "rsyslog"), nil, "--loghost is missing"},
		{with(none, "syslog", "rsyslog"), with(answers, "loghost", `x" action(type="omprog`), "host name"},
		{with(none, "syslog", "rsyslog"), with(answers, "loghost", "$(reboot)"), "host name"},
		{with(none, "syslog", "rsyslog"), with(answers, "logport", "none"), "a port number"},
		{with(none, "batch", "slurm"), with(answers, "cluster", "a b"), "letters, digits"},
	} {
		if _, err := Tree(tt.chosen, tt.answers); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Tree(%v) = %v; want %q", tt.chosen, err, tt.says)
		}
	}
}
