// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDoctor(t *testing.T) {
	root := busyboxRoot(t)
	r := ctxagent(t, "doctor", "--root", root)
	for _, want := range []string{"bad   program", "bad   unit", "ok    shell", "ok    confinement"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	if r.status != 1 {
		t.Errorf("exit status %d; want 1", r.status)
	}
	const units = "usr/lib/systemd/system/"
	const enabled = "etc/systemd/system/"
	write(t, root, map[string]string{
		"usr/bin/ctxagent": "x", units + "ctxagent-prolog.service": "", units + "ctxagent-epilog.service": "", units + "ctxagent.target": "",
		enabled + "sysinit.target.wants/ctxagent-prolog.service": "", enabled + "ctxagent.target.wants/ctxagent-epilog.service": "", enabled + "multi-user.target.wants/ctxagent.target": "",
	})
	r = ctxagent(t, "doctor", "--root", root, "--json")
	var list []map[string]string
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || r.status != 0 || list[0]["subject"] != "program" {
		t.Errorf("ready: exit status %d, %v:\n%s", r.status, err, r.stdout)
	}
	write(t, root, map[string]string{"etc/ctxagent/policy.yaml": "version: 2\n"})
	if r := ctxagent(t, "doctor", "--root", root); r.status != 2 {
		t.Errorf("with a bad policy: exit status %d; want 2", r.status)
	}
}
