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
