// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// ready is an image with everything in its place.
func ready() fstest.MapFS {
	const units = "usr/lib/systemd/system/"
	link := func() *fstest.MapFile { return &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("x")} }
	return fstest.MapFS{
		"usr/bin/ctxagent":                {Mode: 0o755},
		"usr/bin/sh":                      {Mode: 0o755},
		units + "ctxagent-prolog.service": {}, units + "ctxagent-epilog.service": {}, units + "ctxagent.target": {},
		"etc/systemd/system/sysinit.target.wants/ctxagent-prolog.service":  link(),
		"etc/systemd/system/ctxagent.target.wants/ctxagent-epilog.service": link(),
		"etc/systemd/system/multi-user.target.wants/ctxagent.target":       link(),
		units + "rsyslog.service": {}, units + "prometheus-node-exporter.service": {}, units + "slurmd.service": {},
		"etc/systemd/system/slurmd.service.d/ctxagent.conf": {Data: []byte("[Unit]\nRequires=ctxagent.target\nAfter=ctxagent.target\n")},
		"lib/modules/6.1.0/modules.builtin":                 {Data: []byte("kernel/drivers/scsi/sr_mod.ko\n")},
		"lib/modules/6.1.0/modules.dep":                     {Data: []byte("kernel/fs/overlayfs/overlay.ko.xz:\n")},
	}
}

func TestExamine(t *testing.T) {
	p, err := policy.Parse("default", dist.Policy)
	if err != nil {
		t.Fatal(err)
	}
	if found := notGood(ready(), p); found != "" {
		t.Errorf("a ready image: %s", found)
	}
	for _, tt := range []struct {
		name   string
		damage func(fstest.MapFS)
		want   string
	}{
		{"no program", func(r fstest.MapFS) { delete(r, "usr/bin/ctxagent") }, "bad program"},
		{"not executable", func(r fstest.MapFS) { r["usr/bin/ctxagent"].Mode = 0o644 }, "bad program"},
		{"no unit", func(r fstest.MapFS) { delete(r, "usr/lib/systemd/system/ctxagent-prolog.service") }, "bad unit"},
		{"not enabled", func(r fstest.MapFS) {
			delete(r, "etc/systemd/system/multi-user.target.wants/ctxagent.target")
		}, "bad unit"},
		{"no shell", func(r fstest.MapFS) { delete(r, "usr/bin/sh") }, "bad shell"},
		{"no overlayfs", func(r fstest.MapFS) { delete(r, "lib/modules/6.1.0/modules.dep") }, "bad kernel"},
		{"an old kernel", func(r fstest.MapFS) {
			delete(r, "lib/modules/6.1.0/modules.dep")
			delete(r, "lib/modules/6.1.0/modules.builtin")
			r["lib/modules/4.18.0-553.el8/modules.dep"] = &fstest.MapFile{Data: []byte("/overlay.ko /sr_mod.ko")}
		}, "bad kernel"},
		{"no kernel", func(r fstest.MapFS) {
			delete(r, "lib/modules/6.1.0/modules.dep")
			delete(r, "lib/modules/6.1.0/modules.builtin")
		}, "note kernel"},
		{"not ordered", func(r fstest.MapFS) { delete(r, "etc/systemd/system/slurmd.service.d/ctxagent.conf") }, "note order"},
		{"no daemon", func(r fstest.MapFS) { delete(r, "usr/lib/systemd/system/rsyslog.service") }, "note syslog"},
		{"cloud-init", func(r fstest.MapFS) { r["usr/bin/cloud-init"] = &fstest.MapFile{} }, "note others"},
	} {
		root := ready()
		tt.damage(root)
		if got := notGood(root, p); got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

// notGood are the verdicts and subjects of what is not good.
func notGood(root fs.FS, p *policy.Policy) string {
	var out []string
	for _, f := range Examine(root, p) {
		if f.Verdict != Good {
			out = append(out, fmt.Sprintf("%s %s", f.Verdict, f.Subject))
		}
	}
	return strings.Join(out, ", ")
}
