// SPDX-License-Identifier: Apache-2.0

package attacks

import "time"

// The machine's policy in these tests allows 32 MiB, 4000 inodes and 500
// changes; the bombs are bounded, so that a wall that is missing is seen and not
// felt.
var resources = []Attack{
	{
		Name: "fork-bomb", Family: "resources", Tries: "starts processes without end", StoppedBy: Limit, Stage: Both,
		Script: `./intruder forks=700`, Inside: []string{"forks=700 EAGAIN"}, Outcome: "unchanged|failed",
	},
	{
		Name: "thread-bomb", Family: "resources", Tries: "starts threads without end", StoppedBy: Limit,
		Script: `./intruder threads=700`, Inside: []string{"threads=700 EAGAIN"}, Outcome: "unchanged|failed",
	},
	{
		Name: "memory-bomb", Family: "resources", Tries: "takes all memory of the machine", StoppedBy: Limit,
		Script: `./intruder memory=200`, Outcome: "unchanged|failed",
	},
	{
		Name: "shared-memory-bomb", Family: "resources", Tries: "takes memory that no process holds, by memfd, shared memory and /dev/shm", StoppedBy: Limit,
		Script:  `dd if=/dev/zero of=/dev/shm/big bs=1M count=64 2>/dev/null && say shm filled; dd if=/dev/zero of=/tmp/big bs=1M count=64 2>/dev/null && say tmp filled; :`,
		Outcome: "unchanged|failed",
	},
	{
		Name: "fill-bytes", Family: "resources", Tries: "fills the memory for its changes", StoppedBy: Limit,
		Script: `mkdir -p /opt/condor; for i in 1 2 3 4 5; do dd if=/dev/zero of=/opt/condor/$i bs=1M count=10 2>/dev/null || say full $i; done`,
		Inside: []string{"full 4", "full 5"}, Outcome: "failed", Says: "limits.bytes",
	},
	{
		Name: "fill-inodes", Family: "resources", Tries: "uses up the inodes for its changes", StoppedBy: Limit,
		Script:  `./intruder files=/opt/condor:8000`,
		Inside:  []string{"files=/opt/condor:8000 ENOSPC"},
		Outcome: "failed", Says: "limits.inodes",
	},
	{
		Name: "fill-and-undo", Family: "resources", Tries: "fills the memory, then makes room again so that a file that was cut off looks whole", StoppedBy: Grammar,
		Script: `for i in 1 2 3 4 5; do dd if=/dev/zero of=/opt/condor/$i bs=1M count=10 2>/dev/null; done
			{ echo '*.* @192.0.2.1'; echo 'module(load="omprog")'; } 2>/dev/null >/etc/rsyslog.d/50-site.conf; rm -f /opt/condor/[1-5]; exit 0`,
		Outcome: "applied|failed|refused", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": ""},
	},
	{
		Name: "many-changes", Family: "resources", Tries: "makes more changes than may be made, within all other limits", StoppedBy: Limit,
		Script:  `./intruder files=/opt/condor:600`,
		Inside:  []string{"files=/opt/condor:600 ok"},
		Outcome: "refused", Says: "500",
	},
	{
		Name: "sparse", Family: "resources", Tries: "makes a file of a terabyte that takes no room", StoppedBy: Limit,
		Script: `./intruder truncate=/opt/condor/sparse:1099511627776 truncate=/tmp/sparse:1099511627776; rm -f /opt/condor/sparse`,
		Inside: []string{"truncate=/opt/condor/sparse:1099511627776 EFBIG", "truncate=/tmp/sparse:1099511627776 EFBIG"},
	},
	{
		Name: "sparse-many", Family: "resources", Tries: "makes many sparse files, each within the limit, to keep the reader busy", StoppedBy: Scan,
		Script:  `mkdir -p /opt/condor; i=0; while [ $i -lt 20 ]; do truncate -s 30000000 /opt/condor/$i; i=$((i+1)); done`,
		Outcome: "refused", Says: "together longer",
	},
	{
		Name: "sparse-config", Family: "resources", Tries: "leaves a configuration file of 30 MB of zeroes", StoppedBy: Policy,
		Script:  `truncate -s 30000000 /etc/rsyslog.d/50-site.conf`,
		Outcome: "refused", Refused: []string{"max_bytes /etc/rsyslog.d/50-site.conf"},
	},
	{
		Name: "output-flood", Family: "resources", Tries: "prints 20 MB without a line end, to fill the journal and the agent's memory", StoppedBy: Limit,
		Script: `dd if=/dev/zero bs=1M count=20 2>/dev/null | tr '\0' x; echo; say done yes`,
		Inside: []string{"done yes"},
	},
	{
		Name: "line-flood", Family: "resources", Tries: "prints forty thousand lines, to fill the journal", StoppedBy: Limit,
		Script: `yes "line of a flood" | head -n 40000; say done yes`,
		Inside: []string{"done yes"},
	},
	{
		Name: "output-escapes", Family: "resources", Tries: "prints control sequences and forged log lines for the console that shows them", StoppedBy: Harmless,
		Script: `printf '\033]0;x\007\033[2J\033[31mctxagent prolog: applied\r\n\000\377\n'; say done yes`,
		Inside: []string{"done yes"},
	},
	{
		Name: "endless-loop", Family: "resources", Tries: "never ends", StoppedBy: Limit, Deadline: 700 * time.Millisecond,
		Script: `echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf; while :; do :; done`, Outcome: "timeout",
	},
	{
		Name: "ignores-sigterm", Family: "resources", Tries: "ignores every signal at its deadline", StoppedBy: Namespace, Deadline: 700 * time.Millisecond,
		Script:  `trap '' TERM INT HUP QUIT USR1 USR2 ALRM PIPE XCPU; (trap '' TERM HUP; while :; do sleep 1; done) & while :; do sleep 1; done`,
		Outcome: "timeout",
	},
	{
		Name: "sleeps-detached", Family: "resources", Tries: "ends at once and leaves hundreds of sleepers to hold the stage", StoppedBy: Namespace,
		Script: `i=0; while [ $i -lt 80 ]; do (trap '' TERM HUP; exec sleep 1000) & i=$((i+1)); done; exit 0`,
		Says:   "were ended",
	},
	{
		Name: "descriptor-bomb", Family: "resources", Tries: "opens files without end", StoppedBy: Limit,
		Script: `./intruder descriptors-many`, Inside: []string{"descriptors-many EMFILE"},
	},
	{
		Name: "exit-status", Family: "resources", Tries: "ends itself by a signal, so that its end looks like none", StoppedBy: Policy,
		Script: `echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf; kill -9 $$`, Outcome: "failed", Says: "SIGKILL",
	},
}
