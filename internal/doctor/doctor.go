// SPDX-License-Identifier: Apache-2.0

// Package doctor looks at an image's root and says whether it is ready to be
// contextualised. Input: the root as an fs.FS and its policy; output: findings,
// each good, doubtful or bad, with what to do. It only reads, and it starts
// nothing: whether the running kernel confines scripts is for its caller to try.
package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// Verdict is how one thing stands.
type Verdict string

// A Bad thing keeps the image from being contextualised; a Doubtful one is for
// the image's builder to judge.
const (
	Good     Verdict = "ok"
	Doubtful Verdict = "note"
	Bad      Verdict = "bad"
)

// Finding is one thing that was looked at.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	Subject string  `json:"subject"` // in a word or two
	Message string  `json:"message"` // what was found, and what to do if it is not good
}

// Examine looks at everything that a root shows.
func Examine(root fs.FS, p *policy.Policy) []Finding {
	e := &examination{root: root, policy: p}
	e.program()
	e.units()
	e.shell()
	e.kernels()
	e.ordering()
	e.daemons()
	e.others()
	return e.findings
}

type examination struct {
	root     fs.FS
	policy   *policy.Policy
	findings []Finding
}

func (e *examination) say(v Verdict, subject, format string, a ...any) {
	e.findings = append(e.findings, Finding{v, subject, fmt.Sprintf(format, a...)})
}

// there tells whether a path is there, itself or as a link whose target may be
// one of the whole image: an absolute link leads nowhere from outside.
func (e *examination) there(name string) bool {
	info, err := fs.Lstat(e.root, strings.TrimPrefix(name, "/"))
	if errors.Is(err, fs.ErrNotExist) || err != nil && info == nil {
		_, err = fs.Stat(e.root, strings.TrimPrefix(name, "/"))
	}
	return err == nil
}

func (e *examination) program() {
	info, err := fs.Stat(e.root, "usr/bin/ctxagent")
	switch {
	case err != nil:
		e.say(Bad, "program", "/usr/bin/ctxagent is not there: install -D -m 755 bin/ctxagent $IMAGE/usr/bin/ctxagent")
	case info.Mode()&0o111 == 0:
		e.say(Bad, "program", "/usr/bin/ctxagent is not executable: chmod 755 it")
	default:
		e.say(Good, "program", "/usr/bin/ctxagent")
	}
}

// unitDirs are where systemd looks for units, the first wins (systemd.unit(5)).
var unitDirs = []string{"etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// wanted are our units and what pulls each in (their [Install] sections).
var wanted = []struct{ unit, by string }{
	{"ctxagent-prolog.service", "sysinit.target"}, {"ctxagent-epilog.service", "ctxagent.target"}, {"ctxagent.target", "multi-user.target"},
}

func (e *examination) units() {
	for _, w := range wanted {
		if !e.unitThere(w.unit) {
			e.say(Bad, "unit", "%s is not there: install -D -m 644 -t $IMAGE/usr/lib/systemd/system dist/systemd/*", w.unit)
			continue
		}
		enabled := slices.ContainsFunc(unitDirs, func(dir string) bool { return e.there(path.Join(dir, w.by+".wants", w.unit)) })
		if !enabled {
			e.say(Bad, "unit", "%s is not enabled: systemctl --root=$IMAGE enable %s", w.unit, w.unit)
			continue
		}
		e.say(Good, "unit", "%s, wanted by %s", w.unit, w.by)
	}
}

func (e *examination) unitThere(unit string) bool {
	return slices.ContainsFunc(unitDirs, func(dir string) bool { return e.there(path.Join(dir, unit)) })
}

func (e *examination) shell() {
	for _, sh := range []string{"bin/bash", "usr/bin/bash", "bin/sh", "usr/bin/sh"} {
		if e.there(sh) {
			e.say(Good, "shell", "/%s", sh)
			return
		}
	}
	e.say(Bad, "shell", "neither bash nor sh is there: a stage's script has nothing to run it")
}

// kernels looks at what each kernel of the image brings: overlayfs, and a driver
// for CD-ROM drives. An image without kernels gets one from outside.
func (e *examination) kernels() {
	found := false
	for _, dir := range []string{"lib/modules", "usr/lib/modules"} {
		list, err := fs.ReadDir(e.root, dir)
		if err != nil {
			continue
		}
		for _, d := range list {
			if d.IsDir() && !found {
				found = e.kernel(path.Join(dir, d.Name()), d.Name()) || found
			}
		}
	}
	if !found {
		e.say(Doubtful, "kernel", "no kernel is in the image: the one that it is booted with has to be 5.10 or newer, with overlayfs and a CD-ROM driver")
	}
}

func (e *examination) kernel(dir, version string) bool {
	names := ""
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		b, err := fs.ReadFile(e.root, path.Join(dir, list))
		if err == nil {
			names += string(b)
		}
	}
	if names == "" {
		return false // what an update left behind
	}
	if old(version) {
		e.say(Bad, "kernel", "%s is older than 5.10, which confinement needs: update it", version)
		return true
	}
	for module, why := range map[string]string{"overlay": "confinement needs it", "sr_mod": "it reads CD-ROM drives"} {
		if !strings.Contains(names, "/"+module+".ko") {
			e.say(Bad, "kernel", "%s has no %s, built in or as a module: %s", version, module, why)
		}
	}
	e.say(Good, "kernel", "%s", version)
	return true
}

// old tells whether a kernel is older than 5.10.
func old(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	minor, _, _ = strings.Cut(minor, "-")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	return errA == nil && errB == nil && (a < 5 || a == 5 && b < 10)
}

// ordering holds each batch daemon that is installed against the rule that it
// does not start on a half-configured node.
func (e *examination) ordering() {
	for _, unit := range e.policy.Classes.Batch.Units {
		if !e.unitThere(unit) || strings.HasPrefix(unit, "munge") {
			continue
		}
		if e.behind(unit) {
			e.say(Good, "order", "%s starts behind ctxagent.target", unit)
			continue
		}
		e.say(Doubtful, "order", "%s may start on a node that is half configured: put Requires=ctxagent.target and After=ctxagent.target into a drop-in", unit)
	}
}

// behind tells whether a unit or one of its drop-ins names our target.
func (e *examination) behind(unit string) bool {
	for _, dir := range unitDirs {
		names := []string{path.Join(dir, unit)}
		dropIns, _ := fs.Glob(e.root, path.Join(dir, unit+".d", "*.conf"))
		for _, name := range append(names, dropIns...) {
			b, err := fs.ReadFile(e.root, name)
			if err == nil && strings.Contains(string(b), "After=") && strings.Contains(string(b), "ctxagent.target") {
				return true
			}
		}
	}
	return false
}

// daemons says for which of the policy's units the image has something.
func (e *examination) daemons() {
	for _, c := range []struct {
		name  string
		class policy.Class
	}{{"syslog", e.policy.Classes.Syslog}, {"monitoring", e.policy.Classes.Monitoring}, {"batch", e.policy.Classes.Batch}} {
		var have []string
		for _, u := range c.class.Units {
			if e.unitThere(u) {
				have = append(have, u)
			}
		}
		if len(have) == 0 {
			e.say(Doubtful, c.name, "none of the policy's units is installed: a disc can write the files, and nothing reads them")
			continue
		}
		e.say(Good, c.name, "%s", strings.Join(have, " "))
	}
}

// others looks for what would contextualise the machine as well.
func (e *examination) others() {
	for _, o := range []struct{ path, name string }{
		{"usr/bin/cloud-init", "cloud-init"}, {"usr/sbin/one-contextd", "OpenNebula's one-context"}, {"usr/bin/ignition", "Ignition"}, {"usr/lib/dracut/modules.d/30ignition", "Ignition"},
	} {
		off := o.name == "cloud-init" && e.there("etc/cloud/cloud-init.disabled")
		if e.there(o.path) && !off {
			e.say(Doubtful, "others", "%s is installed, and does what its own disc says, unconfined: take it out unless the image needs it", o.name)
		}
	}
}
