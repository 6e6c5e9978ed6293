// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"slices"
	"strconv"
	"strings"
)

// rule is what a value may be: a test, and its description for the one who has to mend the file.
type rule struct {
	want string
	ok   func(string) bool
}

// oneOf allows the given words, without regard to ASCII case.
//
//go:noinline
func oneOf(words ...string) rule {
	known := make(map[string]bool, len(words))
	for _, w := range words {
		known[lower(w)] = true
	}
	return rule{"one of " + strings.Join(words, ", "), func(s string) bool { return known[lower(s)] }}
}

// match allows what the expression matches as a whole.
//
//go:noinline
func match(want, expr string) rule {
	re := lazy(`\A(?:` + expr + `)\z`)
	return rule{want, re.MatchString}
}

// either allows what any of the rules allows.
//
//go:noinline
func either(rules ...rule) rule {
	var want []string
	for _, r := range rules {
		want = append(want, r.want)
	}
	return rule{strings.Join(want, " or "), func(s string) bool {
		return slices.ContainsFunc(rules, func(r rule) bool { return r.ok(s) })
	}}
}

// listOf allows one or more items between separators and blanks.
//
//go:noinline
func listOf(separators string, item rule) rule {
	split := func(r rune) bool { return r == ' ' || r == '\t' || strings.ContainsRune(separators, r) }
	return rule{"a list of items, each " + item.want, func(s string) bool {
		items := strings.FieldsFunc(s, split)
		return len(items) > 0 && !slices.ContainsFunc(items, func(s string) bool { return !item.ok(s) })
	}}
}

// below allows an absolute path that starts with one of the prefixes and has no ".." in it.
//
//go:noinline
func below(prefixes ...string) rule {
	plain := lazy(`\A/[A-Za-z0-9._%@+/-]+\z`)
	return rule{"a plain path that starts with " + strings.Join(prefixes, " or "), func(s string) bool {
		return plain.MatchString(s) && !strings.Contains(s, "..") &&
			slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
	}}
}

const (
	hostExpr = `[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?` // a name or an IPv4 address, never an option
	ip6Expr  = `[0-9A-Fa-f:.]{2,45}`
	portExpr = `[0-9]{1,5}`
)

var (
	anyHost = match("a host name or an address", hostExpr+`|`+ip6Expr)
	aPort   = rule{"a port number from 1 to 65535", func(s string) bool {
		n, err := strconv.ParseUint(s, 10, 16)
		return err == nil && n > 0
	}}
	number  = match("a number", `[0-9]{1,15}`)
	integer = match("a number", `-?[0-9]{1,15}`)
	aName   = match("letters, digits, dots, dashes and underscores", `[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,127})`)
	anyURL  = match("a URL such as https://host:8086/path, without a password in it",
		`https?://(?:`+hostExpr+`|\[`+ip6Expr+`\])(?::`+portExpr+`)?(?:/[A-Za-z0-9_.~/-]*)?(?:\?[A-Za-z0-9_.~/=&%+,:-]*)?`)
	// A password or a token: what a program would expand or escape is not in it.
	aSecret = match("printable ASCII without blanks, quotes, $, @, { and backslash", `[!#%&()*+,./0-9:;<=>?A-Z\[\]^_a-z|}~-]{1,512}`)
	yesNo   = oneOf("yes", "no", "true", "false", "on", "off", "1", "0")
)
