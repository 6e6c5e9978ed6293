// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// A line of collectd.conf(5) is an option with values, <Block value ...> or </Block>. The daemon's own
// scanner drops characters that it does not know and lets a string go on over the end of a line, so every
// line has to be made of nothing but these.
var (
	collectdBegin = lazy(`\A<([A-Za-z][A-Za-z0-9_]*)((?:[ \t]+` + collectdValueExpr + `)*)[ \t]*>[ \t]*(?:#.*)?\z`)
	collectdEnd   = lazy(`\A</([A-Za-z][A-Za-z0-9_]*)>[ \t]*(?:#.*)?\z`)
	collectdLine  = lazy(`\A([A-Za-z][A-Za-z0-9_]*)((?:[ \t]+` + collectdValueExpr + `)+)[ \t]*(?:#.*)?\z`)
	collectdValue = lazy(`\A[ \t]+(` + collectdValueExpr + `)`)
)

// collectdValueExpr is a string, a number or a word; anything else has to stand in quotes.
const collectdValueExpr = `(?:"[^"]*"|-?[0-9]+\.[0-9]+|-?[0-9]+|[A-Za-z_][A-Za-z0-9_]*)`

// collectdBlock is what may stand within a block, and in its first line. The values of a line are held
// against a rule with one blank between them. The zero block holds anything: that of a block which is
// refused as a whole, or which the endorser adds.
type collectdBlock struct {
	value   rule
	options map[string]rule
	blocks  map[string]collectdBlock
}

func (b collectdBlock) any() bool { return b.options == nil && b.blocks == nil }

// checkCollectd allows plugins that read metrics of this machine and those that send them to a host, with
// their options, and the global options that name the sender and set the pace.
func checkCollectd(f *file) {
	stack := []collectdBlock{collectdRoot()}
	var names []string // of the open blocks
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		text := strings.Trim(line, " \t")
		if strings.Contains(text, `\`) {
			f.refuse(i+1, `\`, "line holds a backslash, which escapes or joins lines: remove it")
			continue
		}
		if m := collectdBegin.FindStringSubmatch(text); m != nil {
			stack = append(stack, f.collectdBegin(i+1, m[1], collectdValues(m[2]), stack[len(stack)-1]))
			names = append(names, m[1])
		} else if m := collectdEnd.FindStringSubmatch(text); m != nil {
			if len(names) == 0 || names[len(names)-1] != m[1] {
				f.refuse(i+1, m[1], "</%s> closes no block: close the blocks in the order they were opened, spelled alike", cut(m[1]))
				return
			}
			stack, names = stack[:len(stack)-1], names[:len(names)-1]
		} else if m := collectdLine.FindStringSubmatch(text); m != nil {
			f.collectdOption(i+1, m[1], collectdValues(m[2]), stack[len(stack)-1])
		} else {
			f.refuse(i+1, text, "%q is no option, <Block> or </Block> of collectd: write what is not a plain word or number in quotes", cut(text))
		}
	}
	if f.unended {
		f.refuse(len(f.lines), "", "file does not end in a line feed, and collectd would not start: add one")
	}
	if len(names) > 0 {
		f.refuse(len(f.lines), names[len(names)-1], "<%s> is not closed: add </%s>", cut(names[len(names)-1]), cut(names[len(names)-1]))
	}
}

// collectdValues are the values of a line, without their quotes.
func collectdValues(text string) (values []string) {
	for {
		m := collectdValue.FindStringSubmatch(text)
		if m == nil {
			return values
		}
		values = append(values, strings.Trim(m[1], `"`))
		text = text[len(m[0]):]
	}
}

// collectdOption checks one option.
func (f *file) collectdOption(line int, name string, values []string, in collectdBlock) {
	switch {
	case in.any():
	case lower(name) == "loadplugin":
		f.collectdPlugin(line, values)
	default:
		f.setting(line, name, strings.Join(values, " "), in.options)
	}
}

// collectdBegin checks the first line of a block, and returns what may follow.
func (f *file) collectdBegin(line int, name string, values []string, in collectdBlock) collectdBlock {
	block, ok := in.blocks[lower(name)]
	switch {
	case in.any() || f.extra[f.key(name)]:
		return collectdBlock{}
	case !ok:
		f.unknown(line, name)
		return collectdBlock{}
	case lower(name) == "plugin":
		return f.collectdPlugin(line, values)
	case lower(name) == "loadplugin":
		f.collectdPlugin(line, values)
	default:
		f.value(line, name, strings.Join(values, " "), block.value)
	}
	return block
}

// collectdPlugin checks that a plugin may be loaded and configured, and returns what its block may hold.
// The endorser adds a plugin as the directive "LoadPlugin name".
func (f *file) collectdPlugin(line int, values []string) collectdBlock {
	directive := "LoadPlugin " + strings.Join(values, " ")
	if f.extra[f.key(directive)] {
		return collectdBlock{}
	}
	plugin, ok := collectdPlugins()[lower(strings.Join(values, " "))]
	if !ok {
		f.unknown(line, directive)
	}
	return plugin
}
