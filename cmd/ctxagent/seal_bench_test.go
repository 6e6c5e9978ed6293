// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hashAll is the floor: the digests of all files, with every CPU, and nothing else.
const hashAll = `find . -xdev -type f -print0 | xargs -0 -n 100 -P "$(nproc)" sha256sum >/dev/null`

// BenchmarkSeal seals /usr/share, many small files, and /usr/bin, fewer and larger
// ones, from the disk and from memory, against hashAll in the same run.
func BenchmarkSeal(b *testing.B) {
	needRoot(b)
	for _, dir := range []string{"/usr/share", "/usr/bin"} {
		for _, cache := range []string{"cold", "warm"} {
			b.Run(filepath.Base(dir)+", "+cache, func(b *testing.B) { benchSeal(b, dir, cache == "cold") })
		}
	}
}

func benchSeal(b *testing.B, dir string, cold bool) {
	out := filepath.Join(b.TempDir(), "manifest.mtree")
	took := func(name string, args ...string) time.Duration {
		if cold {
			unix.Sync()
			if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
				b.Fatal(err)
			}
		}
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		began := time.Now()
		if text, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v: %s", name, err, text)
		}
		return time.Since(began)
	}
	took("sh", "-c", hashAll) // the first one warms
	var seal, verify, floor []time.Duration
	for b.Loop() {
		floor = append(floor, took("sh", "-c", hashAll))
		seal = append(seal, took(binary, "seal", "--root", dir, "-o", out))
		verify = append(verify, took(binary, "verify", "--root", dir, "--manifest", out))
	}
	b.ReportMetric(milliseconds(seal), "seal-ms")
	b.ReportMetric(milliseconds(verify), "verify-ms")
	b.ReportMetric(milliseconds(floor), "sha256sum-ms")
	b.ReportMetric(milliseconds(seal)/milliseconds(floor), "x-sha256sum")
	b.ReportMetric(0, "ns/op")
}
