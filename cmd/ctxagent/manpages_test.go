// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the man pages of the commands anew")

// manPage is a command's page (mdoc(7)), made of the table of commands.
func manPage(c command) string {
	var b strings.Builder
	name := "ctxagent-" + strings.ReplaceAll(c.name, " ", "-")
	fmt.Fprintf(&b, ".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Made from cmd/ctxagent/commands.go: go test ./cmd/ctxagent -run ManPages -update\n")
	fmt.Fprintf(&b, ".Dd November 22, 2026\n.Dt %s 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n.Sh SYNOPSIS\n.Nm ctxagent %s\n", strings.ToUpper(name), name, mdoc(c.summary), c.name)
	for _, f := range c.flags {
		if f.repeats() {
			fmt.Fprintf(&b, ".Oo %s Oc ...\n", manFlag(f))
			continue
		}
		fmt.Fprintf(&b, ".Op %s\n", manFlag(f))
	}
	for w := range strings.FieldsSeq(c.words) {
		macro := "Ar"
		if optional := strings.Trim(w, "[]"); optional != w {
			macro, w = "Op Ar", optional
		}
		fmt.Fprintf(&b, ".%s %s\n", macro, strings.ReplaceAll(mdoc(w), "|", " | "))
	}
	fmt.Fprintf(&b, ".Sh DESCRIPTION\n%s\n", manSentence(c.summary))
	if c.about != "" {
		for s := range strings.SplitSeq(c.about, "\n") {
			fmt.Fprintf(&b, ".Pp\n%s\n", strings.ReplaceAll(mdoc(s), ". ", ".\n"))
		}
	}
	if len(c.flags) > 0 {
		b.WriteString(".Pp\nThe options are as follows:\n.Bl -tag -width Ds\n")
		for _, f := range c.flags {
			fmt.Fprintf(&b, ".It %s\n%s\n", manFlag(f), manSentence(f.summary))
		}
		b.WriteString(".El\n")
	}
	b.WriteString(".Sh EXIT STATUS\nSee\n.Xr ctxagent 1 .\n")
	if len(c.examples) > 0 {
		b.WriteString(".Sh EXAMPLES\n")
		for _, e := range c.examples {
			fmt.Fprintf(&b, ".Dl %s\n", mdoc(e))
		}
	}
	b.WriteString(".Sh SEE ALSO\n.Xr ctxagent 1 ,\n.Xr ctxagent-policy 5 ,\n.Xr ctxagent-context 7\n")
	return b.String()
}

// manSentence makes a sentence of a summary; a question stays one.
func manSentence(summary string) string {
	s := mdoc(strings.ToUpper(summary[:1]) + summary[1:])
	if strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

func manFlag(f option) string {
	s := "Fl " + strings.TrimPrefix(f.dashed(), "-")
	if words := listed(f.kind); words != nil {
		return s + " Cm " + strings.Join(words, " | ")
	}
	if f.kind != noValue {
		s += " Ar " + strings.ReplaceAll(strings.ToLower(f.kind), "|", " | ")
	}
	return s
}

func mdoc(s string) string {
	return strings.NewReplacer(`\`, `\e`, "…", " ...", `"`, `\(dq`, " --", ` \-\-`, "--", `\-\-`, " -", ` \-`, "~", `\(ti`).Replace(s)
}

func TestManSentence(t *testing.T) {
	for summary, want := range map[string]string{"is this a valid policy?": "Is this a valid policy?", "print the version": "Print the version."} {
		if got := manSentence(summary); got != want {
			t.Errorf("manSentence(%q) = %q; want %q", summary, got, want)
		}
	}
}

// TestManPages: the pages in dist/man are those of the commands, and mandoc has
// nothing to say about any page.
func TestManPages(t *testing.T) {
	const dir = "../../dist/man"
	want := map[string]bool{"ctxagent.1": true, "ctxagent-policy.5": true, "ctxagent-context.7": true}
	for _, c := range commands {
		name := "ctxagent-" + strings.ReplaceAll(c.name, " ", "-") + ".1"
		want[name] = true
		page := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(page, []byte(manPage(c)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(page); err != nil || string(b) != manPage(c) {
			t.Errorf("%s is not that of the command (%v): go test ./cmd/ctxagent -run ManPages -update", name, err)
		}
	}
	pages, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if !want[p.Name()] {
			t.Errorf("%s is of no command", p.Name())
		}
		delete(want, p.Name())
		out, err := exec.Command("mandoc", "-Tlint", "-Wwarning", filepath.Join(dir, p.Name())).CombinedOutput()
		if err != nil {
			t.Errorf("mandoc: %v: %s", err, out)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}
