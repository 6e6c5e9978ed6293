// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

func TestFluentBit(t *testing.T) {
	testAllowed(t, "fluent-bit", []allowed{
		{"name at the end", "[input]\n  tag x\n  NAME CPU\n"},
		{"no section", "# nothing\n"},
	})
	testRefused(t, "fluent-bit", []refused{
		{"exec", "[INPUT]\n  Name exec\n  Command /bin/x\n", 2, "input:exec"},
		{"exec in another case", "[input]\n  NAME eXec\n", 2, "input:exec"},
		{"exec by a second name", "[INPUT]\n  Name cpu\n  Name exec\n", 3, "Name"},
		{"exec in quotes", "[INPUT]\n  Name \"exec\"\n", 2, ""},
		{"exec behind a comment sign", "[INPUT]\n  Name cpu # exec\n", 2, ""},
		{"no name", "[INPUT]\n  Command /bin/x\n", 1, "input"},
		{"command of another", "[INPUT]\n  Name cpu\n  Command /bin/x\n", 3, "Command"},
		{"lua", "[FILTER]\n  Name lua\n  script x.lua\n", 2, "filter:lua"},
		{"wasm", "[FILTER]\n  Name wasm\n", 2, "filter:wasm"},
		{"output file", "[OUTPUT]\n  Name file\n  Path /etc/cron.d\n", 2, "output:file"},
		{"listener", "[INPUT]\n  Name http\n", 2, "input:http"},
		{"plugins", "[PLUGINS]\n  Path /tmp/x.so\n", 1, "[plugins]"},
		{"plugins file", "[SERVICE]\n  Plugins_File /tmp/x.conf\n", 2, "Plugins_File"},
		{"plugins file above", "[SERVICE]\n  Plugins_File ../plugins.conf\n", 2, "Plugins_File"},
		{"camel case", "[SERVICE]\n  pluginsFile /tmp/x.conf\n", 2, "pluginsFile"},
		{"streams", "[SERVICE]\n  Streams_File /tmp/x.conf\n", 2, "Streams_File"},
		{"log file", "[SERVICE]\n  Log_File /etc/cron.d/x\n", 2, "Log_File"},
		{"HTTP server", "[SERVICE]\n  HTTP_Server On\n", 2, "HTTP_Server"},
		{"HTTP server, the second time", "[SERVICE]\n  HTTP_Server Off\n[SERVICE]\n  http_server true\n", 4, "http_server"},
		{"parser", "[PARSER]\n  Name x\n", 1, "[parser]"},
		{"include", "@INCLUDE /tmp/x\n", 1, "@INCLUDE /tmp/x"},
		{"include within a section", "[INPUT]\n  Name cpu\n  @INCLUDE /tmp/x\n", 3, ""},
		{"include in another case", "@include /tmp/x\n", 1, ""},
		{"set", "@SET x=y\n", 1, ""},
		{"environment", "[INPUT]\n  Name ${X}\n", 2, ""},
		{"backslash", "[INPUT]\n  Name ex\\x65c\n", 2, ""},
		{"continued comment", "# x \\\n[INPUT]\n", 1, ""},
		{"key without blanks", "[INPUT]\nName cpu\n", 2, ""},
		{"key before a section", "  Name cpu\n", 1, ""},
		{"section behind blanks", "[INPUT]\n  Name cpu\n  [PLUGINS]\n", 3, ""},
		{"text behind a section", "[INPUT] Name exec\n", 1, ""},
		{"unclosed section", "[INPUT\n  Name exec\n", 1, ""},
		{"comment as a section", "[#INPUT]\n", 1, ""},
		{"key without a value", "[INPUT]\n  Name\n", 2, ""},
		{"file outside /var/log", "[INPUT]\n  Name tail\n  Path /etc/shadow\n", 3, "Path"},
		{"file outside by dots", "[INPUT]\n  Name tail\n  Path /var/log/../../etc/shadow\n", 3, "Path"},
		{"second file outside", "[INPUT]\n  Name tail\n  Path /var/log/x,/etc/shadow\n", 3, "Path"},
		{"database outside", "[INPUT]\n  Name tail\n  DB /etc/cron.d/x\n", 3, "DB"},
		{"database above", "[INPUT]\n  Name tail\n  DB /var/lib/fluent-bit/../x\n", 3, "DB"},
		{"store outside", "[SERVICE]\n  storage.path /etc/cron.d\n", 2, "storage.path"},
		{"key outside", "[OUTPUT]\n  Name http\n  tls.key_file /etc/shadow\n", 3, "tls.key_file"},
	})
}
