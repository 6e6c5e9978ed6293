// SPDX-License-Identifier: Apache-2.0

// Package report is the receipt of a stage: the record that the site and the
// endorser can both read. Its input is what the stage found out; its output is
// JSON (docs/receipt.schema.json), one log line and a page for people. It reads
// nothing back but its own receipts and decides nothing.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// Schema is the version of the receipt's fields.
const Schema = 1

// Outcome is how a stage ended, in one word.
type Outcome string

// The outcomes (docs/operator-guide.md).
const (
	Applied     Outcome = "applied"
	Unchanged   Outcome = "unchanged"
	NoMedia     Outcome = "no-media"
	Late        Outcome = "late"
	Ambiguous   Outcome = "ambiguous"
	Unusable    Outcome = "unusable"
	Refused     Outcome = "refused"
	Failed      Outcome = "failed"
	Timeout     Outcome = "timeout"
	NoNetwork   Outcome = "no-network"
	Unsupported Outcome = "unsupported"
)

// ExitCode is the exit status that goes with an outcome (docs/operator-guide.md).
func (o Outcome) ExitCode() int {
	switch o {
	case Applied, Unchanged, NoMedia:
		return 0
	case Refused:
		return 3
	case Late, Ambiguous, Unusable:
		return 4
	case NoNetwork:
		return 5
	case Unsupported:
		return 6
	}
	return 1
}

// Receipt is the record of one stage. Absent parts are left out of the JSON.
type Receipt struct {
	Schema      int              `json:"schema"`
	Stage       string           `json:"stage"`
	Outcome     Outcome          `json:"outcome"`
	ExitCode    int              `json:"exit_code"`
	Rehearsal   bool             `json:"rehearsal,omitempty"` // nothing was applied, by intent
	Error       string           `json:"error,omitempty"`
	Warnings    []string         `json:"warnings,omitempty"`
	Disc        *Disc            `json:"disc,omitempty"`
	Script      *Script          `json:"script,omitempty"`
	Changes     []Change         `json:"changes"`
	Refusals    []Refusal        `json:"refusals"`
	DeniedCalls []DeniedCall     `json:"denied_calls"`
	Units       []Unit           `json:"units"`
	Network     *Network         `json:"network,omitempty"`
	Connections []Connection     `json:"connections"`
	Durations   map[string]int64 `json:"durations_ms"`
	Clock       Clock            `json:"clock"`
	Agent       Agent            `json:"agent"`
}

// Disc is the context disc. Contract is what makes it one; Signer is who signed
// it, by media.signature.
type Disc struct {
	Device   string `json:"device"`
	Label    string `json:"label"`
	Flavour  string `json:"flavour"`
	Contract string `json:"contract"`
	Digest   string `json:"digest"`
	Signer   string `json:"signer"`
}

// Script is the stage's script and what became of it. ExitStatus is absent
// where it was not run or was ended by a signal.
type Script struct {
	Path       string   `json:"path"`
	Digest     string   `json:"digest"`
	ExitStatus *int     `json:"exit_status,omitempty"`
	Signal     string   `json:"signal,omitempty"`
	OutputTail string   `json:"output_tail"`
	OutputLost int64    `json:"output_lost_bytes,omitempty"`
	LeftOver   []string `json:"left_over,omitempty"` // processes that were ended with it
	ReadOnly   []string `json:"read_only,omitempty"` // mount points where it could change nothing
}

// Change is one path that the script changed. Mode is in octal. A path that is
// not valid UTF-8 is Go-quoted, and PathQuoted set.
type Change struct {
	Path         string      `json:"path"`
	PathQuoted   bool        `json:"path_quoted,omitempty"`
	Op           policy.Op   `json:"op"`
	Type         policy.Type `json:"type"`
	Class        string      `json:"class,omitempty"`
	Rule         string      `json:"rule,omitempty"`
	Mode         string      `json:"mode"`
	UID          uint32      `json:"uid"`
	GID          uint32      `json:"gid"`
	Size         int64       `json:"size"`
	SHA256Before string      `json:"sha256_before,omitempty"`
	SHA256After  string      `json:"sha256_after,omitempty"`
	Target       string      `json:"target,omitempty"`
}

// Refusal is one thing that the policy refused: a path, a call, a unit, or a
// directive in a path's content.
type Refusal struct {
	Path       string `json:"path,omitempty"`
	PathQuoted bool   `json:"path_quoted,omitempty"`
	Call       string `json:"call,omitempty"`
	Unit       string `json:"unit,omitempty"`
	Directive  string `json:"directive,omitempty"`
	Rule       string `json:"rule"`
	Reason     string `json:"reason"`
	Line       int    `json:"line,omitempty"`
}

// DeniedCall is a system call that the confinement refused to a command.
type DeniedCall struct {
	Comm  string `json:"comm"`
	Call  string `json:"call"`
	Count int    `json:"count"`
}

// Unit is an approved request and what became of it.
type Unit struct {
	Unit   string `json:"unit"`
	Action string `json:"action"`
	Result string `json:"result"`
	Links  []Link `json:"links,omitempty"` // the symlinks that enabling made
}

// What a Result is, or begins with, where a unit was to be disabled: it is disabled, or
// no context has enabled it.
const (
	Disabled   = "disabled"
	NotEnabled = "nothing to undo: no link to it is of a context's making"
)

// Disabled tells whether the unit was to be disabled, and no context's enabling of it
// is left.
func (u Unit) Disabled() bool {
	return u.Action == "disable" && (strings.HasPrefix(u.Result, NotEnabled) || strings.HasPrefix(u.Result, Disabled))
}

// Link is a symlink of the service manager's.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Network are the facts that netwait decided on. Without a decision there are
// none but Missing, the time and the events.
type Network struct {
	Interface  string    `json:"interface"`
	Index      int       `json:"index"`
	MAC        string    `json:"mac"`
	Operstate  string    `json:"operstate"`
	Address    string    `json:"address"`           // the one decided on, with its prefix length
	Addresses  []Address `json:"addresses"`         // all of the interface's that can be used
	Gateway    string    `json:"gateway,omitempty"` // of the default route of Address's family
	Gateways   []string  `json:"gateways"`          // of all default routes through the interface
	RouteTable int       `json:"route_table,omitempty"`
	DNS        []string  `json:"dns"` // as the machine's resolver has them; none was asked
	Events     int       `json:"events"`
	EventUS    int64     `json:"event_monotonic_us,omitempty"` // the last event before the decision
	DecidedUS  int64     `json:"decided_monotonic_us,omitempty"`
	WaitedMS   int64     `json:"waited_ms"`
	Missing    string    `json:"missing,omitempty"` // what was not there when the time was over
}

// Address is one address of the interface.
type Address struct {
	Address string `json:"address"` // with its prefix length
	Scope   string `json:"scope"`   // ip-address(8)'s word: "global", "site", "link"
}

// Connection is one that the script asked the relay for, or several of the same
// target with the same end. Target is HOST:PORT, empty where none was
// understood; Address is what was dialled.
type Connection struct {
	Target     string `json:"target"`
	Address    string `json:"address,omitempty"`
	Protocol   string `json:"protocol"`
	Rule       string `json:"rule,omitempty"`
	Result     string `json:"result"` // "connected", or "refused: …", "failed: …", "cut off: …"
	Count      int    `json:"count"`
	Sent       int64  `json:"sent_bytes"`
	Received   int64  `json:"received_bytes"`
	DurationMS int64  `json:"duration_ms"`
}

// Clock places the stage in the boot. Monotonic times are microseconds of
// CLOCK_MONOTONIC, the clock of journalctl -o short-monotonic.
type Clock struct {
	BootID            string    `json:"boot_id"`
	Started           time.Time `json:"started"`
	StartedMonotonic  int64     `json:"started_monotonic_us"`
	DiscMonotonic     int64     `json:"disc_monotonic_us,omitempty"`     // the uevent that brought the disc, if it was not there at first
	ReleasedMonotonic int64     `json:"released_monotonic_us,omitempty"` // the wait for the network, or for a disc, was over
	ScriptMonotonic   int64     `json:"script_monotonic_us,omitempty"`
	EndedMonotonic    int64     `json:"ended_monotonic_us"`
}

// Agent is who decided, by which policy.
type Agent struct {
	Version      string `json:"version"`
	PolicyDigest string `json:"policy_digest"`
}

// End sets the outcome and what follows from it.
func (r *Receipt) End(o Outcome, err error) {
	r.Outcome, r.ExitCode = o, o.ExitCode()
	if err != nil {
		r.Error = err.Error()
	}
}

// FromChange fills in what a receipt says of a change that was not approved, or
// not yet.
func FromChange(c policy.Change) Change {
	p, quoted := Name(c.Path)
	target, _ := Name(c.Target)
	return Change{
		Path: p, PathQuoted: quoted, Op: c.Op, Type: c.Type, Mode: fmt.Sprintf("%04o", c.Attr.Mode), UID: c.Attr.UID, GID: c.Attr.GID,
		Size: c.Size, SHA256Before: c.SHA256Before, SHA256After: c.SHA256After, Target: target,
	}
}

// FromRefusal fills in what a receipt says of a refusal.
func FromRefusal(r policy.Refusal) Refusal {
	p, quoted := Name(r.Path)
	return Refusal{Path: p, PathQuoted: quoted, Unit: r.Unit, Call: r.Call, Directive: r.Directive, Rule: r.Rule, Reason: r.Reason, Line: r.Line}
}

// Name returns a path for a receipt, and whether it had to be quoted.
func Name(p string) (string, bool) {
	if utf8.ValidString(p) {
		return p, false
	}
	return strconv.Quote(p), true
}

// Marshal gives the receipt as JSON with a final newline. Lists are never null.
func (r *Receipt) Marshal() ([]byte, error) {
	c := *r
	c.Schema = Schema
	c.Changes, c.Refusals = nonNil(c.Changes), nonNil(c.Refusals)
	c.DeniedCalls, c.Units, c.Connections = nonNil(c.DeniedCalls), nonNil(c.Units), nonNil(c.Connections)
	if c.Network != nil {
		n := *c.Network
		n.Addresses, n.Gateways, n.DNS = nonNil(n.Addresses), nonNil(n.Gateways), nonNil(n.DNS)
		c.Network = &n
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(&c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Write puts the receipt into a directory of root as STAGE.json, whole or not
// at all, for root's eyes alone: what a script printed may hold secrets. It
// returns when the receipt would outlive a loss of power.
func (r *Receipt) Write(root *os.Root, dir string) error {
	b, err := r.Marshal()
	if err != nil {
		return err
	}
	name := path.Join(dir, r.Stage+".json")
	tmp := name + ".new"
	// What a stage that was cut off left half done would keep its mode.
	if err := root.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeSynced(root, tmp, b); err != nil {
		return err
	}
	if err := root.Rename(tmp, name); err != nil {
		return err
	}
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close()) // the new name (fsync(2), NOTES)
}

// writeSynced makes a file whose content is durable before it gets its name.
func writeSynced(root *os.Root, name string, b []byte) (err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Sync()
}

// Remove takes the receipts of stages away, if they are there.
func Remove(root *os.Root, dir string, names ...string) error {
	var errs []error
	for _, n := range names {
		if err := root.Remove(path.Join(dir, n+".json")); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Read returns the receipt of a stage from a directory of root.
func Read(root *os.Root, dir, stage string) (*Receipt, error) {
	b, err := root.ReadFile(path.Join(dir, stage+".json"))
	if err != nil {
		return nil, err
	}
	var r Receipt
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read receipt %q: %w", path.Join(dir, stage+".json"), err)
	}
	return &r, nil
}

// Line is the receipt in one line, for the log and the console.
func (r *Receipt) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ctxagent %s: %s", r.Stage, r.Outcome)
	if n := len(r.Changes); n > 0 && r.Outcome == Applied {
		fmt.Fprintf(&b, ", %d changes", n)
	}
	if n := len(r.Refusals); n > 0 {
		fmt.Fprintf(&b, ", %d refusals of %d changes", n, len(r.Changes))
	}
	if r.Disc != nil {
		fmt.Fprintf(&b, ", disc %s label %q digest %.12s", OneLine(r.Disc.Device), r.Disc.Label, r.Disc.Digest)
	}
	if r.Network != nil && r.Network.Address != "" {
		fmt.Fprintf(&b, ", %s %s", OneLine(r.Network.Interface), r.Network.Address)
	}
	fmt.Fprintf(&b, ", %d ms", r.Durations["total"])
	if r.Error != "" {
		fmt.Fprintf(&b, ": %s", OneLine(r.Error))
	}
	return b.String()
}

// String is the refusal in one line, for the log.
func (x Refusal) String() string {
	what := x.Path + x.Call
	if x.Unit != "" {
		what = "unit " + x.Unit
	}
	if x.Line > 0 {
		what = fmt.Sprintf("%s line %d", what, x.Line)
	}
	return OneLine(fmt.Sprintf("refused %s: %s [%s]", what, x.Reason, x.Rule))
}

// OneLine keeps a hostile name from forging a line of its own or from acting on
// a terminal: what is not graphic is escaped, as in Go. Backslashes and quotes
// stay as they are, for a message may hold a command to paste.
func OneLine(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' || unicode.IsGraphic(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
