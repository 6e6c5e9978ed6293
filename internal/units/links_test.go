// SPDX-License-Identifier: Apache-2.0

package units

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRemoveLinks(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	const system = "etc/systemd/system/"
	for _, d := range []string{"a.target.wants", "b.target.requires", "plain", "foreign.wants", "half.target.wants"} {
		if err := root.MkdirAll(system+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	unit := "/lib/systemd/system/x.service"
	for name, target := range map[string]string{
		"a.target.wants/x.service":    unit,
		"b.target.requires/x.service": unit,
		"b.target.requires/y.service": "/lib/systemd/system/y.service", // the image's
		"alias.service":               "../../../lib/systemd/system/x.service",
		"plain/x.service":             unit,
		"changed.service":             "/dev/null", // masked since
		"foreign.wants/x.service":     unit,        // not of ours
		"foreign.wants/z.service":     unit,
		"c.target.wants":              "foreign.wants", // z was made through it
		"\xff.service":                unit,
	} {
		if err := root.Symlink(target, system+name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file.service", "file.wants"} {
		if err := root.WriteFile(system+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Links(root)
	want := []Link{
		{"/" + system + "a.target.wants/x.service", unit}, {"/" + system + "alias.service", unit},
		{"/" + system + "b.target.requires/x.service", unit}, {"/" + system + "b.target.requires/y.service", "/lib/systemd/system/y.service"},
		{"/" + system + "c.target.wants", "/" + system + "foreign.wants"},
		{"/" + system + "changed.service", "/dev/null"}, {"/" + system + "foreign.wants/x.service", unit}, {"/" + system + "foreign.wants/z.service", unit}, {"/" + system + "plain/x.service", unit},
	}
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("Links() = %v, %v; want %v", all, err, want)
	}
	var links []Link
	for _, name := range []string{"a.target.wants/x.service", "b.target.requires/x.service", "alias.service", "plain/x.service", "changed.service", "file.service", "gone.target.wants/x.service", "half.target.wants/x.service", "file.wants/x.service", "c.target.wants/z.service"} {
		links = append(links, Link{"/" + system + name, unit})
	}
	changed, err := ChangedLinks(root, links)
	if err != nil || len(changed) != 2 {
		t.Errorf("ChangedLinks() = %q, %v; want two", changed, err)
	}
	for range 2 { // the second time there is nothing to do
		left, err := RemoveLinks(root, links)
		if want := []string{"/" + system + "changed.service", "/" + system + "file.service"}; err != nil || !slices.Equal(left, want) {
			t.Fatalf("RemoveLinks() = %q, %v; want %q left", left, err, want)
		}
		var got []string
		for _, pattern := range []string{"*", "*/*"} {
			names, err := filepath.Glob(filepath.Join(dir, system, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range names {
				rel, _ := filepath.Rel(filepath.Join(dir, system), n)
				got = append(got, rel)
			}
		}
		want := []string{"b.target.requires", "c.target.wants", "changed.service", "file.service", "file.wants", "foreign.wants", "plain", "\xff.service", "b.target.requires/y.service", "c.target.wants/x.service", "foreign.wants/x.service"}
		if !slices.Equal(got, want) {
			t.Fatalf("afterwards there are %q; want %q", got, want)
		}
	}
	if _, err := RemoveLinks(root, []Link{{"/../../etc/passwd", "x"}}); err != nil {
		t.Errorf("a path above the root: %v; want it taken for one below", err)
	}
}

func TestEnables(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, d := range []string{"etc/systemd/system", "usr/lib/systemd/system"} {
		if err := root.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := root.Symlink("usr/lib", "lib"); err != nil { // as on a merged /usr
		t.Fatal(err)
	}
	if err := root.Symlink("/lib/systemd/system/ssh.service", "etc/systemd/system/sshd.service"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ssh.service":  "[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n Also = ssh.socket other.service\nAlso=third.service\n",
		"ssh.socket":   "[Install]\nAlso=ssh.service\n", // and round
		"alone.socket": "[Unit]\n",
	} {
		if err := root.WriteFile("usr/lib/systemd/system/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for unit, want := range map[string][]string{
		"sshd.service": {"other.service", "ssh.service", "ssh.socket", "sshd.service", "third.service"},
		"alone.socket": {"alone.socket"},
		"none.service": {"none.service"},
	} {
		if got := Enables(root, unit); !slices.Equal(got, want) {
			t.Errorf("Enables(%s) = %q; want %q", unit, got, want)
		}
	}
}
