// SPDX-License-Identifier: Apache-2.0

// Package lint reads a context disc's scripts and says what is wrong with them
// before anything is run: what no shell reads, what another shell than the
// script's reads, commands that a guest can only refuse, files that the disc
// lacks, keys that everybody may read.
//
// Input: the disc as an fs.FS, and the policy's word on single paths. Output: a
// list of findings, each with its line and column and what to do instead. It
// runs nothing and decides nothing: a script with findings may still do what a
// guest accepts, and one without may not. The rehearsal says.
package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
)

// Severity says how sure it is that a guest will not do what the script wants.
type Severity string

// An Error fails in every guest; a Warning is refused, or fails, where it is
// reached; a Note is for the reader to judge.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Finding is one thing to look at.
type Finding struct {
	Path     string   `json:"path"`             // on the disc
	Line     int      `json:"line,omitempty"`   // from 1; 0 for the file as a whole
	Column   int      `json:"column,omitempty"` // from 1, in bytes
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // what is wrong, why, and what to do instead
}

// Rules are the rules that a finding can have, each with what it is about.
var Rules = map[string]string{
	"bashism":      "a script of another shell uses what only bash has",
	"command":      "a command that a guest can only refuse",
	"crlf":         "lines end with CR LF, as on Windows",
	"encoding":     "the file begins with a byte order mark",
	"interpreter":  "the first line names no interpreter",
	"missing-file": "the script uses a file that the disc does not have",
	"no-network":   "the prolog runs before there is a network",
	"path":         "a path that is refused whatever the policy says",
	"secret":       "a key that everybody may read",
	"syntax":       "the shell cannot read the script",
	"unwanted":     "a file that is there by mistake",
}

// Options are what lint cannot know of itself.
type Options struct {
	// Refused says why a path may never be written, or "".
	Refused func(path string) string
	// Modes tells that the disc keeps modes: a directory, or Rock Ridge.
	Modes bool
	// Dir is the disc's, if it is a directory of this machine: commands name files in it.
	Dir string
}

const (
	maxScript  = 1 << 20 // bytes, as in a guest
	maxEntries = 10_000
)

// stages are the scripts that a guest runs (docs/context-disc.md).
var stages = []string{"prolog.sh", "epilog.sh", "init.sh"}

// Disc reads the scripts of a disc and its list of files. The findings are in
// the order of paths and lines.
func Disc(disc fs.FS, o Options) ([]Finding, error) {
	l := &linter{disc: disc, Options: o, names: map[string]bool{}}
	if l.Refused == nil {
		l.Refused = func(string) string { return "" }
	}
	var scripts []string
	err := fs.WalkDir(disc, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if len(l.names) >= maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		l.names[strings.ToLower(name)] = true
		if d.IsDir() && d.Name() == ".git" {
			l.add(name, 0, 0, "unwanted", Note, "a version control directory is on the disc: pack a copy without it")
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if script, err := l.file(name, d); err != nil || !script {
			return err
		}
		scripts = append(scripts, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range scripts {
		if err := l.script(name); err != nil {
			return nil, err
		}
	}
	sort.SliceStable(l.findings, func(i, j int) bool {
		a, b := l.findings[i], l.findings[j]
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Rule, b.Rule)) < 0
	})
	return slices.Compact(l.findings), nil
}

type linter struct {
	Options
	disc     fs.FS
	names    map[string]bool // every entry, in lower case
	findings []Finding
}

func (l *linter) add(name string, line, column int, rule string, s Severity, format string, a ...any) {
	l.findings = append(l.findings, Finding{Path: name, Line: line, Column: column, Rule: rule, Severity: s, Message: fmt.Sprintf(format, a...)})
}

// file looks at a file as such, and tells whether it is a script.
func (l *linter) file(name string, d fs.DirEntry) (bool, error) {
	info, err := d.Info()
	if err != nil {
		return false, err
	}
	head, err := readHead(l.disc, name, 4096)
	if err != nil {
		return false, err
	}
	if l.Modes && info.Mode()&0o004 != 0 && secret(name, head) {
		l.add(name, 0, 0, "secret", Warning, "it looks like a key and everybody may read it: chmod 600 it, and hand the disc to nobody else")
	}
	if stage(name) {
		return true, nil
	}
	return info.Size() <= maxScript && (bytes.HasPrefix(head, []byte("#!")) || path.Ext(name) == ".sh"), nil
}

// stage tells whether a guest runs the file.
func stage(name string) bool {
	return slices.ContainsFunc(stages, func(s string) bool { return len(s) == len(name) && strings.EqualFold(s, name) })
}

// isProlog tells whether the file runs before the network.
func isProlog(name string) bool { return stage(name) && !strings.EqualFold(name, "epilog.sh") }

func readHead(disc fs.FS, name string, most int) ([]byte, error) {
	f, err := disc.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, most)
	n := 0
	for n < most {
		m, err := f.Read(b[n:])
		n += m
		if err != nil || m == 0 {
			break // what cannot be read will fail in the rehearsal
		}
	}
	return b[:n], nil
}

// secret tells whether a file is one that opens something, by its name or by how
// it begins.
func secret(name string, head []byte) bool {
	if bytes.Contains(head, []byte("PRIVATE KEY-----")) {
		return true
	}
	base := strings.ToLower(path.Base(name))
	switch path.Ext(base) {
	case ".pub", ".crt", ".sh", ".md", ".txt", ".conf":
		return false
	case ".key", ".psk", ".keytab", ".token", ".passwd":
		return true
	}
	for _, word := range []string{"munge.key", "pool_password", "pool.token", "id_rsa", "id_ed25519", "id_ecdsa", "idtoken", "secret"} {
		if strings.Contains(base, word) {
			return true
		}
	}
	return false
}
