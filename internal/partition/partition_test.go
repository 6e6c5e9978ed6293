// SPDX-License-Identifier: Apache-2.0

package partition

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// table makes a disk image with the tools of today.
func table(t testing.TB, script string) []byte {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.img")
	cmd := exec.Command("sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; truncate -s 8M "$IMAGE"; `+script)
	cmd.Env = append(os.Environ(), "IMAGE="+image)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTable(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name, script string
		want         []Part
	}{
		{"mbr", `printf '2048,2048,83\n4096,4096,c\n' | sfdisk -q --label dos "$IMAGE"`, []Part{{1, mib, mib}, {2, 2 * mib, 2 * mib}}},
		{"gap", `printf '1: start=2048,size=2048\n4: start=4096,size=2048\n' | sfdisk -q --label dos "$IMAGE"`, []Part{{1, mib, mib}, {4, 2 * mib, mib}}},
		{"logical", `printf '2048,2048\n4096,,E\n6144,2048\n10240,2048\n' | sfdisk -q --label dos "$IMAGE"`, []Part{{1, mib, mib}, {5, 3 * mib, mib}, {6, 5 * mib, mib}}},
		{"gpt", `printf 'size=2048\nsize=4096\n' | sfdisk -q --label gpt "$IMAGE"`, []Part{{1, mib, mib}, {2, 2 * mib, 2 * mib}}},
	} {
		b := table(t, c.script)
		got, err := Table(bytes.NewReader(b), int64(len(b)))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	for name, b := range map[string][]byte{"empty": {}, "zeros": make([]byte, 4096)} {
		if _, err := Table(bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v; want %v", name, err, ErrNone)
		}
	}
}

// One fault each: the table is refused and says where.
func TestHostileTables(t *testing.T) {
	mbr := table(t, `printf '2048,2048\n4096,,E\n6144,2048\n10240,2048\n' | sfdisk -q --label dos "$IMAGE"`)
	gpt := table(t, `printf 'size=2048\nsize=4096\n' | sfdisk -q --label gpt "$IMAGE"`)
	for _, c := range []struct {
		name   string
		image  []byte
		change func([]byte)
		want   string
	}{
		{"mbr beyond the end", mbr, func(b []byte) { b[446+15] = 0xff }, "byte 446: partition 1"},
		{"mbr at sector 0", mbr, func(b []byte) { b[446+9] = 0 }, "byte 446: partition 1"},
		{"extended beyond the end", mbr, func(b []byte) { b[462+11] = 0xff }, "ends before the table does"},
		{"extended without signature", mbr, func(b []byte) { b[4096*512+510] = 0 }, "without signature"},
		{"extended in a circle", mbr, func(b []byte) { copy(b[4096*512+462+8:], "\x00\x00\x00\x00") }, "more than 128 logical"},
		{"gpt without header", gpt, func(b []byte) { b[512] = 0 }, "without a gpt header"},
		{"gpt header of another length", gpt, func(b []byte) { b[512+12] = 0xff }, "header of 255 bytes"},
		{"gpt header changed", gpt, func(b []byte) { b[512+40] ^= 1 }, "checksum of the gpt header"},
		{"gpt entries changed", gpt, func(b []byte) { b[1024+32] ^= 1 }, "checksum of the gpt entries"},
	} {
		b := slices.Clone(c.image)
		c.change(b)
		parts, err := Table(bytes.NewReader(b), int64(len(b)))
		if _, ok := errors.AsType[*CorruptError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q", c.name, parts, err, c.want)
		}
	}
	if _, err := Table(bytes.NewReader(mbr[:4000*512]), int64(len(mbr))); !errors.Is(err, io.EOF) {
		t.Errorf("disk that ends too soon: %v", err)
	}
}

func FuzzTable(f *testing.F) {
	f.Add(table(f, `printf '2048,2048\n4096,,E\n6144,2048\n' | sfdisk -q --label dos "$IMAGE"`)[:1024])
	f.Add(table(f, `printf 'size=2048\nsize=4096\n' | sfdisk -q --label gpt "$IMAGE"`)[:20<<10])
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, _ := Table(bytes.NewReader(b), int64(len(b)))
		for _, p := range parts {
			if p.Offset <= 0 || p.Size <= 0 || p.Offset+p.Size > int64(len(b)) {
				t.Errorf("partition %+v on a disk of %d bytes", p, len(b))
			}
		}
	})
}
