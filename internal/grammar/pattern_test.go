// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestPatternsCompile finds what would else be a panic in the guest: it compiles
// each expression that the sources give to lazy and match, in whichever table.
func TestPatternsCompile(t *testing.T) {
	set := token.NewFileSet()
	files := sources(t, set)
	words := constants(files)
	n := 0
	for _, f := range files {
		ast.Inspect(f, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			fun, _ := call.Fun.(*ast.Ident)
			if fun == nil || fun.Name != "match" && fun.Name != "lazy" {
				return true
			}
			expr, ok := text(call.Args[len(call.Args)-1], words)
			if !ok {
				t.Errorf("%s, %s: the expression is no constant, so that nobody can compile it here", set.Position(call.Pos()), fun.Name)
				return true
			}
			if _, err := regexp.Compile(expr); err != nil {
				t.Errorf("%s(%q): %v", fun.Name, expr, err)
			}
			n++
			return true
		})
	}
	if n < 150 {
		t.Errorf("%d patterns found; want them all", n)
	}
}

// sources are the files of this package that are no tests.
func sources(t *testing.T, set *token.FileSet) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// constants are the package's constant strings; the parameter of match itself
// stands for one that is compiled where match is called.
func constants(files []*ast.File) map[string]string {
	words := map[string]string{"expr": ""}
	for last := 0; last != len(words); { // until no more of them can be told
		last = len(words)
		for _, f := range files {
			for _, d := range f.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
					maps.Copy(words, told(g, words))
				}
			}
		}
	}
	return words
}

func told(g *ast.GenDecl, words map[string]string) map[string]string {
	out := map[string]string{}
	for _, s := range g.Specs {
		v := s.(*ast.ValueSpec)
		for i := range v.Values {
			if s, ok := text(v.Values[i], words); ok {
				out[v.Names[i].Name] = s
			}
		}
	}
	return out
}

// text is the value of a constant expression over strings.
func text(e ast.Expr, words map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.Ident:
		s, ok := words[e.Name]
		return s, ok
	case *ast.ParenExpr:
		return text(e.X, words)
	case *ast.BinaryExpr:
		x, okX := text(e.X, words)
		y, okY := text(e.Y, words)
		return x + y, okX && okY && e.Op == token.ADD
	}
	return "", false
}
