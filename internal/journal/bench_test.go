// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkApply commits 1,000 small files to a root on a file system of each
// kind, against `cp -a` of the same files and one sync there, in the same run.
// The promise is 1.5 times.
func BenchmarkApply(b *testing.B) {
	for _, kind := range []string{"ext4", "xfs", "btrfs"} {
		b.Run(kind, func(b *testing.B) { benchApply(b, kind) })
	}
}

func benchApply(b *testing.B, kind string) {
	if os.Geteuid() != 0 {
		b.Skip("mounting a file system needs root")
	}
	dir, source := b.TempDir(), filepath.Join(b.TempDir(), "files")
	image := filepath.Join(b.TempDir(), "disk")
	mkfs(b, kind, image)
	defer mountLoop(b, image, dir)()
	if err := os.Mkdir(source, 0o755); err != nil {
		b.Fatal(err)
	}
	var things []thing
	things = append(things, thing{"/opt/", "", 0o755, 0})
	for i := range 1000 {
		text := strings.Repeat(fmt.Sprintf("line of file %d\n", i), 60)
		things = append(things, thing{fmt.Sprintf("/opt/file-%d", i), text, 0o644, 0})
		if err := os.WriteFile(filepath.Join(source, fmt.Sprintf("file-%d", i)), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	var apply, floor []time.Duration
	for i := 0; b.Loop(); i++ {
		unix.Sync()
		began := time.Now()
		copyAndSync(b, source, filepath.Join(dir, "copy"))
		floor = append(floor, time.Since(began))
		// Another context each time, and none in between: the files are made anew.
		unix.Sync()
		began = time.Now()
		commit(b, dir, Context{Disc: fmt.Sprint(i)}, 0, things)
		apply = append(apply, time.Since(began))
		revert(b, dir)
		if err := os.RemoveAll(filepath.Join(dir, "copy")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(apply), "apply-ms")
	b.ReportMetric(median(floor), "cp-sync-ms")
	b.ReportMetric(median(apply)/median(floor), "x-cp-sync")
	b.ReportMetric(0, "ns/op")
}

func copyAndSync(b *testing.B, from, to string) {
	b.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		b.Fatalf("cp: %v: %s", err, out)
	}
	if out, err := exec.Command("sync", "-f", filepath.Dir(to)).CombinedOutput(); err != nil {
		b.Fatalf("sync: %v: %s", err, out)
	}
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}

// TestMemoryStaysFlat: a file of 1 GiB, nearly all of it a hole, is applied
// with its holes, and costs no more memory than a small one.
func TestMemoryStaysFlat(t *testing.T) {
	const size = 1 << 30
	dir := newRoot(t)
	name := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("in the middle"), size/2); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if err := copySparse(nil, f, h, size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := hex.EncodeToString(h.Sum(nil))
	result := Result{Path: "/etc/modified", State: State{Type: File, Mode: 0o644, Size: size, SHA256: want}, Open: func() (io.ReadCloser, error) { return os.Open(name) }}
	j, err := openTest(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := goal(t, j, contextOne, 0, []thing{{"/etc/modified", "", 0o644, 0}})
	result.Before = g.Results[0].Before
	g.Results[0] = result
	before := allocated()
	if err := j.Commit(j.Plan(g)); err != nil {
		t.Fatal(err)
	}
	if used := allocated() - before; used > 16<<20 {
		t.Errorf("a file of 1 GiB takes %d bytes of memory; want at most 16 MiB", used)
	}
	shut(t, j)
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "etc/modified"), &st); err != nil || st.Size != size || st.Blocks*512 > 1<<20 {
		t.Errorf("the file has %d bytes in %d blocks, %v; want 1 GiB, nearly all of it a hole", st.Size, st.Blocks, err)
	}
}

// allocated is how much was ever allocated on the heap: more than what is held.
func allocated() uint64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
