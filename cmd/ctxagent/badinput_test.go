// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cut shortens or damages a sound disc.
func cut(t *testing.T, iso string, edit func([]byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(iso)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "damaged.iso")
	if err := os.WriteFile(out, edit(b), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBadInput gives the real binary every kind of bad input: one clear error,
// which says what, where and what to do, the exit status of docs/operator-guide.md, the same
// in the receipt, and an untouched root.
func TestBadInput(t *testing.T) {
	script := func(content string) func(*testing.T, string) []string {
		return func(t *testing.T, _ string) []string {
			return []string{disc(t, map[string]string{"prolog.sh": content})}
		}
	}
	good := func(t *testing.T) string { return disc(t, map[string]string{"prolog.sh": goodScript}) }
	policy := func(text string) func(*testing.T, string) []string {
		return func(t *testing.T, root string) []string {
			write(t, root, map[string]string{"etc/ctxagent/policy.yaml": text})
			return []string{good(t)}
		}
	}
	for _, tt := range []struct {
		name    string
		media   func(t *testing.T, root string) []string
		status  int
		outcome string
		says    []string
	}{
		{"no such file", func(*testing.T, string) []string { return []string{"/nonexistent.iso"} }, 4, "unusable", []string{"/nonexistent.iso", "no such file"}},
		{"an empty file", func(t *testing.T, _ string) []string {
			return []string{cut(t, good(t), func([]byte) []byte { return nil })}
		},
			4, "unusable", []string{"damaged.iso", "not an ISO 9660 volume"}},
		{"not an ISO", func(t *testing.T, _ string) []string {
			return []string{cut(t, good(t), func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) })}
		}, 4, "unusable", []string{"not an ISO 9660 volume"}},
		{"a corrupt root directory", func(t *testing.T, _ string) []string {
			return []string{cut(t, good(t), func(b []byte) []byte { b[16*2048+158] = 0xff; b[16*2048+160] = 0xff; return b })}
		}, 4, "unusable", []string{"damaged.iso", "ECMA-119"}},
		{"a truncated disc", func(t *testing.T, _ string) []string {
			big := disc(t, map[string]string{"prolog.sh": goodScript, "zz-payload": strings.Repeat("x", 1<<20)})
			return []string{cut(t, big, func(b []byte) []byte { return b[:len(b)/2] })}
		}, 4, "unusable", []string{"damaged.iso", "zz-payload"}},
		{"a disc without either script", func(t *testing.T, _ string) []string { return []string{disc(t, map[string]string{"readme": "hello"})} },
			4, "unusable", []string{"neither prolog.sh nor epilog.sh", `"CONTEXT"`}},
		{"two context discs", func(t *testing.T, _ string) []string { return []string{good(t), good(t)} },
			4, "ambiguous", []string{"2 context discs", "remove all but one"}},
		{"an unreadable policy", func(t *testing.T, root string) []string {
			if err := os.MkdirAll(filepath.Join(root, "etc/ctxagent/policy.yaml"), 0o755); err != nil {
				t.Fatal(err)
			}
			return []string{good(t)}
		}, 2, "failed", []string{"/etc/ctxagent/policy.yaml", "is a directory"}},
		{"a policy that is no YAML", policy("version: [1\n"), 2, "failed", []string{"/etc/ctxagent/policy.yaml", "line 1"}},
		{"an unknown policy key", policy("version: 1\nclases: {}\n"), 2, "failed", []string{"/etc/ctxagent/policy.yaml", "line 2", `unknown key "clases"`, "policy show"}},
		{"CR LF", script("#!/bin/sh\r\necho hello\r\n"), 1, "failed", []string{"prolog.sh", "line 1", "CR LF", "sed -i"}},
		{"a missing interpreter", script("#!/usr/bin/perl6\n"), 1, "failed", []string{"prolog.sh", `"/usr/bin/perl6"`, "not in this image", "first line"}},
		{"a compiled program", script("\x7fELF\x02\x01"), 1, "failed", []string{"prolog.sh", "compiled program"}},
		{"a byte order mark", script("\ufeff#!/bin/sh\n"), 1, "failed", []string{"prolog.sh", "byte order mark"}},
		{"a script that fails", script("#!/bin/sh\n" + goodScript + "exit 7\n"), 1, "failed", []string{"prolog.sh ended with exit status 7"}},
		{"a script that oversteps", script(goodScript + "echo x >>/etc/passwd\n"), 3, "refused", []string{`/etc/passwd`, "always-refused"}},
		{"two scripts that differ in case", func(t *testing.T, _ string) []string {
			return []string{write(t, t.TempDir(), map[string]string{"prolog.sh": goodScript, "PROLOG.SH": goodScript})}
		}, 4, "unusable", []string{`"PROLOG.SH"`, `"prolog.sh"`, "keep one"}},
		{"a special file on the disc", func(t *testing.T, _ string) []string {
			dir := write(t, t.TempDir(), map[string]string{"prolog.sh": goodScript})
			if err := exec.Command("mkfifo", filepath.Join(dir, "pipe")).Run(); err != nil {
				t.Fatal(err)
			}
			return []string{dir}
		}, 4, "unusable", []string{`"pipe"`, "only files, directories and symlinks"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := busyboxRoot(t)
			args := []string{"run", "prolog", "--root", root}
			for _, m := range tt.media(t, root) {
				args = append(args, "--media", m)
			}
			before := treeOf(t, root)
			r := ctxagent(t, args...)
			if r.status != tt.status {
				t.Errorf("exit status %d; want %d\n%s", r.status, tt.status, r.stderr)
			}
			receipt := receiptFields(t, root, "prolog")
			if receipt["outcome"] != tt.outcome || receipt["exit_code"] != float64(tt.status) {
				t.Errorf("receipt: outcome %v, exit code %v; want %s, %d", receipt["outcome"], receipt["exit_code"], tt.outcome, tt.status)
			}
			for _, s := range tt.says {
				if !strings.Contains(strings.ReplaceAll(r.stderr, `\`, ""), s) {
					t.Errorf("the message lacks %q:\n%s", s, r.stderr)
				}
			}
			if after := treeOf(t, root); !slices.Equal(before, after) {
				t.Errorf("the root was changed:\n%q\n%q", before, after)
			}
		})
	}
}

// TestAdviceCanBePasted runs the command that the message about CR LF prints.
func TestAdviceCanBePasted(t *testing.T) {
	root := busyboxRoot(t)
	top := t.TempDir()
	dir := write(t, filepath.Join(top, "a disc"), map[string]string{"prolog.sh": strings.ReplaceAll(goodScript, "\n", "\r\n")})
	_, rest, _ := strings.Cut(ctxagent(t, "check", "--root", root, dir).stdout, "`")
	command, _, ok := strings.Cut(rest, "`")
	if !ok {
		t.Fatal("the message has no command")
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	if r := ctxagent(t, "check", "--root", root, dir); r.status != 0 {
		t.Errorf("after %q: exit status %d:\n%s", command, r.status, r.stdout)
	}
}

// TestNoScripts: a directory without scripts is called one, and scripts that lie one
// level down are named.
func TestNoScripts(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"files/Prolog.sh": goodScript})
	r := ctxagent(t, "check", "--root", busyboxRoot(t), dir)
	for _, want := range []string{"the directory " + dir + " has neither prolog.sh nor epilog.sh", `"files/Prolog.sh" is there: it has to be in the root directory`} {
		if r.status != 4 || !strings.Contains(r.stdout, want) {
			t.Errorf("exit status %d; want 4 and %q:\n%s%s", r.status, want, r.stdout, r.stderr)
		}
	}
}

// TestHistoricalScriptsRun are the scripts of the field that look wrong and are
// not: a plain ISO 9660 disc carries no mode, and CERN's scripts had no #! line.
func TestHistoricalScriptsRun(t *testing.T) {
	root := busyboxRoot(t)
	tree := write(t, t.TempDir(), map[string]string{"prolog.sh": strings.TrimPrefix(goodScript, "#!/bin/sh\n") + "return 0\n"})
	if err := os.Chmod(filepath.Join(tree, "prolog.sh"), 0o644); err != nil {
		t.Fatal(err)
	}
	iso := filepath.Join(t.TempDir(), "plain.iso")
	if out, err := exec.Command("genisoimage", "-quiet", "-o", iso, tree).CombinedOutput(); err != nil {
		t.Fatalf("genisoimage: %v: %s", err, out)
	}
	r := ctxagent(t, "run", "prolog", "--root", root, "--media", iso)
	receipt := receiptFields(t, root, "prolog")
	if r.status != 0 || receipt["outcome"] != "applied" || !strings.Contains(fmt.Sprint(receipt["warnings"]), "no #! line") {
		t.Errorf("exit status %d, receipt %v\n%s; want applied, with a warning", r.status, receipt, r.stderr)
	}
}

// TestNoNetwork runs an epilog in a network namespace that nobody configures:
// exit status 5, what is missing, and nothing was run.
func TestNoNetwork(t *testing.T) {
	root := busyboxRoot(t)
	policy, err := os.ReadFile("../../dist/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, root, map[string]string{"etc/ctxagent/policy.yaml": strings.Replace(string(policy), "timeout: 2m", "timeout: 1s", 1)})
	iso := disc(t, map[string]string{"epilog.sh": goodScript})
	out, err := exec.Command("unshare", "--net", binary, "run", "epilog", "--root", root, "--media", iso).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.Contains(string(out), "no link to wait for") || !strings.Contains(string(out), "network.timeout") {
		t.Errorf("%v: %s; want exit status 5, and what is missing", err, out)
	}
	got := receiptFields(t, root, "epilog")
	if n, _ := got["network"].(map[string]any); n == nil || n["interface"] != "" || n["waited_ms"].(float64) < 500 || n["missing"] != got["error"] {
		t.Errorf("network %v; want how long it was waited for, and what was missing", n)
	}
	if script, _ := got["script"].(map[string]any); got["outcome"] != "no-network" || script["exit_status"] != nil || script["output_tail"] != "" {
		t.Errorf("outcome %v, script %v; want no-network, and a script that was not run", got["outcome"], script)
	}
}

// TestCannotConfine takes away what confinement needs, namespaces among it, as
// a container or an old kernel would: exit status 6, and nothing was run.
func TestCannotConfine(t *testing.T) {
	root := busyboxRoot(t)
	before := treeOf(t, root)
	iso := disc(t, map[string]string{"prolog.sh": goodScript})
	for _, capability := range []string{"-sys_admin", "-mknod", "-setpcap"} {
		out, err := exec.Command("setpriv", "--bounding-set", capability, "--inh-caps", capability, binary, "run", "prolog", "--root", root, "--media", iso).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 6 || !strings.Contains(string(out), "cannot confine scripts") {
			t.Errorf("without %s: %v: %s; want exit status 6, and why", capability, err, out)
		}
		got := receiptFields(t, root, "prolog")
		if script, ok := got["script"].(map[string]any); got["outcome"] != "unsupported" || !ok || script["exit_status"] != nil {
			t.Errorf("without %s: outcome %v, script %v; want unsupported, and no exit status", capability, got["outcome"], got["script"])
		}
	}
	if after := treeOf(t, root); !slices.Equal(before, after) {
		t.Errorf("the root was changed:\n%q\n%q", before, after)
	}
}
