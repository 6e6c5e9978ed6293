// SPDX-License-Identifier: Apache-2.0

// Package policy decides whether a site may make a change. Its input is the
// endorser's policy (one YAML file in the image) and the list of what a script
// changed and asked for; its output is an Approved, or a *RefusedError that
// names every path and the rule that refused it. It is pure: it reads no file,
// knows no root and starts nothing.
package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ctxagent/ctxagent/internal/grammar"
)

// Policy is the endorser's word on what a site may do to the image
// (docs/policy.md). Every limit has a bound, and none may be left out: an absent
// one is an error and never means "without limit".
type Policy struct {
	Version int     `yaml:"version"`
	Classes Classes `yaml:"classes"`
	Limits  Limits  `yaml:"limits"`
	Media   Media   `yaml:"media"`
	Network Network `yaml:"network"`
	Stages  Stages  `yaml:"stages"`
	// Mutable are the paths that may change on a running machine: `ctxagent seal`
	// takes the list into the manifest, and `ctxagent verify` has it from there.
	// Absent (nil) is the default policy's.
	Mutable []string `yaml:"mutable"`

	name, digest string
}

// Classes are the three purposes of contextualisation, exactly (HEPiX VWG,
// 2010-10-19: syslog, monitoring, batch system).
type Classes struct {
	Syslog     Class `yaml:"syslog"`
	Monitoring Class `yaml:"monitoring"`
	Batch      Class `yaml:"batch"`
}

// Class says which paths belong to one purpose and which units may be acted on.
type Class struct {
	Paths []PathRule `yaml:"paths"`
	Units []string   `yaml:"units"` // with suffix, e.g. rsyslog.service
	// Validators are command lines that look at a daemon's whole configuration,
	// as an extra check after the grammars and never in their place.
	Validators [][]string `yaml:"validators"`
}

// PathRule allows one path, glob or directory tree ("dir/**").
type PathRule struct {
	Path     string   `yaml:"path"`
	Grammar  string   `yaml:"grammar"`   // what the content may say
	Content  string   `yaml:"content"`   // "opaque" in place of a grammar
	MaxBytes Size     `yaml:"max_bytes"` // of one file
	Owners   []string `yaml:"owners"`    // accounts beside root that may own it
	Exec     bool     `yaml:"exec"`      // execute bits are allowed
	Allow    []string `yaml:"allow"`     // directives added to the grammar
	// ImageFiles says whether files that the image brought may be altered:
	// "keep" or "replace". If it is empty, the one file of a path without a
	// glob may, and what a glob matches may not.
	ImageFiles string `yaml:"image_files"`
}

// Limits bound what one stage may use.
type Limits struct {
	Deadline  Duration `yaml:"deadline"`  // of one script
	Bytes     Size     `yaml:"bytes"`     // of the staging tmpfs
	Inodes    int      `yaml:"inodes"`    // of the staging tmpfs
	Processes int      `yaml:"processes"` // at one time, threads counted
	Memory    Size     `yaml:"memory"`    // of all processes and the staging tmpfs
	Changes   int      `yaml:"changes"`   // in one stage
}

// Media says how the context disc is looked for.
type Media struct {
	Wait          Duration `yaml:"wait"`           // at most, while a device is being probed or the host has announced a disc
	Label         string   `yaml:"label"`          // demanded when not empty
	WritableDisks bool     `yaml:"writable_disks"` // look at those, too
	MaxBytes      Size     `yaml:"max_bytes"`      // of all files together
	MaxFiles      int      `yaml:"max_files"`      // entries of any type
	Signature     string   `yaml:"signature"`      // "off", "warn" or "require"
	Absent        string   `yaml:"absent"`         // a boot without a disc: "keep" what an earlier one's did, or "revert" it
}

// The words of media.absent and stages.run.
const (
	Keep           = "keep"
	Revert         = "revert"
	EveryBoot      = "every-boot"
	OncePerContext = "once-per-context"
)

// imageFiles are the words of a path's image_files.
var imageFiles = []string{Keep, "replace"}

// Stages says when scripts are run.
type Stages struct {
	// Run is "every-boot", or "once-per-context": not again for the same disc on
	// the same machine, once a stage has succeeded.
	Run string `yaml:"run"`
}

// Network says what "configured" means, and where an epilog may connect to
// (docs/network.md). Parse fills in the defaults of all but Timeout.
type Network struct {
	Timeout    Duration `yaml:"timeout"`
	Interfaces []string `yaml:"interfaces"` // globs; none: every Ethernet-like link
	Family     string   `yaml:"family"`     // "any", "ipv4", "ipv6" or "both"
	Require    string   `yaml:"require"`    // "address", "route" or "gateway-resolved"
	Settle     Duration `yaml:"settle"`     // the state has to last that long
	OnTimeout  string   `yaml:"on_timeout"` // "fail" or "run-anyway"

	Reach []ReachRule `yaml:"reach"` // none: no way out; absent: any
	Relay Relay       `yaml:"relay"`
}

// Relay bounds the way out of one stage.
type Relay struct {
	Connections int      `yaml:"connections"`
	Bytes       Size     `yaml:"bytes"` // both ways together
	Time        Duration `yaml:"time"`  // of one connection
}

// Name is that of the policy file, as Parse was told it.
func (p *Policy) Name() string { return p.name }

// Digest is the lower-case hex SHA-256 of the policy file as it was read.
func (p *Policy) Digest() string { return p.digest }

// Parse reads one policy file; name is only for messages. A key that is not
// known, a value out of its bounds, or a path that is refused whatever the
// policy says is an error with its line.
func Parse(name string, data []byte) (*Policy, error) {
	sum := sha256.Sum256(data)
	p := &Policy{name: name, digest: hex.EncodeToString(sum[:]), Media: Media{Wait: absent}}
	p.Media.Absent, p.Media.Signature, p.Stages.Run = Keep, "off", EveryBoot // what stands where the file says nothing
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(p); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, fmt.Errorf("policy %s: %w", name, plainYAML(err))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("policy %s: more than one YAML document", name)
	}
	var tree yaml.Node // once more, for the lines
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	faults := p.Network.complete(&tree)
	if faults = append(p.validate(&tree), faults...); len(faults) > 0 {
		return nil, fmt.Errorf("policy %s: %s", name, strings.Join(faults, "; "))
	}
	return p, nil
}

// absent marks a duration that the file does not have; none can be negative.
const absent Duration = -1

// plainYAML rewords the library's errors, which speak of Go types.
func plainYAML(err error) error {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	lines := make([]string, len(te.Errors))
	for i, l := range te.Errors {
		if at, rest, ok := strings.Cut(l, ": field "); ok {
			if key, _, ok := strings.Cut(rest, " not found in type "); ok {
				l = fmt.Sprintf("%s: unknown key %q: remove it, or compare with `ctxagent policy show`", at, key)
			}
		}
		if at, rest, ok := strings.Cut(l, ": cannot unmarshal !!"); ok {
			_, value, _ := strings.Cut(rest, " ")
			value, _, _ = strings.Cut(value, " into ")
			l = fmt.Sprintf("%s: %s does not fit here: compare with `ctxagent policy show`", at, value)
		}
		lines[i] = l
	}
	return errors.New(strings.Join(lines, "; "))
}

// validate lists what is wrong with a policy, each with its line.
func (p *Policy) validate(tree *yaml.Node) []string {
	var faults []string
	fault := func(text string, at ...any) {
		faults = append(faults, fmt.Sprintf("line %d: %s", lineOf(tree, at...), text))
	}
	if v := fraction(tree, "version"); v != "" {
		fault("version is "+v+"; this agent reads version 1", "version")
	} else if p.Version != 1 {
		fault(fmt.Sprintf("version is %d; this agent reads version 1", p.Version), "version")
	}
	for _, c := range p.classes() {
		for i := range c.Paths {
			if err := c.Paths[i].validate(); err != nil {
				fault("classes."+c.name+".paths: "+err.Error(), "classes", c.name, "paths", i)
			}
		}
		for i, argv := range c.Validators {
			if len(argv) == 0 || !path.IsAbs(argv[0]) || path.Clean(argv[0]) != argv[0] {
				fault(fmt.Sprintf("classes.%s.validators: %q is not a command line that begins with an absolute path", c.name, argv), "classes", c.name, "validators", i)
			}
		}
		for i, u := range c.Units {
			if !validUnit(u) {
				fault(fmt.Sprintf("classes.%s.units: %q is not a unit name with a suffix such as .service", c.name, u), "classes", c.name, "units", i)
			}
		}
	}
	for i, glob := range p.Mutable {
		if err := validMutable(glob); err != nil {
			fault("mutable: "+err.Error(), "mutable", i)
		}
	}
	for _, w := range p.words() {
		section, key, _ := strings.Cut(w.key, ".")
		if !slices.Contains(w.known, w.v) {
			fault(fmt.Sprintf("%s is %q; known are %s", w.key, w.v, strings.Join(w.known, " and ")), section, key)
		}
	}
	for _, b := range p.bounds() {
		var at []any
		keys := strings.Split(b.key, ".")
		for _, key := range keys {
			at = append(at, key)
		}
		switch v := fraction(tree, keys...); {
		case v != "":
			fault(fmt.Sprintf("%s is %s; it has to be a whole number", b.key, v), at...)
		case b.absent:
			fault(b.key+" is missing", at[0])
		case b.v < b.lo || b.v > b.hi:
			fault(fmt.Sprintf("%s is %s; it has to be from %s to %s", b.key, b.word(b.v), b.word(b.lo), b.word(b.hi)), at...)
		}
	}
	return faults
}

// fraction is a number that the library would read as a whole one, cut off: "2.5"
// into an int is 2. It is "" for any other value.
func fraction(tree *yaml.Node, keys ...string) string {
	if n := node(tree, keys...); n != nil && n.ShortTag() == "!!float" {
		return n.Value
	}
	return ""
}

// choice is a value that has to be one of a few words.
type choice struct {
	key, v string
	known  []string
}

func (p *Policy) words() []choice {
	return []choice{
		{"media.absent", p.Media.Absent, []string{Keep, Revert}},
		{"media.signature", p.Media.Signature, []string{"off", "warn", "require"}},
		{"stages.run", p.Stages.Run, []string{EveryBoot, OncePerContext}},
	}
}

// bound is what a value has to lie in.
type bound struct {
	key       string
	v, lo, hi int64
	word      func(int64) string
	absent    bool
}

func (p *Policy) bounds() []bound {
	span := func(n int64) string { return time.Duration(n).String() }
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []bound{
		{"limits.deadline", int64(p.Limits.Deadline), int64(time.Second), int64(10 * time.Minute), span, p.Limits.Deadline == 0},
		{"limits.bytes", int64(p.Limits.Bytes), 1 << 20, 1 << 33, count, p.Limits.Bytes == 0},
		{"limits.inodes", int64(p.Limits.Inodes), 100, 1 << 22, count, p.Limits.Inodes == 0},
		{"limits.processes", int64(p.Limits.Processes), 8, 1 << 16, count, p.Limits.Processes == 0},
		// What is written is memory as well: less than that could never be used up.
		{"limits.memory", int64(p.Limits.Memory), int64(p.Limits.Bytes) + 32<<20, 1 << 34, count, p.Limits.Memory == 0},
		{"limits.changes", int64(p.Limits.Changes), 1, 1 << 20, count, p.Limits.Changes == 0},
		{"media.wait", int64(p.Media.Wait), 0, int64(2 * time.Minute), span, p.Media.Wait == absent},
		{"media.max_bytes", int64(p.Media.MaxBytes), 1 << 10, 1 << 33, count, p.Media.MaxBytes == 0},
		{"media.max_files", int64(p.Media.MaxFiles), 1, 1 << 17, count, p.Media.MaxFiles == 0},
		{"network.timeout", int64(p.Network.Timeout), int64(time.Second), int64(30 * time.Minute), span, p.Network.Timeout == 0},
		{"network.settle", int64(p.Network.Settle), 0, int64(time.Minute), span, false},
		{"network.relay.connections", int64(p.Network.Relay.Connections), 1, 1 << 20, count, false},
		{"network.relay.bytes", int64(p.Network.Relay.Bytes), 1 << 10, 1 << 40, count, false},
		{"network.relay.time", int64(p.Network.Relay.Time), int64(time.Second), int64(10 * time.Minute), span, false},
	}
}

// lineOf is the line of the innermost node that the path leads to.
func lineOf(n *yaml.Node, path ...any) int {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	line := n.Line
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case string:
			for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		case int:
			if n.Kind == yaml.SequenceNode && step < len(n.Content) {
				next, line = n.Content[step], n.Content[step].Line
			}
		}
		if next == nil {
			return line
		}
		n = next
	}
	return line
}

type namedClass struct {
	name string
	Class
}

func (p *Policy) classes() []namedClass {
	return []namedClass{{"syslog", p.Classes.Syslog}, {"monitoring", p.Classes.Monitoring}, {"batch", p.Classes.Batch}}
}

// Validators are the command lines of each class that an accepted change
// belongs to.
func (p *Policy) Validators(a Approved) [][]string {
	var all [][]string
	for _, c := range p.classes() {
		if slices.ContainsFunc(a.changes, func(d Decided) bool { return d.Class == c.name }) {
			all = append(all, c.Validators...)
		}
	}
	return all
}

func (r *PathRule) validate() error {
	switch {
	case !path.IsAbs(r.Path) || path.Clean(r.Path) != r.Path || r.Path == "/" || r.Path == "/**":
		return fmt.Errorf("%q is not an absolute, clean path", r.Path)
	case !validGlob(r.Path):
		return fmt.Errorf("%q: ** stands only as the last element, and [ ] must be balanced", r.Path)
	case (r.Grammar == "") == (r.Content == ""):
		return fmt.Errorf("%q: say either grammar: NAME or content: opaque", r.Path)
	case r.Content != "" && r.Content != "opaque":
		return fmt.Errorf("%q: content is %q; only opaque is known", r.Path, r.Content)
	case r.Grammar != "" && !grammar.Known(r.Grammar):
		return fmt.Errorf("%q: unknown grammar %q; known are %s", r.Path, r.Grammar, strings.Join(grammar.Formats(), ", "))
	case r.Content == "opaque" && r.MaxBytes <= 0:
		return fmt.Errorf("%q: an opaque file needs max_bytes", r.Path)
	case r.ImageFiles != "" && !slices.Contains(imageFiles, r.ImageFiles):
		return fmt.Errorf("%q: image_files is %q; known are keep and replace", r.Path, r.ImageFiles)
	case len(r.Allow) > 0 && r.Grammar == "":
		return fmt.Errorf("%q: allow adds directives to a grammar, and this path has none", r.Path)
	}
	if why := alwaysRefused(r.Path); why != "" {
		return fmt.Errorf("%q is refused whatever the policy says: %s", r.Path, why)
	}
	return nil
}

// Duration is written as in "90s" or "2m".
type Duration time.Duration

// UnmarshalYAML reads a duration as time.ParseDuration does.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v < 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not a duration such as 90s or 2m", n.Line, n.Value)}}
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes, written plain or with KiB, MiB or GiB.
type Size int64

// UnmarshalYAML reads a size.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	text, unit := n.Value, int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = strings.TrimSpace(rest), u
		}
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 || v > 1<<40/unit {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not a size such as 512KiB or 64MiB", n.Line, n.Value)}}
	}
	*s = Size(v * unit)
	return nil
}
