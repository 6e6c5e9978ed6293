// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// verdict is what a desk and a guest have to agree on.
type verdict struct {
	Outcome  string `json:"outcome"`
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error"`
	Changes  []struct {
		Path, Op, Type, Class, Rule, Mode string
		UID, GID                          int
		SHA256Before                      string `json:"sha256_before"`
		SHA256After                       string `json:"sha256_after"`
	} `json:"changes"`
	Refusals []struct{ Path, Unit, Call, Directive, Rule, Reason string } `json:"refusals"`
	Units    []struct{ Unit, Action string }                              `json:"units"`
	Calls    []struct{ Comm, Call string }                                `json:"denied_calls"`
}

const overstepping = "#!/bin/sh\nset -e\n"

// verdictDiscs are the trees of discs of every kind: what we hand out, what the
// field wrote, and what oversteps in each way that has a rule of its own.
func verdictDiscs(t *testing.T) map[string]map[string]string {
	t.Helper()
	discs := map[string]map[string]string{
		"example":  readTree(t, "../../examples"),
		"htcondor": readTree(t, "../../examples/htcondor"),
	}
	discs["example"]["munge.key"], discs["htcondor"]["pool.token"] = "a key", "a token"
	discs["htcondor"]["context.sh"] = "SITE_CONDOR_HOST=condor.example.org\n"
	discs["htcondor"]["prolog.sh"] = discs["htcondor"]["epilog.sh"] // which stage it is run in does not matter to it
	styles, err := filepath.Glob("../../internal/stages/testdata/styles/*")
	if err != nil || len(styles) < 5 {
		t.Fatal(styles, err)
	}
	for _, s := range styles {
		discs[filepath.Base(s)] = readTree(t, s)
	}
	for name, script := range map[string]string{
		"account": "echo x >>/etc/passwd", "credential": "echo x >>/etc/shadow", "keys": "mkdir -p /root/.ssh; echo x >/root/.ssh/authorized_keys",
		"unit": "echo '*.* @log.example.org' >/etc/rsyslog.d/a.conf; systemctl restart ssh rsyslog", "mode": "echo '*.* @log.example.org' >/etc/rsyslog.d/a.conf; chmod 4755 /etc/rsyslog.d/a.conf",
		"grammar": `printf 'module(load="omp\\162og")\n' >/etc/rsyslog.d/a.conf`, "validator": `printf 'action(type="omfwd" target="log.example.org" nosuch="1")\n' >/etc/rsyslog.d/a.conf`,
		"link": "ln -s /etc/shadow /etc/rsyslog.d/a.conf", "fifo": "mkfifo /etc/rsyslog.d/a.conf", "delete": "rm -r /etc/rsyslog.d /etc/slurm", "cron": "echo x >/etc/cron.d/site",
		"fails": "echo '*.* @log.example.org' >/etc/rsyslog.d/a.conf; exit 7", "killed": "kill -9 $$", "nothing": ":", "call": "mount -t tmpfs none /mnt || true", "module": "cp /bin/true /tmp/x.ko; insmod /tmp/x.ko || true", // modprobe looks for what the running kernel has, and a desk has another
		"owner": "echo x >/etc/munge/munge.key; chown munge:munge /etc/munge/munge.key; chmod 400 /etc/munge/munge.key", "append": "echo '*.* @log.example.org' >>/etc/rsyslog.conf",
	} {
		discs[name] = map[string]string{"prolog.sh": overstepping + script + "\n"}
	}
	discs["crlf"] = map[string]string{"prolog.sh": "#!/bin/sh\r\n:\r\n"}
	return discs
}

func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// verdictReport runs the prolog of one disc after the other, each on the image's own
// files.
const verdictReport = `
for disc in /usr/lib/ctxtest/discs/*; do
	file "verdict ${disc##*/}" sh -c 'ctxagent revert >/dev/null 2>&1; ctxagent run prolog --media "$0" >/dev/null 2>&1; cat /run/ctxagent/prolog.json' "$disc"
done
`

// TestCheckIsWhatAGuestSays rehearses each disc at the desk, against the guest's disk
// image, and runs it in the guest: the same verdict, and the same lists to the
// digest and the word.
func TestCheckIsWhatAGuestSays(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatal("a disk image is mounted by root alone")
		}
		t.Skip("SKIPPED: a disk image is mounted by root alone")
	}
	image, agent := needGuest(t), buildAgent(t)
	discs := verdictDiscs(t)
	var payload []File
	desk := map[string]verdict{}
	for _, name := range slices.Sorted(maps.Keys(discs)) {
		dir := filepath.Join(t.TempDir(), name)
		for file, content := range discs[name] {
			p := filepath.Join(dir, file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
			payload = append(payload, File{Path: filepath.Join("/usr/lib/ctxtest/discs", name, file), Source: p})
		}
		out, err := exec.Command(agent, "check", "--json", "--root", image.Root, dir).Output()
		var all map[string]json.RawMessage
		if json.Unmarshal(out, &all) != nil {
			t.Fatalf("check %s: %v: %s", name, err, out)
		}
		// The directory is named in both, each by its own place.
		desk[name] = readVerdict(t, bytes.ReplaceAll(all["prolog"], []byte(dir), []byte("/usr/lib/ctxtest/discs/"+name)))
	}
	r := boot(t, Config{Image: image, Payload: payload, Report: verdictReport + DefaultReport})
	for name, want := range desk {
		got := readVerdict(t, r.Files["verdict "+name])
		g, w := encode(t, got), encode(t, want)
		if g != w {
			t.Errorf("%s: the guest says\n%s\nthe desk says\n%s", name, g, w)
		}
		t.Logf("%s: %s, %d changes, %d refusals", name, got.Outcome, len(got.Changes), len(got.Refusals))
	}
}

func readVerdict(t *testing.T, receipt []byte) verdict {
	t.Helper()
	var v verdict
	if err := json.Unmarshal(receipt, &v); err != nil {
		t.Fatalf("%v: %s", err, receipt)
	}
	return v
}

func encode(t *testing.T, v verdict) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
