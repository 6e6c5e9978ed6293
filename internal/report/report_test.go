// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/ctxagent/ctxagent/internal/policy"
)

var update = flag.Bool("update", false, "rewrite testdata")

// full has every field of a receipt set.
func full() *Receipt {
	status := 0
	return &Receipt{
		Stage: "epilog", Outcome: Applied, ExitCode: 0, Rehearsal: true, Error: "an error", Warnings: []string{"a warning"},
		Disc:   &Disc{Device: "/dev/sr0", Label: "CONTEXT", Flavour: "rock ridge", Contract: "hepix", Digest: "d15c", Signer: "nobody"},
		Script: &Script{Path: "epilog.sh", Digest: "5c41", ExitStatus: &status, Signal: "SIGTERM", OutputTail: "<a> & b\n", OutputLost: 7, LeftOver: []string{`"sleep"`}, ReadOnly: []string{"/boot/efi"}},
		Changes: []Change{
			{Path: "/etc/rsyslog.d/a.conf", Op: policy.Modify, Type: policy.File, Class: "syslog", Rule: "/etc/rsyslog.d/*.conf", Mode: "0644", UID: 1, GID: 2, Size: 3, SHA256Before: "aa", SHA256After: "bb"},
			{Path: `"/opt/x\xff"`, PathQuoted: true, Op: policy.Create, Type: policy.Symlink, Class: "batch", Rule: "/opt/x/**", Mode: "0777", Target: "y"},
		},
		Refusals: []Refusal{
			{Path: "/etc/rsyslog.d/b.conf", Directive: "module", Rule: "grammar:rsyslog", Reason: "not allowed", Line: 3},
			{Path: `"/x\xff"`, PathQuoted: true, Rule: "name", Reason: "not valid UTF-8"},
			{Unit: "sshd.service", Rule: "units", Reason: "no class"},
			{Call: "mount", Rule: "calls", Reason: "refused"},
		},
		DeniedCalls: []DeniedCall{{Comm: "sh", Call: "mount", Count: 2}},
		Units:       []Unit{{Unit: "rsyslog.service", Action: "restart", Result: "queued"}},
		Network: &Network{Interface: "eth0", Index: 2, MAC: "52:54:00:00:00:01", Operstate: "up", Address: "192.0.2.7/24", Gateway: "192.0.2.1", WaitedMS: 12, Events: 3,
			Addresses: []Address{{Address: "192.0.2.7/24", Scope: "global"}}, Gateways: []string{"192.0.2.1"}, RouteTable: 254, DNS: []string{"192.0.2.53"}, EventUS: 1, DecidedUS: 2, Missing: "nothing"},
		Connections: []Connection{{Target: "www.example.org:80", Address: "192.0.2.9", Protocol: "http", Rule: "allow any", Result: "connected", Count: 2, Sent: 10, Received: 20, DurationMS: 4}},
		Durations:   map[string]int64{"total": 40, "script": 30},
		Clock:       Clock{BootID: "b007", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), StartedMonotonic: 1, DiscMonotonic: 4, ReleasedMonotonic: 2, ScriptMonotonic: 2, EndedMonotonic: 3},
		Agent:       Agent{Version: "v1", PolicyDigest: "90"},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	p := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(p, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update rewrites it; others rely on the names):\n%s\nwant\n%s", p, got, want)
	}
}

// The names in the golden files are a contract with whoever reads receipts.
func TestFieldNames(t *testing.T) {
	b, err := full().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "full.json", b)
	if b, err = (&Receipt{Stage: "prolog", Outcome: NoMedia}).Marshal(); err != nil {
		t.Fatal(err)
	}
	golden(t, "empty.json", b)
}

func TestFullHasEveryField(t *testing.T) {
	r := *full()
	r.Schema = Schema
	var zero func(name string, v reflect.Value)
	zero = func(name string, v reflect.Value) {
		switch {
		case name == ".ExitCode":
		case v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct:
			zero(name, v.Elem())
		case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
			for i := range v.NumField() {
				zero(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.IsZero():
			t.Errorf("full() has no %s; want every field, so that the golden file pins its name", name)
		}
	}
	zero("", reflect.ValueOf(r))
}

func TestListsAreNeverNull(t *testing.T) {
	b, err := (&Receipt{}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"changes", "refusals", "denied_calls", "units", "connections"} {
		if string(m[k]) != "[]" {
			t.Errorf("Marshal(empty) has %s = %s; want []", k, m[k])
		}
	}
	if !bytes.HasSuffix(b, []byte("}\n")) {
		t.Errorf("Marshal() ends with %q; want a newline", b[len(b)-2:])
	}
}

func TestMarshalLeavesTheReceiptAlone(t *testing.T) {
	r := &Receipt{Schema: 99}
	if _, err := r.Marshal(); err != nil {
		t.Fatal(err)
	}
	if r.Schema != 99 || r.Changes != nil {
		t.Errorf("Marshal() alters its receipt: %+v", r)
	}
}

func TestOutcomes(t *testing.T) {
	for o, want := range map[Outcome]int{
		Applied: 0, Unchanged: 0, NoMedia: 0, Failed: 1, Timeout: 1, Refused: 3, Late: 4, Ambiguous: 4, Unusable: 4, NoNetwork: 5, Unsupported: 6,
		"": 1, "something new": 1,
	} {
		if got := o.ExitCode(); got != want {
			t.Errorf("Outcome(%q).ExitCode() = %d; want %d", o, got, want)
		}
		if _, known := verdicts[o]; !known && o != "" && o != "something new" {
			t.Errorf("verdicts has no %q; want words for each outcome", o)
		}
		r := Receipt{Error: "before"}
		r.End(o, errors.New("why"))
		if r.Outcome != o || r.ExitCode != want || r.Error != "why" {
			t.Errorf("End(%q) = %q, %d, %q; want the outcome, %d, the error's text", o, r.Outcome, r.ExitCode, r.Error, want)
		}
	}
	var r Receipt
	if r.End(Applied, nil); r.Error != "" {
		t.Errorf("End(Applied, nil) sets the error %q", r.Error)
	}
}

func TestName(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		quoted   bool
	}{
		{"/etc/a", "/etc/a", false}, {"", "", false}, {"/genève", "/genève", false}, {`/a"b`, `/a"b`, false},
		{"/a\xff", `"/a\xff"`, true}, {"\xff\n", `"\xff\n"`, true}, {"/a\nb", "/a\nb", false},
	} {
		if got, quoted := Name(tt.in); got != tt.want || quoted != tt.quoted {
			t.Errorf("Name(%q) = %q, %v; want %q, %v", tt.in, got, quoted, tt.want, tt.quoted)
		}
	}
}

func TestFromChangeAndRefusal(t *testing.T) {
	c := FromChange(policy.Change{Path: "/a\xff", Op: policy.Create, Type: policy.Symlink, Attr: policy.Attr{Mode: 0o7, UID: 1, GID: 2}, Size: 3, SHA256Before: "a", SHA256After: "b", Target: "t\xff"})
	want := Change{Path: `"/a\xff"`, PathQuoted: true, Op: policy.Create, Type: policy.Symlink, Mode: "0007", UID: 1, GID: 2, Size: 3, SHA256Before: "a", SHA256After: "b", Target: `"t\xff"`}
	if c != want {
		t.Errorf("FromChange() = %+v; want %+v", c, want)
	}
	if got := FromChange(policy.Change{Attr: policy.Attr{Mode: 0o4755}}).Mode; got != "4755" {
		t.Errorf("FromChange(setuid).Mode = %q; want 4755", got)
	}
	r := FromRefusal(policy.Refusal{Path: "/a\xff", Directive: "d", Line: 4, Rule: "r", Reason: "why"})
	if (r != Refusal{Path: `"/a\xff"`, PathQuoted: true, Directive: "d", Line: 4, Rule: "r", Reason: "why"}) {
		t.Errorf("FromRefusal() = %+v; want its fields, the path quoted", r)
	}
	if u := FromRefusal(policy.Refusal{Unit: "x.service", Rule: "units", Reason: "no"}); (u != Refusal{Unit: "x.service", Rule: "units", Reason: "no"}) {
		t.Errorf("FromRefusal(unit) = %+v; want no path", u)
	}
}

// hostile is a receipt in which every text that a site, a script or a device
// can choose tries to be more than one line.
func hostile() *Receipt {
	const h = "x\n\x1b[2J\r\u202e\u2028\u009b\xffctxagent prolog: applied"
	r := full()
	r.Outcome, r.Rehearsal, r.Error, r.Warnings = Refused, false, h, []string{h}
	r.Disc.Device, r.Disc.Label = h, h
	r.Script.Path, r.Script.OutputTail = h, strings.Repeat(h+"\n", 30)
	for i := range r.Changes {
		r.Changes[i].Path, r.Changes[i].Target = h, h
	}
	for i := range r.Refusals {
		r.Refusals[i] = Refusal{Path: h, Reason: h, Rule: "name"}
	}
	r.Refusals = append(r.Refusals, Refusal{Unit: h, Reason: h, Rule: "units"}, Refusal{Call: h, Reason: h, Rule: "calls"})
	r.Units[0].Result, r.Network.Interface = h, h
	return r
}

func plain(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || !unicode.IsGraphic(r) {
			return false
		}
	}
	return true
}

func TestLineIsOneLine(t *testing.T) {
	r := hostile()
	if l := r.Line(); !plain(l) {
		t.Errorf("Line() = %q; want one line without control characters", l)
	}
	for _, x := range r.Refusals {
		if l := x.String(); !plain(l) {
			t.Errorf("String() = %q; want one line without control characters", l)
		}
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		r    Receipt
		want string
	}{
		{Receipt{Stage: "prolog", Outcome: NoMedia, Durations: map[string]int64{"total": 3}}, "ctxagent prolog: no-media, 3 ms"},
		{Receipt{Stage: "prolog", Outcome: Applied, Changes: make([]Change, 2)}, "ctxagent prolog: applied, 2 changes, 0 ms"},
		{Receipt{Stage: "prolog", Outcome: Refused, Changes: make([]Change, 3), Refusals: make([]Refusal, 2), Error: "the policy"},
			"ctxagent prolog: refused, 2 refusals of 3 changes, 0 ms: the policy"},
		{Receipt{Stage: "epilog", Outcome: Applied, Disc: &Disc{Device: "/dev/sr0", Label: `A "B"`, Digest: "0123456789abcdef"}, Network: &Network{Interface: "eth0", Address: "192.0.2.7/24"}},
			`ctxagent epilog: applied, disc /dev/sr0 label "A \"B\"" digest 0123456789ab, eth0 192.0.2.7/24, 0 ms`},
	} {
		if got := tt.r.Line(); got != tt.want {
			t.Errorf("Line() = %q; want %q", got, tt.want)
		}
	}
	for _, tt := range []struct {
		x    Refusal
		want string
	}{
		{Refusal{Path: "/etc/a", Reason: "why", Rule: "path"}, "refused /etc/a: why [path]"},
		{Refusal{Path: "/etc/a", Reason: "why", Rule: "grammar:x", Line: 4}, "refused /etc/a line 4: why [grammar:x]"},
		{Refusal{Unit: "a.service", Reason: "why", Rule: "units"}, "refused unit a.service: why [units]"},
		{Refusal{Call: "mount", Reason: "why", Rule: "calls"}, "refused mount: why [calls]"},
	} {
		if got := tt.x.String(); got != tt.want {
			t.Errorf("String() = %q; want %q", got, tt.want)
		}
	}
}

func pageOf(t *testing.T, r *Receipt) string {
	t.Helper()
	var b strings.Builder
	if err := r.Page(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageEscapesControlCharacters(t *testing.T) {
	p := pageOf(t, hostile())
	for line := range strings.SplitSeq(strings.TrimSuffix(p, "\n"), "\n") {
		if !plain(line) || strings.HasPrefix(line, "ctxagent prolog") {
			t.Errorf("Page() has the line %q; want no control characters and no forged line", line)
		}
	}
	if n, most := strings.Count(p, "\n"), 60; n > most {
		t.Errorf("Page() has %d lines; want at most %d of such a receipt", n, most)
	}
}

func TestPage(t *testing.T) {
	r := full()
	golden(t, "full.txt", []byte(pageOf(t, r)))
	r.Outcome, r.Rehearsal, r.Script.ExitStatus, r.Error = Failed, false, nil, "prolog.sh was ended by SIGTERM"
	for i := range r.Changes {
		r.Changes[i].Class = ""
	}
	got := pageOf(t, r)
	for _, want := range []string{"failed: nothing was changed", "ended by SIGTERM", "changed by the script, not applied", "/etc/rsyslog.d/b.conf line 3", "unit sshd.service"} {
		if !strings.Contains(got, want) {
			t.Errorf("Page() has no %q:\n%s", want, got)
		}
	}
	// A receipt of almost nothing is a page, too.
	if got := pageOf(t, &Receipt{Stage: "prolog", Outcome: NoMedia}); !strings.Contains(got, "no context disc") || strings.Count(got, "\n") != 1 {
		t.Errorf("Page(no media) = %q; want one line", got)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestPageReportsAWriteError(t *testing.T) {
	if err := full().Page(brokenWriter{}); err == nil {
		t.Error("Page(broken) = nil; want the error of its writer")
	}
}

func tempRoot(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, dir
}

func TestWriteAndRead(t *testing.T) {
	root, dir := tempRoot(t)
	if err := root.Mkdir("run", 0o755); err != nil {
		t.Fatal(err)
	}
	r := full()
	if err := r.Write(root, "run"); err != nil {
		t.Fatalf("Write() = %v; want no error", err)
	}
	got, err := Read(root, "run", "epilog")
	if err != nil {
		t.Fatalf("Read() = %v; want no error", err)
	}
	r.Schema = Schema
	if !reflect.DeepEqual(got, r) {
		t.Errorf("Read() = %+v; want what was written, %+v", got, r)
	}
	info, err := os.Stat(filepath.Join(dir, "run/epilog.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the receipt has mode %v, %v; want 0600", info.Mode(), err)
	}
	if names, err := os.ReadDir(filepath.Join(dir, "run")); err != nil || len(names) != 1 {
		t.Errorf("Write() leaves %v, %v; want the receipt alone", names, err)
	}
}

// A reader who holds the old receipt keeps it whole: the new one is another
// file. What an earlier Write left half done does not matter, nor its mode.
func TestWriteReplacesWhole(t *testing.T) {
	root, dir := tempRoot(t)
	r := &Receipt{Stage: "prolog", Outcome: Applied}
	if err := r.Write(root, "."); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(filepath.Join(dir, "prolog.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := os.WriteFile(filepath.Join(dir, "prolog.json.new"), bytes.Repeat([]byte("half "), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Outcome = Refused
	if err := r.Write(root, "."); err != nil {
		t.Fatalf("Write() over a half-written one = %v; want no error", err)
	}
	b := make([]byte, 4096)
	if n, _ := old.Read(b); !strings.Contains(string(b[:n]), `"applied"`) {
		t.Errorf("Write() writes into the old receipt: %s", b[:n])
	}
	if got, err := Read(root, ".", "prolog"); err != nil || got.Outcome != Refused {
		t.Errorf("Read() = %+v, %v; want the new receipt", got, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "prolog.json")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the receipt has mode %v, %v; want 0600 whatever lay there", info.Mode(), err)
	}
}

func TestWriteErrors(t *testing.T) {
	root, dir := tempRoot(t)
	if err := full().Write(root, "none"); err == nil {
		t.Error("Write(a directory that is not there) = nil; want an error")
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := full().Write(root, "out"); err == nil {
		t.Error("Write(a link out of the root) = nil; want an error")
	}
}

func TestReadErrors(t *testing.T) {
	root, dir := tempRoot(t)
	if _, err := Read(root, ".", "prolog"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read(nothing) = %v; want os.ErrNotExist", err)
	}
	for _, content := range []string{"", "{", "[]", `{"changes": 1}`} {
		if err := os.WriteFile(filepath.Join(dir, "prolog.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Read(root, ".", "prolog"); err == nil {
			t.Errorf("Read(%q) = %+v; want an error", content, r)
		}
	}
}
