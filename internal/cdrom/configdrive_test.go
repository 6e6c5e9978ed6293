// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const vendorData = `{"other": 1, "ctxagent": {"prolog.sh": "#!/bin/sh\n", "files": {"keys/key": {"base64": "AAE="}}}}`

// driveTree is the tree of a config drive, with a user's half that would do as a
// context if anything of it were read.
func driveTree(t *testing.T, vendorData string, more map[string]string) string {
	t.Helper()
	tree := t.TempDir()
	files := map[string]string{
		"openstack/latest/user_data":      "#!/bin/sh\n",
		"openstack/latest/meta_data.json": vendorData,
		"openstack/latest/prolog.sh":      "#!/bin/sh\n",
		"openstack/content/0000":          "x",
		"ec2/latest/user-data":            "#!/bin/sh\n",
	}
	if vendorData != "" {
		files["openstack/latest/vendor_data.json"] = vendorData
	}
	for name, content := range more {
		files[name] = content
	}
	for name, content := range files {
		p := filepath.Join(tree, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// configDrive writes the tree as Nova does, by genisoimage.
func configDrive(t *testing.T, label, vendorData string, more map[string]string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "drive.iso")
	cmd := exec.Command("genisoimage", "-quiet", "-o", out, "-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-publisher", "x", "-J", "-r", "-V", label,
		driveTree(t, vendorData, more))
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("genisoimage: %v: %s", err, b)
	}
	return out
}

// fatDrive is Nova's other format.
func fatDrive(t *testing.T, vendorData string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "drive.img")
	cmd := exec.Command("sh", "-ec", `PATH=$PATH:/usr/sbin:/sbin; truncate -s 16M "$1"; mkfs.vfat -n config-2 "$1" >/dev/null 2>&1; mcopy -i "$1" -s -n -- "$2"/* ::/`,
		"sh", out, driveTree(t, vendorData, nil))
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make a FAT drive: %v: %s", err, b)
	}
	return out
}

// TestConfigDrive reads the site's half of a drive, and nothing else of it.
func TestConfigDrive(t *testing.T) {
	dynamic := map[string]string{"openstack/latest/vendor_data2.json": vendorData}
	for name, drive := range map[string]string{
		"static": configDrive(t, "config-2", vendorData, nil), "capitals": configDrive(t, "CONFIG-2", vendorData, nil),
		"dynamic": configDrive(t, "config-2", `{}`, dynamic), "FAT": fatDrive(t, vendorData), "a directory": driveTree(t, vendorData, nil),
	} {
		f := newMachine(t).finder()
		f.Named = []string{drive}
		d, err := newMachine(t).find(f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, file := range d.Files {
			got = append(got, fmt.Sprintf("%s %04o %d", file.Path, file.Mode, file.Size))
		}
		want := []string{"keys 0755 0", "keys/key 0644 2", "prolog.sh 0644 10"}
		if d.Contract != "openstack vendor data" || !slices.Equal(got, want) {
			t.Errorf("%s: contract %q, files %q; want %q", name, d.Contract, got, want)
		}
		if seen, err := f.Inspect(drive); err != nil || seen.Digest != d.Digest || seen.Contract != d.Contract {
			t.Errorf("%s: Inspect = %+v, %v; want what a guest reads", name, seen, err)
		}
	}
}

// A config drive beside a context disc is one more context disc only if the site
// put its key there.
func TestConfigDriveBesideADisc(t *testing.T) {
	good := iso(t, "CONTEXT", script)
	var ambiguous *AmbiguousError
	var unusable *UnusableError
	for _, tt := range []struct {
		name, drive string
		disc        bool
		as          any
		says        string
	}{
		{"no vendor data", configDrive(t, "config-2", "", nil), true, nil, ""},
		{"vendor data of others", configDrive(t, "config-2", `{"cloud-init": "x"}`, nil), true, nil, ""},
		{"the key", configDrive(t, "config-2", vendorData, nil), true, &ambiguous, "2 context discs"},
		{"broken", configDrive(t, "config-2", `{"ctxagent": {`, nil), true, &unusable, "vendor_data.json: at byte 14: the JSON text is cut off"},
		{"alone, broken", configDrive(t, "config-2", `{"ctxagent": {}}`, nil), false, &unusable, "neither prolog.sh nor epilog.sh"},
		{"alone, without", configDrive(t, "config-2", `{}`, nil), false, nil, `nor a key "ctxagent" in the vendor data`},
		{"alone, other label", configDrive(t, "DATA", vendorData, nil), false, nil, `labelled "DATA"`},
	} {
		m := newMachine(t)
		m.disk("sr0", "0", tt.drive)
		if tt.disc {
			m.disk("sr1", "0", good)
		}
		d, err := m.find(m.finder())
		switch {
		case tt.says == "":
			if err != nil || filepath.Base(d.Device) != "sr1" || d.Contract != "hepix" {
				t.Errorf("%s: Find = %+v, %v; want sr1", tt.name, d, err)
			}
		case err == nil || !strings.Contains(err.Error(), tt.says) || tt.as != nil && !errors.As(err, tt.as) || tt.as == nil && !errors.Is(err, ErrNoMedia):
			t.Errorf("%s: Find = %+v, %v; want %q", tt.name, d, err, tt.says)
		}
	}
}

// Scripts in the root directory go before; the policy's label and limits hold.
func TestConfigDriveAndTheRest(t *testing.T) {
	both := configDrive(t, "config-2", vendorData, map[string]string{"epilog.sh": "#!/bin/sh\n"})
	plain := configDrive(t, "config-2", vendorData, nil)
	many := configDrive(t, "config-2", `{"ctxagent": {"prolog.sh": "", "files": {"`+strings.Repeat("d/", 40)+`x": ""}}}`, nil)
	for _, tt := range []struct {
		name, drive    string
		change         func(*Finder)
		contract, says string
	}{
		{"scripts in the root", both, func(*Finder) {}, "hepix", ""},
		{"the policy's label", plain, func(f *Finder) { f.Label = "SITE" }, "", `the policy demands "SITE"`},
		{"its own label", plain, func(f *Finder) { f.Label = "config-2" }, "openstack vendor data", ""},
		{"bytes", plain, func(f *Finder) { f.MaxBytes = 3 }, "", "media.max_bytes"},
		{"files", many, func(f *Finder) { f.MaxFiles = 40 }, "", "media.max_files"},
		{"no signature", plain, func(f *Finder) { f.Verify = func(_, _ []byte) (string, error) { return "", nil } }, "", "the disc is not signed"},
	} {
		m := newMachine(t)
		m.disk("sr0", "0", tt.drive)
		f := m.finder()
		tt.change(&f)
		d, err := m.find(f)
		if tt.says == "" && (err != nil || d.Contract != tt.contract) || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: Find = %+v, %v; want %s%s", tt.name, d, err, tt.contract, tt.says)
		}
	}
}
