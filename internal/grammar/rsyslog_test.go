// SPDX-License-Identifier: Apache-2.0

package grammar

import "testing"

func TestRsyslog(t *testing.T) {
	testAllowed(t, "rsyslog", []allowed{
		{"one line", "*.* @loghost.example.org\n"},
		{"without a line feed", "*.* @loghost"},
		{"tcp with port", "# to the site's log host\n\n*.*\t\t@@192.0.2.17:514\n"},
		{"ipv6 and facilities", "auth,authpriv.* @@[2001:db8::1]:514\n"},
		{"priorities", "*.info;mail.none;authpriv.none;cron.!=debug @@loghost:6514\nkern.=warn @h\nLOCAL0.Info @h\n"},
		{"octet-counted with template", "*.* @@(o)loghost:10514;RSYSLOG_SyslogProtocol23Format\n*.* @@(z9,o)h\n"},
		{"second target", "*.* @@a.example.org:514\n& @@b.example.org:514\n"},
		{"legacy queue", `
$ActionQueueType LinkedList
$ActionQueueFileName site-fwd
$ActionQueueMaxDiskSpace 1g
$ActionQueueSaveOnShutdown on
$ActionResumeRetryCount -1
$ActionResumeInterval 30
*.* @@loghost.example.org:514
$PreserveFQDN on
$RepeatedMsgReduction off
`},
		{"legacy tls", `
$DefaultNetstreamDriver gtls
$DefaultNetstreamDriverCAFile /etc/ssl/certs/site-ca.pem
$ActionSendStreamDriverMode 1
$ActionSendStreamDriverAuthMode x509/name
$ActionSendStreamDriverPermittedPeer *.example.org
*.* @@(o)loghost.example.org:6514
`},
		{"action", `action(type="omfwd" target="loghost.example.org" port="514" protocol="tcp")` + "\n"},
		{"action after a selector, over lines", `
*.*;auth,authpriv.none action(type="omfwd"
    # the queue survives a reboot
    target = "2001:db8::17" port="6514" protocol="tcp"

    template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted"
    queue.type="LinkedList" queue.size="10000" queue.filename="site_fwd"
    queue.maxDiskSpace="1g" queue.saveOnShutdown="on"	# kept
    action.resumeRetryCount="-1" action.resumeInterval="30" name="site-fwd"
    KeepAlive="on" keepalive.time="60"
    StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"
    StreamDriverPermittedPeers="loghost.example.org,SHA1:10:C4:26"
)
`},
		{"global", `global(preserveFQDN="on" localHostname="wn17.example.org"
 defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="/etc/ssl/certs/ca-certificates.crt")` + "\n"},
	})
	testRefused(t, "rsyslog", []refused{
		{"ModLoad", "*.* @h\n$ModLoad omprog\n", 2, "$ModLoad"},
		{"ModLoad in another case", "  $mOdLoAd imtcp\n", 1, "$mOdLoAd"},
		{"InputTCPServerRun", "$InputTCPServerRun 514\n", 1, "$InputTCPServerRun"},
		{"UDPServerRun", "$UDPServerRun 514\n", 1, "$UDPServerRun"},
		{"IncludeConfig", "$IncludeConfig /tmp/*.conf\n", 1, "$IncludeConfig"},
		{"UMask", "$UMask 0000\n", 1, "$UMask"},
		{"WorkDirectory", "$WorkDirectory /etc/cron.d\n", 1, "$WorkDirectory"},
		{"template", "$template x,\"/etc/%hostname%\"\n", 1, "$template"},
		{"outchannel", "$outchannel x,/var/log/x,1,/bin/x\n", 1, "$outchannel"},
		{"legacy file name with a slash", "$ActionQueueFileName ../../etc/cron.d/x\n*.* @h\n", 1, "$ActionQueueFileName"},
		{"legacy trailing garbage", "$ActionResumeInterval 30 & ^/bin/x\n*.* @h\n", 1, "$ActionResumeInterval"},
		{"legacy without a value", "$RepeatedMsgReduction\n", 1, "$RepeatedMsgReduction"},
		{"legacy for the next file's rule", "*.* @h\n$ActionQueueType Disk\n", 2, "$ActionQueueType"},
		{"driver names a module", "$DefaultNetstreamDriver ../../../tmp/x\n", 1, "$DefaultNetstreamDriver"},
		{"module", "module(load=\"omprog\")\n", 1, "module"},
		{"module by an octal escape", "*.* @h\nmodule(load=\"omp\\162og\")\n", 2, "module"},
		{"octal escape", "action(type=\"omp\\162og\" target=\"h\")\n", 1, `\`},
		{"hex escape", "action(type=\"omfwd\" target=\"h\\x2fx\")\n", 1, `\`},
		{"omprog", "action(type=\"omprog\" binary=\"/bin/x\")\n", 1, "type"},
		{"omprog in another case", "ACTION(TYPE=\"OmProg\" target=\"h\")\n", 1, "TYPE"},
		{"omprog by a second type", "action(type=\"omfwd\" target=\"h\" type=\"omprog\")\n", 1, "type"},
		{"omprog in the third line", "action(type=\n\"omprog\")\n", 1, ""},
		{"binary", "action(type=\"omfwd\" target=\"h\"\n binary=\"/bin/x\")\n", 2, "binary"},
		{"omfile", "action(type=\"omfile\" file=\"/etc/passwd\")\n", 1, "type"},
		{"no type", "action(target=\"h\")\n", 1, "action"},
		{"network namespace", "action(type=\"omfwd\" target=\"h\" NetworkNamespace=\"x\")\n", 1, "NetworkNamespace"},
		{"site's own template", "action(type=\"omfwd\" target=\"h\" template=\"x\")\n", 1, "template"},
		{"queue file with a slash", "action(type=\"omfwd\" target=\"h\" queue.filename=\"a/b\")\n", 1, "queue.filename"},
		{"queue file with dot-dot", "action(type=\"omfwd\" target=\"h\" queue.filename=\"a..b\")\n", 1, "queue.filename"},
		{"queue directory", "action(type=\"omfwd\" target=\"h\" queue.spoolDirectory=\"/etc\")\n", 1, "queue.spoolDirectory"},
		{"key file outside", "action(type=\"omfwd\" target=\"h\" streamdriver.keyfile=\"/etc/ssl/../shadow\")\n", 1, "streamdriver.keyfile"},
		{"string over two lines", "action(type=\"omfwd\" target=\"h\n\")\n", 1, ""},
		{"backquotes", "action(type=\"omfwd\" target=`echo $X`)\n", 1, ""},
		{"array", "action(type=[\"omfwd\",\"omprog\"] target=\"h\")\n", 1, ""},
		{"block comment in an action", "action(type=\"omfwd\" /* \" */ target=\"h\")\n", 1, ""},
		{"unclosed action", "*.* action(type=\"omfwd\" target=\"h\"\n", 1, "action"},
		{"unclosed by a comment", "action(type=\"omfwd\" target=\"h\" # )\n", 1, "action"},
		{"statement after an action", "action(type=\"omfwd\" target=\"h\") module(load=\"x\")\n", 1, ""},
		{"rule after an action", "action(type=\"omfwd\" target=\"h\") & ^/bin/x\n", 1, ""},
		{"input", "input(type=\"imtcp\" port=\"514\")\n", 1, "input"},
		{"include", "include(file=\"/tmp/x\")\n", 1, "include"},
		{"include with blanks", "INCLUDE \t (file=\"/tmp/x\")\n", 1, "INCLUDE"},
		{"template object", "template(name=\"x\" type=\"string\" string=\"/etc/x\")\n", 1, "template"},
		{"work directory", "global(workDirectory=\"/etc/cron.d\")\n", 1, "workDirectory"},
		{"main queue", "main_queue(queue.filename=\"x\")\n", 1, "main_queue"},
		{"file target", "*.* /var/log/site.log\n", 1, "/var/log/site.log"},
		{"file target without sync", "*.* -/etc/cron.d/x\n", 1, "-/etc/cron.d/x"},
		{"program", "*.* ^/usr/local/bin/x\n", 1, "^/usr/local/bin/x"},
		{"program after a target", "*.* @@h:514 & ^/bin/x\n", 1, ""},
		{"program after a template", "*.* @@h:514;RSYSLOG_ForwardFormat ^/bin/x\n", 1, ""},
		{"program for the second action", "*.* @h\n& ^/bin/x\n", 2, "^/bin/x"},
		{"pipe", "*.* |/dev/xconsole\n", 1, "|/dev/xconsole"},
		{"users", "*.emerg :omusrmsg:*\n", 1, ":omusrmsg:*"},
		{"output module", "*.* :omprog:\n", 1, ":omprog:"},
		{"user list", "*.* root,admin\n", 1, "root,admin"},
		{"discard", "*.* ~\n", 1, "~"},
		{"stop", "*.* stop\n", 1, "stop"},
		{"stop after a rule", "*.* @h\n& stop\n", 2, "stop"},
		{"global behind a selector", "*.* global(preserveFQDN=\"on\")\n", 1, "global"},
		{"global behind and", "*.* @h\n& global(preserveFQDN=\"on\")\n", 2, "global"},
		{"and behind a global", "*.* @h\nglobal(preserveFQDN=\"on\")\n& @i\n", 3, "&"},
		{"TLS of the image's own forwarding off", "$ActionSendStreamDriverMode 0\n*.* @@h\n", 1, "$ActionSendStreamDriverMode"},
		{"peer of the image's own forwarding unchecked", "$ActionSendStreamDriverAuthMode anon\n*.* @@h\n", 1, "$ActionSendStreamDriverAuthMode"},
		{"driver of the image's own forwarding", "global(defaultNetstreamDriver=\"ptcp\")\n", 1, "defaultNetstreamDriver"},
		{"line number of the preprocessor", "preprocfilelinenumber(1)\n", 1, "preprocfilelinenumber"},
		{"and without a rule", "& @h\n", 1, "&"},
		{"template of its own", "*.* @@h;mine\n", 1, "template"},
		{"options", "*.* @@(x)h\n", 1, "@@(x)h"},
		{"comment after a target", "*.* @h # all\n", 1, ""},
		{"continuation", "*.* @h\\\n& ^/bin/x\n", 1, `\`},
		{"continued comment", "# harmless \\\n*.* @h\n", 1, ""},
		{"continued comment with blanks", "# harmless \\ \n*.* @h\n", 1, ""},
		{"property filter", ":msg, contains, \"x\" @h\n", 1, ":msg,"},
		{"if", "if $msg contains 'x' then @h\n", 1, "if"},
		{"if with parentheses", "if ($msg == \"x\") then { stop }\n", 1, "if"},
		{"set", "set $.x = exec_template(\"y\");\n", 1, "set"},
		{"ruleset", "ruleset(name=\"x\") { action(type=\"omfwd\" target=\"h\") }\n", 1, "ruleset"},
		{"block of a BSD program", "!sshd\n*.* @h\n", 1, "!sshd"},
		{"block comment", "/*\n*.* @h\n*/\n", 1, "/*"},
		{"unknown facility", "bogus.* @h\n", 1, "bogus.*"},
		{"Kelvin sign", "\u212aern.* @h\n", 1, ""},
		{"selector alone, for the next line", "*.*\n@h\n", 1, "*.*"},
		{"shebang", "*.* @h\n\x7fELF", 2, ""},
	})
}
