// SPDX-License-Identifier: Apache-2.0

// Package attacks is the table of hostile scripts that the confinement is held
// against: what each one tries, what stops it, and what it must see inside. It
// only describes; its tests are the harness, which runs every entry through a
// whole stage, on a throw-away root on the host and on "/" in a guest, and looks
// at both sides of the wall. docs/attacks.md is made from it (make attacks).
package attacks

import (
	"slices"
	"strings"
	"time"
)

// Wall is what stops an attack.
type Wall string

// The walls, from the outermost to the innermost. A harmless attack succeeds,
// and what it reaches is the script's own.
const (
	Namespace  Wall = "namespace"  // what it is after is not in the sandbox's namespaces
	Mount      Wall = "mount"      // the view has it read-only, empty, private or not at all
	Capability Wall = "capability" // the kernel asks for a capability that was dropped
	Seccomp    Wall = "seccomp"    // the system call filter
	Landlock   Wall = "landlock"   // the Landlock ruleset
	Limit      Wall = "limit"      // a limit of the policy, or a resource limit
	Shim       Wall = "shim"       // the stand-in for systemctl, and the policy behind it
	Scan       Wall = "scan"       // the reader of the change set
	Policy     Wall = "policy"     // the path, type, mode or owner in the change set
	Grammar    Wall = "grammar"    // the content in the change set
	Harmless   Wall = "harmless"
)

// Stage says in which stages an attack is run.
type Stage string

// The stages of an attack.
const (
	Prolog Stage = "prolog"
	Epilog Stage = "epilog"
	Both   Stage = "both"
)

// Attack is one hostile script with what has to become of it. In a field that
// holds words, "|" separates alternatives: kernels differ in their errno.
type Attack struct {
	Name   string
	Family string // one of Families
	Tries  string // one sentence, without a period at the end
	Stage  Stage  // "" is Prolog

	// Script is run by the root's /bin/sh from the disc's directory, after
	// Prelude; Files are the disc's further files. ./intruder is the helper
	// program of the directory intruder.
	Script string
	Files  map[string]string

	StoppedBy Wall
	// Inside is what the script has to report, in this order: "NAME RESULT",
	// where RESULT is an errno's name, "ok", "no" (a command failed) or a value.
	Inside []string
	// Outcome is the stage's; if it is empty, refused where Calls are given, and
	// unchanged where not.
	Outcome string
	// Refused are refusals that the receipt has to have, "RULE PATH", or
	// "RULE UNIT". A path that is no valid UTF-8 is Go-quoted.
	Refused []string
	// Calls are denied system calls that have to be on record and to refuse the
	// stage; Noted ones only have to be on record (docs/policy.md).
	Calls, Noted []string
	// Says has to be part of the receipt's error, warnings or output.
	Says string
	// Applies are the paths that may be written to the root, and nothing else:
	// the honest part of an attack that is accepted.
	Applies map[string]string
	// Deadline of the script; 0 is a generous one.
	Deadline time.Duration
	// Arch is the one architecture that has what is attacked; "" is any.
	Arch string
}

// Families in the order of the document.
var Families = []string{
	"accounts and credentials", "persistence", "privileges", "devices", "links and renames", "types", "overlay",
	"namespaces and mounts", "proc and sysctl", "kernel", "processes and signals", "services", "network", "resources",
	"names", "scan and commit", "shim", "foreign system calls", "interpreters", "content",
}

// All is the table, family by family.
func All() []Attack {
	return slices.Concat(accounts, persistence, privileges, devices, links, types, overlay, namespaces, proc,
		kernel, processes, services, network, resources, names, commit, shims, foreign, interpreters, content)
}

// Prelude is put before every script. "try NAME COMMAND…" reports whether a
// command succeeded; "say NAME VALUE" reports a value. The file victims names
// what lies in wait outside.
const Prelude = `#!/bin/sh
try() { _n=$1; shift; if "$@" >/dev/null 2>&1; then echo "= $_n ok"; else echo "= $_n no"; fi; }
say() { echo "= $1 $2"; }
. ./victims
`

// Layers are what is switched off in the table, by CTXAGENT_WITHOUT in a binary
// with the build tag ctxagent_weaken. Two together show what the second is for.
var Layers = []string{"seccomp", "capabilities", "landlock", "proc", "cgroup", "capabilities,landlock"}

// Stages lists the stages in which a is run.
func (a Attack) Stages() []Stage {
	switch a.Stage {
	case Both:
		return []Stage{Prolog, Epilog}
	case Epilog:
		return []Stage{Epilog}
	}
	return []Stage{Prolog}
}

// Outcomes are the stage's outcomes that a allows.
func (a Attack) Outcomes() []string {
	switch {
	case a.Outcome == "" && len(a.Calls) > 0:
		return []string{"refused"}
	case a.Outcome == "":
		return []string{"unchanged"}
	}
	return strings.Split(a.Outcome, "|")
}

// Reports parses what a script reported: lines "= NAME RESULT" of its output.
func Reports(output string) []string {
	var out []string
	for line := range strings.Lines(output) {
		if rest, ok := strings.CutPrefix(line, "= "); ok {
			out = append(out, strings.TrimSuffix(rest, "\n"))
		}
	}
	return out
}

// Matches tells whether got, "NAME RESULT", is what want allows.
func Matches(want, got string) bool {
	name, results, _ := strings.Cut(want, " ")
	gotName, result, _ := strings.Cut(got, " ")
	return name == gotName && slices.Contains(strings.Split(results, "|"), result)
}

// LetIn tells whether got reports a success, or capabilities, that want does not
// allow.
func LetIn(want, got string) bool {
	name, result, _ := strings.Cut(got, " ")
	return (result == "ok" || name == "capabilities") && !Matches(want, got)
}
