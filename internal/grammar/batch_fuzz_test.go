// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// reading is one logical line as a daemon takes it.
type reading struct{ name, value string }

// momReads reads like pbs_mom of Torque: 118 bytes at once, # anywhere, the name ends at what is no part of it.
func momReads(content []byte) (got []reading) {
	for _, line := range fixed(content, 118) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		text := strings.Trim(string(line), " \t\n")
		if text == "" {
			continue
		}
		end := strings.IndexFunc(text[1:], func(r rune) bool { return !strings.ContainsRune(momNameRunes, lowerRune(r)) })
		if end < 0 {
			end = len(text) - 1
		}
		got = append(got, reading{lower(text[:end+1]), strings.Trim(text[end+1:], " \t\n")})
	}
	return got
}

const momNameRunes = "abcdefghijklmnopqrstuvwxyz0123456789_:"

func lowerRune(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// engineReads reads like sge_execd: as many bytes at once as its version has, # first, one word or the rest.
func engineReads(content []byte, buffer int) (got []reading) {
	for _, line := range fixed(content, buffer-1) {
		words := strings.Fields(string(line))
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		got = append(got, reading{lower(words[0]), strings.Join(words[1:], " ")})
	}
	return got
}

// fixed cuts content as fgets(3) does with room for n bytes.
func fixed(content []byte, n int) (lines [][]byte) {
	for len(content) > 0 {
		end := bytes.IndexByte(content, '\n') + 1
		if end == 0 {
			end = len(content)
		}
		end = min(end, n)
		lines, content = append(lines, content[:end]), content[end:]
	}
	return lines
}

// shellWord is a line of a sourced file that is only an assignment or an export, comments apart.
var shellWord = regexp.MustCompile(`^\s*(?:#.*|(?:[A-Z][A-Z0-9_]*=(?:[A-Za-z0-9_.,:/@%+-]*|"[A-Za-z0-9_.,:/@%+*=()\[\] -]*")(?:\s*;\s*export [A-Z_]+)?|export [A-Z_]+)?\s*)$`)

// dangerous are the names through which a program would run, by format.
var dangerous = map[string]*regexp.Regexp{
	"pbs-mom":  regexp.MustCompile(`^\$(?:action|varattr|.*_script|.*cmd|.*exec|job_starter.*|.*path|.*dir.*|remote_reconfig|configversion)$`),
	"htcondor": regexp.MustCompile(`(?i)^\s*(?:STARTER|STARTD|MASTER|\w*HOOK\w*|\w*CRON\w*|LOCAL_\w+|include|if|\w+\s*@)\s*[=:]`),
}

// FuzzBatch holds every format of a batch system against a model of how its daemon reads: what is allowed says
// nothing dangerous to the daemon either, wherever the daemon cuts lines, finds comments and ends names.
func FuzzBatch(f *testing.F) {
	for i, format := range batchFormats {
		for _, content := range siteFiles(f, format) {
			f.Add(uint(i), content, []byte("#\n"))
		}
		f.Add(uint(i), []byte("#"+strings.Repeat("x", 117)+"$varattr 1 /tmp/x\n"), []byte("ncpus !/tmp/x\n"))
		f.Add(uint(i), []byte(strings.Repeat("#", 1023)+"binary_path /tmp\n"), []byte("SGE_CELL=x; export PATH\n"))
	}
	f.Fuzz(func(t *testing.T, which uint, a, b []byte) {
		format := batchFormats[which%uint(len(batchFormats))]
		if allowedBy(t, format, a) {
			harmless(t, format, a)
		}
		// Lines stand alone: two allowed files are an allowed file, and a refused one stays refused.
		joined := append(append(bytes.Clone(a), '\n'), b...)
		both := allowedBy(t, format, a) && allowedBy(t, format, b)
		if format != "server-name" && len(joined) < maxBytes && allowedBy(t, format, joined) != both {
			t.Errorf("%s: %q and %q: allowed together %t, alone %t", format, a, b, !both, both)
		}
	})
}

func allowedBy(t *testing.T, format string, content []byte) bool {
	got, err := Check(format, content, nil)
	if err != nil {
		t.Fatal(err)
	}
	return len(got) == 0
}

// harmless reads an allowed file as its daemon does.
func harmless(t *testing.T, format string, content []byte) {
	switch format {
	case "pbs-mom":
		for _, r := range momReads(content) {
			directive := strings.HasPrefix(r.name, "$")
			if directive && momDirectives()[r.name].ok == nil || dangerous[format].MatchString(r.name) ||
				!directive && strings.HasPrefix(r.value, "!") {
				t.Errorf("%q is read as %q", content, r)
			}
		}
	case "gridengine-bootstrap":
		for _, buffer := range []int{1000, 1024, 4096} {
			for _, r := range engineReads(content, buffer) {
				if rule, ok := gridEngineSettings()[r.name]; !ok || !rule.ok(r.value) {
					t.Errorf("%q is read as %q", content, r)
				}
			}
		}
	case "gridengine-defaults", "lsf", "pbs":
		for line := range strings.Lines(string(content)) {
			if !shellWord.MatchString(strings.TrimRight(line, "\n")) {
				t.Errorf("%s: a shell would run %q", format, line)
			}
		}
	case "htcondor":
		for line := range strings.Lines(string(content)) {
			if dangerous[format].MatchString(line) {
				t.Errorf("%q is allowed", line)
			}
		}
	case "slurm", "slurm-cgroup", "slurm-gres":
		for line := range strings.Lines(string(content)) {
			line, _, _ = strings.Cut(lower(line), "#")
			if strings.Contains(line, "prolog=") || strings.Contains(line, "/../") || strings.HasPrefix(strings.TrimSpace(line), "include") {
				t.Errorf("%q is allowed", line)
			}
		}
	}
}
