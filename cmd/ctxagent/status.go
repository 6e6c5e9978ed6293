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
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// timelineWidth is how many columns a boot has; with what stands beside it that
// makes a line of 90.
const timelineWidth = 40

// status is `ctxagent status`: the receipts of this boot, or the kept ones. With
// --wait its exit status is that of the first stage that failed.
func status(ctx context.Context, args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("status", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	asJSON := fs.Bool("json", false, "")
	page := fs.String("html", "", "")
	wait := fs.Bool("wait", false, "")
	timeout := fs.Duration("timeout", 0, "")
	since := fs.String("since", "", "")
	if err := parse(fs, args, 0, 0); err != nil {
		return err
	}
	after, err := sinceWhen(*since, time.Now())
	if err != nil {
		return err
	}
	root, path, err := openRoot(*rootDir)
	if err != nil {
		return &exitError{2, err}
	}
	defer root.Close()
	if *wait {
		if *timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("%v passed", *timeout))
			defer cancel()
		}
		if err := waitForStages(ctx, path); err != nil {
			return err
		}
	}
	receipts, err := readReceipts(root, after)
	if err != nil {
		return err
	}
	now, err := waitingNow(root)
	if err != nil {
		return err
	}
	if len(receipts) == 0 && now == "" && *since != "" {
		return fmt.Errorf("no stage has run in %s since %s", *rootDir, after.Format(time.RFC3339))
	}
	if len(receipts) == 0 && now == "" {
		return fmt.Errorf("no stage has run in %s: is ctxagent-prolog.service enabled?", *rootDir)
	}
	switch {
	case *page != "":
		err = writePage(*page, receipts)
	case *asJSON:
		err = printJSON(stdout, receipts, now)
	default:
		err = printStatus(stdout, receipts, now)
	}
	if err != nil || !*wait {
		return err
	}
	return firstFailed(receipts)
}

// firstFailed is the exit status of the first stage that failed, which its receipt
// has told of.
func firstFailed(receipts []*report.Receipt) error {
	for _, r := range receipts {
		if r.ExitCode != 0 {
			return &exitError{status: r.ExitCode}
		}
	}
	return nil
}

// sinceWhen reads --since: a time, or how long ago.
func sinceWhen(value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(value); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, value, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: status: --since is %q; it has to be a time such as \"2026-11-22 10:00\", or how long ago, such as 2h", errUsage, value)
}

// readReceipts reads those of this boot, or else those that are kept.
func readReceipts(root *os.Root, after time.Time) ([]*report.Receipt, error) {
	var out []*report.Receipt
	for _, stage := range []string{stages.Prolog, stages.Epilog} {
		r, err := report.Read(root, runDir, stage)
		if errors.Is(err, os.ErrNotExist) {
			r, err = report.Read(root, keepDir, stage)
		}
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Clock.Started.Before(after) {
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

// printJSON shows the receipts to a program, and what a stage waits for, if one does.
func printJSON(w io.Writer, receipts []*report.Receipt, waiting string) error {
	all := map[string]any{}
	if waiting != "" {
		all["waiting"] = waiting
	}
	return writeJSON(w, all, receipts)
}

// writeJSON writes receipts, each by the name of its stage, beside what all has.
func writeJSON(w io.Writer, all map[string]any, receipts []*report.Receipt) error {
	for _, r := range receipts {
		b, err := r.Marshal()
		if err != nil {
			return err
		}
		all[r.Stage] = json.RawMessage(b)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(all)
}

// printStatus shows the receipts to a person: verdicts, and the boot to scale.
func printStatus(w io.Writer, receipts []*report.Receipt, waiting string) error {
	var b strings.Builder
	for _, r := range receipts {
		if r.Clock.BootID != bootID() {
			fmt.Fprintf(&b, "(%s of an earlier boot, %s)\n", r.Stage, r.Clock.Started)
		}
		if err := r.Page(&b); err != nil {
			return err
		}
	}
	if err := report.WriteTimeline(&b, report.Timeline(receipts), timelineWidth); err != nil {
		return err
	}
	if waiting != "" {
		fmt.Fprintf(&b, "epilog: waiting for the network: %s\n", waiting)
	}
	text := b.String()
	if coloured(w) {
		text = colour(text, receipts)
	}
	_, err := io.WriteString(w, text)
	return err
}

// coloured tells whether w is a terminal whose user has not asked for plain text
// (no-color.org).
func coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// colour marks verdicts and refusals. The text has no control characters of its
// own: names are escaped.
func colour(text string, receipts []*report.Receipt) string {
	const red, green, yellow, bold, off = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		mark := ""
		for _, r := range receipts {
			if strings.HasPrefix(line, r.Stage+": ") {
				mark = bold + green
				if r.ExitCode != 0 {
					mark = bold + red
				}
			}
		}
		switch {
		case strings.HasPrefix(line, "  refused") || strings.HasPrefix(line, "  why "):
			mark = red
		case strings.HasPrefix(line, "  note "):
			mark = yellow
		}
		if mark != "" {
			line = mark + line + off
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// writePage writes the receipts as a page, for root's eyes alone as they are.
func writePage(file string, receipts []*report.Receipt) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return report.HTML(f, receipts)
}
