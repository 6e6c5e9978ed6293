// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"maps"
	"strings"
)

// Telegraf reads TOML 0.5. Allowed is a part of it that every reader of TOML takes alike: tables and keys
// without quotes, one key a line, strings on one line without escapes, numbers, booleans, and arrays of
// these. Dates, inline tables, quoted and dotted keys and strings over several lines are refused.
var (
	tomlTable  = lazy(`\A(?:\[(` + tomlNameExpr + `)\]|\[\[(` + tomlNameExpr + `)\]\])[ \t]*(?:#.*)?\z`)
	tomlKey    = lazy(`\A([A-Za-z0-9_-]+)[ \t]*=[ \t]*`)
	tomlScalar = lazy(`\A(?:"([^"\\]*)"|'([^']*)'|([+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)|(true|false))`)
)

const tomlNameExpr = `[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*`

// tomlFile is a walk over a file; array is the key of an array that goes on over lines.
type tomlFile struct {
	*file
	array  string
	keys   map[string]rule // of the table the walk is in; nil if nothing in it is looked at
	comma  bool            // the array's last element has a comma behind it, or there is none yet
	plugin string          // the last table of a plugin
	said   map[string]bool // tables of this file and "=" keys of this table: a second one keeps Telegraf from starting
}

// checkTelegraf allows inputs that read the metrics of this machine, outputs to a host, tags, and how often
// and under which name the agent sends.
func checkTelegraf(f *file) {
	t := &tomlFile{file: f, keys: map[string]rule{}, said: map[string]bool{}}
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		switch {
		case strings.Contains(text, "$"):
			f.refuse(i+1, "$", "line holds a $, for which Telegraf puts in the environment even in a comment: remove it")
		case strings.Contains(text, "@{"):
			f.refuse(i+1, "@{", "line holds @{, which asks a secret store: remove it")
		case f.comment(i+1, line, "#"):
		case strings.Contains(text, `\`):
			f.refuse(i+1, `\`, "line holds a backslash, which escapes or joins lines: remove it")
		case t.array != "":
			t.elements(i+1, text)
		case tomlTable.MatchString(text):
			m := tomlTable.FindStringSubmatch(text)
			if m[1] != "" {
				t.once(i+1, m[1])
			}
			t.table(i+1, m[1]+m[2])
		default:
			t.pair(i+1, text)
		}
	}
	if t.array != "" {
		f.refuse(len(f.lines), t.array, "array of %s is not closed: add ]", cut(t.array))
	}
}

// once refuses what is said a second time.
func (t *tomlFile) once(line int, name string) {
	if t.said[name] {
		t.refuse(line, strings.TrimPrefix(name, "="), "%q is said twice, and Telegraf would not start: remove one", cut(name))
	}
	t.said[name] = true
}

// table checks the name of a table, and finds what may be in it.
func (t *tomlFile) table(line int, name string) {
	parts := strings.Split(name, ".")
	maps.DeleteFunc(t.said, func(said string, _ bool) bool {
		return said[0] == '=' || strings.HasPrefix(said, name+".") // those of the item before, of an array of tables
	})
	for i := range parts { // what the endorser adds, it adds with all that is in it
		if t.extra[strings.Join(parts[:i+1], ".")] {
			t.keys = nil
			return
		}
	}
	keys, ok := telegrafTables()[name]
	if len(parts) == 2 {
		t.plugin = name
	}
	if len(parts) == 3 {
		if parts[0]+"."+parts[1] != t.plugin {
			t.refuse(line, name, "%q does not stand below a table of its plugin: put it behind [[%s.%s]]", cut(name), cut(parts[0]), cut(parts[1]))
		}
		_, ok = telegrafTables()[parts[0]+"."+parts[1]]
		keys = telegrafFilters()[parts[2]]
		ok = ok && keys != nil && (parts[2] != "headers" || parts[1] == "http")
	}
	if !ok {
		t.unknown(line, name)
	}
	t.keys = keys
}

// pair checks key = value.
func (t *tomlFile) pair(line int, text string) {
	m := tomlKey.FindStringSubmatch(text)
	if m == nil {
		t.refuse(line, text, "%q is no [table] and no key = value without quotes on one line: rewrite it", cut(text))
		return
	}
	t.once(line, "="+m[1])
	rest := text[len(m[0]):]
	if strings.HasPrefix(rest, "[") {
		t.array, t.comma = m[1], true
		if t.keys != nil && t.keys[anyKey].ok == nil && t.keys[m[1]].ok == nil && !t.extra[m[1]] {
			t.unknown(line, m[1])
		}
		t.elements(line, rest[1:])
		return
	}
	value, rest, ok := tomlValue(rest)
	if !ok || rest != "" && rest[0] != '#' {
		t.refuse(line, m[1], "value of %s is no plain string, number, boolean or array of these: rewrite it", cut(m[1]))
		return
	}
	t.check(line, m[1], value)
}

// elements checks a line of an array, up to its end or that of the line.
func (t *tomlFile) elements(line int, text string) {
	for {
		text = strings.TrimLeft(text, " \t")
		switch {
		case text == "" || text[0] == '#':
			return
		case text[0] == ']':
			if rest := strings.TrimLeft(text[1:], " \t"); rest != "" && rest[0] != '#' {
				t.refuse(line, t.array, "text after the array of %s: put it on a line of its own", cut(t.array))
			}
			t.array = ""
			return
		case text[0] == ',' && !t.comma:
			t.comma, text = true, text[1:]
			continue
		}
		value, rest, ok := tomlValue(text)
		if !ok || !t.comma {
			t.refuse(line, t.array, "array of %s holds more than plain strings, numbers and booleans with commas between: rewrite it", cut(t.array))
			t.array = ""
			return
		}
		t.check(line, t.array, value)
		t.comma, text = false, rest
	}
}

// tomlValue takes a scalar off text, and the blanks behind it.
func tomlValue(text string) (value, rest string, ok bool) {
	m := tomlScalar.FindStringSubmatch(text)
	if m == nil {
		return "", text, false
	}
	return m[1] + m[2] + m[3] + m[4], strings.TrimLeft(text[len(m[0]):], " \t"), true
}

// check holds a value against the rule of its key in the current table.
func (t *tomlFile) check(line int, key, value string) {
	switch any, ok := t.keys[anyKey]; {
	case t.keys == nil:
	case ok:
		t.value(line, key, value, any)
	default:
		t.setting(line, key, value, t.keys)
	}
}
