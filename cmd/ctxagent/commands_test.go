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
	again := regexp.MustCompile(`fs\.Var\([^"]*"([a-z-]+)"`)
	parsed, repeated := map[string][]string{}, map[string]bool{}
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
			for _, f := range again.FindAllStringSubmatch(m[0], -1) {
				repeated[m[1]+" "+f[1]] = true
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
			if f.repeats() != repeated[c.name+" "+f.name] {
				t.Errorf("%s --%s may be repeated: the table says %v", c.name, f.name, f.repeats())
			}
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

// completionFiles are the completions of each shell, which has to read them.
func completionFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for shell, check := range map[string]string{"bash": "bash -n", "zsh": "zsh -n", "fish": "fish --no-execute"} {
		name := filepath.Join(dir, shell)
		if err := os.WriteFile(name, []byte(ctxagent(t, "completion", shell).stdout), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-c", check+" "+name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
	if r := ctxagent(t, "completion", "csh"); r.status != 2 {
		t.Errorf("csh: exit status %d", r.status)
	}
	return dir
}

// somewhere is a directory with an image and a directory in it.
func somewhere(t *testing.T) string {
	t.Helper()
	return write(t, t.TempDir(), map[string]string{"image.qcow2": "", "imagedir/x": ""})
}

func TestBashCompletes(t *testing.T) {
	file := filepath.Join(completionFiles(t), "bash")
	for line, want := range map[string]string{
		"ctxagent p": "pack policy", "ctxagent h": "help", "ctxagent -": "--help", "ctxagent run ": "prolog epilog", "ctxagent run e": "epilog",
		"ctxagent run --": "--root --media --console --explain --help", "ctxagent run --console x p": "prolog",
		"ctxagent policy e": "explain", "ctxagent policy -": "--help", "ctxagent policy lint --": "--help", "ctxagent policy explain --p": "--policy",
		"ctxagent init --batch s": "slurm", "ctxagent status --h": "--html --help", "ctxagent pack -": "-o --label --policy --sign --help",
		"ctxagent completion z": "zsh", "ctxagent completion -": "--help", "ctxagent version -": "--help",
		"ctxagent check --root im": "image.qcow2 imagedir", "ctxagent doctor --root im": "imagedir", "ctxagent check --media im": "image.qcow2 imagedir",
	} {
		words := strings.Split(line, " ")
		script := fmt.Sprintf(`. %s; COMP_WORDS=(%s); [ -n "%s" ] || COMP_WORDS+=(""); COMP_CWORD=%d; _ctxagent; printf '%%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | tr '\n' ' '`,
			file, line, words[len(words)-1], len(words)-1)
		cmd := exec.Command("bash", "-c", script)
		cmd.Dir = somewhere(t)
		out, err := cmd.CombinedOutput()
		if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, slices.Sorted(strings.FieldsSeq(want))) {
			t.Errorf("%q completes to %q, %v; want %q", line, got, err, want)
		}
	}
}

// TestZshCompletes looks at what the completions tell zsh's own functions, one word
// a line.
func TestZshCompletes(t *testing.T) {
	file := filepath.Join(completionFiles(t), "zsh")
	const told = `compadd() { print -rl -- "$@"; }; _arguments() { print -rl -- "$@"; }; _describe() { print -rl -- ${(P)2}; }
words=(${(s: :)1}); CURRENT=$#words; PREFIX=$words[-1]; . $2`
	for line, want := range map[string][]string{
		"ctxagent p":                {"policy:the endorser’s policy - what a site may change", "help:list all commands"},
		"ctxagent -":                {"--help"},
		"ctxagent policy -":         {"--help"},
		"ctxagent policy s":         {"schema"},
		"ctxagent policy explain -": {"(- *)--help[say more of it, with examples]", "--json[print for programs]"},
		"ctxagent run -": {"*--media[an ISO file, a directory or a device, instead of searching; may be repeated]:file:_files", "*:word:(prolog epilog)",
			"--root[the root to act on; / if it is left out]:directory:_files -/"},
		"ctxagent check -": {"*--media[a drive with a disc; may be repeated, for a guest with several, and DISC is one more]:file:_files", "--root[the root to act on, a directory or a disk image; / if it is left out]:file:_files"},
		"ctxagent seal -":  {"*--with[a mount point inside the root whose file system belongs to the image, too; may be repeated]:directory:_files -/"},
	} {
		out, err := exec.Command("zsh", "-fc", told, "zsh", line, file).CombinedOutput()
		lines := strings.Split(string(out), "\n")
		for _, w := range want {
			if err != nil || !slices.Contains(lines, w) {
				t.Errorf("%q: zsh is not told %q: %v\n%s", line, w, err, out)
			}
		}
	}
}

func TestFishCompletes(t *testing.T) {
	file := filepath.Join(completionFiles(t), "fish")
	for line, want := range map[string]string{
		"ctxagent he": "help", "ctxagent --h": "--help", "ctxagent policy --h": "--help", "ctxagent policy lint --h": "--help", "ctxagent run ": "epilog prolog",
		"ctxagent status --h": "--help --html", "ctxagent check --media a --m": "--media", "ctxagent check --root im": "image.qcow2 imagedir/",
	} {
		cmd := exec.Command("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", file, line)
		cmd.Dir = somewhere(t)
		out, err := cmd.CombinedOutput()
		var got []string
		for l := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			got = append(got, word)
		}
		if err != nil || !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q completes to %q, %v; want %q", line, got, err, want)
		}
	}
}
