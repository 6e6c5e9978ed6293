// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ctxagent/ctxagent/dist"
)

// emptyProgram is the floor of every Go program: what a start costs at least.
const emptyProgram = "package main\n\nfunc main() {}\n"

func buildEmpty(b *testing.B, dir string) (program string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(emptyProgram), 0o644); err != nil {
		b.Fatal(err)
	}
	program = filepath.Join(dir, "empty")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build the empty program: %v: %s", err, out)
	}
	return program
}

// BenchmarkNoDisc is what a boot without a context disc pays for the agent: CPU
// time (user and system, medians), against the start of an empty Go program and
// of /bin/true in the same run. The promise is at most 10 ms.
func BenchmarkNoDisc(b *testing.B) {
	dir := b.TempDir()
	empty := buildEmpty(b, dir)
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
// the shell alone in the same run. The agent and sandbox-init are two starts of a
// program: those of an empty one, one after the other, are the floor beside it.
func BenchmarkStage(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("confinement needs root")
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prolog.sh"), []byte("#!/bin/sh\n:\n"), 0o755); err != nil {
		b.Fatal(err)
	}
	empty := buildEmpty(b, b.TempDir())
	var stage, shell, starts []time.Duration
	for b.Loop() {
		began := time.Now()
		cpu(b, binary, "check", dir)
		stage = append(stage, time.Since(began))
		began = time.Now()
		cpu(b, "/bin/sh", "-c", ":")
		shell = append(shell, time.Since(began))
		began = time.Now()
		cpu(b, empty)
		cpu(b, empty)
		starts = append(starts, time.Since(began))
	}
	b.ReportMetric(milliseconds(stage), "stage-ms")
	b.ReportMetric(milliseconds(starts), "2-empty-go-ms")
	b.ReportMetric(milliseconds(shell), "sh-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkChanges is a stage that writes so many small files, each scanned,
// hashed and checked, against a plain shell that writes them to a tmpfs. The
// promise is that what the agent adds grows no faster than their number.
func BenchmarkChanges(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("confinement needs root")
	}
	policy := filepath.Join(b.TempDir(), "policy.yaml")
	roomy := strings.NewReplacer("inodes: 20000", "inodes: 50000", "changes: 5000", "changes: 20000").Replace(string(dist.Policy))
	if err := os.WriteFile(policy, []byte(roomy), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, files := range []int{10, 1000, 10000} {
		b.Run(strconv.Itoa(files), func(b *testing.B) {
			const script = "#!/bin/sh\nset -e\nmkdir -p \"$D/opt/slurm\"\ni=0\nwhile [ $i -lt %d ]; do echo $i >\"$D/opt/slurm/$i\"; i=$((i+1)); done\n"
			dir, floor := b.TempDir(), filepath.Join("/dev/shm", fmt.Sprintf("ctxagent-bench-%d", os.Getpid()))
			name := filepath.Join(dir, "prolog.sh")
			if err := os.WriteFile(name, fmt.Appendf(nil, script, files), 0o755); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = os.RemoveAll(floor) })
			b.Setenv("D", floor) // the agent does not hand it on
			var stage, shell []time.Duration
			for b.Loop() {
				began := time.Now()
				cpu(b, binary, "check", "--json", "--policy", policy, dir)
				stage = append(stage, time.Since(began))
				began = time.Now()
				cpu(b, "/bin/sh", name)
				shell = append(shell, time.Since(began))
			}
			b.ReportMetric(milliseconds(stage), "stage-ms")
			b.ReportMetric(milliseconds(shell), "sh-ms")
			b.ReportMetric((milliseconds(stage)-milliseconds(shell))*1000/float64(files), "us/file")
			b.ReportMetric(0, "ns/op")
		})
	}
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
