// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

var (
	// No blanks around the sign: nrpe makes them part of the name and of the value.
	nrpeSetting = lazy(`\A([a-z_]+(?:\[[A-Za-z0-9_.-]{1,64}\])?)=([^ \t].*)\z`)
	nrpeCommand = lazy(`\A(command\[[^=]*)=(.*)\z`)
	nrpePlugin  = lazy(`\A/usr/lib(?:64)?/nagios/plugins/([a-z_]+)\z`)
)

// checkNRPE allows a file of nrpe.d, NRPE 4.1, the comments of its sample nrpe.cfg: who may ask, how long a
// check may take, TLS, and command definitions that run one of the plugins of nrpePlugins with arguments
// of its table. nrpe hands a command to a shell, so no argument has a character that means something to one.
func checkNRPE(f *file) {
	f.shortLines()
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		text := strings.Trim(line, " \t")
		m := nrpeCommand.FindStringSubmatch(text)
		if m == nil || f.extra[m[1]] || !nrpeSetting.MatchString(text) || strings.Contains(text, `\`) {
			f.assignment(i+1, text, nrpeSetting, nrpeSettings())
			continue
		}
		f.nrpeCommand(i+1, m[1], strings.FieldsFunc(m[2], isBlank))
	}
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// nrpeCommand checks the words of one command line: a plugin, then flags as getopt_long(3) reads them, but
// always spelled out: no joined value, no cluster, no abbreviation, no word that is not a flag's value.
func (f *file) nrpeCommand(line int, name string, args []string) {
	m := nrpePlugin.FindStringSubmatch(args[0])
	if m == nil || nrpePlugins()[m[1]] == nil {
		f.refuse(line, name, "%q is not a plugin on the allow-list for nrpe: use one of /usr/lib/nagios/plugins that docs/policy.md lists", cut(args[0]))
		return
	}
	flags := nrpePlugins()[m[1]]
	for i := 1; i < len(args); i++ {
		flag, value, joined := strings.Cut(args[i], "=")
		r, known := flags[flag]
		switch {
		case !known || joined && !strings.HasPrefix(flag, "--"):
			f.refuse(line, name, "%q is not on the allow-list for %s: correct or remove it", cut(args[i]), m[1])
			return
		case r.ok == nil && !joined:
			continue
		case r.ok == nil:
			f.refuse(line, name, "%s takes no value: write it alone", flag)
			return
		case !joined && i+1 < len(args):
			i++
			value = args[i]
		case !joined:
			f.refuse(line, name, "%s has no value: add one", flag)
			return
		}
		f.value(line, name, value, r)
	}
}
