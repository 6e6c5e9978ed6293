// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Verdict is what became of an attack where a layer was missing.
type Verdict string

// The verdicts. A call that is let in changed nothing outside: the attempts are
// mild on purpose.
const (
	Stopped Verdict = "stopped"
	CallIn  Verdict = "let in"
	Out     Verdict = "**out**"
)

// Judge is the verdict on one run without a layer.
func Judge(layer string, letIn, through []string) Verdict {
	switch {
	case len(through) > 0:
		return Out
	case len(letIn) > 0 && layer == "proc":
		return Out // the attempts write a machine's setting back as it was
	case len(letIn) > 0:
		return CallIn
	}
	return Stopped
}

// row is the beginning of an attack's line in the document.
func (a Attack) row() string {
	stage := a.Stage
	if stage == "" {
		stage = Prolog
	}
	tries := strings.ReplaceAll(a.Tries, "|", `\|`)
	return fmt.Sprintf("| `%s` | %s | %s | %s |", a.Name, tries, stage, a.StoppedBy)
}

const preface = `# What the confinement is held against

Made by ` + "`make attacks`" + ` from the table in internal/sandbox/attacks; do not edit. Each line is a hostile script, run through a
whole stage with the default policy on a throw-away root and, in a guest, on "/". After each one the root is as it was before, and so are
processes, mounts, links, addresses, routes, settings, the clock, and the victims that lie in wait outside.

"Stopped by" is the wall that the script runs into with all layers in place. The further columns are runs of the same script with one layer
switched off, which only a test binary can do (build tag ` + "`ctxagent_weaken`" + `):

| word | meaning |
|---|---|
| stopped | another layer stops it |
| let in | a call succeeds that is refused otherwise; nothing outside differs |
| **out** | something outside differs, or the machine's settings can be written |

Where the kernel has no Landlock, its column says no more than that it was not needed.
`

// Table writes the document. verdicts are those of each attack's runs, by layer
// and name.
func Table(w io.Writer, verdicts map[string]map[string]Verdict) error {
	var b strings.Builder
	b.WriteString(preface)
	all := All()
	fmt.Fprintf(&b, "\n%d attacks in %d families.\n\n| without | stopped | let in | out |\n|---|---|---|---|\n", len(all), len(Families))
	for _, layer := range Layers {
		n := map[Verdict]int{}
		for _, a := range all {
			n[verdicts[layer][a.Name]]++
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", layer, n[Stopped], n[CallIn], n[Out])
	}
	for _, family := range Families {
		fmt.Fprintf(&b, "\n## %s\n\n| attack | tries to do this: it … | stage | stopped by | without %s |\n|%s\n", strings.ToUpper(family[:1])+family[1:],
			strings.Join(Layers, " | without "), strings.Repeat("---|", 4+len(Layers)))
		for _, a := range all {
			if a.Family != family {
				continue
			}
			b.WriteString(a.row())
			for _, layer := range Layers {
				fmt.Fprintf(&b, " %s |", verdicts[layer][a.Name])
			}
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Worse is the graver of two verdicts.
func Worse(a, b Verdict) Verdict {
	order := []Verdict{"", Stopped, CallIn, Out}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}
