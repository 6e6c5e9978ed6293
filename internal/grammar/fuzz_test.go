// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// fuzzLiteral is what fuzzDangerous does not look at: strings and comments, in the formats that have both.
var fuzzLiteral = regexp.MustCompile(`"[^"\n]*"|'[^'\n]*'|#[^\n]*`)

// fuzzDangerous is, per format, what no allowed text holds outside of strings and comments: the ways to a
// program, to another file or to a wider network that a reader of the format would look for. It is
// independent of the allow-lists.
var fuzzDangerous = map[string]*regexp.Regexp{
	"collectd":  regexp.MustCompile(`(?im)^[ \t]*<?[ \t]*(include|plugindir|typesdb|basedir|pidfile|autoloadplugin|listen|globals|chain|exec|notificationexec|script|file|datadir|socketfile)\b|loadplugin[ \t]+(exec|perl|python|java|lua|unixsock|csv|tail)\b`),
	"filebeat":  regexp.MustCompile(`[$&\\]|(?m)^[ \t]*(path|http|script)[.:]|\boutput[.]file\b`),
	"journald":  regexp.MustCompile(`(?m)^[ \t]*(TTYPath|ForwardToSocket|Exec[A-Za-z]*)[ \t]*=`),
	"rsyslog":   regexp.MustCompile(`(?im)^[ \t]*[$](includeconfig|modload|[a-z]*serverrun|workdirectory|template|outchannel|umask)\b|\b(module|include|input|template|ruleset|main_queue)[ \t]*\(|^[ \t]*[^$ \t\n][^\n]*[ \t](-?/|[|^~])`),
	"slurm":     regexp.MustCompile(`(?i)\b(prolog|epilog|include|healthcheckprogram|rebootprogram|plugindir)[ \t]*=`),
	"syslog-ng": regexp.MustCompile("(?m)^[ \\t]*@|`|\\\\|\\b(file|pipe|unix[-_](stream|dgram)|python|java|usertty|exec|sql|template|in-list|keylog[-_]file)[ \\t]*\\(|\\b(source|parser|rewrite|template|block)[ \\t]+[A-Za-z_][A-Za-z0-9_]*[ \\t\\n]*\\{"),
	"telegraf":  regexp.MustCompile(`[$\\{]|(?m)^[ \t]*\[+[^\]]*(exec|starlark|listener|secretstores|processors|inputs[.](file|tail))`),
}

// FuzzCheck holds for every format: findings are in order and in range; no control character is allowed; a
// text that is allowed stays so with blank lines and comments around it; and it is not dangerous.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.*")
	if err != nil || len(files) < 3 {
		f.Fatalf("%d files in testdata, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, seed := range []string{
		"auth,authpriv.* @@[2001:db8::1]:514;RSYSLOG_ForwardFormat\n$ActionQueueSize 10\n& @h\n",
		"*.* action(type=\"omfwd\"\n # c\n target=\"h\")\nmodule(load=\"omp\\162og\")\n",
		"[Journal]\nSystemMaxUse=1G\n",
		"ARGS=\"--collector.cpu --web.listen-address=:9100\"\nSLURMD_OPTIONS='-M -N wn1'\n",
		"# TYPE a gauge\na{b=\"c\\n\",} +1e-3 17\n",
		"NodeName=a[1-2] CPUs=4 # c\nFeatures=\"x\"\nCgroupMountpoint=/sys/fs/cgroup\n",
		"use ROLE : Execute, x\nSTART = $(START) && (regexp(\"a\", B) =?= TRUE)\nALLOW_WRITE=*@$(UID_DOMAIN)\n",
		"\ufeff\r\x00\xff\n\\\n(((\n)\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		lines := max(1, bytes.Count(content, []byte("\n"))+1)
		for _, format := range Formats() {
			if got, err := Check(format, content, []string{"$x", "x"}); err != nil || len(got) > maxFindings {
				t.Fatalf("%s: %d findings, %v", format, len(got), err)
			}
			got, _ := Check(format, content, nil)
			last := 1
			for _, finding := range got {
				if finding.Line < last || finding.Line > lines || finding.Reason == "" {
					t.Fatalf("%s: %+v after line %d of %d", format, finding, last, lines)
				}
				last = finding.Line
			}
			if len(got) == 0 {
				fuzzAllowed(t, format, content)
			}
		}
	})
}

// fuzzAllowed checks what holds for a text that a format allows.
func fuzzAllowed(t *testing.T, format string, content []byte) {
	if bytes.ContainsAny(content, "\x00\r\x1b\v\f") {
		t.Fatalf("%s: control character allowed", format)
	}
	if len(content) > maxBytes-100 {
		return
	}
	more := "\n\n# a comment\n" + string(content) + "\n\n# a comment\n"
	if got, _ := Check(format, []byte(more), nil); len(got) > 0 {
		t.Fatalf("%s: a comment more is refused: %+v", format, got)
	}
	code := fuzzLiteral.ReplaceAll(content, []byte("x"))
	if re := fuzzDangerous[format]; re != nil && re.Match(code) {
		t.Fatalf("%s: allowed with %q in it", format, re.Find(code))
	}
}
