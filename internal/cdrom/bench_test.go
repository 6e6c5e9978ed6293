// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkPayload reads a disc of 200 MiB into memory, with its SHA-256, and has
// bsdtar do so without, in turn: the medians' ratios to bsdtar (the promise is 0.8)
// and to bsdtar and sha256sum together. No reader that gives a digest is faster than
// SHA-256 alone, of bytes in memory, on one CPU: "sha256-ms".
func BenchmarkPayload(b *testing.B) {
	dir, err := os.MkdirTemp("/dev/shm", "ctxagent-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	tree, image := filepath.Join(dir, "tree"), filepath.Join(dir, "disc.iso")
	payload := make([]byte, 200<<20)
	rand.NewChaCha8([32]byte{}).Read(payload)
	if err := os.Mkdir(tree, 0o755); err != nil {
		b.Fatal(err)
	}
	for name, content := range map[string][]byte{"prolog.sh": []byte("#!/bin/sh\n"), "payload": payload} {
		if err := os.WriteFile(filepath.Join(tree, name), content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", image, tree).CombinedOutput(); err != nil {
		b.Fatalf("xorriso: %v: %s", err, out)
	}
	os.RemoveAll(tree)
	var ours, theirs, both, floor []time.Duration
	into := filepath.Join(dir, "into")
	timed := func(read func() error) time.Duration {
		if err := os.Mkdir(into, 0o755); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := read(); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		os.RemoveAll(into)
		return took
	}
	for b.Loop() {
		ours = append(ours, timed(func() error {
			root, err := os.OpenRoot(into)
			if err != nil {
				return err
			}
			defer root.Close()
			_, err = Finder{Named: []string{image}, MaxBytes: 1 << 30, MaxFiles: 100}.Find(b.Context(), root)
			return err
		}))
		extract := func() error { return exec.Command("bsdtar", "-xf", image, "-C", into).Run() }
		theirs = append(theirs, timed(extract))
		both = append(both, timed(func() error {
			return errors.Join(extract(), exec.Command("sha256sum", filepath.Join(into, "payload")).Run())
		}))
		began := time.Now()
		sha256.Sum256(payload)
		floor = append(floor, time.Since(began))
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2].Microseconds()) / 1000
	}
	b.ReportMetric(median(ours), "ctxagent-ms")
	b.ReportMetric(median(theirs), "bsdtar-ms")
	b.ReportMetric(median(floor), "sha256-ms")
	b.ReportMetric(median(theirs)/median(ours), "x-bsdtar")
	b.ReportMetric(median(both)/median(ours), "x-bsdtar-and-sha256sum")
	b.ReportMetric(0, "ns/op")
}
