// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxBytes     = 1 << 20 // no configuration a person wrote comes near
	maxFindings  = 100
	maxDirective = 60   // bytes of a Finding.Directive; a line may be a whole file long
	maxLine      = 1000 // for formats whose daemon reads into a buffer; the smallest known is 2047
)

// file is one content on its way through a format.
type file struct {
	format   string
	fold     bool
	extra    map[string]bool
	lines    []string
	unended  bool // the last line has no line feed
	findings []Finding
}

func newFile(format string, fold bool, extra []string) *file {
	f := &file{format: format, fold: fold, extra: make(map[string]bool, len(extra))}
	for _, name := range extra {
		f.extra[f.key(name)] = true
	}
	return f
}

// key is name as the format compares it.
func (f *file) key(name string) string {
	if f.fold {
		return lower(name)
	}
	return name
}

// lower folds ASCII alone: strings.ToLower makes a k of the Kelvin sign, no daemon does.
//
//go:noinline
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// read splits content into lines and reports whether it is plain text. If not, the format is not asked:
// what a daemon makes of such bytes is anybody's guess.
func (f *file) read(content []byte) bool {
	if len(content) > maxBytes {
		f.refuse(1, "", "file is larger than %d bytes: make it shorter", maxBytes)
		return false
	}
	if len(content) == 0 {
		return true
	}
	f.unended = !bytes.HasSuffix(content, []byte("\n"))
	for i, line := range bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n")) {
		if reason := notText(line); reason != "" {
			f.refuse(i+1, "", "%s", reason)
		}
		f.lines = append(f.lines, string(line))
	}
	return len(f.findings) == 0
}

// notText says why line is not a line of printable UTF-8, or nothing.
func notText(line []byte) string {
	switch {
	case !utf8.Valid(line):
		return "line is not valid UTF-8: save the file as UTF-8"
	case bytes.HasPrefix(line, []byte("\ufeff")):
		return "line starts with a byte order mark: save the file without one"
	case bytes.HasSuffix(line, []byte("\r")):
		return "line ends in a carriage return: save the file with Unix line ends"
	}
	for _, r := range string(line) {
		if r != '\t' && !unicode.IsPrint(r) {
			return fmt.Sprintf("line holds the character %U, which does not print: remove it", r)
		}
	}
	return ""
}

// refuse adds a finding.
func (f *file) refuse(line int, directive, reason string, args ...any) {
	if len(f.findings) < maxFindings {
		f.findings = append(f.findings, Finding{line, cut(directive), fmt.Sprintf(reason, args...)})
	}
}

// unknown refuses a directive that is not on the allow-list.
func (f *file) unknown(line int, directive string) {
	f.refuse(line, directive, "%q is not on the allow-list for %s: correct or remove it", cut(directive), f.format)
}

// setting checks one name and its value against a table, whose keys are as f.key makes them.
func (f *file) setting(line int, name, value string, table map[string]rule) {
	if f.extra[f.key(name)] {
		return
	}
	r, ok := table[f.key(name)]
	if !ok {
		f.unknown(line, name)
		return
	}
	f.value(line, name, value, r)
}

// value checks the value of a directive that is on the allow-list.
func (f *file) value(line int, name, value string, r rule) {
	if !r.ok(value) {
		f.refuse(line, name, "%q is not allowed as the value of %s: use %s", cut(value), cut(name), r.want)
	}
}

// comment reports whether line is blank or a comment that starts with one of the marks. A comment that
// ends in a backslash is refused: daemons disagree about where it ends.
func (f *file) comment(n int, line, marks string) bool {
	text := strings.Trim(line, " \t")
	if text == "" {
		return true
	}
	if !strings.ContainsRune(marks, rune(text[0])) {
		return false
	}
	if strings.HasSuffix(text, `\`) {
		f.refuse(n, "", "comment ends in a backslash: remove it")
	}
	return true
}

// shortLines refuses the lines that the format's daemon would cut in two at the end of its buffer, so that the
// second half of a comment became a setting.
func (f *file) shortLines() {
	for i, line := range f.lines {
		if len(line) > maxLine {
			f.refuse(i+1, "", "line is longer than %d bytes, and the daemon may cut it in two: shorten it", maxLine)
		}
	}
}

// cut shortens s at a rune boundary.
func cut(s string) string {
	if len(s) <= maxDirective {
		return s
	}
	end := maxDirective
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
