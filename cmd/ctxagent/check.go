// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
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

// rehearsedNetwork stands for the guest's in a rehearsal (RFC 5737 addresses, and a
// MAC that no vendor gives out): nobody at a desk knows what the guest's will be, and
// a script is to find what it finds there.
var rehearsedNetwork = report.Network{
	Interface: "eth0", Index: 2, MAC: "02:00:00:00:00:01", Operstate: "up",
	Address: "198.51.100.7/24", Addresses: []report.Address{{Address: "198.51.100.7/24", Scope: "global"}},
	Gateway: "198.51.100.1", Gateways: []string{"198.51.100.1"}, DNS: []string{"198.51.100.53"},
}

// checking is how `ctxagent check` was called.
type checking struct {
	root, policy, sarif     string
	json, lintOnly, network bool
	media                   list

	part   string         // of a disk image, the root
	mirror *stages.Mirror // in a user namespace
	cannot error          // why nothing can be confined
}

func parseCheck(args []string) (*checking, error) {
	c := &checking{}
	fs := flag.NewFlagSet("check", flag.ContinueOnError)
	fs.StringVar(&c.root, "root", "/", "")
	fs.StringVar(&c.policy, "policy", "", "")
	fs.BoolVar(&c.json, "json", false, "")
	fs.StringVar(&c.sarif, "sarif", "", "")
	fs.BoolVar(&c.lintOnly, "lint", false, "")
	fs.BoolVar(&c.network, "network", false, "")
	fs.Var(&c.media, "media", "")
	if err := parse(fs, args, 0, 1000); err != nil {
		return nil, err
	}
	if fs.NArg() > 1 {
		return nil, fmt.Errorf("%w: check takes one disc; to ask about several drives, give each by --media", errUsage)
	}
	if fs.NArg() == 1 {
		c.media = append(c.media, fs.Arg(0))
	}
	if len(c.media) == 0 {
		return nil, fmt.Errorf("%w: check: which disc or directory?", errUsage)
	}
	for _, m := range c.media {
		if _, err := os.Stat(m); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: check: there is no such file or directory: %q", errUsage, m)
		}
	}
	return c, nil
}

// check is `ctxagent check`: both stages against a root, nothing applied. Who is
// not root rehearses in a user namespace.
func check(ctx context.Context, args []string, stdout io.Writer) (err error) {
	c, err := parseCheck(args)
	if err != nil {
		return err
	}
	root, err := rootOf(ctx, c.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.release()) }() // after the root is closed
	c.part = root.part
	if os.Geteuid() != 0 && !c.lintOnly {
		status, why := checkUnprivileged(ctx, root.path, args)
		if status != 0 {
			return &exitError{status: status}
		}
		if why == nil {
			return nil
		}
		c.cannot = why
	}
	return c.against(ctx, root.path, stdout)
}

// against checks a disc against the root dir.
func (c *checking) against(ctx context.Context, dir string, stdout io.Writer) error {
	root, path, err := openRoot(dir)
	if err != nil {
		return &exitError{2, err}
	}
	defer root.Close()
	p, err := policyFor(root, c.policy)
	if err != nil {
		return &exitError{2, err}
	}
	m := &stages.Machine{Root: root, RootPath: path, Policy: p, Rehearse: true, Mirror: c.mirror, Cannot: c.cannot}
	if c.mirror != nil {
		path = c.mirror.Of
	}
	if c.part != "" { // where it is mounted tells nobody anything
		path = c.root + ", " + c.part
	}
	if !c.json && !c.lintOnly {
		if _, err := fmt.Fprintf(stdout, "rehearsal against the root %s, with the policy %s (digest %.16s…); nothing is applied\n", path, p.Name(), p.Digest()); err != nil {
			return err
		}
	}
	if c.network {
		m.Local = netwait.Local
	}
	seen := &observed{lintOnly: c.lintOnly}
	if f, ok := stdout.(*os.File); ok && !c.json && isTerminal(f) {
		seen.terminal = f
	}
	receipts, err := rehearse(ctx, m, c.media, seen)
	if err != nil {
		return err
	}
	if c.sarif != "" {
		if err := seen.writeSARIF(c.sarif, c.media, receipts); err != nil {
			return err
		}
	}
	return seen.print(stdout, receipts, c.json)
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
		done := seen.patience(stages.ScriptOf(d.Script, stage), time.Duration(p.Limits.Deadline), 10*time.Second)
		m.Run(ctx, c, r)
		done()
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
