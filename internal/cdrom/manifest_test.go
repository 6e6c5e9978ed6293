// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"os"
	"testing"
	"testing/fstest"
)

// A file that the signed manifest does not have is refused before it is read,
// and nothing is listed before the signature is verified.
func TestManifestBeforeContents(t *testing.T) {
	into, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	f := newMachine(t).finder()
	f.Verify = func([]byte, []byte) (string, error) { return "site@example.org", nil }
	tree := shortFS{fstest.MapFS{ // its prolog.sh cannot be read to the end
		"prolog.sh": {Data: []byte("rm -rf /tmp/x # and no more\n")}, "manifest": {Data: []byte(manifestHead)}, "manifest.sig": {Data: []byte("x")},
	}}
	var refused *ManifestError
	if d, err := f.read(&medium{tree: tree}, into); !errors.As(err, &refused) || refused.Rule != "manifest-extra" || refused.Path != "prolog.sh" {
		t.Errorf("read = %+v, %v; want an extra file", d, err)
	}
	wrong := errors.New("wrong key")
	f.Verify = func([]byte, []byte) (string, error) { return "", wrong }
	f.MaxFiles = 0
	if d, err := f.read(&medium{tree: tree}, into); !errors.Is(err, wrong) {
		t.Errorf("read = %+v, %v; want the signature refused first", d, err)
	}
}

// Paths that are quoted in a manifest are told apart, whatever is in them.
func TestManifestPaths(t *testing.T) {
	for _, file := range []File{
		{Path: "a b", SHA256: "00", Mode: 0o644}, {Path: `a" "b`, SHA256: "00"}, {Path: "d", Type: os.ModeDir, Mode: 0o755},
		{Path: `l" "x`, Type: os.ModeSymlink, Target: `y" "z`}, {Path: "l", Type: os.ModeSymlink, Target: "a b"}, {Path: "file 0644 x", SHA256: "00"},
	} {
		lines := map[string]string{manifestPath(manifestLine(file)): manifestLine(file)}
		if err := agrees([]File{file}, lines, true); err != nil {
			t.Errorf("%q: %v", file.Path, err)
		}
	}
}
