// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	backend "github.com/diskfs/go-diskfs/backend/file"
	diskfs "github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// TestSecondOpinion reads a small Rock Ridge image, of the kind that go-diskfs
// reads right, by both readers: names, types and bytes are the same.
func TestSecondOpinion(t *testing.T) {
	tree := t.TempDir()
	for name, content := range map[string]string{"prolog.sh": "#!/bin/sh\n", "files/key": strings.Repeat("k", 5000), "empty": ""} {
		p := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(t.TempDir(), "disc.iso")
	if out, err := exec.Command("genisoimage", "-quiet", "-R", "-V", "CONTEXT", "-o", image, tree).CombinedOutput(); err != nil {
		t.Fatalf("genisoimage: %v: %s", err, out)
	}
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Open(f, info.Size(), maxFiles)
	if err != nil {
		t.Fatal(err)
	}
	other, err := diskfs.Read(backend.New(f, true), info.Size(), 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = fs.WalkDir(ours, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		want, err := fs.ReadFile(ours, name)
		if err != nil {
			return err
		}
		got, err := fs.ReadFile(other, name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: go-diskfs reads %d bytes, %v; we read %d", name, len(got), err, len(want))
		}
		return nil
	})
	if err != nil || files != 3 {
		t.Errorf("%d files, %v; want 3", files, err)
	}
}
