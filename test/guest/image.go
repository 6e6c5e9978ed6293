// SPDX-License-Identifier: Apache-2.0

// Package guest boots real Debian guests in QEMU and brings back what they say.
//
// Its input is a payload of files, discs and a network with chosen doors; its output is
// the console, and the blocks that a report script inside the guest wrote. [BaseImage]
// builds the root file system once and caches it outside the repository; [Boot] runs one
// guest on a throw-away snapshot of it and ends with it. The guest reaches nothing but
// what [Network] names. It knows nothing of ctxagent but the names in its default report.
package guest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// ErrUnavailable says that this machine lacks a program that guests need.
var ErrUnavailable = errors.New("guests cannot run on this machine")

//go:embed build-image.sh
var buildScript []byte

// Image is a built base image. Guests never write to it.
type Image struct {
	Kernel  string // uncompressed ELF
	Root    string // ext4, raw
	Busybox string // static
}

// ErrNoSuite says that the package mirror of this machine has no such Debian suite.
var ErrNoSuite = errors.New("the package mirror has no such suite")

// noSuite is build-image.sh's exit status for that.
const noSuite = 3

// BaseImage returns the cached base image: Debian 12 with the services that the product
// contextualises.
func BaseImage(ctx context.Context, log io.Writer) (Image, error) {
	return SuiteImage(ctx, "bookworm", log)
}

// SuiteImage returns the cached image of a Debian suite by its code name; only bookworm's
// has more than a kernel, systemd and rsyslog. If there is none yet, it runs
// build-image.sh, whose output goes to log; that takes about a minute. Without QEMU, or
// without mmdebstrap to build an image that is not there, the error is [ErrUnavailable].
func SuiteImage(ctx context.Context, suite string, log io.Writer) (Image, error) {
	if _, err := exec.LookPath(qemu); err != nil {
		return Image{}, fmt.Errorf("find QEMU: %w: %w", ErrUnavailable, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Image{}, fmt.Errorf("find the cache directory: %w", err)
	}
	// The same name that the script gives itself when it is run by hand.
	dir := filepath.Join(cache, "ctxagent", fmt.Sprintf("guest-%.6x-%s", sha256.Sum256(buildScript), suite))
	if _, err := os.Stat(filepath.Join(dir, "stamp")); err != nil {
		if err := build(ctx, dir, suite, log); err != nil {
			return Image{}, err
		}
	}
	return Image{
		Kernel:  filepath.Join(dir, "vmlinux"),
		Root:    filepath.Join(dir, "root.ext4"),
		Busybox: filepath.Join(dir, "busybox"),
	}, nil
}

// build runs the embedded script, so that a test binary needs no source tree.
func build(ctx context.Context, dir, suite string, log io.Writer) (err error) {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("find mmdebstrap: %w: %w", ErrUnavailable, err)
	}
	work, err := os.MkdirTemp("", "ctxtest-build-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	// In unshare mode another user id reads the script.
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	script := filepath.Join(work, "build-image.sh")
	if err := os.WriteFile(script, buildScript, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "bash", script, dir, suite)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own, so that the end reaches all that the script started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == noSuite {
		return fmt.Errorf("build guest image of %s: %w", suite, ErrNoSuite)
	}
	if err != nil {
		return fmt.Errorf("build guest image %q: %w", dir, err)
	}
	return nil
}
