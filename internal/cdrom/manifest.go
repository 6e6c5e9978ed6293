// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// The files of a signed disc, in its root directory. The names fit a plain ISO
// 9660 disc.
const (
	manifestName  = "manifest"
	signatureName = "manifest.sig"

	manifestHead = "ctxagent manifest 1\n"

	maxManifest  = 8 << 20 // bytes
	maxSignature = 64 << 10
)

// A ManifestError says how a disc and its signed manifest do not agree, or that
// the one or the other is missing. Rule is a word for programs.
type ManifestError struct {
	Rule string // "manifest-unsigned", "manifest-extra", "manifest-missing" or "manifest-differs"
	Path string // of the entry, or ""
	Text string
}

func (e *ManifestError) Error() string { return e.Text }

// Manifest is what a site signs: every entry but the manifest and its signature,
// one a line, with mode and digest or link target.
func (d *Disc) Manifest() string {
	var b strings.Builder
	b.WriteString(manifestHead)
	for _, f := range d.Files {
		if !isManifest(f.Path) {
			b.WriteString(manifestLine(f) + "\n")
		}
	}
	return b.String()
}

func isManifest(name string) bool {
	return sameName(name, manifestName) || sameName(name, signatureName)
}

// manifestLine describes an entry. The mode of a symlink says nothing.
func manifestLine(f File) string {
	switch f.Type {
	case fs.ModeDir:
		return fmt.Sprintf("directory %04o %q", f.Mode, f.Path)
	case fs.ModeSymlink:
		return fmt.Sprintf("symlink %q %q", f.Path, f.Target)
	}
	return fmt.Sprintf("file %04o %s %q", f.Mode, f.SHA256, f.Path)
}

// signedManifest reads the manifest and has its signature verified, before
// anything else of the disc is looked at but the root directory.
func (f Finder) signedManifest(m *medium) (lines map[string]string, signer string, err error) {
	text, err := smallFile(m.tree, manifestName, maxManifest)
	if err != nil {
		return nil, "", err
	}
	sig, err := smallFile(m.tree, signatureName, maxSignature)
	if err != nil {
		return nil, "", err
	}
	if signer, err = f.Verify(text, sig); err != nil {
		return nil, "", err
	}
	body, ok := strings.CutPrefix(string(text), manifestHead)
	if !ok {
		return nil, "", &ManifestError{"manifest-differs", manifestName, fmt.Sprintf("the manifest does not begin with %q", manifestHead)}
	}
	lines = map[string]string{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		lines[manifestPath(line)] = line
	}
	return lines, signer, nil
}

// manifestPath is the quoted path in a line of a manifest.
func manifestPath(line string) string {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "directory":
		_, rest, _ = strings.Cut(rest, " ")
	case "file":
		_, rest, _ = strings.Cut(rest, " ")
		_, rest, _ = strings.Cut(rest, " ")
	case "symlink":
		if i := strings.Index(rest, `" "`); i >= 0 { // a quoted path has no bare quotes
			rest = rest[:i+1]
		}
	}
	return rest
}

// smallFile reads a file of the root directory, called so but for case.
func smallFile(tree fs.FS, name string, limit int64) (_ []byte, err error) {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !sameName(e.Name(), name) || !e.Type().IsRegular() {
			continue
		}
		f, err := tree.Open(e.Name())
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(f, limit+1))
		err = errors.Join(err, f.Close())
		if err == nil && int64(len(b)) > limit {
			err = fmt.Errorf("%q is longer than %d bytes", name, limit)
		}
		return b, err
	}
	return nil, &ManifestError{"manifest-unsigned", name, fmt.Sprintf("the disc is not signed: it has no file %q", name)}
}

// agrees compares what lies on a disc, or is said to, with the manifest. With
// contents it compares digests, too: they are known once the files are read.
func agrees(files []File, lines map[string]string, contents bool) error {
	seen := 0
	for _, f := range files {
		if isManifest(f.Path) {
			continue
		}
		line, ok := lines[fmt.Sprintf("%q", f.Path)]
		if !ok {
			return &ManifestError{"manifest-extra", f.Path, fmt.Sprintf("%q is on the disc and not in its signed manifest", f.Path)}
		}
		seen++
		want := manifestLine(f)
		if !contents && f.Type == 0 { // the digest is not known yet
			if head, _, ok := strings.Cut(want, "  "); !ok || !strings.HasPrefix(line, head+" ") {
				want = ""
			} else {
				want = line
			}
		}
		if line != want {
			return &ManifestError{"manifest-differs", f.Path, fmt.Sprintf("%q on the disc is not what its signed manifest says: %s", f.Path, line)}
		}
	}
	if seen == len(lines) {
		return nil
	}
	have := map[string]bool{}
	for _, f := range files {
		have[fmt.Sprintf("%q", f.Path)] = true
	}
	for quoted := range lines {
		if !have[quoted] {
			return &ManifestError{"manifest-missing", strings.Trim(quoted, `"`), fmt.Sprintf("%s is in the signed manifest and not on the disc", quoted)}
		}
	}
	return nil
}
