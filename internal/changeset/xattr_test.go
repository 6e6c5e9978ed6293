// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// TestApplyKeepsXattrs: what the image attached to a file stays when its content
// is replaced.
func TestApplyKeepsXattrs(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "etc/default/slurmd")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("SLURMD_OPTIONS=\"-v\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(name, "trusted.ctxagent-test", []byte("kept"), 0); err != nil {
		t.Fatal(err)
	}
	before := policy.Attr{Mode: 0o644}
	content := []byte("SLURMD_OPTIONS=\"-vv\"\n")
	digest := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	p, err := policy.Parse("default", dist.Policy)
	if err != nil {
		t.Fatal(err)
	}
	approved, err := p.Check(policy.Proposal{Changes: []policy.Change{{
		Path: "/etc/default/slurmd", Op: policy.Modify, Type: policy.File, TypeBefore: policy.File, Attr: before, Before: &before,
		Size: int64(len(content)), Data: content, SHA256Before: digest([]byte("SLURMD_OPTIONS=\"-v\"\n")), SHA256After: digest(content),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}}}, policy.Accounts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(t, dir, approved); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 10)
	n, err := unix.Getxattr(name, "trusted.ctxagent-test", value)
	if err != nil || string(value[:n]) != "kept" {
		t.Errorf("the attribute is %q, %v; want it kept", value[:max(n, 0)], err)
	}
}
