// SPDX-License-Identifier: Apache-2.0

package attacks

import "strings"

var names = []Attack{
	{
		Name: "newline", Family: "names", Tries: "forges lines of a log and of a receipt by a name with line ends", StoppedBy: Policy,
		Script:  "touch \"/etc/rsyslog.d/a\npasswd applied.conf\" \"/etc/rsyslog.d/b\rx.conf\"",
		Outcome: "refused", Refused: []string{"name /etc/rsyslog.d/a\npasswd applied.conf", "name /etc/rsyslog.d/b\rx.conf"},
	},
	{
		Name: "control-characters", Family: "names", Tries: "hides what it is called from whoever reads it on a terminal", StoppedBy: Policy,
		Script:  `cd /etc/rsyslog.d; touch "$(printf 'a\033[2Kb.conf')" "$(printf 'tab\t.conf')" "$(printf 'del\177.conf')" "$(printf 'bidi\342\200\256fnoc.conf')" "$(printf 'c1\302\233.conf')"`,
		Outcome: "refused", Refused: []string{"name /etc/rsyslog.d/a\x1b[2Kb.conf", "name /etc/rsyslog.d/tab\t.conf", "name /etc/rsyslog.d/del\x7f.conf",
			"name /etc/rsyslog.d/bidi\u202efnoc.conf", "name /etc/rsyslog.d/c1\u009b.conf"},
	},
	{
		Name: "invalid-utf8", Family: "names", Tries: "uses a name that is no UTF-8, which a receipt in JSON cannot hold", StoppedBy: Policy,
		Script:  `cd /etc/rsyslog.d; touch "$(printf 'caf\351.conf')" "$(printf '\355\240\200.conf')" "$(printf '\300\257etc.conf')"`,
		Outcome: "refused", Refused: []string{`name "/etc/rsyslog.d/caf\xe9.conf"`, `name "/etc/rsyslog.d/\xed\xa0\x80.conf"`, `name "/etc/rsyslog.d/\xc0\xafetc.conf"`},
	},
	{
		Name: "longest-name", Family: "names", Tries: "uses a name of 255 bytes, beside which no temporary name fits", StoppedBy: Harmless,
		Script:  `n=$(printf '%0250d' 0); echo '*.* @192.0.2.1' >/etc/rsyslog.d/$n.conf`,
		Outcome: "applied|refused|failed", Applies: map[string]string{"/etc/rsyslog.d/" + strings.Repeat("0", 250) + ".conf": "*.* @192.0.2.1\n"},
	},
	{
		Name: "too-long-name", Family: "names", Tries: "uses a name of 256 bytes and a path of 5000", StoppedBy: Harmless,
		Script: `n=$(printf '%0251d' 0); try name touch /etc/rsyslog.d/$n.conf; p=/etc; i=0; while [ $i -lt 500 ]; do p=$p/12345678; i=$((i+1)); done; try path mkdir -p $p/x/y/z/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789; rm -rf /etc/12345678`,
		Inside: []string{"name no", "path no|ok"},
	},
	{
		Name: "shell-words", Family: "names", Tries: "uses names that mean something to a shell or a command line", StoppedBy: Policy,
		Script:  `cd /etc/rsyslog.d; touch -- '-rf' '$(id).x' '; rm -rf .x' '*' '~' '| sh' "'" '"' '%s%n'`,
		Outcome: "refused", Refused: []string{"path /etc/rsyslog.d/-rf", "path /etc/rsyslog.d/$(id).x", "path /etc/rsyslog.d/*", "path /etc/rsyslog.d/%s%n"},
	},
	{
		Name: "glob-names", Family: "names", Tries: "slips past a pattern by a name with \"..\", a leading dot or the temporary form of the agent's own", StoppedBy: Policy,
		Script:  `cd /etc/rsyslog.d; echo 'module(load="omprog")' | tee .conf ..conf .50-site.conf.ctxagent-0 >...conf; mkdir 'x.conf'`,
		Outcome: "refused", Refused: []string{"grammar:rsyslog /etc/rsyslog.d/.conf", "grammar:rsyslog /etc/rsyslog.d/..conf", "path /etc/rsyslog.d/.50-site.conf.ctxagent-0"},
	},
	{
		Name: "case-names", Family: "names", Tries: "uses names that only differ by case or by Unicode composition from protected ones", StoppedBy: Policy,
		Script:  `mkdir -p /etc/Cron.d /ETC; echo x >/etc/Cron.d/x; echo x >/etc/PASSWD; echo x >/ETC/passwd; touch "/etc/passwd$(printf '\314\201')"`,
		Outcome: "refused", Refused: []string{"path /etc/Cron.d/x", "path /etc/PASSWD", "path /ETC/passwd"},
	},
	{
		Name: "deep", Family: "names", Tries: "nests directories 1500 deep below an allowed one", StoppedBy: Scan,
		Script:  `./intruder deep=/opt/condor:1500`,
		Inside:  []string{"deep=/opt/condor:1500 ok"},
		Outcome: "refused", Says: "nested deeper",
	},
	{
		Name: "wide", Family: "names", Tries: "makes 3000 empty directories with long names", StoppedBy: Limit,
		Script:  `./intruder directories=/opt/condor:3000`,
		Inside:  []string{"directories=/opt/condor:3000 ok"},
		Outcome: "refused", Says: "500",
	},
}
