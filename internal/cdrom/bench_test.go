// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkPayload reads a disc of 200 MiB into memory, and has bsdtar do so, in
// turn: the medians' ratio. The promise is 0.8.
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
	var ours, theirs []time.Duration
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
		theirs = append(theirs, timed(func() error { return exec.Command("bsdtar", "-xf", image, "-C", into).Run() }))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	b.ReportMetric(float64(ours[len(ours)/2].Milliseconds()), "ctxagent-ms")
	b.ReportMetric(float64(theirs[len(theirs)/2].Milliseconds()), "bsdtar-ms")
	b.ReportMetric(theirs[len(theirs)/2].Seconds()/ours[len(ours)/2].Seconds(), "x-bsdtar")
	b.ReportMetric(0, "ns/op")
}
