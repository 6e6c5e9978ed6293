// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const vendorData = `{"cloud-init": "#cloud-config\n", "ctxagent": {
	"prolog.sh": "#!/bin/sh\n. ./site.conf\necho \"*.* @@$LOGHOST:514\" >/etc/rsyslog.d/60-site.conf\nsystemctl restart rsyslog\n",
	"epilog.sh": {"base64": "IyEvYmluL3NoCmVjaG8gZXBpbG9nIG9uICRDVFhfQUREUkVTUwo="},
	"files": {"site.conf": "LOGHOST=192.0.2.10\n"}
}}`

// styleTree is a disc of internal/stages/testdata/styles, in small letters or
// not as its writer has it, without the lines that docs/compatibility.md names.
func styleTree(t *testing.T, style, script string, without ...int) string {
	t.Helper()
	from, tree := filepath.Join("../../internal/stages/testdata/styles", style), t.TempDir()
	if err := os.CopyFS(tree, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(tree, script)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	for _, n := range without {
		lines[n-1] = "\n"
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return tree
}

// written writes a disc as a site did, by genisoimage with these options.
func written(t *testing.T, tree string, options ...string) string {
	t.Helper()
	iso := filepath.Join(t.TempDir(), "disc.iso")
	args := append([]string{"-quiet", "-o", iso}, append(options, tree)...)
	if out, err := exec.CommandContext(t.Context(), "genisoimage", args...).CombinedOutput(); err != nil {
		t.Fatalf("genisoimage: %v: %s", err, out)
	}
	return iso
}

// TestContracts boots a guest with an OpenStack config drive in the second of two
// drives, whose site's half alone is run, and has it apply a disc of CERN's from 2010 and one of Vac's.
func TestContracts(t *testing.T) {
	drive := t.TempDir()
	for name, content := range map[string]string{
		"openstack/latest/vendor_data.json": vendorData,
		"openstack/latest/user_data":        "#!/bin/sh\necho the user >/etc/motd\n",
		"openstack/latest/prolog.sh":        "#!/bin/sh\necho the user >/etc/motd\n",
	} {
		file := filepath.Join(drive, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const cern, vac = "/usr/lib/ctxtest/cern.iso", "/usr/lib/ctxtest/vac.iso"
	r := boot(t, Config{
		CDs: []string{"", written(t, drive, "-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-publisher", "x", "-J", "-r", "-V", "config-2")},
		Payload: []File{
			patient(t), Route("10.0.2.2"),
			{Path: cern, Source: written(t, styleTree(t, "cern2010", "init.sh", 5, 6, 7, 8, 10), "-r", "-J")},
			{Path: vac, Source: written(t, styleTree(t, "vac", "prolog.sh", 5, 6, 7))},
		},
		Report: `file drive cat /run/ctxagent/prolog.json
file motd cat /etc/motd
file site cat /etc/rsyslog.d/60-site.conf
cp /run/ctxagent/epilog.json /run/ctxtest-epilog.json
ctxagent run prolog --media ` + cern + `
file cern cat /run/ctxagent/prolog.json
file lsf cat /etc/lsf.conf
ctxagent run prolog --media ` + vac + `
file vac cat /run/ctxagent/prolog.json
file lsf-gone test ! -e /etc/lsf.conf
file epilog cat /run/ctxtest-epilog.json
` + DefaultReport,
	})
	reached(t, r)
	for block, want := range map[string]struct{ contract, script string }{
		"drive": {"openstack vendor data", "prolog.sh"}, "epilog": {"openstack vendor data", "epilog.sh"}, "cern": {"hepix", "init.sh"}, "vac": {"hepix", "prolog.sh"},
	} {
		var got struct {
			Outcome, Error string
			Disc           struct{ Contract, Device string }
			Script         struct {
				Path       string
				OutputTail string `json:"output_tail"`
			}
		}
		if err := json.Unmarshal(r.Files[block], &got); err != nil {
			t.Errorf("%s: %v: %s", block, err, r.Files[block])
			continue
		}
		outcome := "applied"
		if block == "epilog" {
			outcome = "unchanged"
		}
		if got.Outcome != outcome || got.Disc.Contract != want.contract || got.Script.Path != want.script || !strings.HasPrefix(got.Disc.Device, "/dev/sr1") && want.contract != "hepix" || block == "epilog" && got.Script.OutputTail != "epilog on 10.0.2.15\n" {
			t.Errorf("%s: %+v; want %s, by %s", block, got, outcome, want.contract)
		}
	}
	for block, want := range map[string]string{"site": "*.* @@192.0.2.10:514\n", "lsf": "LSF_LIM_PORT=7869\n"} {
		if got := string(r.Files[block]); !strings.Contains(got, want) {
			t.Errorf("%s is %q; want %q", block, got, want)
		}
	}
	if strings.Contains(string(r.Files["motd"]), "the user") || r.Exits["lsf-gone"] != 0 {
		t.Errorf("motd %q, lsf.conf gone: exit status %d; want nothing of the user's, nor of the disc before", r.Files["motd"], r.Exits["lsf-gone"])
	}
}
