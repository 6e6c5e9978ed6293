// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/manifest"
	"github.com/ctxagent/ctxagent/internal/report"
)

// verify is `ctxagent verify`: is the root what was sealed, but for what the
// context did and what may change?
func verify(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	fs := flag.NewFlagSet("verify", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	file := fs.String("manifest", "", "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args, 0, 0); err != nil {
		return err
	}
	root, abs, err := openWhole(*rootDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, name, err := openManifest(root, abs, *file)
	if err != nil {
		return &exitError{2, err}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := &verdicts{w: stdout, asJSON: *asJSON, Manifest: name}
	if err := out.compare(ctx, root, abs, f, stderr); err != nil {
		return err
	}
	if n := out.Counts[unexplained]; n > 0 {
		return &exitError{1, fmt.Errorf("%d differences are not explained: the image was altered", n)}
	}
	return nil
}

// openManifest opens what a root is compared with. A file that is named is a copy
// that somebody keeps elsewhere: it need not trust the machine's.
func openManifest(root *os.Root, abs, file string) (f *os.File, name string, err error) {
	if name = file; file != "" {
		f, err = os.Open(file)
	} else {
		name = filepath.Join(abs, manifestFile)
		f, err = root.Open(manifestFile)
	}
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("there is no manifest %s: the image builder makes it with `ctxagent seal`", name)
	}
	return f, name, err
}

// verdict is one difference and what explains it.
type verdict struct {
	Path       string   `json:"path"`
	PathQuoted bool     `json:"path_quoted,omitempty"`
	Op         string   `json:"op"` // created, modified or deleted
	What       []string `json:"what"`
	Explained  string   `json:"explained"` // by "context", "mutable" or "no"
	By         string   `json:"by,omitempty"`
}

// verdicts prints each one as it comes: memory does not grow with them. The
// fields are what the JSON says behind them.
type verdicts struct {
	w      io.Writer
	asJSON bool
	sep    string

	Manifest    string         `json:"manifest"`
	SHA256      string         `json:"sha256"` // of the manifest
	Paths       int64          `json:"paths"`
	NotLookedAt []string       `json:"not_looked_at"`
	Counts      map[string]int `json:"counts"`
}

// compare goes through manifest and root.
func (o *verdicts) compare(ctx context.Context, root *os.Root, abs string, f *os.File, stderr io.Writer) error {
	digest := sha256.New()
	m, err := manifest.NewReader(io.TeeReader(f, digest))
	if err != nil {
		return &exitError{2, fmt.Errorf("manifest %s: %w", o.Manifest, err)}
	}
	j, err := journal.Read(root)
	if err != nil {
		return err
	}
	x := newExplainer(j.Record(), m.Header.Mutable)
	if err := j.Close(); err != nil {
		return err
	}
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	options := walkOptions(m.Header, abs, o.Manifest)
	options.Progress = &manifest.Progress{}
	defer showProgress(options.Progress, stderr)()
	w := manifest.Start(ctx, top, options)
	defer w.Close()
	o.Counts = map[string]int{byContext: 0, byPolicy: 0, unexplained: 0}
	err = manifest.Compare(m, w, func(d manifest.Difference) error { return o.tell(d, x.explain(d)) })
	if damaged, ok := errors.AsType[*manifest.DamagedError](err); ok {
		return &exitError{2, fmt.Errorf("manifest %s: %w", o.Manifest, damaged)}
	}
	if err != nil {
		return err
	}
	o.SHA256, o.Paths, o.NotLookedAt = hex.EncodeToString(digest.Sum(nil)), options.Progress.Paths.Load(), append([]string{}, w.Mounts...)
	return o.end()
}

// tell prints one difference. For people, what may change is only counted.
func (o *verdicts) tell(d manifest.Difference, why explanation) error {
	o.Counts[why.kind]++
	v := verdict{Op: "modified", What: d.What(), Explained: why.kind, By: why.by}
	v.Path, v.PathQuoted = report.Name(d.Path)
	switch {
	case d.Sealed == nil:
		v.Op = "created"
	case d.Now == nil:
		v.Op = "deleted"
	}
	switch {
	case o.asJSON:
		b, err := json.Marshal(v)
		if err == nil {
			_, err = fmt.Fprintf(o.w, "%s\n  %s", o.begin(), b)
		}
		o.sep = ","
		return err
	case why.kind == byPolicy:
		return nil
	case why.kind == byContext:
		v.What = []string{why.by}
	}
	_, err := fmt.Fprintf(o.w, "%-11s  %-8s  %s: %s\n", map[string]string{byContext: "context", unexplained: "unexplained"}[why.kind], v.Op, v.Path, report.OneLine(strings.Join(v.What, "; ")))
	return err
}

// begin is what stands before the next difference in JSON.
func (o *verdicts) begin() string {
	if o.sep == "" {
		return `{"differences": [`
	}
	return o.sep
}

// end prints what there is to say of the whole.
func (o *verdicts) end() error {
	if o.asJSON {
		b, err := json.Marshal(o)
		if err == nil {
			if o.sep == "" {
				o.sep = o.begin()
			} else {
				o.sep = "\n"
			}
			_, err = fmt.Fprintf(o.w, "%s],\n%s\n", o.sep, b[1:])
		}
		return err
	}
	out := &printer{w: o.w}
	for _, m := range o.NotLookedAt {
		name, _ := report.Name(m)
		out.line("not looked at          %s: another file system", name)
	}
	out.line("%d paths against %s (sha256 %s): %d differences by the context, %d at paths that may change, %d unexplained",
		o.Paths, o.Manifest, o.SHA256, o.Counts[byContext], o.Counts[byPolicy], o.Counts[unexplained])
	return out.err
}
