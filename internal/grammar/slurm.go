// SPDX-License-Identifier: Apache-2.0

package grammar

import "strings"

// slurmPair is Key=value or Key="value", with blanks around the sign. Slurm knows += and the like too;
// they are refused with everything else that is not a pair.
var slurmPair = lazy(`\A([A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*(?:"([^"]*)"|([^ \t"]+))(?:[ \t]+|\z)`)

// checkSlurm allows slurm.conf(5) of Slurm 22.05: the names and ports of the daemons, their timeouts and
// logs, nodes and partitions, and the plugins that Slurm itself brings and that start nothing.
func checkSlurm(f *file) {
	f.pairs(slurmSettings(), map[string]map[string]rule{
		"nodename":      slurmNode(),
		"nodeset":       slurmNodeSet(),
		"partitionname": slurmPartition(),
		"downnodes":     slurmDownNodes(),
	})
}

// checkSlurmCgroup allows cgroup.conf(5) of Slurm 22.05, without CgroupReleaseAgentDir of older ones.
func checkSlurmCgroup(f *file) {
	f.pairs(slurmCgroupSettings(), nil)
}

// pairs walks a file of Key=value pairs. A key in records starts a record that takes the rest of its line and
// has settings of its own; outside a record Slurm reads one pair a line.
func (f *file) pairs(settings map[string]rule, records map[string]map[string]rule) {
	for i, line := range f.lines {
		if f.comment(i+1, line, "#") {
			continue
		}
		if strings.Contains(line, `\`) {
			f.refuse(i+1, `\`, "line holds a backslash, which escapes or joins lines: remove it")
		}
		text, _, _ := strings.Cut(line, "#") // Slurm looks for it before it looks at quotes
		text = strings.Trim(text, " \t")
		table, inRecord := settings, false
		for text != "" {
			m := slurmPair.FindStringSubmatch(text)
			if m == nil {
				word := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '=' })
				f.refuse(i+1, strings.Join(word[:min(1, len(word))], ""), "%q is not a plain Key=value: rewrite or remove it", cut(text))
				break
			}
			f.setting(i+1, m[1], m[2]+m[3], table)
			text = text[len(m[0]):]
			if record, ok := records[lower(m[1])]; ok {
				table, inRecord = record, true
			}
			if !inRecord && text != "" {
				f.refuse(i+1, m[1], "%q stands behind a setting, and Slurm would not read the file: give it a line of its own", cut(text))
			}
		}
	}
}

var (
	slurmHost  = match("host names with commas between", hostExpr+`(?:,`+hostExpr+`)*`)
	slurmdFlag = onUse(func() map[string]bool {
		return map[string]bool{"-M": true, "-v": true, "-vv": true, "-vvv": true, "-vvvv": true}
	})

	// The flags of slurmd(8) that take a value.
	slurmdValued = onUse(func() map[string]rule {
		return map[string]rule{
			"-N": aName,
		}
	})
)

// checkSlurmDefaults allows Debian's /etc/default/slurmd: the variable SLURMD_OPTIONS with flags of
// slurmd(8). -f, -d and -L, which name another configuration, program or file, are not among them.
func checkSlurmDefaults(f *file) {
	f.environment("SLURMD_OPTIONS", func(line int, words []string) {
		for i := 0; i < len(words); i++ {
			flag, value, joined := strings.Cut(words[i], "=")
			_, valued := slurmdValued()[flag]
			switch {
			case !joined && slurmdFlag()[flag]:
				continue
			case valued && !joined && i+1 < len(words):
				i++
				value = words[i]
			case joined && !strings.HasPrefix(flag, "--"):
				flag = words[i] // getopt: in -N=x the value is "=x"
			}
			f.setting(line, flag, value, slurmdValued())
		}
	})
}
