// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
	"testing"
)

func TestNetdata(t *testing.T) {
	const web = "[web]\nmode = none\n"
	testAllowed(t, "netdata", []allowed{
		{"section twice", web + "[db]\nmode=ram\n[web]\nbind to = localhost:19999 ::1\n"},
		{"mode that ends in none", "[web]\nmode = static-threaded\nmode = none\n"},
		{"label", web + "[host labels]\nsite = EXAMPLE\n"},
	})
	testRefused(t, "netdata", []refused{
		{"nothing said about listening", "", 1, "[web]"},
		{"nothing said about listening in a comment", "# [web]\n# mode = none\n", 2, "[web]"},
		{"nothing said about listening in [web]", "[web]\ndefault port = 19999\n", 2, "[web]"},
		{"said in another section", "[db]\nmode = none\n", 2, "[web]"},
		{"listen on every address", "[web]\nbind to = *\n", 2, "bind to"},
		{"listen on every address too", "[web]\nbind to = 127.0.0.1 0.0.0.0\n", 2, "bind to"},
		{"listen on a socket", "[web]\nbind to = unix:/run/x\n", 2, "bind to"},
		{"listen as of old", web + "[global]\nbind socket to IP = *\n", 4, "bind socket to IP"},
		{"listen as of old, shorter", web + "[global]\nbind to = *\n", 4, "bind to"},
		{"plugin's command options", web + "[plugin:proc]\ncommand options = ; id\n", 3, "[plugin:proc]"},
		{"plugin's setting", web + "[plugin:apps]\ncommand options = ; id\n", 4, "command options"},
		{"plugins", web + "[directories]\nplugins = /tmp\n", 3, "[directories]"},
		{"plugins as of old", web + "[global]\nplugins directory = /tmp\n", 4, "plugins directory"},
		{"web files", web + "[directories]\nweb = /etc\n", 4, "web"},
		{"environment", web + "[environment variables]\nPATH = /tmp\n", 3, "[environment variables]"},
		{"logs", web + "[logs]\nerror = /etc/cron.d/x\n", 3, "[logs]"},
		{"user", web + "[global]\nrun as user = root\n", 4, "run as user"},
		{"alarm script", web + "[health]\nscript to execute on alarm = /bin/x\n", 4, "script to execute on alarm"},
		{"new plugins", web + "[plugins]\nenable running new plugins = yes\n", 4, "enable running new plugins"},
		{"external plugin", web + "[plugins]\ncharts = yes\n", 4, "charts"},
		{"statsd", web + "[statsd]\nenabled = yes\n", 4, "enabled"},
		{"statsd on every address", web + "[statsd]\nbind to = *\n", 4, "bind to"},
		{"registry", web + "[registry]\nenabled = yes\n", 4, "enabled"},
		{"cloud", web + "[cloud]\nenabled = yes\n", 4, "enabled"},
		{"case of a section", "[Web]\nmode = none\n", 1, "[Web]"},
		{"case of a name", "[web]\nMode = none\n", 2, "Mode"},
		{"two blanks in a name", "[web]\nbind  to = 127.0.0.1\n", 2, ""},
		{"blanks in a section", "[ web ]\nmode = none\n", 1, "[ web ]"},
		{"section with a comment", "[web] # x\nmode = none\n", 1, "[web] # x"},
		{"section and setting", web + "[global] run as user = [root]\n", 3, ""},
		{"before a section", "mode = none\n" + web, 1, ""},
		{"comment behind a value", "[web]\nmode = none # x\n", 2, "mode"},
		{"semicolon", web + "; x\n", 3, ""},
		{"no sign", "[web]\nmode none\n", 2, ""},
		{"no value", "[web]\nmode =\n", 2, "mode"},
		{"quotes", "[web]\nmode = \"none\"\n", 2, "mode"},
		{"continuation", "[web]\nbind to = 127.0.0.1 \\\n*\n", 2, `\`},
		{"label with a quote", web + "[host labels]\nsite = a\"b\n", 4, "site"},
	})
}

// TestNetdataLastWins: Netdata takes the last of two values, so "mode = none" that is taken back does not count.
// Shown with netdata 1.37.1, -W get web mode.
func TestNetdataLastWins(t *testing.T) {
	testRefused(t, "netdata", []refused{
		{"same section", "[web]\nmode = none\nmode = static-threaded\n", 3, "[web]"},
		{"section again", "[web]\nmode = none\n[db]\nmode = ram\n[web]\nmode = static-threaded\n", 6, "[web]"},
	})
}

// TestNetdataCutsLongLines: Netdata reads 8191 bytes at a time. Shown with netdata 1.37.1: "bind to" was "*".
func TestNetdataCutsLongLines(t *testing.T) {
	for _, length := range []int{1022, 4094, 8190} {
		testRefused(t, "netdata", []refused{{"comment", "[web]\nmode = none\n#" + strings.Repeat("x", length) + "bind to = *\n", 3, ""}})
		testRefused(t, "netdata-stream", []refused{{"comment", "#" + strings.Repeat("x", length) + "[11111111-2222-3333-4444-555555555555]\n", 1, ""}})
	}
}

func TestNetdataStream(t *testing.T) {
	testAllowed(t, "netdata-stream", []allowed{{"off", "[stream]\nenabled = no\n"}})
	testRefused(t, "netdata-stream", []refused{
		{"take data from others", "[11111111-2222-3333-4444-555555555555]\nenabled = yes\n", 1, "[11111111-2222-3333-4444-555555555555]"},
		{"take data from others, setting", "[11111111-2222-3333-4444-555555555555]\nallow from = *\n", 2, "allow from"},
		{"no certificate check", "[stream]\nssl skip certificate verification = yes\n", 2, "ssl skip certificate verification"},
		{"socket", "[stream]\ndestination = unix:/run/docker.sock\n", 2, "destination"},
		{"path", "[stream]\ndestination = /run/docker.sock\n", 2, "destination"},
		{"second destination is a socket", "[stream]\ndestination = 192.0.2.1 unix:/run/x\n", 2, "destination"},
		{"key", "[stream]\napi key = x\n", 2, "api key"},
		{"certificates elsewhere", "[stream]\nCAfile = /tmp/x\n", 2, "CAfile"},
		{"case", "[STREAM]\nenabled = yes\n", 1, "[STREAM]"},
	})
}
