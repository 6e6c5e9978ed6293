// SPDX-License-Identifier: Apache-2.0

//go:build ctxagent_weaken

package attacks

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestWriteTable runs the suite once without each layer, and writes the document:
// make attacks. Attempts that come through are mild, but it is best done on a
// machine that may be thrown away.
func TestWriteTable(t *testing.T) {
	needRoot(t)
	verdicts := map[string]map[string]Verdict{}
	for _, layer := range append([]string{"nothing"}, Layers...) {
		verdicts[layer] = map[string]Verdict{}
		for _, o := range without(t, layer) {
			verdicts[layer][o.Name] = Worse(verdicts[layer][o.Name], Judge(layer, o.LetIn, o.Through))
		}
		n := map[Verdict]int{}
		for _, v := range verdicts[layer] {
			n[v]++
		}
		t.Logf("without %s: %v", layer, n)
	}
	for name, v := range verdicts["nothing"] {
		if v != Stopped {
			t.Errorf("%s is %s though no layer is missing", name, v)
		}
	}
	var b bytes.Buffer
	if err := Table(&b, verdicts); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(document, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func without(t *testing.T, layer string) []outcome {
	t.Helper()
	results := filepath.Join(t.TempDir(), "results")
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestAttacks$")
	cmd.Env = append(os.Environ(), "CTXAGENT_WITHOUT="+layer, "CTXAGENT_ATTACKS_RESULTS="+results)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the suite without %s: %v: %s", layer, err, out)
	}
	b, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var all []outcome
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
