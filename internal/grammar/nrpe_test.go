// SPDX-License-Identifier: Apache-2.0

package grammar

import (
	"strings"
	"testing"
)

func TestNRPE(t *testing.T) {
	const load = "command[x]=/usr/lib/nagios/plugins/check_load "
	testAllowed(t, "nrpe", []allowed{
		{"no arguments", "command[a.b-c_D1]=/usr/lib/nagios/plugins/check_users\n"},
		{"long flags", load + "--warning=1,2,3 --critical 4,5,6\n"},
		{"no line feed", "debug=1"},
		{"peers", "allowed_hosts=192.0.2.1 , 2001:db8::/32,a.example.org\n"},
	})
	testRefused(t, "nrpe", []refused{
		{"shell", "command[x]=/bin/sh -c id\n", 1, "command[x]"},
		{"plugin elsewhere", "command[x]=/tmp/check_load\n", 1, "command[x]"},
		{"plugin by a relative path", "command[x]=check_load\n", 1, "command[x]"},
		{"plugin above", "command[x]=/usr/lib/nagios/plugins/../../../bin/id\n", 1, "command[x]"},
		{"plugin that starts others", "command[x]=/usr/lib/nagios/plugins/check_by_ssh -H h -C id\n", 1, "command[x]"},
		{"plugin that negates others", "command[x]=/usr/lib/nagios/plugins/negate /bin/id\n", 1, "command[x]"},
		{"plugin that wraps others", "command[x]=/usr/lib/nagios/plugins/urlize http://x /bin/id\n", 1, "command[x]"},
		{"plugin that copies files", "command[x]=/usr/lib/nagios/plugins/check_log -F /etc/shadow -O /tmp/x -q a\n", 1, "command[x]"},
		{"unknown plugin without arguments", "command[x]=/usr/lib/nagios/plugins/check_log\n", 1, "command[x]"},
		{"plugin of shell functions", "command[x]=/usr/lib/nagios/plugins/utils.sh\n", 1, "command[x]"},
		{"sudo", "command[x]=/usr/bin/sudo /usr/lib/nagios/plugins/check_load\n", 1, "command[x]"},
		{"second command", load + "; id\n", 1, "command[x]"},
		{"pipe", load + "| sh\n", 1, "command[x]"},
		{"pipe without a blank", load + "-w 1|sh\n", 1, "command[x]"},
		{"and", load + "-w 1 && id\n", 1, "command[x]"},
		{"background", load + "-w 1 &\n", 1, "command[x]"},
		{"redirection", load + "-w 1 >/etc/cron.d/x\n", 1, "command[x]"},
		{"substitution", load + "-w $(id)\n", 1, "command[x]"},
		{"backquotes", load + "-w `id`\n", 1, "command[x]"},
		{"argument of the asking host", load + "$ARG1$\n", 1, "command[x]"},
		{"argument of the asking host as a value", load + "-w $ARG1$ -c 1\n", 1, "command[x]"},
		{"quotes", load + "-w \"1\"\n", 1, "command[x]"},
		{"glob", "command[x]=/usr/lib/nagios/plugins/check_* -w 1\n", 1, "command[x]"},
		{"brace", load + "-w {1,2}\n", 1, "command[x]"},
		{"tilde", load + "-w ~root\n", 1, "command[x]"},
		{"history and negation", load + "! id\n", 1, "command[x]"},
		{"escape", load + "-w 1\\\n", 1, `\`},
		{"options from a file", load + "--extra-opts=x@/tmp/x.ini\n", 1, "command[x]"},
		{"options from a file, abbreviated", load + "--extra=x@/tmp/x.ini\n", 1, "command[x]"},
		{"abbreviated flag", load + "--warn=1\n", 1, "command[x]"},
		{"joined value", load + "-w1,2,3\n", 1, "command[x]"},
		{"joined value with a sign", load + "-w=1,2,3\n", 1, "command[x]"},
		{"cluster", load + "-rw 1,2,3\n", 1, "command[x]"},
		{"flag as a value", load + "-w -c\n", 1, "command[x]"},
		{"flag without its value", load + "-r -w\n", 1, "command[x]"},
		{"value of a bare flag", load + "--percpu=1\n", 1, "command[x]"},
		{"word", load + "/etc/shadow\n", 1, "command[x]"},
		{"end of flags", load + "-- x\n", 1, "command[x]"},
		{"check_load starts ps", load + "-n 5\n", 1, "command[x]"},
		{"check_apt with options for apt-get", "command[x]=/usr/lib/nagios/plugins/check_apt --upgrade=-oAPT::Update::Pre-Invoke::=id\n", 1, "command[x]"},
		{"check_apt updates", "command[x]=/usr/lib/nagios/plugins/check_apt -u\n", 1, "command[x]"},
		{"check_procs reads a file", "command[x]=/usr/lib/nagios/plugins/check_procs --input-file=/etc/shadow\n", 1, "command[x]"},
		{"check_disk above", "command[x]=/usr/lib/nagios/plugins/check_disk -p /a/../../b\n", 1, "command[x]"},
		{"no command", "command[x]=\n", 1, ""},
		{"blank before the command", "command[x]= /bin/sh\n", 1, ""},
		{"no name", "command[]=/bin/sh\n", 1, ""},
		{"bracket in the name", "command[a]b]=/bin/sh\n", 1, ""},
		{"brackets twice", "command[a][b]=/bin/sh\n", 1, ""},

		// nrpe looks for "command[" anywhere in the name, and strtok(3) passes over leading "=".
		{"text before command", "xcommand[c]=/bin/sh\n", 1, ""},
		{"sign before command", "=command[c]=/bin/sh\n", 1, ""},
		{"sign before include", "=include=/tmp/x\n", 1, ""},
		{"two signs", "debug==1\n", 1, "debug"},
		{"blank before the sign", "debug =1\n", 1, ""},
		{"any name with debug in it", "xdebugx=1\n", 1, "xdebugx"},
		{"case", "Include=/tmp/x\n", 1, ""},
		{"command in another case", "COMMAND[x]=/bin/sh\n", 1, ""},

		{"include", "include=/tmp/x.cfg\n", 1, "include"},
		{"include by its other name", "include_file=/tmp/x.cfg\n", 1, "include_file"},
		{"include a directory", "\tinclude_dir=/tmp\n", 1, "include_dir"},
		{"arguments", "dont_blame_nrpe=1\n", 1, "dont_blame_nrpe"},
		{"arguments as atoi reads them", "dont_blame_nrpe=1x\n", 1, "dont_blame_nrpe"},
		{"arguments with a zero", "dont_blame_nrpe=01\n", 1, "dont_blame_nrpe"},
		{"arguments with a sign", "dont_blame_nrpe=+1\n", 1, "dont_blame_nrpe"},
		{"substitution of the asking host", "allow_bash_command_substitution=1\n", 1, "allow_bash_command_substitution"},
		{"characters of the asking host", "nasty_metachars=x\n", 1, "nasty_metachars"},
		{"prefix", "command_prefix=/usr/bin/sudo\n", 1, "command_prefix"},
		{"root", "nrpe_user=root\n", 1, "nrpe_user"},
		{"root by number", "nrpe_user=0\n", 1, "nrpe_user"},
		{"group", "nrpe_group=shadow\n", 1, "nrpe_group"},
		{"pid file", "pid_file=/etc/nologin\n", 1, "pid_file"},
		{"log file", "log_file=/etc/cron.d/x\n", 1, "log_file"},
		{"environment", "keep_env_vars=LD_PRELOAD\n", 1, "keep_env_vars"},
		{"seed", "allow_weak_random_seed=1\n", 1, "allow_weak_random_seed"},
		{"silence", "disable_syslog=1\n", 1, "disable_syslog"},
		{"anonymous TLS", "ssl_use_adh=2\n", 1, "ssl_use_adh"},
		{"no client certificate", "ssl_client_certs=0\n", 1, "ssl_client_certs"},
		{"old TLS", "ssl_version=SSLv2+\n", 1, "ssl_version"},
		{"no encryption", "ssl_cipher_list=ALL:eNULL\n", 1, "ssl_cipher_list"},
		{"no security level", "ssl_cipher_list=ALL:@SECLEVEL=0\n", 1, "ssl_cipher_list"},
		{"ciphers that nrpe cuts", "ssl_cipher_list=" + strings.Repeat("HIGH:DHE-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:", 6) + "!aNULL\n", 1, "ssl_cipher_list"},
		{"key elsewhere", "ssl_privatekey_file=/root/.ssh/id\n", 1, "ssl_privatekey_file"},
		{"everybody", "allowed_hosts=192.0.2.1,0.0.0.0/0\n", 1, "allowed_hosts"},
		{"half of everybody", "allowed_hosts=0.0.0.0/1,128.0.0.0/1\n", 1, "allowed_hosts"},
		{"everybody on IPv6", "allowed_hosts=::/0\n", 1, "allowed_hosts"},
		{"everybody of IPv4 in IPv6", "allowed_hosts=::ffff:0:0/96\n", 1, "allowed_hosts"},
		{"no network", "allowed_hosts=\n", 1, ""},
		{"hosts with blanks, of which nrpe takes one", "allowed_hosts=192.0.2.1 192.0.2.2\n", 1, "allowed_hosts"},
		{"mask that overflows", "allowed_hosts=192.0.2.0/4294967296\n", 1, "allowed_hosts"},
		{"listen on every address", "server_address=0.0.0.0\n", 1, "server_address"},
		{"port of root", "server_port=22\n", 1, "server_port"},
		{"comment behind a value", "debug=1 # x\n", 1, "debug"},
		{"continuation", "command[x]=/usr/lib/nagios/plugins/check_load \\\n -w 1\n", 1, `\`},
		{"continued comment", "# a \\\ncommand[x]=/bin/sh\n", 1, ""},
	})
}

// TestNRPECutsLongLines: nrpe reads 2046 bytes at a time, so that the rest of a long comment is a line of its own.
// Shown with nrpe 4.1.0: it logged "Added command[evil]=/bin/sh".
func TestNRPECutsLongLines(t *testing.T) {
	for _, length := range []int{maxLine, 1022, 2044, 2045, 4092} {
		testRefused(t, "nrpe", []refused{{"comment", "debug=0\n#" + strings.Repeat("x", length) + "command[evil]=/bin/sh\n", 2, ""}})
	}
	testAllowed(t, "nrpe", []allowed{{"comment", "#" + strings.Repeat("x", maxLine-1) + "\n"}})
}
