// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

func TestGmond(t *testing.T) {
	const send = "udp_send_channel { host = 192.0.2.1 port = 8649 }\n"
	const acl = `acl { default = "deny" access { ip = 192.0.2.0 mask = 24 action = "allow" } }`
	testAllowed(t, "gmond", []allowed{
		{"one line", "Cluster{Name=\"x\"}udp_send_channel{host='h.example.org' port=8649}"},
		{"comments between statements", "# a\n/* b * / **/" + send + "/**/ /* udp_send_channel { */\n"},
		{"sign on another line", "host\n{\nlocation\n=\n\"x\"\n}\n"},
		{"plain module names", "modules { module { name = \"cpu_module\" path = \"modcpu.so\" language = \"C/C++\" enabled = yes } }\n"},
		{"receive with an acl", "udp_recv_channel { port = 8649 " + acl + " }\n"},
		{"IPv6", "tcp_accept_channel { port = 8649 family = inet6 acl { default = \"deny\" access { ip = \"2001:db8::\" mask = 32 action = \"allow\" } } }\n"},
	})
	testRefused(t, "gmond", []refused{
		{"include", "include (\"/tmp/*.conf\")\n", 1, "include"},
		{"include in another case", send + "INCLUDE('/tmp/x')\n", 2, "INCLUDE"},
		{"include on several lines", "include\n(\n'/tmp/x'\n)\n", 1, "include"},
		{"include with a quoted name", "\"include\" ('/tmp/x')\n", 1, "include"},
		{"include behind a section", "cluster { name = \"a\" } include ('/tmp/x')\n", 1, "include"},
		{"include in a section", "modules { include ('/tmp/x') }\n", 1, "include"},
		{"include as a section", "include { }\n", 1, "include"},
		{"python module", "modules { module { name = \"python_module\" path = \"modpython.so\" } }\n", 1, "name"},
		{"module elsewhere", "modules { module { name = \"cpu_module\" path = \"/tmp/modcpu.so\" } }\n", 1, "path"},
		{"module above", "modules { module { name = \"cpu_module\" path = \"../../../tmp/modcpu.so\" } }\n", 1, "path"},
		{"module above Ganglia's", "modules { module { name = \"cpu_module\" path = \"/usr/lib/ganglia/../../../tmp/modcpu.so\" } }\n", 1, "path"},
		{"module by environment", "modules { module { name = \"cpu_module\" path = \"${HOME}/modcpu.so\" } }\n", 1, ""},
		{"module by environment without quotes", "modules { module { name = \"cpu_module\" path = ${HOME} } }\n", 1, ""},
		{"module with parameters", "modules { module { name = \"cpu_module\" params = \"/tmp\" } }\n", 1, "params"},
		{"module with a parameter section", "modules { module { name = \"cpu_module\" param x { value = 1 } } }\n", 1, "param"},
		{"module without a name", "modules { module { path = \"modcpu.so\" } }\n", 1, "module"},
		{"module language", "modules { module { name = \"cpu_module\" language = \"python\" } }\n", 1, "language"},
		{"module directory", "globals { module_dir = \"/tmp\" }\n", 1, "module_dir"},
		{"root", "globals { user = root }\n", 1, "user"},
		{"root with quotes", "globals { user = \"root\" }\n", 1, "user"},
		{"root by number", "globals { user = 0 }\n", 1, "user"},
		{"stay root", "globals { setuid = no }\n", 1, "setuid"},
		{"stay root in another case", "GLOBALS { SetUID = OFF }\n", 1, "SetUID"},
		{"foreground", "globals { daemonize = no }\n", 1, "daemonize"},
		{"foreground by debugging", "globals { debug_level = 10 }\n", 1, "debug_level"},
		{"another host's name", "globals { override_hostname = \"other\" }\n", 1, "override_hostname"},
		{"another host's address", "globals { override_ip = \"192.0.2.9\" }\n", 1, "override_ip"},
		{"gexec", "globals { gexec = yes }\n", 1, "gexec"},
		{"sflow", "sflow { udp_port = 6343 }\n", 1, "sflow"},
		{"cloud", "cloud { access_key = \"x\" }\n", 1, "cloud"},
		{"discovery", "discovery { type = \"ec2\" }\n", 1, "discovery"},
		{"accept from everybody", "tcp_accept_channel { port = 8649 }\n", 1, "tcp_accept_channel"},
		{"receive from everybody", "udp_recv_channel { port = 8649 }\n", 1, "udp_recv_channel"},
		{"multicast on every address", "udp_recv_channel { port = 8649 mcast_join = 239.2.11.71 }\n", 1, "udp_recv_channel"},
		{"no multicast", "udp_recv_channel { port = 8649 mcast_join = 192.0.2.1 bind = 192.0.2.1 }\n", 1, "udp_recv_channel"},
		{"acl that allows", "tcp_accept_channel { port = 8649 acl { default = \"allow\" } }\n", 1, "default"},
		{"acl without a default", "tcp_accept_channel { port = 8649 acl { access { ip = 192.0.2.1 mask = 32 action = \"allow\" } } }\n", 1, "acl"},
		{"acl for everybody", "tcp_accept_channel { acl { default = \"deny\" access { ip = 0.0.0.0 mask = 0 action = \"allow\" } } }\n", 1, "mask"},
		{"acl for half of everybody", "tcp_accept_channel { acl { default = \"deny\" access { ip = \"::\" mask = 9 action = \"allow\" } } }\n", 1, "access"},
		{"acl for IPv4 in IPv6", "tcp_accept_channel { acl { default = \"deny\" access { ip = \"::ffff:0.0.0.0\" mask = 96 action = \"allow\" } } }\n", 1, "access"},
		{"acl with a dotted mask", "tcp_accept_channel { acl { default = \"deny\" access { ip = 192.0.2.0 mask = 255.0.0.0 action = \"allow\" } } }\n", 1, "mask"},
		{"acl with half an address", "tcp_accept_channel { acl { default = \"deny\" access { ip = \"10.\" mask = 8 action = \"allow\" } } }\n", 1, "ip"},
		{"acl entry without a mask", "tcp_accept_channel { acl { default = \"deny\" access { ip = 192.0.2.1 action = \"allow\" } } }\n", 1, "access"},
		{"mask that is too long", "tcp_accept_channel { acl { default = \"deny\" access { ip = 192.0.2.1 mask = 64 action = \"allow\" } } }\n", 1, "access"},
		{"second acl", "tcp_accept_channel { port = 8649 " + acl + "\n" + acl + " }\n", 2, "acl"},
		{"acl of another channel", "tcp_accept_channel { port = 8649 " + acl + " }\ntcp_accept_channel { port = 8650 }\n", 2, "tcp_accept_channel"},
		{"acl without a channel", acl + "\n", 1, "acl"},
		{"listen on every address", "tcp_accept_channel { port = 8649 bind = 0.0.0.0 " + acl + " }\n", 1, "bind"},
		{"port of root", "udp_send_channel { host = h port = 514 }\n", 1, "port"},
		{"octal port", "udp_send_channel { host = h port = 010000 }\n", 1, "port"},
		{"hexadecimal port", "udp_send_channel { host = h port = 0x2000 }\n", 1, "port"},
		{"second globals", "globals { deaf = yes }\nglobals { mute = no }\n", 2, "globals"},
		{"second globals in another case", "globals { deaf = yes }\nGLOBALS { mute = no }\n", 2, "GLOBALS"},
		{"escape", "cluster { name = \"\\x41\" }\n", 1, `\`},
		{"octal escape in a name", "cluster { \"na\\155e\" = x }\n", 1, `\`},
		{"quoted name", "\"globals\" { deaf = yes }\n", 1, "globals"},
		{"quoted setting", "globals { \"user\" = ganglia }\n", 1, "user"},
		{"name in two parts", "glo\"bals\" { user = root }\n", 1, ""},
		{"value in two parts", "globals { user = gang\"lia\" }\n", 1, ""},
		{"string over two lines", "cluster { name = \"a\nb\" }\n", 1, ""},
		{"open string", "cluster { name = \"a }\nglobals { user = root }\n", 1, ""},
		{"append", "globals { user += root }\n", 1, ""},
		{"title", "cluster x { name = y }\n", 1, "x"},
		{"semicolon", "globals { deaf = yes; mute = no }\n", 1, ""},
		{"open section", send + "globals {\n deaf = yes\n", 2, "globals"},
		{"open section in a section", "modules {\n module { name = \"cpu_module\"\n}\n", 1, "modules"},
		{"closing brace too many", send + "}\n", 2, "}"},
		{"open comment", send + "/* a\n" + send, 2, "/*"},
		{"slashes", "//x\n", 1, ""},
		{"comment between a name and its sign", "cluster { name /* a */ = b }\n", 1, ""},
		{"comment between a sign and its value", "cluster { name = # a\n b }\n", 1, ""},
		{"continued comment", "# a \\\nglobals { user = root }\n", 1, `\`},
		{"setting at the top", "user = root\n", 1, "user"},
		{"section as a setting", "globals = root\n", 1, "globals"},
		{"setting as a section", "globals { user { } }\n", 1, "user"},
	})
}

// TestGmondCommentInWord: libconfuse takes the slash behind an unquoted word for a part of the word, and then reads
// the text of the comment. Shown with gmond 3.7.2: "no such option 'x'".
func TestGmondCommentInWord(t *testing.T) {
	testRefused(t, "gmond", []refused{
		{"value", "udp_send_channel { host = 192.0.2.1/*x*/ port = 8649 }\n", 1, ""},
		{"hidden section", "cluster { name = x/*} globals { user = root } cluster { name = y*/ }\n", 1, ""},
		{"slashes", "cluster { name = x//y\n }\n", 1, ""},
	})
}

func TestGmondExtra(t *testing.T) {
	const text = "sflow { udp_port = 6343 accept { x = \"y\" } }\n"
	for _, tt := range []struct {
		text, extra string
		ok          bool
	}{
		{text, "SFLOW", true},
		{text, "udp_port", false},
		{text + "}", "sflow", false},
		{"tcp_accept_channel { port = 8649 }\n", "tcp_accept_channel", true},
		{"globals { override_hostname = x }\n", "override_hostname", true},
		{"include ('/x')\n", "include", false},
	} {
		got, err := Check("gmond", []byte(tt.text), []string{tt.extra})
		if err != nil || (len(got) == 0) != tt.ok {
			t.Errorf("Check(gmond, %q, %q) = %+v, %v; want allowed %t", tt.text, tt.extra, got, err, tt.ok)
		}
	}
}
