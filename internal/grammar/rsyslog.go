// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// A statement of rsyslog.conf(5) that the allow-list knows is one of
//
//	$Directive value
//	selector @host, selector @@host:port;TEMPLATE
//	action(name="value" ...), the same after a selector, global(name="value" ...)
//
// Everything else, such as a property filter, an expression, a block, a ruleset or a program name, is
// refused by its first word.
var (
	rsyslogLegacy    = lazy(`\A(\$[A-Za-z][A-Za-z0-9_]*)[ \t]+(\S.*)\z`)
	rsyslogObject    = lazy(`\A([A-Za-z_]+)[ \t]*\(`)
	rsyslogParameter = lazy(`\A([A-Za-z][A-Za-z0-9_.]*)[ \t]*=[ \t]*"([^"]*)"`)
	rsyslogRule      = lazy(`\A([^ \t]+)[ \t]+(.*)\z`)

	// rsyslog 8 documentation, "Filter Conditions", "Selectors"; the names are those of syslog(3).
	rsyslogSelector = lazy(`\A` + selectorExpr + `(?:;` + selectorExpr + `)*\z`)

	// rsyslog 8 documentation, "Actions", "Remote Machine": @ is UDP, @@ is TCP, then options in
	// parentheses (z compression, o octet-counted framing), host, port and template.
	rsyslogForward = lazy(`\A@@?(?:\((?:o|z[0-9])(?:,(?:o|z[0-9]))*\))?` +
		`(?:` + hostExpr + `|\[` + ip6Expr + `\])(?::` + portExpr + `)?(?:;([A-Za-z0-9_]+))?\z`)
)

const (
	facilityExpr = `(?:\*|auth|authpriv|cron|daemon|ftp|kern|lpr|mail|mark|news|security|syslog|user|uucp|local[0-7])`
	priorityExpr = `(?:\*|none|[!=]{0,2}(?:debug|info|notice|warning|warn|err|error|crit|alert|emerg|panic))`
	selectorExpr = facilityExpr + `(?:,` + facilityExpr + `)*\.` + priorityExpr
)

// rsyslogFile is a walk over an rsyslog configuration; line and col are where it stands.
type rsyslogFile struct {
	*file
	line, col int
	filtered  bool // a selector with its action came right before, so that "&" has something to go on from

	// The last "$Action..." directive that no forwarding rule has taken up: left so, it would change the
	// next rule of another file, one that the image brought.
	pending     string
	pendingLine int
}

// checkRsyslog allows what forwards messages to a host: selectors with @ and @@, action(type="omfwd"),
// their queue, retry and TLS settings, and the few global settings that name the sender.
func checkRsyslog(f *file) {
	r := &rsyslogFile{file: f}
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		if strings.Contains(text, `\`) && !strings.HasPrefix(text, "#") {
			f.refuse(i+1, `\`, "line holds a backslash, which can hide a word or join lines: remove it")
		}
	}
	for ; r.line < len(f.lines); r.line++ {
		if f.comment(r.line+1, f.lines[r.line], "#") {
			continue
		}
		text := strings.Trim(f.lines[r.line], " \t")
		r.col = strings.Index(f.lines[r.line], text)
		if !r.statement(text) {
			return
		}
	}
	if r.pending != "" {
		f.refuse(r.pendingLine, r.pending, "%s is followed by no @ or @@ rule in this file: put it in front of one", r.pending)
	}
}

// statement checks the statement that starts here. It reports false if its end cannot be told, so that
// nothing after it can be read either.
func (r *rsyslogFile) statement(text string) bool {
	if strings.HasPrefix(text, "$") {
		r.legacy(text)
		return true
	}
	if object := rsyslogObject.FindStringSubmatch(text); object != nil {
		r.filtered = false
		return r.object(object)
	}
	rule := rsyslogRule.FindStringSubmatchIndex(text)
	if rule == nil {
		r.unknown(r.line+1, text)
		return true
	}
	selector, action := text[:rule[3]], text[rule[4]:]
	switch {
	case selector == "&" && !r.filtered:
		r.refuse(r.line+1, "&", `"&" follows no rule of this file: write the selector out`)
		return true
	case selector != "&" && !rsyslogSelector.MatchString(lower(selector)):
		r.unknown(r.line+1, selector)
		return true
	}
	r.filtered = true
	if object := rsyslogObject.FindStringSubmatch(action); object != nil {
		if lower(object[1]) != "action" {
			r.refuse(r.line+1, object[1], "%s( stands behind a selector, and rsyslog would not start: put it on a line of its own", cut(object[1]))
		}
		r.col += rule[4]
		return r.object(object)
	}
	r.forward(action)
	return true
}

// legacy checks a "$Directive value" line.
func (r *rsyslogFile) legacy(text string) {
	m := rsyslogLegacy.FindStringSubmatch(text)
	if m == nil {
		r.unknown(r.line+1, text)
		return
	}
	r.setting(r.line+1, m[1], m[2], rsyslogDirectives())
	if strings.HasPrefix(lower(m[1]), "$action") {
		r.pending, r.pendingLine = m[1], r.line+1
	}
}

// forward checks the action of a selector line: the rest of the line, as rsyslog takes it.
func (r *rsyslogFile) forward(action string) {
	m := rsyslogForward.FindStringSubmatch(action)
	switch {
	case m == nil && strings.HasPrefix(action, "@"):
		r.refuse(r.line+1, action, "%q is not a plain forwarding target: write @host, @@host:port or @@host:port;TEMPLATE", cut(action))
	case m == nil:
		r.refuse(r.line+1, action, "action %q is not on the allow-list for rsyslog: forward with @host or @@host:port", cut(action))
	case m[1] != "" && !rsyslogTemplate.ok(m[1]):
		r.value(r.line+1, "template", m[1], rsyslogTemplate)
	default:
		r.pending = ""
	}
}

// object checks name(parameter="value" ...), which may go over several lines.
func (r *rsyslogFile) object(start []string) bool {
	line, name := r.line+1, start[1]
	table, known := rsyslogObjects()[lower(name)]
	if !known && !r.extra[r.key(name)] {
		r.unknown(line, name)
	}
	r.col += len(start[0])
	seen := map[string]bool{}
	for {
		if !r.skip() {
			r.refuse(line, name, "%s( is not closed: add the closing parenthesis", cut(name))
			return false
		}
		rest := r.lines[r.line][r.col:]
		if rest[0] == ')' {
			break
		}
		m := rsyslogParameter.FindStringSubmatch(rest)
		if m == nil {
			r.refuse(r.line+1, rest, `%s( expects name="value", the value on one line: rewrite it`, cut(name))
			return false
		}
		if known {
			r.setting(r.line+1, m[1], m[2], table)
		}
		seen[lower(m[1])] = true
		r.col += len(m[0])
	}
	if rest := strings.Trim(r.lines[r.line][r.col+1:], " \t"); rest != "" {
		r.refuse(r.line+1, rest, "text after the closing parenthesis of %s: put it on a line of its own", cut(name))
	}
	for _, needed := range []string{"type", "target"} {
		if lower(name) == "action" && !seen[needed] {
			r.refuse(line, name, `action without %s: write action(type="omfwd" target="host" ...)`, needed)
		}
	}
	return true
}

// skip goes on to the next character that is neither blank nor in a comment; false means there is none.
func (r *rsyslogFile) skip() bool {
	for r.line < len(r.lines) {
		rest := r.lines[r.line][r.col:]
		text := strings.TrimLeft(rest, " \t")
		if text != "" && text[0] != '#' {
			r.col += len(rest) - len(text)
			return true
		}
		if r.line+1 == len(r.lines) {
			return false
		}
		r.line, r.col = r.line+1, 0
	}
	return false
}
