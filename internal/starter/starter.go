// SPDX-License-Identifier: Apache-2.0

// Package starter makes the first tree of a context disc for the parts that a
// site runs. Input: which parts, and the site's values; output: the files, which
// the default policy accepts as they are. It writes nothing itself and asks
// nobody: its caller does both.
package starter

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
)

//go:embed parts
var parts embed.FS

// Parts are what can be chosen, by purpose. "none" goes for each.
var Parts = map[string][]string{
	"syslog":     {"rsyslog"},
	"monitoring": {"node_exporter"},
	"batch":      {"htcondor", "slurm", "pbs", "gridengine", "lsf"},
}

// Purposes are the keys of Parts in the order in which they are asked.
var Purposes = []string{"syslog", "monitoring", "batch"}

// Question is a value that a chosen part needs.
type Question struct {
	Name     string // of the flag, and of the answer
	Variable string // in context.sh
	Text     string
	Default  string // "" if there is none
	Pattern  string // a regular expression that an answer matches
	Hint     string // what Pattern asks for
}

// The patterns and their hints. They are compiled when a site is asked: every boot
// of a guest would compile them too.
const (
	host     = `^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9a-fA-F:]+$`
	port     = `^[0-9]{1,5}$`
	word     = `^[A-Za-z0-9][A-Za-z0-9_.-]*$`
	hostHint = "a host name or an address"
	wordHint = "letters, digits, - and _"
)

// questions are those of each part, in order.
var questions = map[string][]Question{
	"rsyslog": {
		{"loghost", "SITE_LOGHOST", "Where shall syslog go to (host name or address)?", "", host, hostHint},
		{"logport", "SITE_LOGPORT", "On which TCP port?", "514", port, "a port number"},
	},
	"node_exporter": {
		{"site", "SITE_NAME", "What is the site called in the graphs?", "", word, wordHint},
		{"exporter-port", "SITE_EXPORTER_PORT", "On which port shall node_exporter listen?", "9100", port, "a port number"},
	},
	"htcondor": {{"manager", "SITE_MANAGER", "Which host is HTCondor's central manager?", "", host, hostHint}},
	"slurm": {
		{"manager", "SITE_MANAGER", "Which host runs slurmctld?", "", host, hostHint},
		{"cluster", "SITE_CLUSTER", "What is the Slurm cluster called?", "", word, wordHint},
	},
	"pbs":        {{"manager", "SITE_MANAGER", "Which host is the PBS server?", "", host, hostHint}},
	"gridengine": {{"manager", "SITE_MANAGER", "Which host is Grid Engine's master?", "", host, hostHint}},
	"lsf":        {{"manager", "SITE_MANAGER", "Which host is LSF's management host?", "", host, hostHint}},
}

// Questions are those of the chosen parts.
func Questions(chosen map[string]string) []Question {
	var out []Question
	for _, purpose := range Purposes {
		out = append(out, questions[chosen[purpose]]...)
	}
	return out
}

// Check says what is wrong with an answer.
func (q Question) Check(answer string) error {
	if !regexp.MustCompile(q.Pattern).MatchString(answer) {
		return fmt.Errorf("--%s is %q; it has to be %s", q.Name, answer, q.Hint)
	}
	return nil
}

// AllQuestions are those of every part, each name once, sorted: for flags.
func AllQuestions() []Question {
	byName := map[string]Question{}
	for _, list := range questions {
		for _, q := range list {
			byName[q.Name] = q
		}
	}
	var out []Question
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// File is one file of the tree.
type File struct {
	Path    string
	Mode    fs.FileMode
	Content []byte
}

// Tree makes the files. Chosen maps each purpose to a part or "none"; answers
// has one entry for each of Questions.
func Tree(chosen, answers map[string]string) ([]File, error) {
	if err := validate(chosen); err != nil {
		return nil, err
	}
	scripts := map[string][]string{}
	variables := []string{read("context.sh")}
	for _, purpose := range Purposes {
		part := chosen[purpose]
		if part == "none" {
			continue
		}
		scripts[stageOf(purpose)] = append(scripts[stageOf(purpose)], read(part+".sh"))
		variables = append(variables, "\n# "+purpose+": "+part+"\n")
		for _, q := range questions[part] {
			answer, ok := answers[q.Name]
			if !ok {
				return nil, fmt.Errorf("--%s is missing: %s", q.Name, q.Text)
			}
			if err := q.Check(answer); err != nil {
				return nil, err
			}
			variables = append(variables, fmt.Sprintf("# %s\n%s=%s\n", q.Text, q.Variable, answer))
		}
	}
	files := []File{{"context.sh", 0o644, []byte(strings.Join(variables, ""))}, {"README.md", 0o644, []byte(readme(chosen))}}
	for _, stage := range []string{"prolog", "epilog"} {
		if len(scripts[stage]) > 0 {
			text := read(stage+".sh") + "\n" + strings.Join(scripts[stage], "\n")
			files = append(files, File{stage + ".sh", 0o755, []byte(text)})
		}
	}
	return files, nil
}

func validate(chosen map[string]string) error {
	some := false
	for _, purpose := range Purposes {
		part := chosen[purpose]
		if part != "none" && !slices.Contains(Parts[purpose], part) {
			return fmt.Errorf("--%s is %q; it is none or one of %s", purpose, part, strings.Join(Parts[purpose], ", "))
		}
		some = some || part != "none"
	}
	if !some {
		return fmt.Errorf("nothing is chosen: give --%s", strings.Join(Purposes, ", --"))
	}
	return nil
}

// stageOf is the stage for a purpose: syslog and monitoring are to know what
// happens from the start, and a batch node needs to know its address.
func stageOf(purpose string) string {
	if purpose == "batch" {
		return "epilog"
	}
	return "prolog"
}

func readme(chosen map[string]string) string {
	var b strings.Builder
	b.WriteString(read("README.md"))
	for _, purpose := range Purposes {
		if text, err := fs.ReadFile(parts, "parts/"+chosen[purpose]+".md"); err == nil {
			b.WriteString("\n" + string(text))
		}
	}
	return b.String()
}

// read is a part that is compiled in.
func read(name string) string {
	b, err := fs.ReadFile(parts, "parts/"+name)
	if err != nil {
		panic(err) // TestEveryChoice reads them all
	}
	return string(b)
}
