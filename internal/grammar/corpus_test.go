// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// corpus lists the files of testdata that a site would write in a format.
func corpus(t testing.TB, format string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", format, "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("testdata/%s holds %d files, %v; want three or more", format, len(files), err)
	}
	return files
}

// TestCorpus holds that what sites really write is allowed. A directory of testdata has the name of a format.
func TestCorpus(t *testing.T) {
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		format := dir.Name()
		if format == "fuzz" { // inputs that a fuzz run once failed on
			continue
		}
		if !slices.Contains(Formats(), format) {
			t.Errorf("testdata/%s is for no format", format)
			continue
		}
		for _, file := range corpus(t, format) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Check(format, text, nil); err != nil || len(got) != 0 {
				t.Errorf("%s: %+v, %v; want no finding", file, got, err)
			}
		}
	}
}
