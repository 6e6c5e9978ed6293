// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// assignments walks a format of one setting a line. form matches a whole line without the blanks around it
// and captures name and value; lines that begin with one of the comment marks are passed over. A backslash
// is refused wherever it stands: each daemon makes something else of it.
func (f *file) assignments(comments string, form pattern, table map[string]rule) {
	for i, line := range f.lines {
		if f.comment(i+1, line, comments) {
			continue
		}
		text := strings.Trim(line, " \t")
		f.assignment(i+1, text, form, table)
	}
}

// assignment checks one line of assignments.
func (f *file) assignment(line int, text string, form pattern, table map[string]rule) {
	m := form.FindStringSubmatch(text)
	switch {
	case strings.Contains(text, `\`):
		f.refuse(line, `\`, "line holds a backslash, which escapes or joins lines: remove it")
	case m == nil:
		f.refuse(line, text, "%q is not a plain setting of %s: rewrite it on one line", cut(text), f.format)
	default:
		f.setting(line, m[1], m[2], table)
	}
}
