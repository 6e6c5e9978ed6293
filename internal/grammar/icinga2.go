// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// Icinga 2's configuration is a programming language (Icinga 2 documentation, "Language Reference"). This is
// the one shape of it that zones.conf needs: object Endpoint and object Zone, one attribute a line.
const icingaName = `(?:NodeName|ZoneName|"[A-Za-z0-9_](?:[A-Za-z0-9_. -]{0,120}[A-Za-z0-9_])?")`

var (
	icingaOpen    = lazy(`\Aobject (Endpoint|Zone) (NodeName|ZoneName|"[A-Za-z0-9_](?:[A-Za-z0-9_. -]{0,120}[A-Za-z0-9_])?") \{(.*)\z`)
	icingaAttr    = lazy(`\A([a-z_]+)[ \t]*=[ \t]*(.*)\z`)
	icingaObjects = onUse(func() map[string]map[string]rule {
		return map[string]map[string]rule{
			// "Object Types", "Endpoint" and "Zone".
			"Endpoint": {
				"host":         match("a host in double quotes", `"(?:`+hostExpr+`|`+ip6Expr+`)"|NodeName`),
				"port":         match("a port, in double quotes if you like", `"[1-9][0-9]{0,4}"|[1-9][0-9]{0,4}`),
				"log_duration": match("a duration such as 0, 30m or 1d", `[0-9]{1,6}[smhd]?`),
			},
			"Zone": {
				"endpoints": match("a list such as [ \"a.example.org\", NodeName ]", `\[ *(?:`+icingaName+`(?: *, *`+icingaName+`)* *,? *)?\]`),
				"parent":    match("the name of a zone in double quotes", icingaName),
				"global":    words("true", "false"),
			},
		}
	})
)

// checkIcinga2Zones allows zones.conf of Icinga 2: who this agent's parents are, "Distributed Monitoring". Not
// allowed is the api feature, constants.conf and anything else: with accept_config or accept_commands of
// an ApiListener the parent starts any command as the agent's user, and a CheckCommand is one. So that stays
// the endorser's choice.
func checkIcinga2Zones(f *file) {
	kind := ""       // of the object that is open
	opened := 0      // the line it was opened on
	comment := false // a /* is open
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		if comment || strings.HasPrefix(text, "/*") {
			comment = f.icingaComment(i+1, text, !comment)
			continue
		}
		switch {
		case strings.HasPrefix(text, "//") && !strings.HasSuffix(text, `\`), f.comment(i+1, line, "#"):
		case kind == "":
			kind = f.icingaObject(i+1, text)
			opened = i + 1
		case text == "}":
			kind = ""
		default:
			f.icingaAttribute(i+1, kind, text)
		}
	}
	if comment {
		f.refuse(len(f.lines), "/*", "comment is not closed: add */")
	}
	if kind != "" {
		f.refuse(opened, "object", "object %s is not closed: add the closing brace on a line of its own", kind)
	}
}

// icingaComment reads a line of a /* comment, which ends at the first */, and reports whether it goes on.
func (f *file) icingaComment(line int, text string, first bool) bool {
	if first {
		text = text[len("/*"):]
	}
	_, after, closed := strings.Cut(text, "*/")
	if strings.Trim(after, " \t") != "" {
		f.refuse(line, after, "text behind the end of a comment: put it on a line of its own")
	}
	return !closed
}

// icingaObject reads the first line of an object, and returns its type if it goes on on the next line.
func (f *file) icingaObject(line int, text string) string {
	m := icingaOpen.FindStringSubmatch(text)
	if m == nil {
		word := strings.FieldsFunc(text, isBlank)[0]
		f.refuse(line, word, `%q is not on the allow-list for icinga2-zones: write object Endpoint "name" { or object Zone "name" {`, cut(text))
		return ""
	}
	rest := strings.Trim(m[3], " \t")
	if rest == "" {
		return m[1]
	}
	body, closed := strings.CutSuffix(rest, "}")
	if !closed {
		f.refuse(line, rest, "text behind the opening brace: put each attribute on a line of its own")
		return ""
	}
	if body = strings.Trim(body, " \t"); body != "" {
		f.icingaAttribute(line, m[1], body)
	}
	return ""
}

// icingaAttribute checks one attribute.
func (f *file) icingaAttribute(line int, kind, text string) {
	f.assignment(line, text, icingaAttr, icingaObjects()[kind])
}
