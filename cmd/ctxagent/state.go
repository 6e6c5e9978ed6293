// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/cdrom"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
	"github.com/ctxagent/ctxagent/internal/stages"
)

// Where the agent keeps its own things inside a root. What is under /run is of
// this boot; the receipts in /var/lib outlive it.
const (
	runDir     = "run/ctxagent"
	discDir    = runDir + "/disc"       // mode 0700: the disc may hold keys
	filesDir   = discDir + "/files"     // its tree
	discFile   = discDir + "/disc.json" // what the epilog needs to know of it
	workDir    = runDir + "/work"       // mount point of the sandbox's workspace
	keepDir    = "var/lib/ctxagent"
	policyFile = "etc/ctxagent/policy.yaml"
	signerFile = "etc/ctxagent/allowed_signers"
)

// openRoot opens the root to act on, as an absolute path too.
func openRoot(dir string) (*os.Root, string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, "", err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, "", err
	}
	root, err := os.OpenRoot(abs)
	return root, abs, err
}

// loadPolicy reads the image's policy, or the default one where it has none.
// There is no third way: an unreadable policy is an error.
func loadPolicy(root *os.Root) (*policy.Policy, []byte, error) {
	b, err := readPolicy(root.Open(policyFile))
	if errors.Is(err, os.ErrNotExist) {
		p, err := policy.Parse("compiled into the agent", dist.Policy)
		return p, dist.Policy, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("policy /%s: %w", policyFile, err)
	}
	p, err := policy.Parse("/"+policyFile, b)
	return p, b, err
}

// readPolicy reads an opened policy file of at most 1 MiB.
func readPolicy(f *os.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 1 << 20
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(b) > most {
		err = errors.New("longer than 1 MiB")
	}
	return b, err
}

// lockStage keeps a second stage from running at the same time. The lock goes
// with the process.
func lockStage(root *os.Root) (*os.File, error) {
	f, err := root.OpenFile(runDir+"/lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another stage is running: %w", os.NewSyscallError("flock", err)), f.Close())
	}
	return f, nil
}

// freshDirs empties what a stage starts with.
func freshDirs(root *os.Root, dirs ...string) error {
	for _, d := range dirs {
		if err := root.RemoveAll(d); err != nil {
			return err
		}
		if err := root.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// keepDisc notes what was read, for the epilog.
func keepDisc(root *os.Root, d *cdrom.Disc) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return root.WriteFile(discFile, b, 0o600)
}

// keptDisc is what the prolog read; nil if it found no disc.
func keptDisc(root *os.Root) (*cdrom.Disc, error) {
	b, err := root.ReadFile(discFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := new(cdrom.Disc)
	return d, json.Unmarshal(b, d)
}

// newReceipt begins the record of a stage.
func newReceipt(stage string, p *policy.Policy) *report.Receipt {
	r := &report.Receipt{Stage: stage, Durations: map[string]int64{}, Agent: report.Agent{Version: version()}}
	if p != nil {
		r.Agent.PolicyDigest = p.Digest()
	}
	r.Clock = report.Clock{BootID: bootID(), Started: now(), StartedMonotonic: stages.Monotonic()}
	return r
}

// bootID is the kernel's name of this boot (random(4)).
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // empty where there is no /proc
	return strings.TrimSpace(string(b))
}

// version is that of the module, as the Go command recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

// discReport is what a receipt says of a disc.
func discReport(d *cdrom.Disc) report.Disc {
	return report.Disc{Device: d.Device, Label: d.Label, Flavour: d.Flavour, Contract: d.Contract, Digest: d.Digest, Signer: d.Signer}
}
