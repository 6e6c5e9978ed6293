// SPDX-License-Identifier: Apache-2.0

package attacks

// What starts by itself later would run unconfined.
var persistence = []Attack{
	{
		Name: "cron", Family: "persistence", Tries: "leaves jobs for cron, anacron and at", StoppedBy: Policy,
		Script: `mkdir -p /etc/cron.d /etc/cron.daily /var/spool/cron/crontabs /var/spool/at
			echo '* * * * * root id' | tee /etc/cron.d/site /etc/crontab /etc/anacrontab /var/spool/cron/crontabs/root /var/spool/at/a00001 >/etc/cron.daily/site`,
		Outcome: "refused", Refused: []string{"always-refused /etc/cron.d/site", "always-refused /etc/crontab", "always-refused /etc/anacrontab",
			"always-refused /var/spool/cron/crontabs/root", "always-refused /var/spool/at/a00001", "always-refused /etc/cron.daily/site"},
	},
	{
		Name: "systemd-unit", Family: "persistence", Tries: "adds a unit, a drop-in for an allowed unit, and a link that enables it", StoppedBy: Policy,
		Script: `cd /etc/systemd/system || exit 0; printf '[Service]\nExecStart=/bin/id\n' >site.service; mkdir -p rsyslog.service.d multi-user.target.wants
			printf '[Service]\nExecStartPre=/bin/id\n' >rsyslog.service.d/site.conf; ln -s ../site.service multi-user.target.wants/site.service`,
		Outcome: "refused", Refused: []string{"always-refused /etc/systemd/system/site.service", "always-refused /etc/systemd/system/rsyslog.service.d/site.conf",
			"always-refused /etc/systemd/system/multi-user.target.wants/site.service"},
	},
	{
		Name: "systemd-elsewhere", Family: "persistence", Tries: "adds units, generators and presets in systemd's other directories", StoppedBy: Policy,
		Script: `for d in /usr/lib/systemd/system /usr/local/lib/systemd/system /etc/systemd/system-generators /usr/lib/systemd/system-generators /etc/systemd/user /usr/lib/systemd/system-preset /usr/lib/systemd/system-shutdown /var/lib/systemd/linger; do
			mkdir -p $d; echo x >$d/site.service; done`,
		Outcome: "refused", Refused: []string{"always-refused /usr/lib/systemd/system/site.service", "always-refused /usr/local/lib/systemd/system/site.service",
			"always-refused /etc/systemd/system-generators/site.service", "always-refused /usr/lib/systemd/system-generators/site.service",
			"always-refused /etc/systemd/user/site.service", "always-refused /var/lib/systemd/linger/site.service"},
	},
	{
		Name: "journald-elsewhere", Family: "persistence", Tries: "writes systemd's own settings beside the allowed journald drop-in", StoppedBy: Policy,
		Script:  `mkdir -p /etc/systemd/system.conf.d; printf '[Manager]\nDefaultEnvironment=LD_PRELOAD=/x.so\n' | tee /etc/systemd/system.conf.d/x.conf >/etc/systemd/logind.conf`,
		Outcome: "refused", Refused: []string{"always-refused /etc/systemd/system.conf.d/x.conf", "path /etc/systemd/logind.conf"},
	},
	{
		Name: "udev", Family: "persistence", Tries: "adds a udev rule and a hardware database entry that run a program", StoppedBy: Policy,
		Script:  `for d in /etc/udev/rules.d /usr/lib/udev/rules.d /etc/udev/hwdb.d; do mkdir -p $d; echo 'RUN+="/bin/id"' >$d/99-site.rules; done`,
		Outcome: "refused", Refused: []string{"always-refused /etc/udev/rules.d/99-site.rules", "always-refused /usr/lib/udev/rules.d/99-site.rules"},
	},
	{
		Name: "profile", Family: "persistence", Tries: "adds commands to what login shells read", StoppedBy: Policy,
		Script:  `mkdir -p /etc/profile.d /etc/skel /etc/environment.d; for f in /etc/profile /etc/profile.d/site.sh /etc/bash.bashrc /etc/environment /root/.bashrc /etc/skel/.profile /etc/environment.d/x.conf; do echo id >>$f; done`,
		Outcome: "refused", Refused: []string{"always-refused /etc/profile", "always-refused /etc/profile.d/site.sh", "always-refused /etc/bash.bashrc",
			"always-refused /etc/environment", "always-refused /root/.bashrc", "always-refused /etc/skel/.profile", "always-refused /etc/environment.d/x.conf"},
	},
	{
		Name: "ld-preload", Family: "persistence", Tries: "loads a library into every process by ld.so.preload or ld.so.conf.d", StoppedBy: Policy,
		Script:  `mkdir -p /etc/ld.so.conf.d; echo /opt/condor/x.so >/etc/ld.so.preload; echo /opt/condor >/etc/ld.so.conf.d/0.conf; echo x >/etc/ld.so.cache`,
		Outcome: "refused", Refused: []string{"always-refused /etc/ld.so.preload", "always-refused /etc/ld.so.conf.d/0.conf", "always-refused /etc/ld.so.cache"},
	},
	{
		Name: "init-scripts", Family: "persistence", Tries: "adds a SysV init script, an rc.local, an inetd service and an autostart entry", StoppedBy: Policy,
		Script:  `mkdir -p /etc/init.d /etc/rc2.d /etc/xinetd.d /etc/xdg/autostart; for f in /etc/init.d/site /etc/rc.local /etc/rc2.d/S99site /etc/inittab /etc/xinetd.d/site /etc/xdg/autostart/x.desktop; do echo id >$f; chmod 755 $f; done`,
		Outcome: "refused", Refused: []string{"always-refused /etc/init.d/site", "always-refused /etc/rc.local", "always-refused /etc/rc2.d/S99site",
			"always-refused /etc/inittab", "always-refused /etc/xinetd.d/site", "always-refused /etc/xdg/autostart/x.desktop"},
	},
	{
		Name: "module-and-sysctl-config", Family: "persistence", Tries: "has modules loaded and kernel settings made at the next boot", StoppedBy: Policy,
		Script: `mkdir -p /etc/modprobe.d /etc/modules-load.d /etc/sysctl.d /etc/tmpfiles.d /etc/sysusers.d /etc/binfmt.d
			for f in /etc/modprobe.d/x.conf /etc/modules-load.d/x.conf /etc/sysctl.d/x.conf /etc/tmpfiles.d/x.conf /etc/sysusers.d/x.conf /etc/binfmt.d/x.conf /etc/fstab; do echo x >>$f; done`,
		Outcome: "refused", Refused: []string{"always-refused /etc/modprobe.d/x.conf", "always-refused /etc/modules-load.d/x.conf", "always-refused /etc/sysctl.d/x.conf",
			"always-refused /etc/tmpfiles.d/x.conf", "always-refused /etc/sysusers.d/x.conf", "always-refused /etc/binfmt.d/x.conf", "always-refused /etc/fstab"},
	},
	{
		Name: "boot-chain", Family: "persistence", Tries: "alters the kernel command line, the initramfs' hooks and the boot directory", StoppedBy: Policy,
		Script:  `mkdir -p /etc/default /etc/initramfs-tools/scripts /boot/efi; echo 'GRUB_CMDLINE_LINUX=init=/bin/sh' >/etc/default/grub; echo x >/etc/initramfs-tools/scripts/x; echo x >/boot/vmlinuz; echo x >/boot/efi/x`,
		Outcome: "refused", Refused: []string{"always-refused /etc/default/grub", "always-refused /etc/initramfs-tools/scripts/x", "always-refused /boot/vmlinuz",
			"always-refused /boot/efi/x"},
	},
	{
		Name: "packages", Family: "persistence", Tries: "adds a package source, a dpkg hook, an alternative and a logrotate script", StoppedBy: Policy,
		Script:  `mkdir -p /etc/apt/apt.conf.d /etc/alternatives /etc/logrotate.d /var/lib/dpkg; echo x >/etc/apt/apt.conf.d/0; ln -sf /opt/condor/x /etc/alternatives/editor; echo x >/etc/logrotate.d/x; echo x >>/var/lib/dpkg/status`,
		Outcome: "refused", Refused: []string{"always-refused /etc/apt/apt.conf.d/0", "always-refused /etc/alternatives/editor", "always-refused /etc/logrotate.d/x",
			"always-refused /var/lib/dpkg/status"},
	},
	{
		Name: "programs", Family: "persistence", Tries: "replaces programs and libraries of the image", StoppedBy: Policy,
		Script:  `mkdir -p /usr/local/bin /usr/lib /usr/sbin; for f in /bin/sh.new /usr/local/bin/ls /usr/sbin/rsyslogd /usr/lib/libc.so.6; do echo '#!/bin/sh -e' >$f; chmod 755 $f; done`,
		Outcome: "refused", Refused: []string{"path /usr/local/bin/ls", "path /usr/sbin/rsyslogd", "path /usr/lib/libc.so.6"},
	},
	{
		Name: "own-policy", Family: "persistence", Tries: "widens the policy, and forges the agent's journal and binary", StoppedBy: Policy,
		Script:  `mkdir -p /etc/ctxagent /var/lib/ctxagent; echo 'version: 1' >/etc/ctxagent/policy.yaml; echo x >/var/lib/ctxagent/journal; echo x >/usr/bin/ctxagent`,
		Outcome: "refused", Refused: []string{"always-refused /etc/ctxagent/policy.yaml", "always-refused /var/lib/ctxagent/journal", "always-refused /usr/bin/ctxagent"},
	},
}
