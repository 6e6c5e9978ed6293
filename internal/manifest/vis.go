// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"strings"
)

// encode is vis(3) with VIS_WHITE, VIS_OCTAL and VIS_GLOB: what is left as it is
// prints in ASCII and means nothing to a shell's or mtree(8)'s patterns.
func encode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c > ' ' && c < 0x7f && !strings.ContainsRune(`\*?[#`, rune(c)) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('\\')
		if c == '\\' {
			b.WriteByte(c)
			continue
		}
		for shift := 6; shift >= 0; shift -= 3 {
			b.WriteByte('0' + c>>shift&7)
		}
	}
	return b.String()
}

var errEncoding = errors.New(`a backslash is followed by another one, or by three octal digits`)

// decode undoes encode.
func decode(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if strings.HasPrefix(s[i+1:], `\`) {
			b.WriteByte('\\')
			i++
			continue
		}
		if len(s) < i+4 {
			return "", errEncoding
		}
		n := 0
		for _, c := range []byte(s[i+1 : i+4]) {
			if c < '0' || c > '7' {
				return "", errEncoding
			}
			n = n<<3 | int(c-'0')
		}
		if n > 0xff {
			return "", errEncoding
		}
		b.WriteByte(byte(n))
		i += 3
	}
	return b.String(), nil
}
