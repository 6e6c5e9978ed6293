// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// emptyProgram is the floor of every Go program: what a start costs at least.
const emptyProgram = "package main\n\nfunc main() {}\n"

// BenchmarkNoDisc is what a boot without a context disc pays for the agent: CPU
// time (user and system, medians), against the start of an empty Go program and
// of /bin/true in the same run. The promise is at most 10 ms.
func BenchmarkNoDisc(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(emptyProgram), 0o644); err != nil {
		b.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", empty, filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build the empty program: %v: %s", err, out)
	}
	var agent, floor, shell []time.Duration
	for b.Loop() {
		agent = append(agent, cpu(b, binary, "run", "prolog", "--root", dir))
		floor = append(floor, cpu(b, empty))
		shell = append(shell, cpu(b, "/bin/true"))
	}
	b.ReportMetric(milliseconds(agent), "agent-cpu-ms")
	b.ReportMetric(milliseconds(floor), "empty-go-cpu-ms")
	b.ReportMetric(milliseconds(shell), "true-cpu-ms")
	b.ReportMetric(milliseconds(agent)/milliseconds(floor), "x-empty-go")
	b.ReportMetric(0, "ns/op") // wall time of three programs says nothing
}

// BenchmarkStage is one whole stage whose script is ":", in wall time, against
// the shell alone in the same run.
func BenchmarkStage(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("confinement needs root")
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prolog.sh"), []byte("#!/bin/sh\n:\n"), 0o755); err != nil {
		b.Fatal(err)
	}
	var stage, shell []time.Duration
	for b.Loop() {
		began := time.Now()
		cpu(b, binary, "check", dir)
		stage = append(stage, time.Since(began))
		began = time.Now()
		cpu(b, "/bin/sh", "-c", ":")
		shell = append(shell, time.Since(began))
	}
	b.ReportMetric(milliseconds(stage), "stage-ms")
	b.ReportMetric(milliseconds(shell), "sh-ms")
	b.ReportMetric(0, "ns/op")
}

// cpu runs a program to its end and returns its user and system time.
func cpu(b *testing.B, program string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command(program, args...)
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s %q: %v", program, args, err)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// milliseconds is the median.
func milliseconds(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}
