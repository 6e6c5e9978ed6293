// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var testAccounts = Accounts{
	Users:  map[string]uint32{"root": 0, "slurm": 64030, "munge": 105, "prometheus": 106, "condor": 107},
	Groups: map[string]uint32{"root": 0, "slurm": 64030, "munge": 115, "prometheus": 116, "condor": 117},
}

const forward = "*.* @@logs.example.org:6514\n"

// file is a new regular file of root's with mode 0644.
func file(path, content string) Change {
	return Change{Path: path, Op: Create, Type: File, Attr: Attr{Mode: 0o644}, Size: int64(len(content)), Data: []byte(content), SHA256After: "after"}
}

func dir(path string) Change {
	return Change{Path: path, Op: Create, Type: Directory, Attr: Attr{Mode: 0o755}}
}

func symlink(path, target string) Change {
	return Change{Path: path, Op: Create, Type: Symlink, Attr: Attr{Mode: 0o777}, Target: target}
}

// with alters a change.
func with(c Change, edits ...func(*Change)) Change {
	for _, e := range edits {
		e(&c)
	}
	return c
}

func mode(m uint32) func(*Change)     { return func(c *Change) { c.Attr.Mode = m } }
func owner(u, g uint32) func(*Change) { return func(c *Change) { c.Attr.UID, c.Attr.GID = u, g } }
func own(c *Change)                   { c.Own = true }
func kind(t Type) func(*Change)       { return func(c *Change) { c.Type = t } }

// was makes a change one of something that the root has.
func was(op Op, t Type, a Attr) func(*Change) {
	return func(c *Change) { c.Op, c.TypeBefore, c.Before = op, t, &a }
}

// refusals runs Check on one change and returns what it refused.
func refusals(t *testing.T, p *Policy, units []UnitRequest, changes ...Change) []Refusal {
	t.Helper()
	ok, err := p.Check(Proposal{Changes: changes, Units: units}, testAccounts)
	if err == nil {
		return nil
	}
	refused, is := errors.AsType[*RefusedError](err)
	if !is {
		t.Fatalf("Check(%+v) = %v; want a *RefusedError", changes, err)
	}
	if len(ok.Changes())+len(ok.Units()) > 0 {
		t.Errorf("Check(%+v) approves %+v beside its error", changes, ok)
	}
	return refused.Refusals
}

func TestCheckRefuses(t *testing.T) {
	p := defaultPolicy(t)
	conf := func() Change { return file("/etc/rsyslog.d/50-site.conf", forward) }
	root644 := Attr{Mode: 0o644}
	for _, tt := range []struct {
		name string
		c    Change
		rule string
		want string // part of the reason
	}{
		{"newline in a name", file("/etc/rsyslog.d/a\nb.conf", forward), "name", "control"},
		{"escape in a name", file("/etc/rsyslog.d/a\x1b[2Jb.conf", forward), "name", "control"},
		{"delete character", file("/etc/rsyslog.d/a\x7fb.conf", forward), "name", "control"},
		{"C1 control in a name", file("/etc/rsyslog.d/a\u009bb.conf", forward), "name", "control"},
		{"invalid UTF-8", file("/etc/rsyslog.d/a\xffb.conf", forward), "name", "UTF-8"},
		{"right-to-left override", file("/etc/rsyslog.d/\u202efnoc.conf", forward), "name", "control"},
		{"bidi isolate", file("/etc/rsyslog.d/\u2066x.conf", forward), "name", "control"},
		{"line separator", file("/etc/rsyslog.d/a\u2028b.conf", forward), "name", "control"},
		{"a bad name is told even of a deleted file", with(file("/etc/a\nb", ""), was(Delete, File, root644)), "name", "control"},

		{"passwd", file("/etc/passwd", "x"), "always-refused", "accounts"},
		{"passwd deleted", with(file("/etc/passwd", ""), was(Delete, File, root644)), "always-refused", "accounts"},
		{"passwd's mode", with(file("/etc/passwd", ""), was(Metadata, File, root644)), "always-refused", "accounts"},

		{"device", with(conf(), kind(Device)), "type", "device"},
		{"FIFO", with(conf(), kind(FIFO)), "type", "fifo"},
		{"socket", with(conf(), kind(Socket)), "type", "socket"},
		{"FIFO in an opaque tree", with(file("/opt/condor/x", ""), kind(FIFO)), "type", "fifo"},
		{"file replaced by a directory", with(dir("/opt/condor/x"), was(Modify, File, root644)), "type", "replaced"},
		{"directory replaced by a file", with(file("/opt/condor/x", ""), was(Modify, Directory, Attr{Mode: 0o755})), "type", "replaced"},
		{"file replaced by a symlink", with(symlink("/opt/condor/x", "y"), was(Modify, File, root644)), "type", "replaced"},

		{"setuid", with(file("/opt/condor/x", ""), mode(0o4755)), "mode", "setuid"},
		{"setgid", with(file("/opt/condor/x", ""), mode(0o2755)), "mode", "setuid"},
		{"sticky", with(file("/opt/condor/x", ""), mode(0o1755)), "mode", "sticky"},
		{"setgid directory", with(dir("/opt/condor/d"), mode(0o2755)), "mode", "setgid"},
		{"setuid on what the image has", with(file("/opt/condor/x", ""), mode(0o4755), was(Metadata, File, Attr{Mode: 0o755})), "mode", "setuid"},
		{"world-writable file", with(conf(), mode(0o666)), "mode", "use 0644"},
		{"group-writable file", with(conf(), mode(0o664)), "mode", "use 0644"},
		{"world-writable directory", with(dir("/opt/condor/d"), mode(0o777)), "mode", "use 0755"},
		{"executable configuration", with(conf(), mode(0o755)), "mode", "executable"},
		{"executable for its owner", with(conf(), mode(0o744)), "mode", "executable"},
		{"executable key", with(file("/etc/munge/munge.key", "k"), mode(0o700)), "mode", "executable"},
		{"foreign owner", with(conf(), owner(1000, 0)), "mode", "owner 1000:0 is not root"},
		{"foreign group", with(conf(), owner(0, 1000)), "mode", "owner 0:1000"},
		{"another class's account", with(conf(), owner(64030, 64030)), "mode", "owner"},
		{"a user's id as a group", with(file("/etc/munge/munge.key", "k"), mode(0o400), owner(105, 105)), "mode", "owner 105:105 is not root or munge"},
		{"owner taken over", with(conf(), owner(1000, 1000), was(Metadata, File, root644)), "mode", "owner"},
		{"foreign owner of a symlink", with(symlink("/opt/condor/a", "b"), owner(1000, 1000)), "mode", "owner"},
		{"foreign owner of a parent directory", with(dir("/etc/slurm"), owner(1000, 1000)), "mode", "owner"},
		{"mode of a parent directory the image has", with(dir("/etc/rsyslog.d"), was(Metadata, Directory, Attr{Mode: 0o700})), "path", "no class"},
		{"mode of a directory that a glob covers", with(dir("/etc/rsyslog.d/x.conf"), was(Metadata, Directory, Attr{Mode: 0o700})), "mode", "belong to the image"},

		{"file capability", with(conf(), func(c *Change) { c.Xattrs = []string{"security.capability"} }), "xattr", "security.capability"},
		{"ACL on a directory", with(dir("/opt/condor/d"), func(c *Change) { c.Xattrs = []string{"system.posix_acl_default"} }), "xattr", "posix_acl"},
		{"hard link to a file outside", with(file("/opt/condor/x", ""), func(c *Change) { c.LinkedOutside = true }), "hard-link", "copy"},

		{"a path of no class", file("/etc/motd", "hello\n"), "path", "no class"},
		{"the root directory", with(dir("/"), was(Metadata, Directory, Attr{Mode: 0o700})), "path", "no class"},
		{"a file where the class has a glob", file("/etc/rsyslog.d/50-site.txt", forward), "path", "no class"},
		{"a file below a glob", file("/etc/rsyslog.d/x/50.conf", forward), "path", "no class"},
		{"a file at a parent", file("/etc/slurm", "x"), "path", "no class"},
		{"a symlink at a parent", symlink("/etc/slurm", "/opt/slurm"), "path", "no class"},
		{"a directory beside", dir("/etc/rsyslog.e"), "path", "no class"},
		{"a directory with the same beginning", dir("/opt/condor2"), "path", "no class"},
		{"upper case", file("/ETC/rsyslog.d/50-site.conf", forward), "path", "no class"},
		{"a temporary file of an editor", file("/etc/rsyslog.d/.50-site.conf.swp", forward), "path", "no class"},

		{"the image's drop-in altered", with(file("/etc/rsyslog.d/50-default.conf", forward), was(Modify, File, root644)), "image-file", "a name of your own"},
		{"the image's drop-in emptied", with(file("/etc/rsyslog.d/50-default.conf", ""), was(Modify, File, root644)), "image-file", "stays as it is"},
		{"the image's drop-in hidden by its mode", with(file("/etc/rsyslog.d/50-default.conf", forward), mode(0), was(Metadata, File, root644)), "image-file", "/etc/rsyslog.d/*.conf"},
		{"the image's program in a tree", with(file("/opt/condor/x", "x"), was(Modify, File, root644)), "image-file", "/opt/condor/**"},
		{"the image's symlink in a tree", with(symlink("/opt/condor/x", "y"), was(Modify, Symlink, Attr{Mode: 0o777})), "image-file", "symlink"},
		{"deletion of the context's own file outside of all classes", with(file("/etc/motd", ""), was(Delete, File, root644), own), "path", "no class"},
		{"deletion", with(file("/etc/rsyslog.d/50-default.conf", ""), was(Delete, File, root644)), "delete", "deleting"},
		{"deletion in a tree", with(dir("/opt/condor"), was(Delete, Directory, Attr{Mode: 0o755})), "delete", "deleting"},
		{"deletion of a setuid file is a deletion", with(file("/opt/condor/x", ""), mode(0o4755), was(Delete, File, Attr{Mode: 0o4755})), "delete", "deleting"},

		{"symlink out, absolute", symlink("/opt/condor/x", "/etc/shadow"), "symlink", "outside"},
		{"symlink out, relative", symlink("/opt/condor/x", "../../etc/shadow"), "symlink", "outside"},
		{"symlink through one of the image", with(symlink("/opt/condor/x", "lib/y"), func(c *Change) { c.Through = "/opt/condor/lib" }), "symlink", "leads through /opt/condor/lib"},
		{"symlink to another class", symlink("/etc/rsyslog.d/x.conf", "/opt/condor/x"), "symlink", "class syslog"},
		{"symlink to a parent of the class", symlink("/opt/condor/x", ".."), "symlink", "outside"},
		{"symlink through another to the outside", symlink("/opt/condor/a/b/l", "d/../../../../etc/shadow"), "symlink", ""},
		{"symlink whose .. may follow another symlink", symlink("/opt/condor/a/b/l", "d/../../etc/shadow"), "symlink", ""},
		{"absolute symlink with ..", symlink("/opt/condor/l", "/opt/condor/a/d/../etc/shadow"), "symlink", ""},
		{"symlink from a grammar to an opaque tree", symlink("/etc/condor/config.d/50-site.config", "/opt/condor/any"), "symlink", ""},
		{"symlink from slurm.conf to an opaque tree", symlink("/etc/slurm/slurm.conf", "/opt/slurm/slurm.conf"), "symlink", ""},
		{"symlink from one grammar to another", symlink("/etc/default/slurmd", "/etc/slurm/slurm.conf"), "symlink", ""},
		{"symlink changed to the outside", with(symlink("/opt/condor/x", "/bin/sh"), was(Modify, Symlink, Attr{Mode: 0o777})), "symlink", "outside"},

		{"a key that everybody reads", with(file("/etc/munge/munge.key", "k"), mode(0o644)), "mode", "use 0640"},
		{"key above its size", with(file("/etc/munge/munge.key", strings.Repeat("k", 1025)), mode(0o400)), "max_bytes", "1025 bytes; the policy allows 1024"},
		{"configuration above its size", with(conf(), func(c *Change) { c.Size, c.Data = MaxChecked+1, nil }), "max_bytes", "allows"},
		{"sparse terabyte", with(file("/opt/condor/x", ""), func(c *Change) { c.Size, c.Data, c.SHA256After = 1<<40, nil, "" }), "max_bytes", "allows"},
		{"configuration that was not read", with(conf(), func(c *Change) { c.Data = nil }), "grammar:rsyslog", "not read"},
		{"configuration that was read in part", with(conf(), func(c *Change) { c.Data = c.Data[:5] }), "grammar:rsyslog", "not read"},

		{"a program in rsyslog's configuration", file("/etc/rsyslog.d/50.conf", "*.* ^/bin/sh\n"), "grammar:rsyslog", ""},
		{"an unchanged content that says too much", with(file("/etc/rsyslog.d/50.conf", "*.* ^/bin/sh\n"), was(Metadata, File, Attr{Mode: 0o600})), "grammar:rsyslog", ""},
		{"Prolog= in slurm.conf", file("/etc/slurm/slurm.conf", "Prolog=/bin/sh\n"), "grammar:slurm", ""},
		{"STARTD_CRON in HTCondor's", file("/etc/condor/config.d/1.config", "STARTD_CRON_JOBLIST = X\n"), "grammar:htcondor", ""},
		{"LD_PRELOAD for slurmd", file("/etc/default/slurmd", "LD_PRELOAD=/opt/slurm/x.so\n"), "grammar:slurm-defaults", ""},
		{"LD_PRELOAD for node_exporter", file("/etc/default/prometheus-node-exporter", "LD_PRELOAD=/opt/slurm/x.so\n"), "grammar:node_exporter", ""},
		{"journald silenced", file("/etc/systemd/journald.conf.d/1.conf", "[Journal]\nStorage=none\n"), "grammar:journald", ""},
		{"release agent in cgroup.conf", file("/etc/slurm/cgroup.conf", "CgroupReleaseAgentDir=/opt/slurm\n"), "grammar:slurm-cgroup", ""},
		{"a script as a metric", file("/var/lib/prometheus/node-exporter/x.prom", "#!/bin/sh\nrm -rf /\n"), "grammar:prometheus-text", ""},
	} {
		got := refusals(t, p, nil, tt.c)
		if len(got) == 0 {
			t.Errorf("%s: Check(%q) accepts it; want it refused by %s", tt.name, tt.c.Path, tt.rule)
			continue
		}
		if got[0].Rule != tt.rule || !strings.Contains(got[0].Reason, tt.want) || got[0].Path != tt.c.Path || got[0].Unit != "" {
			t.Errorf("%s: Check(%q) = %+v; want rule %s and a reason with %q", tt.name, tt.c.Path, got[0], tt.rule, tt.want)
		}
		if line := got[0].String(); strings.ContainsAny(line, "\n\x1b\u202e") || !strings.Contains(line, tt.rule) {
			t.Errorf("%s: String() = %q; want one plain line with the rule", tt.name, line)
		}
	}
}

func TestCheckAccepts(t *testing.T) {
	p := defaultPolicy(t)
	for _, tt := range []struct {
		name        string
		c           Change
		class, rule string
	}{
		{"forwarding", file("/etc/rsyslog.d/50-site.conf", forward), "syslog", "/etc/rsyslog.d/*.conf"},
		{"a name of another language", file("/etc/rsyslog.d/50-genève.conf", forward), "syslog", "/etc/rsyslog.d/*.conf"},
		{"an empty file", file("/etc/rsyslog.d/50-site.conf", ""), "syslog", "/etc/rsyslog.d/*.conf"},
		{"journald", file("/etc/systemd/journald.conf.d/site.conf", "[Journal]\nSystemMaxUse=1G\n"), "syslog", "/etc/systemd/journald.conf.d/*.conf"},
		{"the directory for journald", dir("/etc/systemd/journald.conf.d"), "syslog", "/etc/systemd/journald.conf.d/*.conf"},
		{"node_exporter", file("/etc/default/prometheus-node-exporter", "ARGS=\"--collector.systemd\"\n"), "monitoring", "/etc/default/prometheus-node-exporter"},
		{"a metric of prometheus's", with(file("/var/lib/prometheus/node-exporter/site.prom", "site_info 1\n"), owner(106, 116)), "monitoring", "/var/lib/prometheus/node-exporter/*.prom"},
		{"parent directories", dir("/var/lib/prometheus"), "monitoring", "/var/lib/prometheus/node-exporter/*.prom"},
		{"the directory of an owner", with(dir("/etc/munge"), mode(0o700), owner(105, 115)), "batch", "/etc/munge/munge.key"},
		{"a key of munge's", with(file("/etc/munge/munge.key", strings.Repeat("k", 1024)), mode(0o400), owner(105, 115)), "batch", "/etc/munge/munge.key"},
		{"a key that is not text", with(file("/etc/munge/munge.key", "\x00\xff\n"), mode(0o400)), "batch", "/etc/munge/munge.key"},
		{"the image's owner is kept", with(file("/etc/rsyslog.d/50.conf", forward), owner(1000, 1000), was(Modify, File, Attr{Mode: 0o644, UID: 1000, GID: 1000}), own), "syslog", "/etc/rsyslog.d/*.conf"},
		{"tightened mode", with(file("/etc/rsyslog.d/50.conf", forward), mode(0o600), was(Metadata, File, Attr{Mode: 0o644}), own), "syslog", "/etc/rsyslog.d/*.conf"},
		{"the tree itself", dir("/opt/condor"), "batch", "/opt/condor/**"},
		{"below the tree", dir("/opt/condor/a/b"), "batch", "/opt/condor/**"},
		{"its parent", dir("/opt"), "batch", "/opt/condor/**"},
		{"an executable in its prefix", with(file("/opt/condor/sbin/condor_master", "\x7fELF"), mode(0o755)), "batch", "/opt/condor/**"},
		{"mode of a directory in a tree", with(dir("/opt/condor/d"), mode(0o700), was(Metadata, Directory, Attr{Mode: 0o755})), "batch", "/opt/condor/**"},
		{"symlink to a neighbour", symlink("/opt/condor/lib/libx.so", "libx.so.1"), "batch", "/opt/condor/**"},
		{"symlink up inside the tree", symlink("/opt/condor/bin/a", "../sbin/b"), "batch", "/opt/condor/**"},
		{"absolute symlink inside the tree", symlink("/opt/condor/current", "/opt/condor/23.0"), "batch", "/opt/condor/**"},
		{"symlink between files of one grammar", symlink("/etc/rsyslog.d/b.conf", "a.conf"), "syslog", "/etc/rsyslog.d/*.conf"},
		{"symlink changed", with(symlink("/opt/condor/current", "24.0"), was(Modify, Symlink, Attr{Mode: 0o777}), own), "batch", "/opt/condor/**"},
		{"the same context's file deleted", with(file("/etc/rsyslog.d/50.conf", ""), was(Delete, File, Attr{Mode: 0o644}), own), "syslog", "/etc/rsyslog.d/*.conf"},
		{"the image's file of a rule that names it", with(file("/etc/default/slurmd", "SLURMD_OPTIONS=\"-v\"\n"), was(Modify, File, Attr{Mode: 0o644})), "batch", "/etc/default/slurmd"},
		{"the image's file given another mode", with(file("/etc/default/slurmd", "SLURMD_OPTIONS=\"-v\"\n"), mode(0o600), was(Metadata, File, Attr{Mode: 0o644})), "batch", "/etc/default/slurmd"},
		{"the largest file of a tree", with(file("/opt/slurm/x", ""), func(c *Change) { c.Size, c.Data = 64<<20, nil }), "batch", "/opt/slurm/**"},
	} {
		ok, err := p.Check(Proposal{Changes: []Change{tt.c}}, testAccounts)
		if err != nil {
			t.Errorf("%s: Check(%q) = %v; want it accepted", tt.name, tt.c.Path, err)
			continue
		}
		if got := ok.Changes(); len(got) != 1 || got[0].Class != tt.class || got[0].Rule != tt.rule || got[0].Path != tt.c.Path {
			t.Errorf("%s: Changes() = %+v; want %q by %s, %s", tt.name, got, tt.c.Path, tt.class, tt.rule)
		}
	}
}

// wide is a policy of an endorser who allows too much: whatever it says, the
// paths below stay refused.
func wide(t *testing.T) *Policy {
	t.Helper()
	var b strings.Builder
	for _, d := range []string{"/etc", "/usr", "/roo?", "/hom?", "/var", "/boo?", "/lib", "/opt", "/ef?", "/vmlinu?", "/initr*"} {
		fmt.Fprintf(&b, "      - {path: '%s/**', content: opaque, max_bytes: 1MiB, exec: true}\n", d)
	}
	text := strings.Replace(small, "      - path: /etc/rsyslog.d/*.conf\n        grammar: rsyslog\n", b.String(), 1)
	p, err := Parse("wide", []byte(text))
	if err != nil {
		t.Fatalf("Parse(wide): %v", err)
	}
	return p
}

var alwaysRefusedPaths = []string{
	"/etc/passwd", "/etc/passwd-", "/etc/shadow", "/etc/shadow-", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid",
	"/etc/sudoers", "/etc/sudoers.d", "/etc/sudoers.d/site", "/etc/doas.conf", "/etc/login.defs", "/etc/securetty", "/etc/nsswitch.conf",
	"/etc/krb5.conf", "/etc/krb5.conf.d/x.conf", "/etc/doas.d/x.conf", "/etc/systemd/user.conf.d/x.conf", "/etc/yum/vars/x", "/etc/krb5.keytab", "/etc/polkit-1/rules.d/49-site.rules", "/usr/share/polkit-1/actions/x.policy",
	"/etc/ssh", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/site.conf", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_config",
	"/etc/pam.conf", "/etc/pam.d/sshd", "/etc/pam.d/common-auth", "/etc/security/limits.conf", "/etc/security/limits.d/x.conf",
	"/etc/hosts.equiv", "/etc/skel/.bashrc",
	"/root", "/root/.ssh/authorized_keys", "/root/.bashrc", "/home/u/.bashrc", "/home/u/.ssh/authorized_keys", "/home",
	"/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.cache", "/etc/ld.so.conf.d/site.conf",
	"/etc/profile", "/etc/profile.d", "/etc/profile.d/x.sh", "/etc/bash.bashrc", "/etc/bashrc", "/etc/bash_completion.d/x",
	"/etc/zsh/zshenv", "/etc/zshenv", "/etc/zshrc", "/etc/csh.cshrc", "/etc/csh.login", "/etc/csh/login.d/x", "/etc/fish/config.fish", "/etc/ksh.kshrc",
	"/etc/environment", "/etc/environment.d/x.conf", "/etc/shells", "/etc/inputrc",
	"/etc/crontab", "/etc/cron.d/x", "/etc/cron.d", "/etc/cron.daily/x", "/etc/cron.hourly/x", "/etc/cron.weekly/x", "/etc/cron.monthly/x",
	"/etc/cron.allow", "/etc/anacrontab", "/etc/at.allow", "/var/spool/cron/root", "/var/spool/cron/crontabs/root", "/var/spool/at/x",
	"/etc/systemd/system", "/etc/systemd/system/x.service", "/etc/systemd/system/rsyslog.service.d/x.conf", "/etc/systemd/system/x.timer",
	"/etc/systemd/system/multi-user.target.wants/x.service", "/etc/systemd/user/x.service", "/etc/systemd/system.conf",
	"/etc/systemd/system.conf.d/x.conf", "/etc/systemd/system-generators/x", "/etc/systemd/user-environment-generators/x",
	"/usr/lib/systemd/system/x.service", "/usr/lib/systemd/systemd", "/lib/systemd/system/x.service", "/usr/local/lib/systemd/system/x.service",
	"/etc/init.d/x", "/etc/rc.local", "/etc/rc3.d/S99x", "/etc/rc.d/rc.local", "/etc/inittab", "/etc/init/x.conf", "/etc/runlevels/default/x",
	"/etc/dbus-1/system.d/x.conf", "/usr/share/dbus-1/system-services/x.service", "/etc/xinetd.d/x", "/etc/inetd.conf",
	"/etc/udev/rules.d/99-x.rules", "/usr/lib/udev/rules.d/99-x.rules", "/lib/udev/rules.d/99-x.rules", "/etc/udev",
	"/etc/modprobe.d/x.conf", "/etc/modules", "/etc/modules-load.d/x.conf", "/usr/lib/modules/6.1/x.ko", "/lib/modules/6.1/x.ko",
	"/usr/lib/firmware/x.bin", "/etc/sysctl.conf", "/etc/sysctl.d/x.conf", "/etc/binfmt.d/x.conf", "/etc/tmpfiles.d/x.conf",
	"/usr/lib/tmpfiles.d/x.conf", "/etc/sysusers.d/x.conf", "/usr/lib/sysusers.d/x.conf", "/etc/fstab", "/etc/crypttab", "/etc/mtab",
	"/boot", "/boot/vmlinuz", "/boot/grub/grub.cfg", "/boot/efi/EFI/BOOT/BOOTX64.EFI", "/efi/loader/loader.conf", "/etc/default/grub",
	"/etc/default/grub.d/x.cfg", "/etc/grub.d/40_custom", "/etc/kernel/postinst.d/x", "/etc/kernel/cmdline", "/etc/initramfs-tools/scripts/x",
	"/etc/dracut.conf.d/x.conf", "/vmlinuz", "/initrd.img",
	"/etc/apt/sources.list", "/etc/apt/apt.conf.d/99x", "/etc/dpkg/dpkg.cfg.d/x", "/var/lib/dpkg/info/x.postinst", "/etc/yum.conf",
	"/etc/yum.repos.d/x.repo", "/etc/dnf/dnf.conf", "/etc/alternatives/editor", "/etc/logrotate.conf", "/etc/logrotate.d/x",
	"/etc/network/interfaces", "/etc/network/if-up.d/x", "/etc/NetworkManager/dispatcher.d/x", "/etc/systemd/network/x.network",
	"/etc/netplan/x.yaml", "/etc/dhcp/dhclient-exit-hooks.d/x", "/etc/resolv.conf", "/etc/sysconfig/network", "/etc/sysconfig/network-scripts/ifcfg-eth0",
	"/etc/iptables/rules.v4", "/etc/nftables.conf",
	"/etc/ctxagent/policy.yaml", "/etc/ctxagent", "/var/lib/ctxagent/prolog.json", "/usr/lib/ctxagent/x", "/usr/bin/ctxagent", "/usr/sbin/ctxagent",
	"/usr/local/bin/ctxagent",
}

func TestAlwaysRefusedWhateverThePolicySays(t *testing.T) {
	p := wide(t)
	for _, name := range alwaysRefusedPaths {
		for _, c := range []Change{
			file(name, "x"), dir(name), symlink(name, "/etc/motd"),
			with(file(name, "x"), was(Modify, File, Attr{Mode: 0o644})),
			with(file(name, "x"), was(Metadata, File, Attr{Mode: 0o600})),
			with(file(name, "x"), was(Delete, File, Attr{Mode: 0o644})),
		} {
			if got := refusals(t, p, nil, c); len(got) != 1 || got[0].Rule != "always-refused" {
				t.Errorf("Check(%s of %s %q) = %v; want it refused by always-refused", c.Op, c.Type, name, got)
			}
		}
		if got := refusals(t, p, nil, symlink("/etc/link", name)); len(got) != 1 || got[0].Rule != "symlink" {
			t.Errorf("Check(symlink to %q) = %v; want it refused by symlink", name, got)
		}
		text := strings.Replace(small, "/etc/rsyslog.d/*.conf", name, 1)
		if _, err := Parse("p", []byte(text)); err == nil {
			t.Errorf("Parse(a policy with %q) succeeds; want an error", name)
		}
	}
}

// What lies close to an always-refused path is the policy's business.
func TestAlwaysRefusedIsNotWiderThanItSays(t *testing.T) {
	p := wide(t)
	for _, name := range []string{
		"/etc/motd", "/etc/systemd/journald.conf.d/x.conf", "/etc/rsyslog.d/x.conf", "/etc/default/slurmd", "/etc/sshx", "/opt/etc/passwd",
		"/etc/x/passwd", "/usr/bin/ctxagent2", "/var/lib/prometheus/x",
	} {
		if got := refusals(t, p, nil, file(name, "x")); got != nil {
			t.Errorf("Check(%q) = %v; want it accepted by the wide policy", name, got)
		}
	}
}

func TestEveryRefusalIsListed(t *testing.T) {
	p := defaultPolicy(t)
	changes := []Change{
		file("/etc/passwd", "x"),
		file("/etc/motd", "x"),
		file("/etc/rsyslog.d/a.conf", forward),
		file("/etc/rsyslog.d/b.conf", "*.* ^/bin/sh\n*.* @ok.example.org\n:omusrmsg:*\n"),
		with(file("/opt/condor/x", ""), mode(0o4755)),
		symlink("/opt/condor/y", "/etc"),
	}
	units := []UnitRequest{{"restart", "rsyslog.service"}, {"restart", "sshd.service"}, {"mask", "rsyslog.service"}}
	var got []string
	for _, r := range refusals(t, p, units, changes...) {
		got = append(got, fmt.Sprintf("%s%s:%d %s", r.Path, r.Unit, r.Line, r.Rule))
	}
	want := []string{
		"/etc/passwd:0 always-refused", "/etc/motd:0 path", "/etc/rsyslog.d/b.conf:1 grammar:rsyslog", "/etc/rsyslog.d/b.conf:3 grammar:rsyslog",
		"/opt/condor/x:0 mode", "/opt/condor/y:0 symlink", "sshd.service:0 units", "rsyslog.service:0 units",
	}
	if !slices.Equal(got, want) {
		t.Errorf("Check() refuses\n%q; want\n%q", got, want)
	}
	_, err := p.Check(Proposal{Changes: changes, Units: units}, testAccounts)
	if err == nil || !strings.Contains(err.Error(), "8 refusals") {
		t.Errorf("Check() = %v; want the number of refusals in the text", err)
	}
}

func TestTooManyChanges(t *testing.T) {
	p := defaultPolicy(t)
	p.Limits.Changes = 2
	a, b, c := file("/etc/rsyslog.d/a.conf", ""), file("/etc/rsyslog.d/b.conf", ""), file("/etc/rsyslog.d/c.conf", "")
	if got := refusals(t, p, nil, a, b); got != nil {
		t.Errorf("Check(2 changes) = %v; want them accepted", got)
	}
	got := refusals(t, p, nil, a, b, c)
	if len(got) != 1 || got[0].Rule != "limits.changes" || !strings.Contains(got[0].Reason, "3 changes; the policy allows 2") {
		t.Errorf("Check(3 changes) = %v; want one refusal by limits.changes", got)
	}
}

func TestCheckUnits(t *testing.T) {
	p := defaultPolicy(t)
	for _, u := range []UnitRequest{
		{"stop", "rsyslog.service"}, {"disable", "rsyslog.service"}, {"mask", "rsyslog.service"}, {"edit", "rsyslog.service"},
		{"isolate", "rsyslog.service"}, {"kill", "rsyslog.service"}, {"", "rsyslog.service"}, {"RESTART", "rsyslog.service"},
		{"link", "/opt/condor/evil.service"}, {"set-property", "rsyslog.service"}, {"reboot", ""}, {"systemd-run", "sh"},
		{"restart", "sshd.service"}, {"restart", "rsyslog"}, {"restart", "rsyslog.service "}, {"restart", "*"}, {"restart", ""},
		{"restart", "rsyslog.socket"}, {"enable", "/opt/condor/evil.service"}, {"restart", "../rsyslog.service"}, {"start", "reboot.target"},
	} {
		got := refusals(t, p, []UnitRequest{u})
		if len(got) != 1 || got[0].Rule != "units" || got[0].Unit != cmp.Or(u.Unit, u.Verb) || got[0].Path != "" {
			t.Errorf("Check(%+v) = %+v; want it refused by units", u, got)
		}
	}
	reqs := []UnitRequest{
		{"restart", "rsyslog.service"}, {"reload", "rsyslog.service"}, {"enable", "slurmd.service"}, {"start", "slurmd.service"}, {"restart", "rsyslog.service"},
		{"try-restart", "munge.service"}, {"reload-or-restart", "prometheus-node-exporter.service"}, {"try-reload-or-restart", "condor.service"},
	}
	ok, err := p.Check(Proposal{Units: reqs}, testAccounts)
	want := slices.Delete(slices.Clone(reqs), 4, 5)
	if err != nil || !slices.Equal(ok.Units(), want) {
		t.Errorf("Check(%v) = %v, %v; want each once, in their order", reqs, ok.Units(), err)
	}
}

// An account that the image does not have gives nothing away: its id would be 0.
func TestOwnerOfAMissingAccount(t *testing.T) {
	p := defaultPolicy(t)
	key := with(file("/etc/munge/munge.key", "k"), mode(0o400), owner(105, 115))
	if _, err := p.Check(Proposal{Changes: []Change{key}}, Accounts{}); err == nil {
		t.Errorf("Check(a key of 105:115) succeeds where the image has no munge; want a refusal")
	}
	other := Accounts{Users: map[string]uint32{"munge": 991}, Groups: map[string]uint32{"munge": 991}}
	if _, err := p.Check(Proposal{Changes: []Change{key}}, other); err == nil {
		t.Errorf("Check(a key of 105:115) succeeds where munge is 991; want a refusal")
	}
	key.Attr.UID, key.Attr.GID = 991, 991
	if _, err := p.Check(Proposal{Changes: []Change{key}}, other); err != nil {
		t.Errorf("Check(a key of munge's, 991) = %v; want it accepted", err)
	}
}

func TestEndorserAddsDirectives(t *testing.T) {
	c := file("/etc/condor/config.d/1.config", "MY_SITE_KNOB = 1\n")
	p := defaultPolicy(t)
	got := refusals(t, p, nil, c)
	if len(got) != 1 || got[0].Directive == "" || got[0].Line != 1 {
		t.Fatalf("Check(%q) = %+v; want its directive and line", c.Data, got)
	}
	for i, r := range p.Classes.Batch.Paths {
		if r.Grammar == "htcondor" {
			p.Classes.Batch.Paths[i].Allow = []string{"MY_SITE_KNOB"}
		}
	}
	if got := refusals(t, p, nil, c); got != nil {
		t.Errorf("Check(%q) with the directive allowed = %v; want it accepted", c.Data, got)
	}
}

// The caller still holds the slices it gave and got.
func TestApprovedIsACopy(t *testing.T) {
	p := defaultPolicy(t)
	changes := []Change{file("/etc/rsyslog.d/a.conf", forward)}
	ok, err := p.Check(Proposal{Changes: changes, Units: []UnitRequest{{"restart", "rsyslog.service"}}}, testAccounts)
	if err != nil {
		t.Fatal(err)
	}
	changes[0].Path = "/etc/passwd"
	ok.Changes()[0].Path = "/etc/shadow"
	ok.Units()[0].Unit = "sshd.service"
	if got := ok.Changes()[0].Path; got != "/etc/rsyslog.d/a.conf" {
		t.Errorf("Changes()[0].Path = %q; want what was checked", got)
	}
	if got := ok.Units()[0].Unit; got != "rsyslog.service" {
		t.Errorf("Units()[0].Unit = %q; want what was checked", got)
	}
}

func TestNothingIsAccepted(t *testing.T) {
	ok, err := defaultPolicy(t).Check(Proposal{}, Accounts{})
	if err != nil || len(ok.Changes()) != 0 || len(ok.Units()) != 0 {
		t.Errorf("Check(nothing) = %+v, %v; want nothing approved and no error", ok, err)
	}
}

func TestMatchPath(t *testing.T) {
	for _, tt := range []struct {
		glob, path string
		want       bool
	}{
		{"/a/*.conf", "/a/x.conf", true},
		{"/a/*.conf", "/a/b/x.conf", false},
		{"/a/*.conf", "/a/.conf", true},
		{"/a/b", "/a/b", true},
		{"/a/b", "/a/b/c", false},
		{"/a/b", "/a/bc", false},
		{"/a/**", "/a", true},
		{"/a/**", "/a/b/c", true},
		{"/a/**", "/ab", false},
		{"/a/**", "/", false},
		{"/a/*/**", "/a/b/c/d", true},
		{"/a/*/**", "/a", false},
		{"/a/?", "/a/b", true},
		{"/a/?", "/a/bc", false},
		{"/a/[bc]", "/a/b", true},
		{"/a/[bc]", "/a/d", false},
		{"/a/**", "relative", false},
		{"/a/**", "", false},
	} {
		if got := matchPath(tt.glob, tt.path); got != tt.want {
			t.Errorf("matchPath(%q, %q) = %v; want %v", tt.glob, tt.path, got, tt.want)
		}
	}
}

// The endorser can say otherwise for each path.
func TestImageFiles(t *testing.T) {
	c := with(file("/etc/rsyslog.d/50.conf", forward), was(Modify, File, Attr{Mode: 0o644}))
	for _, tt := range []struct {
		path, word string
		refused    bool
	}{
		{"/etc/rsyslog.d/*.conf", "", true}, {"/etc/rsyslog.d/*.conf", "keep", true}, {"/etc/rsyslog.d/*.conf", "replace", false},
		{"/etc/rsyslog.d/**", "", true}, {"/etc/rsyslog.d/5[0].conf", "", true}, {"/etc/rsyslog.d/5?.conf", "", true},
		{"/etc/rsyslog.d/50.conf", "", false}, {"/etc/rsyslog.d/50.conf", "keep", true}, {"/etc/rsyslog.d/50.conf", "replace", false},
	} {
		text := strings.Replace(small, "/etc/rsyslog.d/*.conf", "'"+tt.path+"'", 1)
		if tt.word != "" {
			text = strings.Replace(text, "        grammar: rsyslog", "        grammar: rsyslog\n        image_files: "+tt.word, 1)
		}
		p, err := Parse("p", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := refusals(t, p, nil, c); (len(got) > 0) != tt.refused {
			t.Errorf("rule %s, image_files %q: Check() refuses %v; want refused: %v", tt.path, tt.word, got, tt.refused)
		}
	}
}
