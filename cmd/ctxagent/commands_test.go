// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommandsAreTheFlags holds the table of commands against the code: the flags
// of each flag set, and the words that the usage text and the man page have.
func TestCommandsAreTheFlags(t *testing.T) {
	set := regexp.MustCompile(`(?s)flag\.NewFlagSet\("([a-z ]+)".*?\n\tif err := parse`)
	one := regexp.MustCompile(`(?:\.(?:String|Bool|Duration)\(|Var\([^"]*)"([a-z-]+)"`)
	parsed := map[string][]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range set.FindAllStringSubmatch(string(b), -1) {
			for _, f := range one.FindAllStringSubmatch(m[0], -1) {
				parsed[m[1]] = append(parsed[m[1]], f[1])
			}
		}
	}
	man, err := os.ReadFile("../../dist/man/ctxagent.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		var listed []string
		for _, f := range c.flags {
			listed = append(listed, f.name)
			if !strings.Contains(string(man), "Fl "+strings.TrimPrefix("-"+f.name, "-o")) && !strings.Contains(string(man), "Fl -"+f.name) && f.name != "o" {
				t.Errorf("the man page has no --%s", f.name)
			}
		}
		if c.name == "init" {
			continue // its flags come from internal/starter: see below
		}
		slices.Sort(listed)
		slices.Sort(parsed[c.name])
		if !slices.Equal(listed, parsed[c.name]) {
			t.Errorf("%s parses %q; the table has %q", c.name, parsed[c.name], listed)
		}
		if !strings.Contains(usage, "ctxagent "+strings.Split(c.name, " ")[0]) {
			t.Errorf("the usage text has no %s", c.name)
		}
	}
	for name := range parsed {
		if _, ok := commandOf(strings.Fields(name)); !ok {
			t.Errorf("%s is not in the table of commands", name)
		}
	}
	for _, f := range commands[0].flags {
		if r := ctxagent(t, "init", "--"+f.name, "x"); strings.Contains(r.stderr, "not defined") {
			t.Errorf("init has no --%s", f.name)
		}
	}
}

func TestHelpOfEachCommand(t *testing.T) {
	for _, c := range commands {
		r := ctxagent(t, append(strings.Fields(c.name), "--help")...)
		if r.status != 0 || !strings.Contains(r.stdout, c.summary) || r.stderr != "" {
			t.Errorf("%s --help: exit status %d: %s%s", c.name, r.status, r.stdout, r.stderr)
		}
	}
}

// TestHelpOfPolicy: there is no command `policy` alone, and its help lists those below.
func TestHelpOfPolicy(t *testing.T) {
	for _, flag := range []string{"--help", "-help", "-h"} {
		r := ctxagent(t, "policy", flag)
		if r.status != 0 || r.stderr != "" {
			t.Errorf("policy %s: exit status %d: %s", flag, r.status, r.stderr)
		}
		for name := range policyCommands {
			c, _ := commandOf([]string{"policy", name})
			if !regexp.MustCompile(`(?m)^  ctxagent policy ` + name + ` .*` + regexp.QuoteMeta(c.summary) + `$`).MatchString(r.stdout) {
				t.Errorf("policy %s has no line on %s:\n%s", flag, name, r.stdout)
			}
		}
	}
}

// TestCompletions lets each shell read its completions, and bash complete.
func TestCompletions(t *testing.T) {
	dir := t.TempDir()
	for shell, check := range map[string]string{"bash": "bash -n", "zsh": "zsh -n", "fish": "fish --no-execute"} {
		name := filepath.Join(dir, shell)
		if err := os.WriteFile(name, []byte(ctxagent(t, "completion", shell).stdout), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-c", check+" "+name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
	for line, want := range map[string]string{
		"ctxagent p": "pack policy", "ctxagent run ": "prolog epilog", "ctxagent policy e": "explain", "ctxagent init --batch s": "slurm",
		"ctxagent status --h": "--html", "ctxagent policy explain --p": "--policy", "ctxagent pack -": "-o --label --policy --sign",
	} {
		words := strings.Split(line, " ")
		script := fmt.Sprintf(`. %s; COMP_WORDS=(%s); [ -n "%s" ] || COMP_WORDS+=(""); COMP_CWORD=%d; _ctxagent; echo "${COMPREPLY[*]}"`,
			filepath.Join(dir, "bash"), line, words[len(words)-1], len(words)-1)
		out, err := exec.Command("bash", "-c", script).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q completes to %q, %v; want %q", line, got, err, want)
		}
	}
	if r := ctxagent(t, "completion", "csh"); r.status != 2 {
		t.Errorf("csh: exit status %d", r.status)
	}
}
