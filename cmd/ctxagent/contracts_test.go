// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ctxagent/ctxagent/internal/report"
)

// contract is one of the ways in which sites have made context discs: scripts in
// the shape of that time, and the command that wrote the disc.
type contract struct {
	name    string
	style   string // in internal/stages/testdata/styles
	command string // writes $OUT from the tree $SRC
	vendor  bool   // the tree is the vendor data of a config drive
	found   string // how a guest finds it
	by      string // the contract that inspect names
	run     string // what is run
}

var contracts = []contract{
	{"CERN, 2010", "cern2010", `genisoimage -quiet -r -J -o "$OUT" "$SRC"`, false, "`init.sh` in the root directory; the files are at `/mnt`, too", "hepix", "`init.sh`, `epilog.sh`, sourced"},
	{"CERN, later", "cern", `genisoimage -quiet -R -V CONTEXT -o "$OUT" "$SRC"`, false, "`prolog.sh` in the root directory", "hepix", "`prolog.sh`, `epilog.sh`, sourced"},
	{"CernVM, amiconfig-hepix templates", "cernvm", `genisoimage -quiet -R -o "$OUT" "$SRC"`, false, "`prolog.sh` in the root directory", "hepix", "`prolog.sh start`; `stop` is not called"},
	{"Vac: no label, no Rock Ridge, no Joliet", "vac", `genisoimage -quiet -o "$OUT" "$SRC"`, false, "`PROLOG.SH;1` in the root directory", "hepix", "`prolog.sh start`, `epilog.sh start`, by bash or sh"},
	{"StratusLab", "stratuslab", `genisoimage -quiet -J -R -V _STRATUSLAB -o "$OUT" "$SRC"`, false, "`init.sh` in the root directory", "hepix", "`init.sh`, `epilog.sh` with `. ./context.sh`"},
	{"OpenNebula CONTEXT", "opennebula", `mkisofs -quiet -J -R -V CONTEXT -o "$OUT" "$SRC"`, false, "`context.sh` and `init.sh` in the root directory", "hepix", "`init.sh` with the variables of `context.sh`"},
	{"OpenStack config drive", "cern", `genisoimage -quiet -o "$OUT" -ldots -allow-lowercase -allow-multidot -l -publisher x -J -r -V config-2 "$SRC"`, true,
		"label `config-2`, key `ctxagent` in `openstack/latest/vendor_data.json`", "openstack vendor data", "`prolog.sh`, `epilog.sh`; nothing of the user's"},
}

// tree makes the tree of a disc; some lines of its scripts are taken out.
func (c contract) tree(t *testing.T, without map[string][]int) string {
	t.Helper()
	dir := filepath.Join("../../internal/stages/testdata/styles", c.style)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(b), "\n")
		for _, n := range without[e.Name()] {
			lines[n-1] = "\n" // so that the others keep their numbers
		}
		files[e.Name()] = strings.Join(lines, "")
	}
	if c.vendor {
		const users = "#!/bin/sh\necho the user >/etc/motd\n"
		files = map[string]string{
			"openstack/latest/vendor_data.json": vendorData(t, files), "openstack/latest/user_data": users, "openstack/latest/prolog.sh": users, "ec2/latest/user-data": users,
		}
	}
	return write(t, t.TempDir(), files)
}

// vendorData is what a site gives Nova: one file as text, the next as base64.
func vendorData(t *testing.T, files map[string]string) string {
	t.Helper()
	ours, more := map[string]any{}, map[string]any{}
	for name, content := range files {
		if name == "prolog.sh" || name == "epilog.sh" {
			ours[name] = content
		} else {
			more[name] = map[string]string{"base64": base64.StdEncoding.EncodeToString([]byte(content))}
		}
	}
	ours["files"] = more
	b, err := json.Marshal(map[string]any{"cloud-init": "#cloud-config\n", "ctxagent": ours})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// disc writes the disc by the tool of its time.
func (c contract) disc(t *testing.T, without map[string][]int) string {
	t.Helper()
	iso := filepath.Join(t.TempDir(), "disc.iso")
	cmd := exec.Command("sh", "-ec", c.command)
	cmd.Env = append(os.Environ(), "OUT="+iso, "SRC="+c.tree(t, without))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", c.command, err, out)
	}
	return iso
}

// oldRoot has what scripts of the time count on.
func oldRoot(t *testing.T) string {
	t.Helper()
	root := busyboxRoot(t)
	for _, d := range []string{"mnt", "tmp", "root", "etc/default", "etc/cron.d", "etc/sysconfig", "etc/network", "etc/condor/config.d", "var/lib/prometheus/node-exporter"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, applet := range []string{"awk", "chmod", "cp", "hostname", "mount", "tee", "umount"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root, map[string]string{"usr/sbin/service": "#!/bin/sh\nexit 1\n"}) // the image's own
	return root
}

var namesLine = regexp.MustCompile(`\(line (\d+) of (\S+) names it\)$`)

// rehearsed has a guest's word on a disc: the exit status, and by script the
// lines that the refusals name.
func rehearsed(t *testing.T, root, iso string) (result, map[string][]int, []string) {
	t.Helper()
	r := ctxagent(t, "check", "--json", "--root", root, iso)
	var receipts map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.stdout), &receipts); err != nil {
		t.Fatalf("%v: %s%s", err, r.stdout, r.stderr)
	}
	lines := map[string][]int{}
	var refused []string
	for _, stage := range []string{"prolog", "epilog"} {
		var got report.Receipt
		if receipts[stage] == nil {
			continue
		}
		if err := json.Unmarshal(receipts[stage], &got); err != nil {
			t.Fatal(err)
		}
		for _, x := range got.Refusals {
			refused = append(refused, x.Path+x.Unit+x.Call)
			if m := namesLine.FindStringSubmatch(x.Reason); m != nil {
				n, err := strconv.Atoi(m[1])
				if err != nil {
					t.Fatal(err)
				}
				lines[m[2]] = append(lines[m[2]], n)
			}
		}
	}
	return r, lines, refused
}

// TestHistoricalContracts rehearses the discs of every contract as they were
// written, takes out the lines that the receipt names until nothing is refused,
// and has a prolog apply what is left. The table of docs/compatibility.md is what
// it finds.
func TestHistoricalContracts(t *testing.T) {
	var table strings.Builder
	table.WriteString("| disc | found by | run | refused | lines to take out |\n|---|---|---|---|---|\n")
	for _, c := range contracts {
		t.Run(c.name, func(t *testing.T) {
			root := oldRoot(t)
			before := treeOf(t, root)
			iso := c.disc(t, nil)
			seen := ctxagent(t, "inspect", "--json", iso)
			if !strings.Contains(seen.stdout, `"contract": "`+c.by+`"`) || strings.Contains(seen.stdout, "unusable") || strings.Contains(seen.stdout, "user") {
				t.Errorf("inspect says %s%s; want contract %s, and nothing of a user's", seen.stdout, seen.stderr, c.by)
			}
			without := map[string][]int{}
			var refused []string
			for range 4 {
				r, lines, more := rehearsed(t, root, c.disc(t, without))
				if r.status == 0 {
					break
				}
				if r.status != 3 && len(more) == 0 || len(lines) == 0 {
					t.Fatalf("exit status %d, refused %q; want refusals with lines to take out: %s%s", r.status, more, r.stdout, r.stderr)
				}
				refused = append(refused, more...)
				for script, n := range lines {
					without[script] = append(without[script], n...)
				}
			}
			if after := treeOf(t, root); !slices.Equal(before, after) {
				t.Errorf("a rehearsal changed the root")
			}
			r := ctxagent(t, "run", "prolog", "--root", root, "--media", c.disc(t, without))
			if got := receiptFields(t, root, "prolog"); r.status != 0 || got["outcome"] != "applied" {
				t.Errorf("without the lines %v: exit status %d, %v: %s", without, r.status, got["outcome"], r.stderr)
			}
			fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", c.name, c.found, c.run, quoted(refused), numbered(without))
		})
	}
	inDocument(t, "../../docs/compatibility.md", "contracts", table.String())
}

// quoted and numbered write a cell of the table.
func quoted(words []string) string {
	slices.Sort(words)
	return "`" + strings.Join(slices.Compact(words), "`, `") + "`"
}

func numbered(lines map[string][]int) string {
	var cells []string
	for script, n := range lines {
		slices.Sort(n)
		text := fmt.Sprint(slices.Compact(n))
		cells = append(cells, fmt.Sprintf("%s of `%s`", strings.ReplaceAll(strings.Trim(text, "[]"), " ", ", "), script))
	}
	slices.Sort(cells)
	return strings.Join(cells, "; ")
}

// inDocument compares the generated part of a document, or writes it.
func inDocument(t *testing.T, file, part, text string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+part+": generated by go test ./cmd/ctxagent -run Contracts -update -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(string(b), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal(errors.New(file + " has no part " + part))
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+text+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != text {
		t.Errorf("%s is out of date; it has\n%sand the test has found\n%s", file, old, text)
	}
}
