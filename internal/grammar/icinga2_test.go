// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

func TestIcinga2Zones(t *testing.T) {
	testAllowed(t, "icinga2-zones", []allowed{
		{"one line", "object Zone \"a\" { global = true }\n"},
		{"comment of one line", "/* a */\nobject Zone \"a\" {\n/* b\n c */\n}\n"},
	})
	testRefused(t, "icinga2-zones", []refused{
		{"command", "object CheckCommand \"x\" {\n  command = [ \"/bin/sh\" ]\n}\n", 1, "object"},
		{"api", "object ApiListener \"api\" {\n  accept_commands = true\n}\n", 1, "object"},
		{"user of the api", "object ApiUser \"root\" {\n}\n", 1, "object"},
		{"include", "include \"/tmp/x.conf\"\n", 1, "include"},
		{"include a directory", "include_recursive \"/tmp\"\n", 1, "include_recursive"},
		{"library", "library \"x\"\n", 1, "library"},
		{"constant", "const PluginDir = \"/tmp\"\n", 1, "const"},
		{"variable", "globals.PluginDir = \"/tmp\"\n", 1, ""},
		{"function", "function f() {\n}\n", 1, "function"},
		{"apply", "apply Service \"x\" {\n}\n", 1, "apply"},
		{"template", "template Zone \"x\" {\n}\n", 1, "template"},
		{"import", "object Zone \"x\" {\n  import \"y\"\n}\n", 2, ""},
		{"assign", "object Zone \"x\" {\n  assign where true\n}\n", 2, ""},
		{"condition", "object Zone \"x\" {\n  if (true) { global = true }\n}\n", 2, ""},
		{"name from an expression", "object Zone \"x\" + \"y\" {\n}\n", 1, "object"},
		{"value from an expression", "object Endpoint \"x\" {\n  host = \"a\" + \"b\"\n}\n", 2, "host"},
		{"value from a function", "object Endpoint \"x\" {\n  host = getenv(\"HOME\")\n}\n", 2, "host"},
		{"lambda", "object Endpoint \"x\" {\n  host = {{ 1 }}\n}\n", 2, "host"},
		{"string over several lines", "object Endpoint \"x\" {\n  host = {{{a}}}\n}\n", 2, "host"},
		{"escape", "object Endpoint \"x\" {\n  host = \"\\x41\"\n}\n", 2, `\`},
		{"macro", "object Endpoint \"x\" {\n  host = \"$address$\"\n}\n", 2, "host"},
		{"two statements", "object Endpoint \"x\" {\n  port = 5665; host = \"a\"\n}\n", 2, "port"},
		{"two statements with a comma", "object Zone \"x\" {\n  global = true, parent = \"y\"\n}\n", 2, "global"},
		{"assignment that adds", "object Zone \"x\" {\n  endpoints += [ \"a\" ]\n}\n", 2, ""},
		{"nested", "object Zone \"x\" {\n  vars.a = 1\n}\n", 2, ""},
		{"text behind the end", "object Zone \"x\" { } include \"/tmp/x\"\n", 1, ""},
		{"text behind the closing brace", "object Zone \"x\" {\n} include \"/tmp/x\"\n", 2, ""},
		{"text behind a comment", "/* a */ include \"/tmp/x\"\n", 1, ""},
		{"text behind a long comment", "/* a\n*/ include \"/tmp/x\"\n", 2, ""},
		{"comment that ends twice", "/* a\n/* b */\ninclude \"/tmp/x\"\n*/\n", 3, "include"},
		{"slash that is star and end", "/*/\ninclude \"/tmp/x\"\n", 2, ""},
		{"comment behind a value", "object Zone \"x\" {\n  global = true // y\n}\n", 2, "global"},
		{"comment within a value", "object Zone \"x\" {\n  global = /* y */ true\n}\n", 2, "global"},
		{"open object", "object Zone \"x\" {\n  global = true\n", 1, "object"},
		{"open comment", "/* a\nobject\n", 2, "/*"},
		{"continued comment", "// a \\\ninclude \"/tmp/x\"\n", 1, ""},
		{"case", "Object Zone \"x\" {\n}\n", 1, "Object"},
		{"closing brace too many", "}\n", 1, "}"},
		{"list over several lines", "object Zone \"x\" {\n  endpoints = [\n    \"a\" ]\n}\n", 2, "endpoints"},
	})
}
