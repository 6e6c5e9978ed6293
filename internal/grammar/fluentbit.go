// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// A line of Fluent Bit's classic format is a [SECTION] at its beginning, or a key and a value behind blanks.
// A value is the rest of the line: there are no quotes, and a # in it is no comment. Lines that begin with @
// include a file or set a variable.
var (
	fluentSection = lazy(`\A\[([A-Za-z_]+)\]\z`)
	fluentSetting = lazy(`\A([A-Za-z][A-Za-z0-9_.]*)[ \t]+(\S.*)\z`)
)

// fluentKey is a line of a section, kept until the section's Name is known.
type fluentKey struct {
	line        int
	name, value string
}

// checkFluentBit allows a main file of Fluent Bit: inputs that read metrics, the journal and /var/log, filters
// that add to or choose from a record, and outputs to a host.
func checkFluentBit(f *file) {
	section, start := "", 0
	var keys []fluentKey
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		switch m := fluentSection.FindStringSubmatch(strings.TrimRight(line, " \t")); {
		case f.comment(i+1, line, "#"):
		case strings.ContainsAny(text, `$\`):
			f.refuse(i+1, text, `%q holds a $ or a backslash, with which Fluent Bit puts in other text: remove it`, cut(text))
		case m != nil:
			f.fluentSection(start, section, keys)
			section, start, keys = lower(m[1]), i+1, nil
		case text == line || section == "":
			f.refuse(i+1, text, "%q is neither a [SECTION] nor a key in one, behind blanks: correct or remove it", cut(text))
		default:
			m := fluentSetting.FindStringSubmatch(text)
			if m == nil {
				f.refuse(i+1, text, "%q is not a key with a value: write both on one line", cut(text))
				continue
			}
			keys = append(keys, fluentKey{i + 1, m[1], m[2]})
		}
	}
	f.fluentSection(start, section, keys)
}

// fluentSection checks a section whose keys are all there.
func (f *file) fluentSection(start int, section string, keys []fluentKey) {
	if section == "" {
		return
	}
	plugins, ok := fluentSections()[section]
	if !ok {
		f.unknown(start, "["+section+"]")
		return
	}
	table := fluentService()
	if plugins != nil {
		plugin, ok := f.fluentPlugin(start, section, keys)
		if !ok {
			return
		}
		if table, ok = plugins[plugin.value]; !ok {
			if directive := section + ":" + plugin.value; !f.extra[f.key(directive)] {
				f.refuse(plugin.line, directive, "plugin %q is not on the allow-list for an %s of fluent-bit: remove it", cut(plugin.value), section)
			}
			return
		}
	}
	for _, key := range keys {
		if plugins == nil || lower(key.name) != "name" {
			f.setting(key.line, key.name, key.value, table)
		}
	}
}

// fluentPlugin finds the one Name of a section.
func (f *file) fluentPlugin(start int, section string, keys []fluentKey) (plugin fluentKey, ok bool) {
	for _, key := range keys {
		if lower(key.name) != "name" {
			continue
		}
		if ok {
			f.refuse(key.line, key.name, "second Name in one section: start a section of its own")
			return plugin, false
		}
		plugin, ok = key, true
		plugin.value = lower(key.value)
	}
	if !ok {
		f.refuse(start, section, "section has no Name, so what it does cannot be told: add one")
	}
	return plugin, ok
}
