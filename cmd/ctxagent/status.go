// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// status is `ctxagent status`: the receipts of this boot, or the kept ones.
func status(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("status", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args, 0, 0); err != nil {
		return err
	}
	root, _, err := openRoot(*rootDir)
	if err != nil {
		return &exitError{2, err}
	}
	defer root.Close()
	var receipts []*report.Receipt
	for _, stage := range []string{stages.Prolog, stages.Epilog} {
		r, err := report.Read(root, runDir, stage)
		if errors.Is(err, os.ErrNotExist) {
			r, err = report.Read(root, keepDir, stage)
		}
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !*asJSON && r.Clock.BootID != bootID() {
			if _, err := fmt.Fprintf(stdout, "(%s of an earlier boot, %s)\n", stage, r.Clock.Started); err != nil {
				return err
			}
		}
		receipts = append(receipts, r)
	}
	now, err := waitingNow(root)
	if err != nil {
		return err
	}
	if len(receipts) == 0 && now == "" {
		return fmt.Errorf("no stage has run in %s: is ctxagent-prolog.service enabled?", *rootDir)
	}
	if err := printReceipts(stdout, receipts, now, *asJSON, false); err != nil || now == "" || *asJSON {
		return err
	}
	_, err = fmt.Fprintf(stdout, "epilog: waiting for the network: %s\n", now)
	return err
}

// policyCommand is `ctxagent policy show|lint`.
func policyCommand(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: policy: show or lint?", errUsage)
	}
	fs := flag.NewFlagSet("policy "+args[0], flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	switch args[0] {
	case "show":
		if err := parse(fs, args[1:], 0, 0); err != nil {
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
	case "lint":
		if err := parse(fs, args[1:], 1, 1); err != nil {
			return err
		}
		b, err := readPolicy(os.Open(fs.Arg(0)))
		if err != nil {
			return &exitError{2, fmt.Errorf("policy: %w", err)}
		}
		if _, err := policy.Parse(fs.Arg(0), b); err != nil {
			return &exitError{2, err}
		}
		_, err = fmt.Fprintf(stdout, "%s: a valid policy\n", fs.Arg(0))
		return err
	}
	return fmt.Errorf("%w: policy: there is no %q: it is show or lint", errUsage, args[0])
}
