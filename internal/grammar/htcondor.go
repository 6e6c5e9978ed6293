// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

var (
	condorSetting = lazy(`\A([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*((?:[^= \t].*)?)\z`)
	condorUse     = lazy(`\A[uU][sS][eE][ \t]+([A-Za-z_]+)[ \t]*:[ \t]*(.*)\z`)
	condorMacro   = lazy(`\$\(([A-Za-z_][A-Za-z0-9_]*)\)`)
)

// checkHTCondor allows a file of config.d, HTCondor manual 10.0 and 23.0, "Introduction to
// Configuration": comments, NAME = value and a few configuration templates. Conditionals, includes,
// multi-line values (@=), continuation lines and functions such as $ENV() are refused.
func checkHTCondor(f *file) {
	for i, line := range f.lines {
		text := strings.Trim(line, " \t")
		if strings.HasPrefix(lower(strings.ReplaceAll(text, " ", "")), "#opt:") {
			f.refuse(i+1, text, "comment changes how HTCondor reads the file: remove it")
			continue
		}
		if f.comment(i+1, line, "#") {
			continue
		}
		if strings.Contains(text, `\`) {
			f.refuse(i+1, `\`, "line holds a backslash, which escapes or joins lines: remove it")
			continue
		}
		if m := condorUse.FindStringSubmatch(text); m != nil {
			f.condorTemplates(i+1, m[1], m[2])
		} else if m := condorSetting.FindStringSubmatch(text); m != nil {
			f.condorSetting(i+1, m[1], m[2])
		} else {
			word, _, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
			f.refuse(i+1, word, "%q is neither a plain NAME = value nor a template on the allow-list: remove the line", cut(text))
		}
	}
}

// condorTemplates checks "use category : template, template".
func (f *file) condorTemplates(line int, category, list string) {
	for _, template := range strings.Split(list, ",") {
		name := "use " + category + ":" + strings.Trim(template, " \t")
		if !condorTemplate()[lower(name)] && !f.extra[f.key(name)] {
			f.unknown(line, name)
		}
	}
}

// condorSetting checks NAME = value. Macros in the value are looked at by name, then taken out of it, so
// that the rule of NAME sees what they stand for.
func (f *file) condorSetting(line int, name, value string) {
	self := lower(name)
	undollared := condorMacro.ReplaceAllStringFunc(value, func(macro string) string {
		inner := lower(macro[2 : len(macro)-1])
		stand, ok := condorMacros()[inner]
		if inner == self {
			stand, ok = condorSelf(self)
		}
		if !ok {
			return macro
		}
		return stand
	})
	if strings.Contains(undollared, "$") {
		f.refuse(line, name, "value of %s holds a macro that is not on the allow-list for htcondor: write the value out", cut(name))
		return
	}
	table := condorSettings()
	if _, ok := table[self]; !ok {
		for _, family := range condorFamilies {
			if family.name.MatchString(self) {
				table = map[string]rule{self: family.rule}
				break
			}
		}
	}
	f.setting(line, name, undollared, table)
}

// condorSelf is what stands for $(NAME) in the value of NAME, for the settings that sites extend rather
// than replace: what they had before was the image's own or has been checked.
func condorSelf(name string) (string, bool) {
	switch {
	case name == "startd_attrs":
		return "SITE_x", true
	case name == "start":
		return "TRUE", true
	case name == "daemon_list":
		return "MASTER", true
	case strings.HasPrefix(name, "allow_"), strings.HasPrefix(name, "deny_"):
		return "host", true
	}
	return "", false
}

var (
	condorToken = lazy(`"[^"$]*"|[A-Za-z_][A-Za-z0-9_.]*(?:[ \t]*\()?|[0-9]+(?:\.[0-9]+)?|[ \t()&|!<>=?:+*/%,.{}-]`)

	// Functions of ClassAds that only compute: HTCondor manual, "ClassAd Evaluation Semantics", "ClassAd
	// Functions".
	condorFunction = onUse(func() map[string]bool {
		return map[string]bool{
			"ifthenelse": true, "isundefined": true, "iserror": true, "isstring": true, "isinteger": true, "isreal": true,
			"isboolean": true, "int": true, "real": true, "string": true, "bool": true, "floor": true, "ceiling": true,
			"round": true, "min": true, "max": true, "pow": true, "time": true, "strcat": true, "substr": true, "strcmp": true,
			"stricmp": true, "tolower": true, "toupper": true, "size": true, "member": true, "identicalmember": true,
			"stringlistsize": true, "stringlistmember": true, "stringlistimember": true, "regexp": true, "versioncmp": true,
		}
	})
)

// condorExpression allows a ClassAd expression: attributes, literals, operators and the functions above.
var condorExpression = rule{"a ClassAd expression of attributes, literals, operators and plain functions", func(s string) bool {
	if strings.Trim(s, " \t") == "" {
		return false
	}
	for s != "" {
		at := condorToken.FindStringIndex(s)
		if at == nil || at[0] != 0 {
			return false
		}
		token := s[:at[1]]
		if name, call := strings.CutSuffix(token, "("); call && name != "" && !condorFunction()[lower(strings.Trim(name, " \t"))] {
			return false
		}
		s = s[at[1]:]
	}
	return true
}}
