// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"os"
	"path/filepath"
	"testing"
)

// batchFormats are the formats of the batch systems.
var batchFormats = []string{"gridengine-bootstrap", "gridengine-defaults", "htcondor", "lsf", "pbs", "pbs-mom", "server-name",
	"slurm", "slurm-cgroup", "slurm-defaults", "slurm-gres"}

// siteFiles are the configurations of testdata that a site would write, at least three a format.
func siteFiles(t testing.TB, format string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", format, "*"))
	if err != nil || len(names) < 3 {
		t.Fatalf("%s: %d files of sites, %v; want three or more", format, len(names), err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestBatchSites(t *testing.T) {
	for _, format := range batchFormats {
		for name, content := range siteFiles(t, format) {
			got, err := Check(format, content, nil)
			if err != nil || len(got) != 0 {
				t.Errorf("Check(%s, %s) = %+v, %v; want no finding", format, name, got, err)
			}
		}
	}
}
