// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// names tells which line of the script names what was refused, if one does: a site
// admin then knows what to look at first. It claims no more than that. A path that
// the script puts together, or that one of its programs chose, has no such line.
func (s *script) names(r policy.Refusal) string {
	words := []string{r.Path, r.Unit, strings.TrimSuffix(r.Unit, ".service"), r.Comm}
	if n := mention(s.text, words...); n > 0 {
		return fmt.Sprintf(" (line %d of %s names it)", n, s.name)
	}
	return ""
}

// mention is the number of the first line of a script that has one of words
// outside of a comment, standing by itself: /etc/passwd is neither in
// /etc/passwd- nor in $ROOT/etc/passwd. It is 0 where there is none.
func mention(text []byte, words ...string) int {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		code := beforeComment(string(line))
		for _, w := range words {
			if w != "" && standsIn(code, w) {
				return n
			}
		}
	}
	return 0
}

// beforeComment cuts a # that begins a word, unless a quote stands before it.
func beforeComment(line string) string {
	for i := range len(line) {
		switch {
		case line[i] == '\'' || line[i] == '"':
			return line
		case line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t' || line[i-1] == ';'):
			return line[:i]
		}
	}
	return line
}

// standsIn tells whether w is in line with no character of a longer name at
// either end. A directory's name may have a slash behind it.
func standsIn(line, w string) bool {
	for at := 0; ; {
		i := strings.Index(line[at:], w)
		if i < 0 {
			return false
		}
		i += at
		after := strings.TrimPrefix(line[i+len(w):], "/")
		if (i == 0 || !ofName(line[i-1])) && (after == "" || !ofName(after[0])) {
			return true
		}
		at = i + 1
	}
}

// ofName are the characters that continue a path's or a unit's name.
func ofName(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c == '/' || c == '@' || c == '$' || c == '{' || c == '}' || c == '*' || c == '?' || c == '+' || c == '%' || c >= 0x80 ||
		'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
