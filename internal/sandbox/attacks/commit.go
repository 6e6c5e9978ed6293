// SPDX-License-Identifier: Apache-2.0

package attacks

const (
	honest  = "*.* @192.0.2.1\n"
	hostile = `module(load="omprog")`
)

var commit = []Attack{
	{
		Name: "fifo", Family: "scan and commit", Tries: "leaves a FIFO at which a reader of the changes would wait for ever", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor; mkfifo /etc/rsyslog.d/50-site.conf /opt/condor/fifo`,
		Outcome: "refused", Refused: []string{"type /etc/rsyslog.d/50-site.conf", "type /opt/condor/fifo"},
	},
	{
		Name: "socket-file", Family: "scan and commit", Tries: "leaves a listening socket in an allowed directory", StoppedBy: Policy,
		Script:  `./intruder listen-unix=/opt/condor/sock`,
		Inside:  []string{"listen-unix=/opt/condor/sock ok"},
		Outcome: "refused", Refused: []string{"type /opt/condor/sock"},
	},
	{
		Name: "background-writer", Family: "scan and commit", Tries: "leaves a process that swaps honest and hostile content while the changes are read", StoppedBy: Namespace,
		Script:  `f=/etc/rsyslog.d/50-site.conf; echo '*.* @192.0.2.1' >$f; ./intruder rewrite=$f & sleep 0.2; exit 0`,
		Outcome: "applied|refused", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": honest}, Says: "were ended",
	},
	{
		Name: "mmap-writer", Family: "scan and commit", Tries: "keeps a shared mapping of the file and writes through it after it ended", StoppedBy: Namespace,
		Script:  `f=/etc/rsyslog.d/50-site.conf; echo '*.* @192.0.2.1' >$f; ./intruder rewrite-mmap=$f & sleep 0.2; exit 0`,
		Outcome: "applied|refused", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": honest}, Says: "were ended",
	},
	{
		Name: "passed-descriptor", Family: "scan and commit", Tries: "passes a writable descriptor of its file to the agent over the control socket, to keep it alive", StoppedBy: Shim,
		Script: `f=/etc/rsyslog.d/50-site.conf; echo '*.* @192.0.2.1' >$f; ./intruder pass-descriptor=$f`,
		Inside: []string{"pass-descriptor=/etc/rsyslog.d/50-site.conf ok"}, Outcome: "refused|applied", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": honest},
	},
	{
		Name: "renamer", Family: "scan and commit", Tries: "leaves a process that keeps replacing the file by a symlink", StoppedBy: Namespace,
		Script:  `f=/etc/rsyslog.d/50-site.conf; (trap '' TERM HUP; while :; do rm -f $f; ln -s /etc/shadow $f; echo '*.* @192.0.2.1' >$f.new; mv $f.new $f; done) & sleep 0.2; exit 0`,
		Outcome: "applied|refused|unchanged", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": honest}, Says: "were ended",
	},
	{
		Name: "unlinked-writer", Family: "scan and commit", Tries: "writes through a descriptor of a file that it unlinked and linked anew", StoppedBy: Harmless,
		Script:  `f=/etc/rsyslog.d/50-site.conf; exec 7>$f; rm $f; echo '*.* @192.0.2.1' >$f; echo 'module(load="omprog")' >&7; exec 7>&-`,
		Outcome: "applied", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": honest},
	},
	{
		Name: "disc-script", Family: "scan and commit", Tries: "alters the disc's files for the next stage", StoppedBy: Mount,
		Script: `./intruder write=./epilog.sh write=$0 chmod=. ; try new touch ./new; try rm rm -f ./victims`,
		Inside: []string{"write=./epilog.sh EROFS|ENOENT", "write=./prolog.sh EROFS", "chmod=. EROFS", "new no", "rm no"},
	},
	{
		Name: "mtime-only", Family: "scan and commit", Tries: "touches files of the image so that their times change", StoppedBy: Harmless,
		Script: `touch /etc/passwd /etc/rsyslog.d/50-default.conf /srv/second/file; chmod 644 /etc/passwd; say done yes`,
		Inside: []string{"done yes"},
	},
	{
		Name: "identical-copy", Family: "scan and commit", Tries: "replaces a protected file by its own copy, another inode", StoppedBy: Harmless,
		Script: `cp -p /etc/passwd /tmp/p && cat /tmp/p >/etc/passwd; say done yes`,
		Inside: []string{"done yes"},
	},
	{
		Name: "hidden-in-second-name", Family: "scan and commit", Tries: "gives one file an allowed name and a name that is held to a grammar", StoppedBy: Grammar,
		Script:  `mkdir -p /opt/condor /etc/condor/config.d; echo 'STARTD_CRON_JOBLIST = x' >/opt/condor/x; ln /opt/condor/x /etc/condor/config.d/50.config`,
		Outcome: "refused", Refused: []string{"grammar:htcondor /etc/condor/config.d/50.config"},
	},
	{
		Name: "across-directories", Family: "scan and commit", Tries: "is honest: renames and links its own file from one allowed directory to another", StoppedBy: Harmless,
		Script: `echo x >/opt/condor/a; mkdir /opt/condor/d; ./intruder rename=/opt/condor/a:/opt/condor/d/a link=/opt/condor/d/a:/opt/condor/b; rm -r /opt/condor/d /opt/condor/b`,
		Inside: []string{"rename=/opt/condor/a:/opt/condor/d/a ok", "link=/opt/condor/d/a:/opt/condor/b ok"},
	},
	{
		Name: "exec-scratch", Family: "scan and commit", Tries: "hides changes below the scratch directories, for a later reader", StoppedBy: Harmless,
		Script: `echo x >/tmp/x; echo x >/var/tmp/x; echo x >/run/x; echo x >/dev/shm/x; mkdir -p /run/systemd/system; echo x >/run/systemd/system/x.service; say done yes`,
		Inside: []string{"done yes"},
	},
}
