// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestInspect prints what is on a disc, a directory and a FAT image: the fields
// are the contract. None of them has to be a context disc.
func TestInspect(t *testing.T) {
	tree := write(t, t.TempDir(), map[string]string{"a-b": "x", "a/b": "hello\n"})
	if err := os.Symlink("/etc/hostname", filepath.Join(tree, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(tree, "a/b"), 0o640); err != nil {
		t.Fatal(err)
	}
	iso := filepath.Join(t.TempDir(), "disc.iso")
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "LABEL", "-o", iso, tree).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v: %s", err, out)
	}
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	mode := func(name string) string {
		info, err := os.Stat(filepath.Join(tree, name))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%04o", info.Mode().Perm())
	}
	want := []any{
		map[string]any{"path": "a", "type": "directory", "mode": mode("a"), "size": 0.0},
		map[string]any{"path": "a-b", "type": "file", "mode": mode("a-b"), "size": 1.0, "sha256": sum("x")},
		map[string]any{"path": "a/b", "type": "file", "mode": "0640", "size": 6.0, "sha256": sum("hello\n")},
		map[string]any{"path": "link", "type": "symlink", "mode": "0777", "size": 0.0, "target": "/etc/hostname"},
	}
	for media, flavour := range map[string]string{iso: "rock ridge", tree: "directory"} {
		r := ctxagent(t, "inspect", media, "--json")
		var got map[string]any
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.status != 0 {
			t.Fatalf("%s: %v, exit status %d: %s", media, err, r.status, r.stderr)
		}
		if !reflect.DeepEqual(got["entries"], want) || got["flavour"] != flavour || len(got["digest"].(string)) != 64 {
			t.Errorf("%s:\n%s\nwant %s, %v", media, r.stdout, flavour, want)
		}
		if media == iso && got["label"] != "LABEL" {
			t.Errorf("label %v; want LABEL", got["label"])
		}
		if s, _ := got["unusable"].(string); !strings.Contains(s, `"link" leads out of the disc`) {
			t.Errorf("unusable = %q; want why a guest would not use it", s)
		}
	}
	if r := ctxagent(t, "inspect", iso); r.status != 0 || !strings.Contains(r.stdout, `"link" -> "/etc/hostname"`) {
		t.Errorf("exit status %d:\n%s", r.status, r.stdout)
	}
	if r := ctxagent(t, "inspect", "/nonexistent"); r.status != 4 || !strings.Contains(r.stderr, "no such file") {
		t.Errorf("exit status %d: %s; want 4", r.status, r.stderr)
	}
	if r := ctxagent(t, "inspect"); r.status != 2 {
		t.Errorf("exit status %d; want 2", r.status)
	}
}

// TestInspectTellsWhoSigned packs a signed disc, and holds what inspect says of it
// and of what was altered against ssh-keygen. Values of context.sh are shown if asked
// for.
func TestInspectTellsWhoSigned(t *testing.T) {
	keys := t.TempDir()
	key := filepath.Join(keys, "site")
	keygen(t, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	write(t, keys, map[string]string{"signers": "site@example.org " + string(public)})
	out, err := exec.Command("ssh-keygen", "-l", "-f", key+".pub").Output()
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := strings.Fields(string(out))[1]
	tree := write(t, t.TempDir(), map[string]string{"init.sh": goodScript, "context.sh": "TOKEN=secret\nPATH=/x\n"})
	disc := filepath.Join(t.TempDir(), "disc.iso")
	if r := ctxagent(t, "pack", "--sign", key, tree, "-o", disc); r.status != 0 || !strings.Contains(r.stdout, "signed by "+fingerprint) {
		t.Fatalf("pack: exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	altered := t.TempDir()
	if out, err := exec.Command("xorriso", "-osirrox", "on", "-indev", disc, "-extract", "/", altered).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v: %s", err, out)
	}
	if err := os.Chmod(altered, 0o755); err != nil {
		t.Fatal(err)
	}
	if r := ctxagent(t, "inspect", altered); !strings.Contains(r.stdout, "\nsigned by the key "+fingerprint+";") {
		t.Errorf("what xorriso took out of the disc is not signed as the disc was:\n%s", r.stdout)
	}
	write(t, altered, map[string]string{"init.sh": goodScript + "#\n"})
	for _, tt := range []struct {
		args           []string
		says, doNotSay string
	}{
		{[]string{disc}, "\nprolog: \"init.sh\"\nvariable TOKEN (", "secret"},
		{[]string{"--signers", filepath.Join(keys, "signers"), disc}, "\nsigned by \"site@example.org\"\n", fingerprint},
		{[]string{"--show-values", disc}, "\nvariable TOKEN=\"secret\"\nnote: context.sh line 2 is left out: PATH is reserved\n", "/x"},
		{[]string{altered}, `would refuse it: "init.sh" on the disc is not what its signed manifest says`, "signed by"},
		{[]string{tree}, "\nprolog: \"init.sh\"\n", "sign"},
		{[]string{"--json", disc}, `"key": "` + fingerprint + `"`, "secret"},
		{[]string{"--json", altered}, `"unsigned": "`, `"key"`},
	} {
		r := ctxagent(t, append([]string{"inspect"}, tt.args...)...)
		if r.status != 0 || !strings.Contains(r.stdout, tt.says) || strings.Contains(r.stdout, tt.doNotSay) {
			t.Errorf("inspect %q: exit status %d; want %q, and not %q:\n%s%s", tt.args, r.status, tt.says, tt.doNotSay, r.stdout, r.stderr)
		}
	}
}
