// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/netwait"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// rehearsedNetwork stands for the guest's in a rehearsal (RFC 5737 addresses):
// nobody at a desk knows what the guest's will be.
var rehearsedNetwork = report.Network{Interface: "eth0", Index: 2, Operstate: "up", Address: "198.51.100.7/24", Gateway: "198.51.100.1"}

// check is `ctxagent check`: both stages against a root, nothing applied.
func check(ctx context.Context, args []string, stdout io.Writer) (err error) {
	fs := flag.NewFlagSet("check", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	policyPath := fs.String("policy", "", "")
	asJSON := fs.Bool("json", false, "")
	sarifFile := fs.String("sarif", "", "")
	lintOnly := fs.Bool("lint", false, "")
	network := fs.Bool("network", false, "")
	var media list
	fs.Var(&media, "media", "")
	if err := parse(fs, args, 0, 1); err != nil {
		return err
	}
	if fs.NArg() == 1 {
		media = append(media, fs.Arg(0))
	}
	if len(media) == 0 {
		return fmt.Errorf("%w: check: which disc or directory?", errUsage)
	}
	dir, release, err := rootOf(ctx, *rootDir)
	if err != nil {
		return &exitError{2, err}
	}
	defer func() { err = errors.Join(err, release()) }() // after the root is closed
	root, path, err := openRoot(dir)
	if err != nil {
		return &exitError{2, err}
	}
	defer root.Close()
	p, err := policyFor(root, *policyPath)
	if err != nil {
		return &exitError{2, err}
	}
	if !*asJSON && !*lintOnly {
		if _, err := fmt.Fprintf(stdout, "rehearsal against the root %s, with the policy %s (digest %.16s…); nothing is applied\n", path, p.Name(), p.Digest()); err != nil {
			return err
		}
	}
	m := &stages.Machine{Root: root, RootPath: path, Policy: p, Rehearse: true}
	if *network {
		m.Local = netwait.Local
	}
	seen := &observed{lintOnly: *lintOnly}
	receipts, err := rehearse(ctx, m, media, seen)
	if err != nil {
		return err
	}
	if *sarifFile != "" {
		if err := seen.writeSARIF(*sarifFile, media, receipts); err != nil {
			return err
		}
	}
	return seen.print(stdout, receipts, *asJSON)
}

// policyFor is the policy of a file, or the root's own.
func policyFor(root *os.Root, file string) (*policy.Policy, error) {
	if file == "" {
		p, _, err := loadPolicy(root)
		return p, err
	}
	b, err := readPolicy(os.Open(file))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return policy.Parse(file, b)
}

// rehearse reads the disc and runs both stages as a guest would.
func rehearse(ctx context.Context, m *stages.Machine, media []string, seen *observed) (_ []*report.Receipt, err error) {
	p := m.Policy
	scratch, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	for _, d := range []string{"files", "work"} {
		if err := os.Mkdir(filepath.Join(scratch, d), 0o700); err != nil {
			return nil, err
		}
	}
	files, err := os.OpenRoot(filepath.Join(scratch, "files"))
	if err != nil {
		return nil, err
	}
	defer files.Close()
	began := time.Now()
	first := newReceipt(stages.Prolog, p)
	first.Rehearsal = true
	finder := newFinder(p, media, 0)
	verifySigned(&finder, p, m.Root)
	d, err := finder.Find(ctx, files)
	if err != nil {
		endMedia(first, err)
		first.Durations["total"] = time.Since(began).Milliseconds()
		first.Clock.EndedMonotonic = stages.Monotonic()
		return []*report.Receipt{first}, nil
	}
	if err := seen.lint(files.FS(), p, d); err != nil {
		return nil, err
	}
	if seen.lintOnly {
		return nil, nil
	}
	j, err := journal.Read(m.Root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	m.Work, m.Journal, m.ID, m.Show = filepath.Join(scratch, "work"), j, machineID(m.Root), seen.change
	c := stages.Context{Disc: discReport(d), Dir: filepath.Join(scratch, "files"), Script: d.Script}
	var out []*report.Receipt
	for _, stage := range []string{stages.Prolog, stages.Epilog} {
		began := time.Now()
		r := newReceipt(stage, p)
		r.Rehearsal, r.Disc = true, &c.Disc
		if stage == stages.Epilog {
			r.Network = &rehearsedNetwork
		}
		m.Run(ctx, c, r)
		r.Durations["total"] = time.Since(began).Milliseconds()
		r.Clock.EndedMonotonic = stages.Monotonic()
		out = append(out, r)
		if r.ExitCode != 0 {
			break // as in a guest: a failed prolog means no epilog
		}
	}
	return out, nil
}

// scratchDir makes a directory for root alone, in memory where it can.
func scratchDir() (string, error) {
	if dir, err := os.MkdirTemp("/run", "ctxagent-check-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "ctxagent-check-")
}

// printReceipts shows receipts to a person or a program; the first bad one is
// the exit status if asked for. Waiting, if set, tells what a stage waits for.
func printReceipts(w io.Writer, receipts []*report.Receipt, waiting string, asJSON, fail bool) error {
	status := 0
	all := map[string]any{}
	if waiting != "" {
		all["waiting"] = waiting
	}
	for _, r := range receipts {
		if r.ExitCode != 0 && status == 0 {
			status = r.ExitCode
		}
		b, err := r.Marshal()
		if err != nil {
			return err
		}
		all[r.Stage] = json.RawMessage(b)
		if !asJSON {
			if err := r.Page(w); err != nil {
				return err
			}
		}
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(all); err != nil {
			return err
		}
	}
	if fail && status != 0 {
		return &exitError{status: status}
	}
	return nil
}
