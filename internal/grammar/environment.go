// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

var environmentLine = lazy(`\A([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"]*)"|'([^']*)')[ \t]*\z`)

// environment walks a file as systemd.exec(5), EnvironmentFile=, and a shell both read it, and hands the
// words of the one variable it allows to check. What the two could read differently is refused: escapes,
// expansions, quotes within quotes, values without quotes or over several lines.
func (f *file) environment(variable string, check func(line int, words []string)) {
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		m := environmentLine.FindStringSubmatch(line)
		name, _, _ := strings.Cut(strings.TrimLeft(line, " \t"), "=")
		switch {
		case name != variable && !f.extra[name]:
			f.unknown(i+1, name)
		case m == nil:
			f.refuse(i+1, name, `line is not a plain %s="...": write the value on one line in one pair of quotes`, variable)
		case strings.ContainsAny(m[2]+m[3], "\"'`$\\"):
			f.refuse(i+1, name, "value of %s holds a quote, $, backquote or backslash: remove it", variable)
		case name == variable:
			check(i+1, strings.Fields(m[2]+m[3]))
		}
	}
}
