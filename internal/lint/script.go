// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// script reads one script.
func (l *linter) script(name string) error {
	text, err := fs.ReadFile(l.disc, name)
	if err != nil {
		return err
	}
	if len(text) > maxScript || bytes.IndexByte(text, 0) >= 0 {
		return nil // a guest says so itself, or it is no script
	}
	severity := Warning // a stage's script is not run at all; another one is its caller's matter
	if stage(name) {
		severity = Error
	}
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		l.add(name, 1, 1, "encoding", severity, "it begins with a byte order mark: save it as UTF-8 without one")
		text = text[3:]
	}
	if i := bytes.Index(text, []byte("\r\n")); i >= 0 {
		l.add(name, 1+bytes.Count(text[:i], []byte("\n")), 0, "crlf", severity, "the line ends with CR LF: convert the file with `sed -i 's/\\r$//' %s`", l.typed(name))
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	}
	dialect, ok := l.dialect(name, text)
	if !ok {
		return nil
	}
	if f := l.parse(name, text, dialect); f != nil {
		w := &walker{linter: l, name: name, posix: dialect == syntax.LangPOSIX}
		syntax.Walk(f, w.visit)
	}
	return nil
}

// typed is a file of the disc as a reader pastes it into a shell.
func (l *linter) typed(name string) string {
	name = path.Join(l.Dir, name)
	if q, err := syntax.Quote(name, syntax.LangBash); err == nil {
		return q
	}
	return name
}

// dialect is the language that the first line names; false for one that is no
// shell's. Without a first line a guest takes bash, or sh where there is none.
func (l *linter) dialect(name string, text []byte) (syntax.LangVariant, bool) {
	first, _, _ := strings.Cut(string(text), "\n")
	line, ok := strings.CutPrefix(first, "#!")
	if !ok {
		if stage(name) {
			l.add(name, 1, 1, "interpreter", Note, "it has no #! line, and is read by bash, or by sh where there is none: begin it with #!/bin/sh or #!/bin/bash")
		}
		return syntax.LangBash, true
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		l.add(name, 1, 1, "interpreter", Error, "its #! line names no interpreter: write #!/bin/sh")
		return 0, false
	}
	program := path.Base(words[0])
	if program == "env" && len(words) > 1 {
		program = words[len(words)-1]
		if words[1] == "-S" && len(words) > 2 {
			program = words[2]
		}
	}
	switch path.Base(program) {
	case "sh", "dash", "ash", "busybox":
		return syntax.LangPOSIX, true
	case "bash":
		return syntax.LangBash, true
	case "ksh", "mksh":
		return syntax.LangMirBSDKorn, true
	}
	return 0, false
}

// parse reads the script as its dialect; what only bash reads is a finding, and
// the tree is bash's then.
func (l *linter) parse(name string, text []byte, dialect syntax.LangVariant) *syntax.File {
	f, err := syntax.NewParser(syntax.Variant(dialect)).Parse(bytes.NewReader(text), "")
	if err == nil {
		return f
	}
	if dialect == syntax.LangPOSIX {
		if f, errBash := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(text), ""); errBash == nil {
			pos, what := where(err)
			l.add(name, int(pos.Line()), int(pos.Col()), "bashism", Warning, "%s, which bash reads and sh on Debian does not: write #!/bin/bash in the first line, or do without", what)
			return f
		}
	}
	pos, what := where(err)
	l.add(name, int(pos.Line()), int(pos.Col()), "syntax", Error, "the shell cannot read this: %s", what)
	return nil
}

// where takes a parser's error apart.
func where(err error) (syntax.Pos, string) {
	if e, ok := errors.AsType[syntax.LangError](err); ok {
		return e.Pos, e.Feature
	}
	if e, ok := errors.AsType[syntax.ParseError](err); ok {
		return e.Pos, e.Text
	}
	return syntax.Pos{}, err.Error()
}

// walker looks at the commands of one script.
type walker struct {
	*linter
	name      string
	posix     bool            // the script is for a plain POSIX shell
	asked     map[string]bool // files of the disc whose being there is asked for
	functions map[string]bool // that the script defines
}

func (w *walker) visit(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.File:
		w.functions, w.asked = map[string]bool{}, map[string]bool{}
		syntax.Walk(n, w.gather)
	case *syntax.CallExpr:
		w.call(n)
	case *syntax.Redirect:
		w.redirect(n)
	case *syntax.ParamExp:
		if w.posix && n.Param != nil && slices.Contains([]string{"RANDOM", "BASH_SOURCE", "BASH_VERSION", "SECONDS", "FUNCNAME", "HOSTNAME", "UID", "EUID", "PIPESTATUS"}, n.Param.Value) {
			w.at(n, "bashism", Warning, "$%s is bash's, and empty in sh on Debian: write #!/bin/bash in the first line, or do without", n.Param.Value)
		}
	}
	return true
}

// gather notes what the script as a whole says of names.
func (w *walker) gather(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.FuncDecl:
		if n.Name != nil {
			w.functions[n.Name.Value] = true
		}
	case *syntax.CallExpr:
		if len(n.Args) == 0 {
			break
		}
		if name, _ := literal(n.Args[0]); name != "[" && name != "test" {
			break
		}
		for _, a := range n.Args[1:] {
			if p, ok := onDisc(a); ok {
				w.asked[p] = true
			}
		}
	}
	return true
}

func (w *walker) at(n syntax.Node, rule string, s Severity, format string, a ...any) {
	w.add(w.name, int(n.Pos().Line()), int(n.Pos().Col()), rule, s, format, a...)
}

// redirect looks at where output goes.
func (w *walker) redirect(r *syntax.Redirect) {
	switch r.Op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll, syntax.RdrInOut:
		if p, ok := literal(r.Word); ok {
			w.writes(r.Word, p)
		}
	case syntax.RdrIn:
		w.uses(r.Word)
	}
}

// writes reports a path that no policy can open.
func (w *walker) writes(n syntax.Node, p string) {
	if !path.IsAbs(p) {
		return
	}
	if why := w.Refused(path.Clean(p)); why != "" {
		w.at(n, "path", Warning, "%s is refused whatever the policy says: %s", path.Clean(p), why)
	}
}

// uses reports a file of the disc that is not there.
func (w *walker) uses(word *syntax.Word) {
	p, ok := onDisc(word)
	if !ok || p == "." || w.names[strings.ToLower(p)] {
		return
	}
	if w.asked[p] {
		w.at(word, "missing-file", Note, "the disc has no %q; the script asks first", p)
		return
	}
	w.at(word, "missing-file", Warning, "the disc has no %q: put it there, or take this out", p)
}

// onDisc is the path on the disc that a word names: $CONTEXT_DIR/x, or x below
// the place where scripts see the disc. Words with another expansion have none.
func onDisc(word *syntax.Word) (string, bool) {
	if word == nil {
		return "", false
	}
	s, ok := flat(word.Parts)
	if !ok {
		return "", false
	}
	for _, top := range []string{"$CONTEXT_DIR", "/var/lib/hepix/context"} {
		if rest, ok := strings.CutPrefix(s, top+"/"); ok && !strings.ContainsAny(rest, "*?[$") {
			return strings.TrimPrefix(path.Clean("/"+rest), "/"), true
		}
	}
	return "", false
}

// literal is a word without expansions.
func literal(word *syntax.Word) (string, bool) {
	if word == nil {
		return "", false
	}
	s, ok := flat(word.Parts)
	return s, ok && !strings.Contains(s, "$")
}

// flat is a word's text with plain variables as $NAME; false if there is more.
func flat(parts []syntax.WordPart) (string, bool) {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(p.Value)
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			s, ok := flat(p.Parts)
			if !ok {
				return "", false
			}
			b.WriteString(s)
		case *syntax.ParamExp:
			if p.Param == nil || p.Excl || p.Length || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Exp != nil {
				return "", false
			}
			b.WriteString("$" + p.Param.Value)
		default:
			return "", false
		}
	}
	return b.String(), true
}
