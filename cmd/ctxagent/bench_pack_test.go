// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/dist"
)

// BenchmarkPack is the whole command, with its reading back and comparing, against
// `xorriso -as mkisofs -R` of the same tree, which does neither: wall time (medians)
// and memory. The promise is 1.2 times xorriso's time, and 64 MiB.
func BenchmarkPack(b *testing.B) {
	for name, fill := range map[string]func(*testing.B, string){
		"1GiB": func(b *testing.B, dir string) { writeRandom(b, filepath.Join(dir, "payload"), 1<<30) },
		"5000files": func(b *testing.B, dir string) {
			for i := range 5000 {
				write(b, dir, map[string]string{fmt.Sprintf("d%02d/f%04d", i/100, i): strings.Repeat("x", i%4096)})
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			dir, out := b.TempDir(), filepath.Join(b.TempDir(), "out.iso")
			fill(b, dir)
			write(b, dir, map[string]string{"prolog.sh": goodScript})
			p := write(b, b.TempDir(), map[string]string{"policy.yaml": strings.Replace(string(dist.Policy), "max_bytes: 128MiB", "max_bytes: 2GiB", 1)})
			var agent, floor []time.Duration
			var memory int64
			for b.Loop() {
				took, kb := writeDisc(b, out, binary, "pack", "--policy", filepath.Join(p, "policy.yaml"), dir, "-o", out)
				agent, memory = append(agent, took), max(memory, kb)
				took, _ = writeDisc(b, out, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", out, dir)
				floor = append(floor, took)
			}
			b.ReportMetric(milliseconds(agent), "pack-ms")
			b.ReportMetric(milliseconds(floor), "xorriso-ms")
			b.ReportMetric(milliseconds(agent)/milliseconds(floor), "x-xorriso")
			b.ReportMetric(float64(memory)/1024, "MiB")
			b.ReportMetric(0, "ns/op") // of two programs
		})
	}
}

// writeDisc runs a program that writes out, and tells its wall time and memory.
func writeDisc(b *testing.B, out string, args ...string) (time.Duration, int64) {
	b.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	began := time.Now()
	text, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		b.Fatalf("%q: %v: %s", args, err, text)
	}
	if err := os.Remove(out); err != nil {
		b.Fatal(err)
	}
	return took, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
}

// writeRandom makes a file that no file system stores for less.
func writeRandom(b *testing.B, name string, size int64) {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), size); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
