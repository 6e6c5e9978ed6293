// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/dist"
	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/manifest"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/report"
)

// manifestFile is where a sealed image has its manifest: in /usr/lib, with what the
// image's vendor says once and nobody edits. /usr is also what an image keeps
// read-only, if it does so at all.
const manifestFile = "usr/lib/ctxagent/manifest.mtree"

// unsealed are the directories that the kernel and the boot fill.
var unsealed = []string{"/dev", "/proc", "/run", "/sys"}

// seal is `ctxagent seal`: a manifest of the root, for the image builder to leave
// in the image.
func seal(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	fs := flag.NewFlagSet("seal", flag.ContinueOnError)
	rootDir := fs.String("root", "/", "")
	out := fs.String("o", "", "")
	var with list
	fs.Var(&with, "with", "")
	if err := parse(fs, args, 0, 0); err != nil {
		return err
	}
	root, abs, err := openWhole(*rootDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := pristine(root); err != nil {
		return err
	}
	h := manifest.Header{With: with}
	if h.Mutable, err = mutablePaths(root); err != nil {
		return &exitError{2, err}
	}
	for _, p := range with {
		if path.Clean("/"+p) != p {
			return fmt.Errorf("%w: seal: --with takes the absolute path of a mount point inside the root", errUsage)
		}
	}
	dir, name, err := manifestPlace(root, *out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	n, sum, err := writeManifest(ctx, dir, name, root, walkOptions(h, abs, *out), h, stderr)
	if err != nil {
		return fmt.Errorf("seal %s: %w", abs, err)
	}
	_, err = fmt.Fprintf(stdout, "%s: %d paths, sha256 %s\n", filepath.Join(dir.Name(), name), n, sum)
	return err
}

// openWhole opens a root of which every file is going to be read.
func openWhole(dir string) (*os.Root, string, error) {
	if os.Geteuid() != 0 {
		return nil, "", &exitError{report.Unsupported.ExitCode(), errors.New("run it as root: it reads every file")}
	}
	root, abs, err := openRoot(dir)
	if err != nil {
		return nil, "", &exitError{2, err}
	}
	return root, abs, nil
}

// pristine refuses a root with a context in it: what is sealed is the image.
func pristine(root *os.Root) error {
	j, err := journal.Read(root)
	if err != nil {
		return err
	}
	rec := j.Record()
	if err := j.Close(); err != nil {
		return err
	}
	if rec.Context == (journal.Context{}) && len(rec.Entries) == 0 && len(rec.Enabled) > 0 {
		return fmt.Errorf("seal: a former context's enabling of %s could not be undone: `ctxagent revert` says why", rec.Enabled[0].Unit)
	}
	if len(rec.Entries)+len(rec.Enabled) > 0 {
		return fmt.Errorf("seal: a context is applied to this root, and would be sealed as if it were the image's: `ctxagent revert` first")
	}
	return nil
}

// mutablePaths are those of the root's policy, or of the default one where that
// says nothing of them.
func mutablePaths(root *os.Root) ([]string, error) {
	p, _, err := loadPolicy(root)
	if err == nil && p.Mutable == nil {
		p, err = policy.Parse("compiled into the agent", dist.Policy)
	}
	if err != nil {
		return nil, err
	}
	return p.Mutable, nil
}

// walkOptions are what seal and verify have in common. The manifest itself is left
// out, and so is the agent's own state, which the journal has to vouch for.
func walkOptions(h manifest.Header, root, file string) manifest.Options {
	o := manifest.Options{Ignore: unsealed, With: h.With, Skip: []string{"/" + keepDir, "/" + manifestFile, "/" + manifestFile + ".new"}}
	abs, err := filepath.Abs(file)
	if file == "" || err != nil {
		return o
	}
	if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
		o.Skip = append(o.Skip, "/"+rel, "/"+rel+".new")
	}
	return o
}

// manifestPlace is the directory that a manifest goes to, and its name there. The
// root's own is made first: it is part of what is sealed.
func manifestPlace(root *os.Root, out string) (*os.Root, string, error) {
	if out != "" {
		dir, err := os.OpenRoot(filepath.Dir(out))
		return dir, filepath.Base(out), err
	}
	dir, name := path.Split(manifestFile)
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	place, err := root.OpenRoot(dir)
	return place, name, err
}

// writeManifest writes a manifest whole or not at all. It is for root alone: the
// digest of a short secret tells what it is to who can guess.
func writeManifest(ctx context.Context, dir *os.Root, name string, root *os.Root, o manifest.Options, h manifest.Header, stderr io.Writer) (n int, sum string, err error) {
	if err := dir.RemoveAll(name + ".new"); err != nil {
		return 0, "", err
	}
	f, err := dir.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, dir.Remove(name+".new"))
		}
	}()
	top, err := root.Open(".")
	if err != nil {
		return 0, "", err
	}
	defer top.Close()
	o.Progress = &manifest.Progress{}
	defer showProgress(o.Progress, stderr)()
	digest := sha256.New()
	w := manifest.Start(ctx, top, o)
	defer w.Close()
	if n, err = manifest.Write(io.MultiWriter(f, digest), h, w); err != nil {
		return 0, "", err
	}
	if err := f.Sync(); err != nil {
		return 0, "", err
	}
	if err := dir.Rename(name+".new", name); err != nil {
		return 0, "", err
	}
	return n, hex.EncodeToString(digest.Sum(nil)), syncDir(dir)
}

// syncDir makes a rename in a directory durable.
func syncDir(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// showProgress shows on a terminal how far a walk is, until stop is called.
func showProgress(p *manifest.Progress, stderr io.Writer) (stop func()) {
	f, ok := stderr.(*os.File)
	if !ok || !isTerminal(f) {
		return func() {}
	}
	began, quit, done := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				fmt.Fprint(f, "\r\x1b[K")
				return
			case <-tick.C:
				mib := float64(p.Bytes.Load()) / (1 << 20)
				fmt.Fprintf(f, "\r%d paths, %.0f MiB, %.0f MiB/s%s", p.Paths.Load(), mib, mib/time.Since(began).Seconds(), strings.Repeat(" ", 8))
			}
		}
	}()
	return func() { close(quit); <-done }
}
