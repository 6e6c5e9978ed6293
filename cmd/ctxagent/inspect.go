// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/ctxagent/ctxagent/internal/cdrom"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/signature"
)

// What inspect reads at most: what a guest with the default policy does, or as
// many bytes as the disc has. That is enough for every disc but one that is
// compressed, or that lies.
const (
	inspectBytes = 128 << 20
	inspectFiles = 10_000
)

// inspected is what `ctxagent inspect --json` prints.
type inspected struct {
	Device   string  `json:"device"`
	Label    string  `json:"label"`
	Flavour  string  `json:"flavour"`
	Contract string  `json:"contract"` // what makes it a context disc; "" if nothing does
	Digest   string  `json:"digest"`
	Signer   string  `json:"signer,omitempty"`   // with --signers: who signed its manifest
	Key      string  `json:"key,omitempty"`      // without: the fingerprint of the key that did, whoever trusts it
	Unsigned string  `json:"unsigned,omitempty"` // or why a guest would not take it for signed
	Unusable string  `json:"unusable,omitempty"` // why a guest would not use it
	Entries  []entry `json:"entries"`            // sorted by path

	Scripts   map[string]string `json:"scripts"`   // by stage
	Variables []variable        `json:"variables"` // of context.sh
	Warnings  []string          `json:"warnings,omitempty"`
}

// entry is one file, directory or symlink. Mode is in octal, as in a receipt.
type entry struct {
	Path       string `json:"path"`
	PathQuoted bool   `json:"path_quoted,omitempty"`
	Type       string `json:"type"` // "file", "directory" or "symlink"
	Mode       string `json:"mode"`
	Size       int64  `json:"size"` // bytes of a file
	SHA256     string `json:"sha256,omitempty"`
	Target     string `json:"target,omitempty"`
}

// inspect is `ctxagent inspect`: what a guest reads on a disc, which need not be
// a context disc. It writes nothing and needs no privilege.
func inspect(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("inspect", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	manifest := flags.Bool("manifest", false, "")
	signers := flags.String("signers", "", "")
	values := flags.Bool("show-values", false, "")
	if err := parse(flags, args, 1, 1); err != nil {
		return err
	}
	f := cdrom.Finder{MaxBytes: inspectBytes, MaxFiles: inspectFiles, AllowUnsigned: true, Verify: signature.SignedBy}
	if info, err := os.Stat(flags.Arg(0)); err == nil {
		f.MaxBytes = max(f.MaxBytes, info.Size())
		if !info.Mode().IsRegular() { // a directory, or a device, whose size no stat tells
			f.MaxBytes = 8 << 30 // no policy allows more
		}
	}
	if *signers != "" {
		f.Verify = verifier(*signers, func() (*os.File, error) { return os.Open(*signers) })
	}
	d, err := f.Inspect(flags.Arg(0))
	if err != nil {
		return &exitError{report.Unusable.ExitCode(), err}
	}
	found := describe(d)
	found.readContext(d, *values)
	if *signers == "" { // a key that a disc brings along is trusted by nobody
		found.Signer, found.Key = "", d.Signer
		if e, ok := errors.AsType[*cdrom.ManifestError](d.Unsigned); ok && e.Rule == "manifest-unsigned" {
			found.Unsigned = ""
		}
	}
	if *manifest {
		if found.Unusable != "" {
			return &exitError{report.Unusable.ExitCode(), d.Usable()}
		}
		_, err := io.WriteString(stdout, d.Manifest())
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(found)
	}
	return found.page(stdout)
}

func describe(d *cdrom.Disc) inspected {
	out := inspected{Device: d.Device, Label: d.Label, Flavour: d.Flavour, Contract: d.Contract, Digest: d.Digest, Entries: []entry{}}
	if err := d.Usable(); err != nil {
		out.Unusable = err.Error()
	}
	out.Signer = d.Signer
	if d.Unsigned != nil {
		out.Unsigned = d.Unsigned.Error()
	}
	for _, f := range d.Files {
		e := entry{Type: "file", Mode: fmt.Sprintf("%04o", f.Mode), Size: f.Size, SHA256: f.SHA256}
		e.Path, e.PathQuoted = report.Name(f.Path)
		e.Target, _ = report.Name(f.Target)
		switch f.Type {
		case fs.ModeDir:
			e.Type = "directory"
		case fs.ModeSymlink:
			e.Type = "symlink"
		}
		out.Entries = append(out.Entries, e)
	}
	return out
}

// page shows the disc to a person. Names are quoted: they are the disc's, and
// may hold what acts on a terminal.
func (d inspected) page(w io.Writer) error {
	contract := "no context disc"
	if d.Contract != "" {
		contract = "a context disc by the contract " + d.Contract
	}
	_, err := fmt.Fprintf(w, "%s disc %q labelled %q, %d entries: %s\ndigest %s\n%s", d.Flavour, d.Device, d.Label, len(d.Entries), contract, d.Digest, d.summary())
	for _, e := range d.Entries {
		if err != nil {
			return err
		}
		switch e.Type {
		case "file":
			_, err = fmt.Fprintf(w, "  %s %12d  %.12s…  %q\n", e.Mode, e.Size, e.SHA256, e.Path)
		case "symlink":
			_, err = fmt.Fprintf(w, "  %s %12s  %13s  %q -> %q\n", e.Mode, "symlink", "", e.Path, e.Target)
		default:
			_, err = fmt.Fprintf(w, "  %s %12s  %13s  %q\n", e.Mode, e.Type, "", e.Path)
		}
	}
	if err == nil && d.Signer != "" {
		_, err = fmt.Fprintf(w, "signed by %q\n", d.Signer)
	}
	if err == nil && d.Key != "" {
		_, err = fmt.Fprintf(w, "signed by the key %s; --signers says whether it is trusted\n", d.Key)
	}
	if err == nil && d.Unsigned != "" {
		_, err = fmt.Fprintf(w, "a guest that requires a signature would refuse it: %s\n", d.Unsigned)
	}
	if err == nil && d.Unusable != "" {
		_, err = fmt.Fprintf(w, "a guest would not use it: %s\n", d.Unusable)
	}
	return err
}
