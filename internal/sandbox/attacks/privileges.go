// SPDX-License-Identifier: Apache-2.0

package attacks

var privileges = []Attack{
	{
		Name: "setuid-new", Family: "privileges", Tries: "leaves a setuid shell where the policy allows executables", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor/bin; cp /bin/sh /opt/condor/bin/sh; chmod 4755 /opt/condor/bin/sh`,
		Outcome: "refused", Refused: []string{"mode /opt/condor/bin/sh"},
	},
	{
		Name: "setgid-sticky", Family: "privileges", Tries: "leaves a setgid directory and a sticky file where the policy allows executables", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor/d; chmod 2755 /opt/condor/d; echo x >/opt/condor/f; chmod 1755 /opt/condor/f`,
		Outcome: "refused", Refused: []string{"mode /opt/condor/d", "mode /opt/condor/f"},
	},
	{
		Name: "setuid-existing", Family: "privileges", Tries: "sets the setuid bit on a program of the image", StoppedBy: Policy,
		Script:  `chmod u+s /bin/busybox`,
		Outcome: "refused", Refused: []string{"mode /bin/busybox|mode /usr/bin/busybox"},
	},
	{
		Name: "setuid-run", Family: "privileges", Tries: "regains capabilities by running a setuid program of its own", StoppedBy: Capability,
		Script: `cp ./intruder /tmp/intruder; chown 0:0 /tmp/intruder; chmod 6755 /tmp/intruder; /tmp/intruder capabilities; chmod 755 /tmp/intruder; /tmp/intruder as=65534 no-new-privs`,
		Inside: []string{"capabilities 0xfb", "no-new-privs 1"},
	},
	{
		Name: "file-capability", Family: "privileges", Tries: "gives a program file capabilities", StoppedBy: Capability,
		Script: `cp ./intruder /tmp/intruder; ./intruder setcap=/tmp/intruder; cp ./intruder /opt/condor/i; ./intruder setcap=/opt/condor/i; rm /opt/condor/i`,
		Inside: []string{"setcap=/tmp/intruder EPERM", "setcap=/opt/condor/i EPERM"},
	},
	{
		Name: "trusted-xattr", Family: "privileges", Tries: "sets trusted and security attributes on an allowed file", StoppedBy: Capability,
		Script: `echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf; cd /etc/rsyslog.d; "$OLDPWD"/intruder setxattr=trusted.x:50-site.conf setxattr=security.ima:50-site.conf; rm 50-site.conf`,
		Inside: []string{"setxattr=trusted.x:50-site.conf EPERM", "setxattr=security.ima:50-site.conf EPERM"},
	},
	{
		Name: "acl", Family: "privileges", Tries: "lets a further account write an allowed file by an access control list", StoppedBy: Policy,
		Script:  `mkdir -p /opt/condor; echo x >/opt/condor/f; ./intruder acl=/opt/condor/f`,
		Inside:  []string{"acl=/opt/condor/f ok"},
		Outcome: "refused", Refused: []string{"xattr /opt/condor/f"},
	},
	{
		Name: "xattr-flood", Family: "privileges", Tries: "gives an allowed file so many attributes that their list cannot be read", StoppedBy: Policy,
		Script:  `echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf; ./intruder xattr-flood=/etc/rsyslog.d/50-site.conf`,
		Inside:  []string{"xattr-flood=/etc/rsyslog.d/50-site.conf ok|EOPNOTSUPP|ENOSPC"},
		Outcome: "refused|applied", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": "*.* @192.0.2.1\n"},
	},
	{
		Name: "selinux-label", Family: "privileges", Tries: "labels an allowed file so that a policy of SELinux lets others use it", StoppedBy: Harmless,
		Script:  `echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf; ./intruder setxattr=security.selinux:/etc/rsyslog.d/50-site.conf`,
		Inside:  []string{"setxattr=security.selinux:/etc/rsyslog.d/50-site.conf ok|EPERM|EINVAL|EOPNOTSUPP"},
		Outcome: "applied", Applies: map[string]string{"/etc/rsyslog.d/50-site.conf": "*.* @192.0.2.1\n"},
	},
	{
		Name: "immutable", Family: "privileges", Tries: "makes a file immutable and append-only, so that nobody can take it away", StoppedBy: Capability,
		Script: `echo x >/opt/condor/f; ./intruder chattr=/opt/condor/f; rm /opt/condor/f`,
		Inside: []string{"chattr=/opt/condor/f EPERM|ENOTTY|EOPNOTSUPP"},
	},
	{
		Name: "world-writable", Family: "privileges", Tries: "opens an allowed directory and a file in it to everybody", StoppedBy: Policy,
		Script:  `chmod 777 /etc/rsyslog.d; echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf; chmod 666 /etc/rsyslog.d/50-site.conf`,
		Outcome: "refused", Refused: []string{"mode /etc/rsyslog.d/50-site.conf", "path /etc/rsyslog.d"},
	},
	{
		Name: "foreign-owner", Family: "privileges", Tries: "hands an allowed file and an allowed directory to another account", StoppedBy: Policy,
		Script:  `echo '*.* @192.0.2.1' >/etc/rsyslog.d/50-site.conf; chown 4242:4242 /etc/rsyslog.d/50-site.conf /etc/rsyslog.d; mkdir -p /opt/condor/d; chown 65534 /opt/condor/d`,
		Outcome: "refused", Refused: []string{"mode /etc/rsyslog.d/50-site.conf", "path /etc/rsyslog.d", "mode /opt/condor/d"},
	},
	{
		Name: "executable-config", Family: "privileges", Tries: "leaves a program under the name of a configuration file", StoppedBy: Grammar,
		Script:  `cp ./intruder /etc/rsyslog.d/50-site.conf; chmod 755 /etc/rsyslog.d/50-site.conf; cp ./intruder /etc/default/prometheus-node-exporter; chmod 644 /etc/default/prometheus-node-exporter`,
		Outcome: "refused", Refused: []string{"mode /etc/rsyslog.d/50-site.conf", "max_bytes /etc/default/prometheus-node-exporter"},
	},
}
