// SPDX-License-Identifier: Apache-2.0

package stages

import (
	"strings"
	"testing"
)

// FuzzAssignments mutates a context.sh: no variable is set that is reserved, has
// no name, or has a NUL byte.
func FuzzAssignments(f *testing.F) {
	for _, text := range []string{"A=1\n", "export B='x y'\n", "C=\"$D\"\n", "PATH=/x\nLD_PRELOAD=x\n", "E=a\\b\r\n", "F=\x00\n", "=x\nG\n# comment\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		env, _ := assignments("context.sh", text, nil)
		for _, v := range env {
			name, value, ok := strings.Cut(v, "=")
			if !ok || name == "" || reserved().MatchString(name) || strings.ContainsAny(value, "\x00\n") || strings.ContainsAny(name, " \t'\"$`\\;") {
				t.Errorf("%q sets %q", text, v)
			}
		}
	})
}
