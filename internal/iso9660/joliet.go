// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// isJoliet reports whether a supplementary volume descriptor announces UCS-2
// of level 1, 2 or 3 (ECMA-119 8.5.6, Joliet "SVD Escape Sequences Field").
func isJoliet(descriptor []byte) bool {
	switch string(descriptor[88:91]) {
	case "%/@", "%/C", "%/E":
		return true
	}
	return false
}

// jolietName decodes the identifier of r: UTF-16, high byte first, and for a
// file without the version ";1". Level 3 was written for UCS-2, but all writers
// of today put surrogate pairs. Half a pair is refused, since two different
// names would become one.
func jolietName(r record, dir bool) (string, error) {
	id := r.identifier()
	if len(id)%2 != 0 {
		return "", corrupt(r.offset, "Joliet", "file name of %d bytes is not ucs-2", len(id))
	}
	var name []byte
	for ; len(id) > 0; id = id[2:] {
		c := rune(binary.BigEndian.Uint16(id))
		if utf16.IsSurrogate(c) {
			if len(id) >= 4 {
				c = utf16.DecodeRune(c, rune(binary.BigEndian.Uint16(id[2:])))
			}
			if len(id) < 4 || c == utf8.RuneError {
				return "", corrupt(r.offset, "Joliet", "file name has half a surrogate pair")
			}
			id = id[2:]
		}
		name = utf8.AppendRune(name, c)
	}
	if dir {
		return string(name), nil
	}
	return strings.TrimSuffix(string(name), ";1"), nil
}
