// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ctxagent/ctxagent/internal/cdrom"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/signature"
)

// verifySigned has a finder look for a signature as the policy says, by the keys
// of the image. Where there are none, no signature is trusted.
func verifySigned(f *cdrom.Finder, p *policy.Policy, root *os.Root) {
	if p.Media.Signature == "off" {
		return
	}
	f.AllowUnsigned = p.Media.Signature == "warn"
	f.Verify = verifier("/"+signerFile, func() (*os.File, error) {
		signers, err := root.Open(signerFile)
		if errors.Is(err, os.ErrNotExist) {
			return os.Open(os.DevNull)
		}
		return signers, err
	})
}

// verifier verifies a signature by the keys in a file.
func verifier(name string, open func() (*os.File, error)) func(manifest, sig []byte) (string, error) {
	return func(manifest, sig []byte) (string, error) {
		trusted, err := signers(open())
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		return signature.Verify(manifest, sig, trusted, time.Now())
	}
}

// signers reads the keys in an opened file.
func signers(f *os.File, err error) ([]signature.Signer, error) {
	b, err := readPolicy(f, err)
	if err != nil {
		return nil, err
	}
	return signature.Signers(b)
}

// unsigned reports how a disc's signature is refused, if that is what err says.
func unsigned(err error) (report.Refusal, bool) {
	if e, ok := errors.AsType[*cdrom.ManifestError](err); ok {
		path, quoted := report.Name(e.Path)
		return report.Refusal{Path: path, PathQuoted: quoted, Rule: e.Rule, Reason: e.Error()}, true
	}
	if reason, ok := signature.IsReason(err); ok {
		return report.Refusal{Path: "manifest.sig", Rule: string(reason), Reason: err.Error()}, true
	}
	return report.Refusal{}, false
}
