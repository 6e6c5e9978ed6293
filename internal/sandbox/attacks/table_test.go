// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const document = "../../../docs/attacks.md"

func TestTableIsWhole(t *testing.T) {
	seen, families := map[string]bool{}, map[string]int{}
	for _, a := range All() {
		switch {
		case a.Name == "" || seen[a.Name] || strings.ContainsAny(a.Name, " /|"):
			t.Errorf("the name %q is empty, used twice, or no word", a.Name)
		case !slices.Contains(Families, a.Family):
			t.Errorf("%s: no such family: %q", a.Name, a.Family)
		case a.Tries == "" || strings.HasSuffix(a.Tries, ".") || a.StoppedBy == "" || a.Script == "":
			t.Errorf("%s: what it tries, what stops it or its script is missing", a.Name)
		}
		seen[a.Name] = true
		families[a.Family]++
	}
	if len(seen) < 120 {
		t.Errorf("%d attacks; want at least 120", len(seen))
	}
	for _, f := range Families {
		if families[f] < 5 {
			t.Errorf("the family %q has %d attacks; want at least 5", f, families[f])
		}
	}
}

// TestDocumentIsCurrent holds docs/attacks.md against the table.
func TestDocumentIsCurrent(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| `") {
			fields := strings.Split(line, " | ")
			if len(fields) != 4+len(Layers) {
				t.Errorf("the line %q has %d columns; want %d: run make attacks", line, len(fields), 4+len(Layers))
				continue
			}
			rows[strings.Join(fields[:4], " | ")+" |"] = true
		}
	}
	for _, a := range All() {
		if !rows[a.row()] {
			t.Errorf("docs/attacks.md does not have %q: run make attacks", a.row())
		}
		delete(rows, a.row())
	}
	for r := range rows {
		t.Errorf("docs/attacks.md has %q, and the table has not: run make attacks", r)
	}
}

// TestReleaseCannotBeWeakened looks for the switch in the binary that is released.
func TestReleaseCannotBeWeakened(t *testing.T) {
	for _, tt := range []struct {
		tags string
		want bool
	}{{"", false}, {"ctxagent_weaken", true}} {
		p := filepath.Join(t.TempDir(), "ctxagent")
		cmd := exec.Command("go", "build", "-tags", tt.tags, "-o", p, "../../../cmd/ctxagent")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build: %v: %s", err, out)
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(b, []byte("CTXAGENT_WITHOUT")); got != tt.want {
			t.Errorf("built with the tags %q, the binary has the switch: %v; want %v", tt.tags, got, tt.want)
		}
	}
}
