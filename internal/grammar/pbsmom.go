// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

var (
	momDirective = lazy(`\A(\$[A-Za-z][A-Za-z0-9_]*)[ \t]+([^#]*)\z`)
	momResource  = lazy(`\A([A-Za-z][A-Za-z0-9_]{0,31})[ \t]+([^#]*)\z`)
	momSize      = lazy(`\A(size)[ \t]*(\[fs=/[A-Za-z0-9._/-]*\])\z`)
)

// momLineBuffer is what pbs_mom of Torque reads at once: 118 bytes, in a buffer of 120.
const momLineBuffer = 119

// momValue is the value of a resource that the host reports: a word of the site's. Behind an exclamation
// mark it would be a command.
var momValue = match("a plain word without !", `[A-Za-z0-9_.+-][A-Za-z0-9_.,:+-]*`)

// checkPBSMom allows mom_priv/config of an execution host: PBS Administrator's Guide, "Syntax and Contents of
// Default Configuration File", and Torque Administrator Guide, appendix "Node manager (MOM) configuration".
// Lines are $directive value, resource value or comments. The daemons take a blank for granted between
// directive and value, a comment anywhere (Torque) or at the start of the line alone (OpenPBS).
func checkPBSMom(f *file) {
	f.shorterThan(momLineBuffer)
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		if text == "" || text[0] == '#' {
			f.momComment(i+1, line)
			continue
		}
		f.momLine(i+1, text)
	}
}

// momComment refuses a comment that is indented: to OpenPBS it is a resource.
func (f *file) momComment(n int, line string) {
	if f.comment(n, line, "#") && line != "" && strings.IndexByte(line, '#') > 0 {
		f.refuse(n, "", "comment is indented, which OpenPBS does not take for one: start it in the first column")
	}
}

// momLine checks one line that is no comment.
func (f *file) momLine(n int, text string) {
	if strings.Contains(text, `\`) {
		f.refuse(n, `\`, "line holds a backslash, which escapes or joins lines: remove it")
		return
	}
	if m := momDirective.FindStringSubmatch(text); m != nil {
		f.setting(n, m[1], m[2], momDirectives())
	} else if momSize.MatchString(text) {
		return // a file system whose size is reported
	} else if m := momResource.FindStringSubmatch(text); m != nil {
		if !f.extra[f.key(m[1])] {
			f.value(n, m[1], m[2], momValue)
		}
	} else {
		word := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })[0]
		f.refuse(n, word, "%q is neither $directive value nor resource value: rewrite or remove it", cut(text))
	}
}
