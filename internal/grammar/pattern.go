// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first used: the
// agent starts at every boot, and most of its runs check no file.
type pattern struct{ compiled func() *regexp.Regexp }

// lazy takes an expression that is a constant: TestPatternsCompile compiles each.
//
//go:noinline
func lazy(expr string) pattern {
	return pattern{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })}
}

func (p pattern) MatchString(s string) bool            { return p.compiled().MatchString(s) }
func (p pattern) FindStringIndex(s string) []int       { return p.compiled().FindStringIndex(s) }
func (p pattern) FindStringSubmatch(s string) []string { return p.compiled().FindStringSubmatch(s) }
func (p pattern) FindStringSubmatchIndex(s string) []int {
	return p.compiled().FindStringSubmatchIndex(s)
}
func (p pattern) ReplaceAllStringFunc(s string, f func(string) string) string {
	return p.compiled().ReplaceAllStringFunc(s, f)
}
