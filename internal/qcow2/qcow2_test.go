// SPDX-License-Identifier: Apache-2.0

package qcow2

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// qemuImg runs the tool that everybody makes images with.
func qemuImg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %q: %v: %s", args, err, out)
	}
}

// disk is 5 MiB and a bit, with holes, noise and text.
func disk(t *testing.T) (string, []byte) {
	t.Helper()
	b := make([]byte, 5<<20+512)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(b[1<<20 : 1<<20+300_000])
	copy(b[3<<20+77:], strings.Repeat("text that packs well ", 5000))
	copy(b[len(b)-10:], "the end!!!")
	raw := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(raw, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return raw, b
}

type memory []byte

func (m memory) WriteAt(p []byte, at int64) (int, error) { return copy(m[at:], p), nil }

func open(t *testing.T, name string) (*Image, error) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return Open(bytes.NewReader(b))
}

func TestQemuImagesUnpack(t *testing.T) {
	raw, want := disk(t)
	for name, options := range map[string][]string{
		"version 3": {"-o", "compat=1.1"}, "version 2": {"-o", "compat=0.10"}, "compressed": {"-c"}, "small clusters": {"-o", "cluster_size=512"},
		"large clusters": {"-c", "-o", "cluster_size=2M"}, "preallocated": {"-o", "preallocation=metadata"}, "lazy": {"-o", "lazy_refcounts=on"},
	} {
		image := filepath.Join(t.TempDir(), "disk.qcow2")
		qemuImg(t, append(append([]string{"convert", "-O", "qcow2"}, options...), raw, image)...)
		im, err := open(t, image)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := make(memory, im.Size())
		if err := im.WriteTo(context.Background(), got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, or other bytes", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	raw, _ := disk(t)
	dir := t.TempDir()
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", raw, dir+"/backing")
	qemuImg(t, "convert", "-O", "qcow2", "-o", "data_file="+dir+"/data,data_file_raw=on", raw, dir+"/external")
	qemuImg(t, "convert", "-O", "qcow2", raw, dir+"/sound")
	sound, err := os.ReadFile(dir + "/sound")
	if err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{"backing": "backing file", "external": "another file"} {
		if _, err := open(t, dir+"/"+name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", name, err, says)
		}
	}
	if _, err := open(t, raw); !errors.Is(err, ErrNotQCOW2) {
		t.Errorf("raw: %v", err)
	}
	for _, tt := range []struct {
		at    int
		value uint64
		says  string
	}{{16, 9<<32 | 63, "2^63"}, {24, 1 << 62, "a disk of"}, {24, 0, "a disk of"}, {32, 1 << 32, "encrypted"}, {32, 0, "L1 table has"}, {16, 9<<32 | 9, "up to 33554432"}, {40, 1 << 60, "read the L1 table"}, {72, 16, "incompatible features"}, {72, 2, "corrupt"}} {
		b := bytes.Clone(sound)
		binary.BigEndian.PutUint64(b[tt.at:], tt.value)
		if tt.at == 16 { // the size of a backing file's name, and the cluster bits
			binary.BigEndian.PutUint64(b[16:], tt.value&0xffffffff)
			if tt.value&0xffffffff == 9 {
				binary.BigEndian.PutUint64(b[24:], maxSize)
				binary.BigEndian.PutUint32(b[36:], 1<<31)
			}
		}
		if _, err := Open(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("byte %d set to %#x: %v; want %q", tt.at, tt.value, err, tt.says)
		}
	}
}

// FuzzOpen: no image makes the reader panic or take much memory.
func FuzzOpen(f *testing.F) {
	h := make([]byte, 512)
	copy(h, magic)
	binary.BigEndian.PutUint32(h[4:], 3)
	binary.BigEndian.PutUint32(h[20:], 9)
	binary.BigEndian.PutUint64(h[24:], 4096)
	binary.BigEndian.PutUint32(h[36:], 1)
	binary.BigEndian.PutUint64(h[40:], 256)
	f.Add(h)
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := Open(bytes.NewReader(b))
		if err != nil || im.Size() > 1<<24 {
			return
		}
		_ = im.WriteTo(context.Background(), make(memory, im.Size()))
	})
}
