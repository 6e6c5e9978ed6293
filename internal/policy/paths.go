// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// always lists what is refused whatever the policy says, with the reason. The
// patterns are the policy's own kind, and are also matched against a policy's
// paths, so that a policy cannot ask for them.
var always = []struct{ why, patterns string }{
	{"accounts and credentials belong to the image",
		"/etc/ssl/private/** /var/backups/** /var/lib/cloud/** /var/log/journal/** /etc/sssd/** /etc/authselect/** /etc/update-motd.d/** " +
			"/etc/selinux/** /etc/apparmor.d/** /etc/passwd* /etc/shadow* /etc/group* /etc/gshadow* /etc/subuid* /etc/subgid* /etc/sudoers* /etc/sudoers.d/** /etc/doas* " +
			"/etc/ssh/** /etc/pam.conf /etc/pam.d/** /etc/security/** /etc/login.defs /etc/securetty /etc/nsswitch.conf /etc/krb5* " +
			"/root/** /home/** /etc/polkit-1/** /usr/share/polkit-1/** /etc/hosts.equiv /etc/skel/**"},
	{"the dynamic linker and login shells run this in every process",
		"/etc/ld.so.* /etc/ld.so.conf.d/** /etc/profile* /etc/profile.d/** /etc/bash* /etc/bash_completion.d/** /etc/zsh* /etc/zsh/** " +
			"/etc/csh* /etc/csh/** /etc/ksh* /etc/fish/** /etc/environment /etc/environment.d/** /etc/shells /etc/inputrc"},
	{"what starts by itself is no part of contextualisation",
		"/etc/xdg/autostart/** /etc/acpi/** /etc/ppp/** /etc/networkd-dispatcher/** /etc/extensions/** /var/lib/extensions/** /var/lib/systemd/** " +
			"/etc/cloud/** /etc/cron* /etc/cron.d/** /etc/cron.hourly/** /etc/cron.daily/** /etc/cron.weekly/** /etc/cron.monthly/** /etc/anacrontab /etc/at.* " +
			"/var/spool/cron/** /var/spool/at/**"},
	{"units and drop-ins belong to the image: ask with systemctl, for a unit that the policy names",
		"/etc/systemd/system/** /etc/systemd/user/** /etc/systemd/system.conf* /etc/systemd/user.conf* /etc/systemd/system.conf.d/** " +
			"/etc/systemd/*-generators/** /usr/lib/systemd/** /lib/systemd/** /usr/local/lib/systemd/** /etc/init.d/** /etc/rc* /etc/rc?.d/** " +
			"/etc/rc.d/** /etc/inittab /etc/init/** /etc/runlevels/** /etc/dbus-1/** /usr/share/dbus-1/** /etc/xinetd.d/** /etc/inetd.conf"},
	{"devices, modules and kernel settings belong to the image",
		"/etc/udev/** /usr/lib/udev/** /lib/udev/** /etc/modprobe.d/** /etc/modules /etc/modules-load.d/** /usr/lib/modules/** /lib/modules/** " +
			"/usr/lib/firmware/** /lib/firmware/** /etc/sysctl.conf /etc/sysctl.d/** /usr/lib/sysctl.d/** /etc/binfmt.d/** /etc/tmpfiles.d/** " +
			"/usr/lib/tmpfiles.d/** /etc/sysusers.d/** /usr/lib/sysusers.d/** /etc/fstab /etc/crypttab /etc/mtab"},
	{"the boot chain belongs to the image",
		"/boot/** /efi/** /etc/default/grub* /etc/grub.d/** /etc/kernel/** /etc/initramfs-tools/** /etc/dracut.conf* /etc/dracut.conf.d/** /vmlinuz* /initrd*"},
	{"package sources and hooks belong to the image",
		"/etc/apt/** /etc/dpkg/** /var/lib/dpkg/** /etc/yum* /etc/yum.repos.d/** /etc/dnf/** /etc/alternatives/** /etc/logrotate* /etc/logrotate.d/**"},
	{"the network belongs to the image and the hypervisor",
		"/etc/network/** /etc/NetworkManager/** /etc/systemd/network/** /etc/netplan/** /etc/dhcp/** /etc/resolv.conf /etc/sysconfig/network* " +
			"/etc/sysconfig/network-scripts/** /etc/iptables/** /etc/nftables*"},
	{"this is ctxagent's own",
		"/etc/ctxagent/** /var/lib/ctxagent/** /usr/lib/ctxagent/** /usr/bin/ctxagent /usr/sbin/ctxagent /usr/local/bin/ctxagent /usr/local/sbin/ctxagent"},
}

// alwaysRefused says why p is refused whatever the policy says, or "".
func alwaysRefused(p string) string {
	if slices.Contains(strings.Split(p, "/"), ".ssh") {
		return "keys that open an account belong to the image"
	}
	for _, a := range always {
		for pattern := range strings.FieldsSeq(a.patterns) {
			// What lies below is meant too: /etc/krb5* and /etc/krb5.conf.d/x.
			if matchTree(strings.TrimSuffix(pattern, "/**"), p) {
				return a.why
			}
		}
	}
	return ""
}

// matchPath reports whether p matches the glob: * and ? stay within one path
// element, "dir/**" is dir and everything below it.
func matchPath(glob, p string) bool {
	if tree, ok := strings.CutSuffix(glob, "/**"); ok {
		return matchTree(tree, p)
	}
	ok, err := path.Match(glob, p)
	return err == nil && ok
}

// matchTree reports whether p or a directory above it matches the glob.
func matchTree(glob, p string) bool {
	ok, err := path.Match(glob, firstElements(p, strings.Count(glob, "/")))
	return err == nil && ok
}

// firstElements cuts an absolute path after n elements.
func firstElements(p string, n int) string {
	for i := range len(p) {
		if p[i] == '/' {
			if n--; n < 0 {
				return p[:i]
			}
		}
	}
	return p
}

// isParent reports whether directory p lies on the way to what glob allows.
func isParent(glob, p string) bool {
	glob = strings.TrimSuffix(glob, "/**")
	for g := path.Dir(glob); g != "/"; g = path.Dir(g) {
		if matchPath(g, p) {
			return true
		}
	}
	return false
}

// validGlob accepts what matchPath understands.
func validGlob(glob string) bool {
	body := strings.TrimSuffix(glob, "/**")
	if strings.Contains(body, "**") {
		return false
	}
	_, err := path.Match(body, "x")
	return err == nil
}

// badName says what is wrong with a path's spelling, or "".
func badName(p string) string {
	if !utf8.ValidString(p) {
		return "the name is not valid UTF-8"
	}
	for _, r := range p {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return "the name has a control character"
		}
	}
	return ""
}

// validUnit accepts systemd.unit(5)'s characters with a known suffix.
func validUnit(u string) bool {
	if len(u) > 255 || strings.HasPrefix(u, "-") {
		return false
	}
	for _, r := range u {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@", r) {
			return false
		}
	}
	switch path.Ext(u) {
	case ".service", ".socket", ".timer", ".path", ".target":
		return len(path.Ext(u)) < len(u)
	}
	return false
}
