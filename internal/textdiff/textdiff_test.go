// SPDX-License-Identifier: Apache-2.0

package textdiff

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPatchReadsIt makes diffs of random texts and lets patch(1) apply them.
func TestPatchReadsIt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func() []byte {
		var b strings.Builder
		for range random.IntN(40) {
			fmt.Fprintf(&b, "line %d\n", random.IntN(12))
		}
		s := b.String()
		if random.IntN(4) == 0 {
			s = strings.TrimSuffix(s, "\n")
		}
		return []byte(s)
	}
	dir := t.TempDir()
	for i := range 200 {
		a, b := text(), text()
		diff := Unified("a", "b", a, b)
		if diff == nil {
			continue
		}
		file := filepath.Join(dir, "a")
		if err := os.WriteFile(file, a, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("patch", "-s", "-p0", file)
		cmd.Stdin = strings.NewReader(strings.Join(diff, "\n") + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%d: patch: %v: %s\n%q\n%q\n%s", i, err, out, a, b, strings.Join(diff, "\n"))
		}
		got, err := os.ReadFile(file)
		if os.IsNotExist(err) && len(b) == 0 {
			continue // patch takes an emptied file away
		}
		if err != nil || string(got) != string(b) {
			t.Fatalf("%d: patched %q, %v; want %q", i, got, err, b)
		}
	}
}

func TestUnified(t *testing.T) {
	got := strings.Join(Unified("/etc/a", "/etc/a (changed)", []byte("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), []byte("1\n2\n3\n4\nfive\n6\n7\n8\n9\n")), "\n")
	want := "--- /etc/a\n+++ /etc/a (changed)\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Unified("/dev/null", "/etc/b", nil, []byte("x\n")); strings.Join(got, "|") != "--- /dev/null|+++ /etc/b|@@ -0,0 +1 @@|+x" {
		t.Errorf("a new file: %q", got)
	}
	big := strings.Repeat("a\n", 3000)
	if n := len(Unified("a", "b", []byte("x\n"+big+"y\n"), []byte("z\n"+strings.ReplaceAll(big, "a", "b")+"w\n"))); n != 3+2*3002 {
		t.Errorf("a change that is too large to compare has %d lines", n)
	}
}
