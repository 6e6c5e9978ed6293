// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ctxagent/ctxagent/internal/doctor"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// doctorCommand is `ctxagent doctor`: is this image ready to be contextualised?
func doctorCommand(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	rootDir := flags.String("root", "/", "")
	asJSON := flags.Bool("json", false, "")
	if err := parse(flags, args, 0, 0); err != nil {
		return err
	}
	if info, err := os.Stat(*rootDir); err == nil && !info.IsDir() {
		return &exitError{2, fmt.Errorf("%s is a file, and doctor looks at directories: unpack the image, or mount it (guestmount --ro), and give the directory", *rootDir)}
	}
	root, path, err := openRoot(*rootDir)
	if err != nil {
		return &exitError{2, err}
	}
	defer root.Close()
	p, _, err := loadPolicy(root)
	if err != nil {
		return &exitError{2, err}
	}
	findings := append(doctor.Examine(root.FS(), p), doctor.Finding{Verdict: doctor.Good, Subject: "policy", Message: p.Name()})
	status := 0
	for _, f := range findings {
		if f.Verdict == doctor.Bad {
			status = 1
		}
	}
	tried := tryConfinement(ctx, root, path, p)
	if tried.Verdict == doctor.Bad {
		status = report.Unsupported.ExitCode()
	}
	findings = append(findings, tried)
	if err := printFindings(stdout, findings, *asJSON); err != nil {
		return err
	}
	if status != 0 {
		return &exitError{status: status}
	}
	return nil
}

// tryConfinement rehearses a script that does nothing: whether this kernel can
// confine is known only by doing it.
func tryConfinement(ctx context.Context, root *os.Root, path string, p *policy.Policy) doctor.Finding {
	f := doctor.Finding{Verdict: doctor.Bad, Subject: "confinement"}
	if os.Geteuid() != 0 {
		f.Verdict, f.Message = doctor.Doubtful, "not tried: run this as root, on the kernel that the image will have"
		return f
	}
	disc, err := os.MkdirTemp("", "ctxagent-doctor-")
	if err == nil {
		defer os.RemoveAll(disc)
		err = os.WriteFile(filepath.Join(disc, "prolog.sh"), []byte("#!/bin/sh\n:\n"), 0o700)
	}
	if err != nil {
		f.Message = err.Error()
		return f
	}
	receipts, err := rehearse(ctx, &stages.Machine{Root: root, RootPath: path, Policy: p, Rehearse: true}, []string{disc}, &observed{})
	switch {
	case err != nil:
		f.Message = err.Error()
	case receipts[0].Stage != stages.Prolog || receipts[0].ExitCode != 0:
		f.Message = receipts[0].Error
	default:
		f.Verdict, f.Message = doctor.Good, fmt.Sprintf("this kernel confines a script, in %d ms", receipts[0].Durations["confine"])
	}
	return f
}

func printFindings(w io.Writer, findings []doctor.Finding, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(findings)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%-4s  %-11s  %s\n", f.Verdict, f.Subject, report.OneLine(f.Message)); err != nil {
			return err
		}
	}
	return nil
}
