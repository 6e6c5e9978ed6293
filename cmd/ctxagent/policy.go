// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// policyCommands are the commands below `ctxagent policy`.
var policyCommands = map[string]func(args []string, stdout io.Writer) error{
	"show": policyShow, "lint": policyLint, "explain": policyExplain, "diff": policyDiff, "schema": policySchema,
}

// policyCommand is `ctxagent policy …`.
func policyCommand(args []string, stdout io.Writer) error {
	const known = "show, lint, explain, diff or schema"
	if len(args) == 0 {
		return fmt.Errorf("%w: policy: %s?", errUsage, known)
	}
	if wantsHelp(args[:1]) {
		return policyHelp(stdout)
	}
	c, ok := policyCommands[args[0]]
	if !ok {
		return fmt.Errorf("%w: policy: there is no %q: it is %s", errUsage, args[0], known)
	}
	return c(args[1:], stdout)
}

// policyHelp lists the commands below `ctxagent policy`.
func policyHelp(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "ctxagent policy: %s\n\n", policySummary)
	for _, c := range commands {
		if strings.HasPrefix(c.name, "policy ") {
			fmt.Fprintf(&b, "  ctxagent %-22s %s\n", c.name+" "+c.words, c.summary)
		}
	}
	b.WriteString("\n\"ctxagent policy COMMAND --help\" says more of each, with examples.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func policyShow(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("policy show", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	if err := parse(fs, args, 0, 0); err != nil {
		return err
	}
	root, _, err := openRoot(*rootDir)
	if err != nil {
		return &exitError{2, err}
	}
	defer root.Close()
	_, text, err := loadPolicy(root)
	if err != nil {
		return &exitError{2, err}
	}
	_, err = stdout.Write(text)
	return err
}

func policyLint(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("policy lint", flag.ContinueOnError)
	if err := parse(fs, args, 1, 1); err != nil {
		return err
	}
	if _, err := validPolicy(fs.Arg(0)); err != nil {
		return &exitError{2, err}
	}
	_, err := fmt.Fprintf(stdout, "%s: a valid policy\n", fs.Arg(0))
	return err
}

// validPolicy is the text of a policy file, which has to be valid. The name
// "default" stands for the one that is compiled in.
func validPolicy(file string) ([]byte, error) {
	if file == "default" {
		return dist.Policy, nil
	}
	b, err := readPolicy(os.Open(file))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	_, err = policy.Parse(file, b)
	return b, err
}

// explained is what `policy explain --json` prints of one path.
type explained struct {
	Path    string   `json:"path"`
	Allowed bool     `json:"allowed"`
	Why     string   `json:"why,omitempty"` // it is refused
	Class   string   `json:"class,omitempty"`
	Rule    string   `json:"rule,omitempty"`
	Content string   `json:"content,omitempty"` // what it may say
	Units   []string `json:"units,omitempty"`   // that the class may ask for
}

func policyExplain(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("policy explain", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	file := fs.String("policy", "", "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args, 1, 1000); err != nil {
		return err
	}
	for _, name := range fs.Args() {
		if !path.IsAbs(name) {
			return fmt.Errorf("%w: policy explain: %q is no path from the root: begin it with a slash (`ctxagent policy show` has the units)", errUsage, name)
		}
	}
	root, _, err := openRoot(*rootDir)
	if err != nil {
		return &exitError{2, err}
	}
	defer root.Close()
	p, err := policyFor(root, *file)
	if err != nil {
		return &exitError{2, err}
	}
	all := []explained{}
	for _, name := range fs.Args() {
		all = append(all, explainPath(p.Explain(name)))
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(all)
	}
	for _, e := range all {
		if err := e.page(stdout); err != nil {
			return err
		}
	}
	return nil
}

func explainPath(e policy.Explanation) explained {
	out := explained{Path: e.Path, Class: e.Class, Units: e.Units, Allowed: e.Rule != nil}
	switch {
	case e.Always != "":
		out.Why = "refused whatever the policy says: " + e.Always
	case e.Rule == nil && e.DirectoryFor != "":
		out.Allowed, out.Class, out.Content = true, e.DirectoryFor, "as a directory only, on the way to a path of the class"
	case e.Rule == nil:
		out.Why = "no rule of the policy covers it"
	default:
		out.Rule, out.Content = e.Rule.Path, content(e.Rule)
	}
	return out
}

// content says in words what a rule lets a file be.
func content(r *policy.PathRule) string {
	var parts []string
	if r.Grammar != "" {
		parts = append(parts, "content by the grammar "+r.Grammar)
	} else {
		parts = append(parts, "any content")
	}
	if len(r.Allow) > 0 {
		parts = append(parts, "and the directives "+strings.Join(r.Allow, " "))
	}
	if r.MaxBytes > 0 {
		parts = append(parts, fmt.Sprintf("at most %d bytes", int64(r.MaxBytes)))
	}
	if r.Exec {
		parts = append(parts, "may be executable")
	}
	return strings.Join(append(parts, "owner "+strings.Join(append([]string{"root"}, r.Owners...), " or ")), ", ")
}

func (e explained) page(w io.Writer) error {
	if e.Why != "" {
		_, err := fmt.Fprintf(w, "%q: refused\n  why      %s\n", e.Path, e.Why)
		return err
	}
	_, err := fmt.Fprintf(w, "%q: allowed\n  class    %s\n", e.Path, e.Class)
	if err == nil && e.Rule != "" {
		_, err = fmt.Fprintf(w, "  rule     %s\n", e.Rule)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "  what     %s\n", e.Content)
	}
	if err == nil && len(e.Units) > 0 {
		_, err = fmt.Fprintf(w, "  units    %s\n", strings.Join(e.Units, " "))
	}
	return err
}

func policyDiff(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("policy diff", flag.ContinueOnError)
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args, 2, 2); err != nil {
		return err
	}
	var texts [2][]byte
	for i := range texts {
		var err error
		if texts[i], err = validPolicy(fs.Arg(i)); err != nil {
			return &exitError{2, err}
		}
	}
	list, err := policy.Diff(texts[0], texts[1])
	if err != nil {
		return &exitError{2, err}
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(append([]policy.Difference{}, list...))
	}
	for _, d := range list {
		if _, err := fmt.Fprintln(stdout, d); err != nil {
			return err
		}
	}
	return nil
}

func policySchema(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("policy schema", flag.ContinueOnError)
	if err := parse(fs, args, 0, 0); err != nil {
		return err
	}
	b, err := policy.Schema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s\n", b)
	return err
}
