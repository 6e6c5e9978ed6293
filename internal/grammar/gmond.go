// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// gmondToken is a word, a string or one of { } = of libconfuse(3); kind 0 is the end.
type gmondToken struct {
	kind byte // 'w', 's' or the character itself
	text string
	line int
}

// gmondFile is a walk over a gmond.conf; line and col are where it stands.
type gmondFile struct {
	*file
	line, col int
	broken    bool // the rest cannot be told apart, so it is not looked at
}

// gmondBlock is a section that has been read: its values by name in lower case.
type gmondBlock struct {
	line   int
	values map[string]string
	blocks map[string][]gmondBlock
}

var (
	gmondWord   = lazy(`\A[A-Za-z0-9_.-]+`)
	gmondString = lazy(`\A(?:"([^"\\$]*)"|'([^'\\$]*)')`)
)

// checkGmond allows gmond.conf(5) of Ganglia 3.7, in the syntax of libconfuse: sections of name = value.
// Ends of lines mean nothing to libconfuse; a comment is allowed between statements only, for at the end of
// a word without quotes it takes /* for a part of the word.
func checkGmond(f *file) {
	g := &gmondFile{file: f}
	for i, line := range f.lines {
		if strings.Contains(line, `\`) {
			f.refuse(i+1, `\`, "line holds a backslash, which can hide a word or join lines: remove it")
		}
	}
	g.section(gmondToken{}, gmondTop(), false)
}

// section reads the statements up to the closing brace of open, or up to the end of the file if open is zero.
// Of a section that the endorser added, anything with the right syntax is allowed.
func (g *gmondFile) section(open gmondToken, known *gmondSection, any bool) gmondBlock {
	block := gmondBlock{open.line, map[string]string{}, map[string][]gmondBlock{}}
	for !g.broken {
		g.comments()
		name := g.next()
		switch {
		case g.broken, name.kind == 0 && open.kind == 0:
			return block
		case name.kind == 0:
			g.refuse(open.line, open.text, "section %s is not closed: add the closing brace", cut(open.text))
			g.broken = true
		case name.kind == '}' && open.kind != 0:
			return block
		case name.kind != 'w':
			g.stop(name, `expected a setting or a section: write name = value or name { ... }`)
		default:
			g.statement(name, known, any, block)
		}
	}
	return block
}

// statement reads what follows name, and puts it into block.
func (g *gmondFile) statement(name gmondToken, known *gmondSection, any bool, block gmondBlock) {
	key := lower(name.text)
	switch sign := g.next(); sign.kind {
	case '=':
		value := g.next()
		if value.kind != 'w' && value.kind != 's' {
			g.stop(value, `expected a value: write name = word or name = "text"`)
			return
		}
		if !any {
			g.setting(name.line, name.text, value.text, known.settings)
		}
		block.values[key] = value.text
	case '{':
		inner := known.sections[key]
		added := any || g.extra[key]
		if inner == nil && !added {
			g.unknown(name.line, name.text)
		}
		if inner == nil {
			inner, added = gmondNothing(), true
		}
		if inner.once && len(block.blocks[key]) > 0 && !added {
			g.refuse(name.line, name.text, "second section %s, which takes the place of the first: make it one", cut(name.text))
		}
		sub := g.section(name, inner, added)
		block.blocks[key] = append(block.blocks[key], sub)
		if inner.needs != nil && !added && !g.broken {
			if reason := inner.needs(sub); reason != "" {
				g.refuse(name.line, name.text, "%s %s", cut(name.text), reason)
			}
		}
	default:
		if sign.kind == '+' || sign.kind == '(' || !known.knows(key) && !g.extra[key] && !any {
			g.unknown(name.line, name.text)
		}
		g.stop(sign, "expected = or { behind the name: write name = value or name { ... }")
	}
}

// stop refuses a token and gives up: what follows it could be anything.
func (g *gmondFile) stop(t gmondToken, reason string) {
	if !g.broken {
		g.refuse(t.line, t.text, "%s", reason)
	}
	g.broken = true
}

// blanks goes to the next character that is not blank, and returns the rest of its line; "" is the end.
func (g *gmondFile) blanks() string {
	for g.line < len(g.lines) {
		rest := strings.TrimLeft(g.lines[g.line][g.col:], " \t")
		if rest != "" {
			g.col = len(g.lines[g.line]) - len(rest)
			return rest
		}
		g.line, g.col = g.line+1, 0
	}
	return ""
}

// comments passes over the comments that stand here.
func (g *gmondFile) comments() {
	for {
		rest := g.blanks()
		switch {
		case strings.HasPrefix(rest, "#"):
			g.line, g.col = g.line+1, 0
		case strings.HasPrefix(rest, "/*"):
			g.blockComment()
		default:
			return
		}
	}
}

// blockComment passes over a comment that ends at the first */, wherever that stands.
func (g *gmondFile) blockComment() {
	start := g.line
	g.col += len("/*")
	for ; g.line < len(g.lines); g.line, g.col = g.line+1, 0 {
		if i := strings.Index(g.lines[g.line][g.col:], "*/"); i >= 0 {
			g.col += i + len("*/")
			return
		}
	}
	g.stop(gmondToken{line: start + 1, text: "/*"}, "comment is not closed: add */")
}

// next reads a token.
func (g *gmondFile) next() gmondToken {
	rest := g.blanks()
	t := gmondToken{line: min(g.line+1, max(1, len(g.lines)))}
	if rest == "" || g.broken {
		return t
	}
	word := gmondWord.FindStringIndex(rest)
	text := gmondString.FindStringSubmatch(rest)
	switch {
	case strings.ContainsRune("{}=", rune(rest[0])):
		t.kind, t.text = rest[0], rest[:1]
		g.col++
	case word != nil:
		t.kind, t.text = 'w', rest[:word[1]]
		g.col += word[1]
		if after := rest[word[1]:]; after != "" && !strings.ContainsRune(" \t{}=(+#", rune(after[0])) {
			g.stop(gmondToken{line: t.line, text: rest}, "word is not plain: put the value in double quotes, and a blank before a comment")
		}
	case text != nil:
		t.kind, t.text = 's', text[1]+text[2]
		g.col += len(text[0])
	case rest[0] == '(' || rest[0] == '+':
		t.kind, t.text = rest[0], rest[:1]
		g.col++
	default:
		g.stop(gmondToken{line: t.line, text: rest}, `text is no word, string, brace or comment between statements: rewrite it with plain "text" and # comments`)
	}
	return t
}
