// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"slices"
	"strings"
)

// A statement of syslog-ng.conf(5) that the allow-list knows is one of
//
//	destination NAME { network("host" port(514) ...); ... };
//	filter NAME { facility(auth) and not level(debug); };
//	log { source(NAME); filter(NAME); destination(NAME); flags(flow-control); };
//	options { use-fqdn(yes); ... };
//
// A source, a parser, a rewrite rule, a template and every line that starts with @ are refused.
var (
	// What can stand between two tokens of the daemon's own scanner; a word that goes on behind one of ours
	// is another word there.
	sngToken = lazy(`\A(?:([A-Za-z_][A-Za-z0-9_-]*)|(0|[1-9][0-9]{0,9})|("[^"\\` + "`" + `]*"|'[^'\\` + "`" + `]*')|(\.\.|[(){};,]))`)
	sngEnd   = " \t(){};,#\"'."
)

// sngItem is one token: kind is w for a word, n for a number, s for a string, 0 for the end of the file,
// and else the punctuation itself.
type sngItem struct {
	kind byte
	text string // of a string, without its quotes
	line int
}

// sngFile is a walk over the tokens of a syslog-ng configuration.
type sngFile struct {
	*file
	items   []sngItem
	named   map[string]bool // what this file declares: "filter NAME" and "destination NAME"
	used    []sngItem       // destinations that a log path names
	allowed map[string]bool // what the endorser adds, as sngKey makes it
}

// sngKey is name as syslog-ng compares it: a dash is an underscore, and case counts.
func sngKey(name string) string { return strings.ReplaceAll(name, "-", "_") }

// checkSyslogNG allows what forwards messages to a host: destinations of the drivers network, syslog, tcp and
// udp, filters that only look at the message, and log paths from the image's sources to destinations of
// the same file.
func checkSyslogNG(f *file) {
	s := &sngFile{file: f, named: map[string]bool{}, allowed: map[string]bool{}}
	for name := range f.extra {
		s.allowed[sngKey(name)] = true
	}
	if !s.scan() {
		return
	}
	for s.peek().kind != 0 {
		if !s.statement() {
			return // where the next one starts cannot be told
		}
	}
	for _, used := range s.used { // a log path may stand above its destination
		if !s.named["destination "+used.text] {
			s.refuse(used.line, "destination", "destination %q is not declared in this file, so what it does cannot be told: declare it here", cut(used.text))
		}
	}
}

// scan splits the file into tokens. It reports false where the daemon's scanner might see others.
func (s *sngFile) scan() bool {
	for i, line := range s.lines {
		if strings.Contains(line, "`") {
			s.refuse(i+1, "`", "line holds a backquote, with which syslog-ng inserts other text, even in a comment: remove it")
			return false
		}
		for rest := strings.TrimLeft(line, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
			if rest[0] == '#' {
				s.comment(i+1, rest, "#")
				break
			}
			m := sngToken.FindStringSubmatch(rest)
			if m == nil || (m[1]+m[2] != "" && len(m[0]) < len(rest) && !strings.ContainsRune(sngEnd, rune(rest[len(m[0])]))) {
				word, _, _ := strings.Cut(rest, " ")
				s.refuse(i+1, word, "%q is no word, number or plain string of syslog-ng: rewrite or remove it", cut(word))
				return false
			}
			item := sngItem{line: i + 1, text: m[0]}
			switch {
			case m[1] != "":
				item.kind = 'w'
			case m[2] != "":
				item.kind = 'n'
			case m[3] != "":
				item.kind, item.text = 's', m[3][1:len(m[3])-1]
			default:
				item.kind = m[4][0]
			}
			s.items = append(s.items, item)
			rest = rest[len(m[0]):]
		}
	}
	return true
}

func (s *sngFile) peek() sngItem {
	if len(s.items) == 0 {
		return sngItem{line: max(1, len(s.lines))}
	}
	return s.items[0]
}

func (s *sngFile) next() sngItem {
	item := s.peek()
	if len(s.items) > 0 {
		s.items = s.items[1:]
	}
	return item
}

// expect takes the tokens of the given kinds, or refuses what stands in their place.
func (s *sngFile) expect(kinds string) bool {
	for i := range len(kinds) {
		if item := s.next(); item.kind != kinds[i] {
			s.refuse(item.line, item.text, "%q stands where %q is expected: rewrite the statement", cut(item.text), kinds[i:i+1])
			return false
		}
	}
	return true
}

// name takes a word or a string.
func (s *sngFile) name() (string, bool) {
	item := s.next()
	if item.kind != 'w' && item.kind != 's' || !aName.ok(item.text) {
		s.refuse(item.line, item.text, "%q stands where a name is expected: write letters, digits, dashes and underscores", cut(item.text))
		return "", false
	}
	return item.text, true
}

// statement checks one statement, and reports whether its end was found.
func (s *sngFile) statement() bool {
	start := s.next()
	switch {
	case start.kind == 'w' && s.allowed[sngKey(start.text)]:
		return s.skip(';')
	case start.kind != 'w' || !slices.Contains([]string{"destination", "filter", "log", "options"}, start.text):
		s.unknown(start.line, start.text)
		return start.kind == 'w' && s.skip(';') // to name what else is wrong
	case start.text == "destination" || start.text == "filter":
		name, ok := s.name()
		if !ok {
			return false
		}
		if s.named[start.text+" "+name] {
			s.refuse(start.line, start.text, "%s %q is declared twice, and syslog-ng would not start: give it another name", start.text, cut(name))
		}
		s.named[start.text+" "+name] = true
	}
	if !s.expect("{") {
		return false
	}
	switch {
	case start.text == "filter":
		return s.filter(0) && s.expect(";};")
	case start.text == "log" && s.peek().kind == '}':
		s.refuse(start.line, start.text, "log path without a source and a destination: write log { source(s_src); destination(d_site); };")
	}
	for s.peek().kind != '}' {
		if !s.part(start.text) {
			return false
		}
	}
	return s.expect("};")
}

// part checks one call within the braces of a statement.
func (s *sngFile) part(statement string) bool {
	switch statement {
	case "destination":
		return s.driver() && s.expect(";")
	case "log":
		return s.reference() && s.expect(";")
	default:
		return s.option(sngOptions()) && s.expect(";")
	}
}

// skip passes over what the endorser added: everything up to end, outside all brackets.
func (s *sngFile) skip(end byte) bool {
	for depth := 0; ; {
		item := s.next()
		switch item.kind {
		case 0:
			s.refuse(item.line, "", "file ends within a statement: close it")
			return false
		case '(', '{':
			depth++
		case ')', '}':
			if depth--; depth == 0 && item.kind == end {
				return true
			}
		case end:
			if depth == 0 {
				return true
			}
		}
	}
}

// driver checks name("host" option(...) ...).
func (s *sngFile) driver() bool {
	name := s.next()
	if name.kind == 'w' && s.allowed[sngKey(name.text)] {
		return s.skip(')')
	}
	if name.kind != 'w' || !slices.Contains(sngDrivers, sngKey(name.text)) {
		s.unknown(name.line, name.text)
		return false
	}
	if !s.expect("(") {
		return false
	}
	host := s.next()
	if host.kind != 's' && host.kind != 'w' || !anyHost.ok(host.text) {
		s.refuse(host.line, name.text, "%q is not allowed as the target of %s: use a host name or an address, in quotes", cut(host.text), cut(name.text))
	}
	for s.peek().kind != ')' {
		if !s.option(sngNetwork()) {
			return false
		}
	}
	return s.expect(")")
}

// option checks name(value, ...) or name(option(...) ...) against a table.
func (s *sngFile) option(table map[string]sngOption) bool {
	name := s.next()
	if name.kind == 'w' && s.allowed[sngKey(name.text)] {
		return s.skip(')')
	}
	known, ok := table[sngKey(name.text)]
	if name.kind != 'w' || !ok {
		s.unknown(name.line, name.text)
		return false
	}
	if !s.expect("(") {
		return false
	}
	for values := 0; s.peek().kind != ')'; values++ {
		switch item := s.peek(); {
		case known.options != nil:
			if !s.option(known.options) {
				return false
			}
		case item.kind == ',' && known.list && values > 0:
			s.next()
		case !strings.ContainsRune("wns", rune(item.kind)) || values > 0 && !known.list:
			s.refuse(item.line, name.text, "%q is too much or no value in %s: rewrite it", cut(item.text), cut(name.text))
			return false
		default:
			s.value(item.line, name.text, s.next().text, known.value)
		}
	}
	return s.expect(")")
}

// reference checks one part of a log path.
func (s *sngFile) reference() bool {
	part := s.next()
	if part.kind == 'w' && s.allowed[sngKey(part.text)] {
		return s.skip(')')
	}
	if part.kind != 'w' || !slices.Contains([]string{"source", "filter", "destination", "flags"}, part.text) {
		s.unknown(part.line, part.text)
		return false
	}
	if !s.expect("(") {
		return false
	}
	name, ok := s.name()
	if !ok {
		return false
	}
	switch {
	case part.text == "flags" && sngKey(name) != "flow_control":
		s.refuse(part.line, part.text, "flag %q is not allowed in a log path, since it can take messages from the image's own: use flow-control or none", cut(name))
	case part.text == "destination":
		s.used = append(s.used, sngItem{text: name, line: part.line})
	}
	return s.expect(")")
}
