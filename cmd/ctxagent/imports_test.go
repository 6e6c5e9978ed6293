// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ctxagent/ctxagent/"

// mayImport is the package map: which of our packages each one may import. Data
// goes one way, disc → bytes → sandbox → change set → policy → commit → units →
// receipt, and nothing later is imported by anything earlier.
var mayImport = map[string]string{
	"cmd/ctxagent":        "dist internal/cdrom internal/doctor internal/iso9660 internal/isowrite internal/journal internal/lint internal/manifest internal/mirror internal/netwait internal/partition internal/policy internal/qcow2 internal/report internal/sandbox internal/sarif internal/signature internal/stages internal/starter internal/textdiff internal/units",
	"dist":                "",
	"internal/iso9660":    "",
	"internal/fat":        "", // go-diskfs hangs and panics on one changed byte of a FAT volume too
	"internal/partition":  "",
	"internal/vendordata": "",
	"internal/cdrom":      "internal/fat internal/iso9660 internal/partition internal/vendordata",
	"internal/signature":  "",
	"internal/isowrite":   "",
	"internal/lint":       "",
	"internal/mirror":     "",
	"internal/doctor":     "internal/policy",
	"internal/sarif":      "",
	"internal/qcow2":      "",
	"internal/starter":    "",
	"internal/textdiff":   "",
	"internal/netwait":    "",
	"internal/manifest":   "",
	"internal/sandbox":    "",
	"internal/units":      "",

	"internal/sandbox/attacks":          "",
	"internal/sandbox/attacks/intruder": "",

	"internal/grammar":   "",
	"internal/policy":    "internal/grammar",
	"internal/journal":   "",
	"internal/changeset": "internal/journal internal/policy",
	"internal/relay":     "",
	"internal/report":    "internal/policy",
	"internal/stages":    "internal/changeset internal/journal internal/policy internal/relay internal/report internal/sandbox",
	"test/guest":         "",
	"test/guest/demo":    "test/guest",
	"test/hostile":       "",
	"test/hostile/write": "test/hostile",
}

// TestImportMap reads the files in this process: a test that ran the go command
// would be served from the test cache after a forbidden import.
func TestImportMap(t *testing.T) {
	const top = "../.."
	seen := map[string]bool{}
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != top || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		checkFile(t, name, filepath.ToSlash(filepath.Dir(rel)), seen)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range mayImport {
		if !seen[pkg] {
			t.Errorf("the map has %s and the tree has not", pkg)
		}
	}
}

func checkFile(t *testing.T, name, pkg string, seen map[string]bool) {
	t.Helper()
	seen[pkg] = true
	allowed, ok := mayImport[pkg]
	if !ok {
		t.Errorf("package %s is not in the map", pkg)
		return
	}
	if strings.HasSuffix(name, "_test.go") {
		return // a test may use its neighbours
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		ours, isOurs := strings.CutPrefix(imported, module)
		if isOurs && !slices.Contains(strings.Fields(allowed), ours) {
			t.Errorf("%s imports %s; the map allows %q", name, ours, allowed)
		}
	}
}

// TestPackageComments holds every package to a comment that says what it is.
func TestPackageComments(t *testing.T) {
	for pkg := range mayImport {
		entries, err := os.ReadDir(path.Join("../..", pkg))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), path.Join("../..", pkg, e.Name()), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil && len(f.Doc.Text()) > 60 {
				found = true
			}
		}
		if !found {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}
