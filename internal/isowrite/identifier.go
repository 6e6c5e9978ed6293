// SPDX-License-Identifier: Apache-2.0

package isowrite

import (
	"cmp"
	"fmt"
	"strings"
)

// identifier is the plain name of an entry, for readers without Rock Ridge: at
// most 30 characters of A-Z, 0-9 and _ (interchange level 2, ECMA-119 7.5, 10.2).
type identifier struct{ name, extension string }

const (
	maxIdentifier = 30
	maxExtension  = 8
)

// bytes is the identifier as a record has it: a file's with separators and a
// version number (ECMA-119 7.5.1), a directory's without.
func (id identifier) bytes(dir bool) string {
	if dir {
		return id.name
	}
	return id.name + "." + id.extension + ";1"
}

// compare is the order of the records in a directory (ECMA-119 9.3). All
// characters are greater than the blank that pads the shorter.
func (id identifier) compare(other identifier) int {
	return cmp.Or(cmp.Compare(id.name, other.name), cmp.Compare(id.extension, other.extension))
}

// identify gives each entry of a directory, sorted by name, an identifier of its
// own. A name that another one has already taken ends with a number.
func identify(entries []*entry) {
	taken := map[identifier]bool{}
	next := map[identifier]int{}
	for _, e := range entries {
		id := mangle(e.name, e.dir())
		for first := id; taken[id]; {
			next[first]++
			number := fmt.Sprintf("_%d", next[first])
			id.name = first.name[:min(len(first.name), maxIdentifier-len(first.extension)-len(number))] + number
		}
		taken[id] = true
		e.id = id
	}
}

// mangle turns a name into d-characters (ECMA-119 7.4.1).
func mangle(name string, dir bool) identifier {
	var id identifier
	id.name = name
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && !dir {
		id.name, id.extension = name[:dot], dCharacters(name[dot+1:], maxExtension)
	}
	id.name = dCharacters(id.name, maxIdentifier-len(id.extension))
	return id
}

func dCharacters(s string, most int) string {
	var b strings.Builder
	for _, r := range strings.ToUpper(s) {
		if b.Len() == most {
			break
		}
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	return b.String()
}
