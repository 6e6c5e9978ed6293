// SPDX-License-Identifier: Apache-2.0

package attacks

// An account, a key or a password of the image would be a way in that outlives
// the stage.
var accounts = []Attack{
	{
		Name: "passwd-root", Family: "accounts and credentials", Tries: "adds a second account with uid 0 to /etc/passwd", StoppedBy: Policy,
		Script:  `echo 'intruder:x:0:0::/root:/bin/sh' >>/etc/passwd`,
		Outcome: "refused", Refused: []string{"always-refused /etc/passwd"},
	},
	{
		Name: "shadow-write", Family: "accounts and credentials", Tries: "replaces the root password in /etc/shadow", StoppedBy: Policy,
		Script:  `echo 'root::1::::::' >/etc/shadow`,
		Outcome: "refused", Refused: []string{"always-refused /etc/shadow"},
	},
	{
		Name: "shadow-read", Family: "accounts and credentials", Tries: "reads password hashes from /etc/shadow and /etc/gshadow", StoppedBy: Mount,
		Script: `try shadow grep -q . /etc/shadow; try gshadow grep -q . /etc/gshadow`,
		Inside: []string{"shadow no", "gshadow no"},
	},
	{
		Name: "hostkey-read", Family: "accounts and credentials", Tries: "reads the SSH host keys and the keys of root", StoppedBy: Mount,
		Script: `for f in /etc/ssh/ssh_host_*_key; do [ ! -s "$f" ] || say "$f" readable; done; try root-ssh grep -rq . /root/.ssh; try home ls /home/user`,
		Inside: []string{"root-ssh no", "home no"},
	},
	{
		Name: "authorized-keys", Family: "accounts and credentials", Tries: "adds a key to root's and a user's authorized_keys", StoppedBy: Policy,
		Script:  `for d in /root /home/user /opt/condor; do mkdir -p $d/.ssh; echo 'ssh-ed25519 AAAA intruder@example.org' >>$d/.ssh/authorized_keys; done`,
		Outcome: "refused", Refused: []string{"always-refused /root/.ssh/authorized_keys", "always-refused /home/user/.ssh/authorized_keys",
			"always-refused /opt/condor/.ssh/authorized_keys"},
	},
	{
		Name: "sshd-config", Family: "accounts and credentials", Tries: "lets sshd accept empty passwords and another file of keys", StoppedBy: Policy,
		Script:  `mkdir -p /etc/ssh/sshd_config.d; printf 'PermitRootLogin yes\nAuthorizedKeysFile /opt/condor/keys\n' >/etc/ssh/sshd_config.d/00-site.conf`,
		Outcome: "refused", Refused: []string{"always-refused /etc/ssh/sshd_config.d/00-site.conf"},
	},
	{
		Name: "sudoers", Family: "accounts and credentials", Tries: "gives everybody sudo by a file in sudoers.d", StoppedBy: Policy,
		Script:  `mkdir -p /etc/sudoers.d; echo 'ALL ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/site; chmod 440 /etc/sudoers.d/site`,
		Outcome: "refused", Refused: []string{"always-refused /etc/sudoers.d/site"},
	},
	{
		Name: "pam-permit", Family: "accounts and credentials", Tries: "lets PAM accept anybody, and adds a module path", StoppedBy: Policy,
		Script:  `mkdir -p /etc/pam.d /etc/security; echo 'auth sufficient pam_permit.so' >/etc/pam.d/sshd; echo '* - maxlogins 0' >/etc/security/limits.conf`,
		Outcome: "refused", Refused: []string{"always-refused /etc/pam.d/sshd", "always-refused /etc/security/limits.conf"},
	},
	{
		Name: "group-docker", Family: "accounts and credentials", Tries: "puts a service's account into privileged groups by replacing /etc/group", StoppedBy: Policy,
		Script:  `sed 's/^root:x:0:.*/root:x:0:munge/' /etc/group >/etc/group.new && mv /etc/group.new /etc/group; echo 'munge:100000:65536' >>/etc/subuid`,
		Outcome: "refused", Refused: []string{"always-refused /etc/group", "always-refused /etc/subuid"},
	},
	{
		Name: "nsswitch", Family: "accounts and credentials", Tries: "makes the C library look accounts up in a directory of its own", StoppedBy: Policy,
		Script:  `echo 'passwd: extrausers files' >/etc/nsswitch.conf; mkdir -p /etc/krb5.conf.d; echo >/etc/krb5.conf.d/site.conf; echo + >/etc/hosts.equiv`,
		Outcome: "refused", Refused: []string{"always-refused /etc/nsswitch.conf", "always-refused /etc/krb5.conf.d/site.conf", "always-refused /etc/hosts.equiv"},
	},
	{
		Name: "munge-key-leak", Family: "accounts and credentials", Tries: "makes the batch system's key readable for everybody", StoppedBy: Policy,
		Script:  `mkdir -p /etc/munge; head -c 64 /dev/urandom >/etc/munge/munge.key; chmod 644 /etc/munge/munge.key`,
		Outcome: "refused", Refused: []string{"mode /etc/munge/munge.key"},
	},
}
