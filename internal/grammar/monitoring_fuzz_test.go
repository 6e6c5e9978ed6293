// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var monitoringFormats = []string{"gmond", "icinga2-zones", "journald", "netdata", "netdata-stream", "node_exporter", "nrpe",
	"prometheus-text", "zabbix-agent2", "zabbix-agentd"}

// danger is what no allowed file says outside a comment: words that start programs, include or write files.
var danger = map[string]*regexp.Regexp{
	"gmond":         regexp.MustCompile(`(?i)\binclude\s*\(|\buser\s*=\s*["']?root|module_dir|override_|\.py\b|"\s*/tmp`),
	"icinga2-zones": regexp.MustCompile(`\b(?:include|library|CheckCommand|ApiListener|function|apply|command|getenv)\b|\{\{|=>`),
	"netdata":       regexp.MustCompile(`command options|run as user|script to|plugins directory|\[plugin:|\[directories\]|0\.0\.0\.0|bind to\s*=\s*\*`),
	"nrpe":          regexp.MustCompile("(?m)^\\s*(?:include|command_prefix|nrpe_user|pid_file|log_file)|[$`|;&<>(){}\\\\'\"]|check_by_ssh|--extra"),
	"zabbix-agentd": regexp.MustCompile(`UserParameter|AllowKey|LoadModule|Include|Alias|system\.run\[[^*]|AllowRoot|[$\\\\]|0\.0\.0\.0/0`),
}

// bare is text without its comments, for the formats whose comments take a whole line.
func bare(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// FuzzMonitoring holds three promises on any input: an allowed file says nothing dangerous outside a comment; it is
// still allowed behind a comment; and it hides no harmful line that is put behind it.
func FuzzMonitoring(f *testing.F) {
	for _, format := range monitoringFormats {
		files, err := filepath.Glob(filepath.Join("testdata", format, "*"))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("command[x]=/usr/lib/nagios/plugins/check_load -w 1;id\n=include=/x\n"))
	f.Add([]byte("globals { user = root } include ('/x') /* a */ tcp_accept_channel { acl { } }\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, format := range monitoringFormats {
			got, err := Check(format, content, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 0 {
				continue
			}
			text := string(content)
			if re := danger[format]; re != nil && format != "gmond" && format != "icinga2-zones" && re.MatchString(bare(text)) {
				t.Fatalf("%s allows %q", format, re.FindString(bare(text)))
			}
			if re := danger[format]; re != nil && !strings.ContainsAny(text, "#/") && re.MatchString(text) {
				t.Fatalf("%s allows %q", format, re.FindString(text))
			}
			// A blank line more changes nothing but where a finding is; neither does a comment of our own.
			again := append([]byte("\n# x\n"), content...)
			if got, err := Check(format, again, nil); err != nil || len(got) != 0 {
				t.Fatalf("%s allows a file and refuses it behind a comment: %+v, %v", format, got, err)
			}
			// What is refused on its own is refused behind an allowed file, too: nothing allowed hides it.
			evil := append(bytes.TrimSuffix(bytes.Clone(content), []byte("\n")), hidden[format]...)
			if got, err := Check(format, evil, nil); err != nil || len(got) == 0 {
				t.Fatalf("%s allows %q behind %q", format, hidden[format], content)
			}
		}
	})
}

// hidden is one harmful line for each format.
var hidden = map[string]string{
	"gmond":           "\ninclude ('/tmp/x')\n",
	"icinga2-zones":   "\ninclude \"/tmp/x\"\n",
	"journald":        "\n[Journal]\nStorage=none\n",
	"netdata":         "\n[plugin:tc]\nscript to run to get tc values = /bin/x\n",
	"netdata-stream":  "\n[11111111-2222-3333-4444-555555555555]\nenabled = yes\n",
	"node_exporter":   "\nARGS=\"--path.rootfs=/x\"\n",
	"nrpe":            "\ncommand[x]=/bin/sh\n",
	"prometheus-text": "\nnode_textfile_scrape_error 0\n",
	"zabbix-agent2":   "\nUserParameter=x,id\n",
	"zabbix-agentd":   "\nUserParameter=x,id\n",
}
