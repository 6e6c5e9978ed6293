// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/cdrom"
	"github.com/ctxagent/ctxagent/internal/lint"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/sarif"
	"github.com/ctxagent/ctxagent/internal/textdiff"
)

// observed is what check learns beside the receipts, which hold no contents: a
// desk may see them, a log may not.
type observed struct {
	lintOnly bool
	terminal io.Writer // where somebody waits; nil if nobody does
	Findings []lint.Finding
	Diffs    []fileDiff
}

// fileDiff is what a stage would make of one text file.
type fileDiff struct {
	Stage string   `json:"stage"`
	Path  string   `json:"path"`
	Lines []string `json:"lines"` // of a unified diff
}

// lint reads the disc's scripts, in files, before they are run.
func (o *observed) lint(files fs.FS, p *policy.Policy, d *cdrom.Disc) (err error) {
	dir := ""
	if d.Flavour == "directory" && d.Contract == "hepix" {
		dir = d.Device
	}
	o.Findings, err = lint.Disc(files, lint.Options{
		Dir:     dir,
		Refused: func(name string) string { return p.Explain(name).Always },
		Modes:   (d.Flavour == "directory" || d.Flavour == "rock ridge") && d.Contract == "hepix", // vendor data has none
	})
	return err
}

// patience tells who waits that a script still runs, once after a while. It ends
// with done.
func (o *observed) patience(script string, deadline, after time.Duration) (done func()) {
	if o.terminal == nil || script == "" {
		return func() {}
	}
	told := make(chan struct{})
	t := time.AfterFunc(after, func() {
		defer close(told)
		fmt.Fprintf(o.terminal, "%s still runs: limits.deadline is %v, Ctrl-C ends it\n", report.OneLine(script), deadline)
	})
	return func() {
		if !t.Stop() {
			<-told
		}
	}
}

// maxDiff is how long a file may be to be shown, in bytes.
const maxDiff = 64 << 10

// change keeps the diff of a text file that everybody may read, before and after:
// a key is nobody's to see.
func (o *observed) change(stage string, c policy.Change, before []byte) {
	if c.Type != policy.File || c.Op != policy.Create && c.Op != policy.Modify || c.Op == policy.Modify && before == nil {
		return
	}
	public := c.Attr.Mode&0o004 != 0 && (c.Before == nil || c.Before.Mode&0o004 != 0)
	if !public || c.Data == nil || len(c.Data) > maxDiff || len(before) > maxDiff || !textdiff.IsText(c.Data) || !textdiff.IsText(before) {
		return
	}
	name, _ := report.Name(c.Path)
	from := name
	if c.Op == policy.Create {
		from = "/dev/null"
	}
	if lines := textdiff.Unified(from, name, before, c.Data); len(lines) > 0 {
		o.Diffs = append(o.Diffs, fileDiff{stage, name, lines})
	}
}

// print shows findings, receipts and diffs; the first bad receipt is the exit
// status, as in a guest. Lint alone fails if a stage's script cannot be read.
func (o *observed) print(w io.Writer, receipts []*report.Receipt, asJSON bool) error {
	if asJSON {
		if err := o.printJSON(w, receipts); err != nil {
			return err
		}
	} else if err := o.page(w, receipts); err != nil {
		return err
	}
	for _, r := range receipts {
		if r.ExitCode != 0 {
			return &exitError{status: r.ExitCode}
		}
	}
	for _, f := range o.Findings {
		if o.lintOnly && f.Severity == lint.Error {
			return &exitError{status: 1}
		}
	}
	return nil
}

func (o *observed) printJSON(w io.Writer, receipts []*report.Receipt) error {
	all := map[string]any{"lint": append([]lint.Finding{}, o.Findings...)}
	if !o.lintOnly {
		all["diffs"] = append([]fileDiff{}, o.Diffs...)
	}
	return writeJSON(w, all, receipts)
}

func (o *observed) page(w io.Writer, receipts []*report.Receipt) error {
	var b strings.Builder
	for _, f := range o.Findings {
		fmt.Fprintf(&b, "%s: %s: %s [%s]\n", place(f), f.Severity, report.OneLine(f.Message), f.Rule)
	}
	if o.lintOnly && len(o.Findings) == 0 {
		b.WriteString("lint: nothing to say\n")
	}
	for _, r := range receipts {
		if err := r.Page(&b); err != nil {
			return err
		}
		for _, d := range o.Diffs {
			if d.Stage != r.Stage {
				continue
			}
			fmt.Fprintf(&b, "  diff\n")
			for _, l := range d.Lines {
				fmt.Fprintf(&b, "    %s\n", report.OneLine(strings.ReplaceAll(l, "\t", "    ")))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// place is PATH:LINE:COLUMN, as compilers write it.
func place(f lint.Finding) string {
	s := report.OneLine(f.Path)
	for _, n := range []int{f.Line, f.Column} {
		if n == 0 {
			break
		}
		s += ":" + strconv.Itoa(n)
	}
	return s
}

// writeSARIF writes findings and refusals for a continuous integration. Paths
// are those of the directory that was checked, or of the disc's tree.
func (o *observed) writeSARIF(file string, media []string, receipts []*report.Receipt) (err error) {
	top := ""
	if info, err := os.Stat(media[0]); err == nil && info.IsDir() {
		top = filepath.ToSlash(filepath.Clean(media[0]))
	}
	var results []sarif.Result
	for _, f := range o.Findings {
		results = append(results, sarif.Result{Rule: f.Rule, Level: string(f.Severity), Message: f.Message, Path: path.Join(top, f.Path), Line: f.Line, Column: f.Column})
	}
	for _, r := range receipts {
		script := ""
		if r.Script != nil {
			script = path.Join(top, r.Script.Path)
		}
		for _, x := range r.Refusals {
			results = append(results, sarif.Result{Rule: x.Rule, Level: "error", Message: x.String(), Path: script, Line: scriptLine(x.Reason)})
		}
		if r.ExitCode != 0 && len(r.Refusals) == 0 {
			results = append(results, sarif.Result{Rule: string(r.Outcome), Level: "error", Message: cmp.Or(r.Error, string(r.Outcome)), Path: script})
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return sarif.Write(f, sarif.Tool{Name: "ctxagent", Version: version(), URI: "https://github.com/ctxagent/ctxagent", Rules: lint.Rules}, results)
}

// namedLine is how a refusal names the line of the script behind it.
const namedLine = `\(line ([0-9]+) of .* names it\)`

func scriptLine(reason string) int {
	m := regexp.MustCompile(namedLine).FindStringSubmatch(reason)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // digits
	return n
}
