// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// refusedCommands can only be refused, or do nothing, in a stage: names, reason,
// what to do instead.
var refusedCommands = []struct{ names, why string }{
	{"useradd userdel usermod groupadd groupdel groupmod adduser addgroup passwd chpasswd gpasswd vipw visudo", "accounts belong to the image: ask its endorser for the account, or use one that is there"},
	{"ifup ifdown ifconfig route brctl nmcli networkctl dhclient dhcpcd ethtool tc", "the network belongs to the image and the hypervisor: read what there is from $CTX_ADDRESS, $CTX_INTERFACE and $CTX_GATEWAY in the epilog"},
	{"iptables ip6tables ebtables nft firewall-cmd ufw iptables-restore", "the packet filter belongs to the image, and a stage has no rights to it: ask the image's endorser"},
	{"umount swapon swapoff losetup mkfs mkswap fdisk parted cryptsetup lvcreate vgcreate pvcreate", "file systems belong to the image, and the call is not allowed: put files on the disc instead"},
	{"modprobe insmod rmmod depmod", "kernel modules belong to the image, and the call is not allowed: ask the image's endorser"},
	{"setenforce semanage restorecon setsebool aa-complain aa-disable", "the image's own confinement is not for a site to change"},
	{"apt apt-get dpkg yum dnf rpm zypper pip pip3 snap apk", "packages belong to the image: unpack a batch client below /opt from the disc, or ask the image's endorser"},
	{"crontab at batch atd", "what starts by itself is no part of contextualisation: a daemon of the three classes has timers of its own"},
	{"reboot poweroff halt shutdown init telinit kexec", "the machine's running is not for a script: let the script end"},
	{"setcap chattr chroot nsenter unshare pivot_root", "the call is not allowed in a stage"},
	{"timedatectl hostnamectl localectl date-set hwclock ntpdate chronyc", "the clock and the names of the machine belong to the image and the hypervisor"},
	{"update-grub grub-install grubby dracut update-initramfs mkinitcpio", "the boot chain belongs to the image"},
	{"update-ca-certificates update-ca-trust ldconfig authselect authconfig", "what every process trusts or loads belongs to the image"},
}

// networkCommands find nobody before the network.
var networkCommands = strings.Fields("curl wget nc ncat ping scp sftp ssh rsync dig host nslookup git svn cvmfs_config ntpdate telnet ftp")

// bashCommands are builtins that dash lacks.
var bashCommands = strings.Fields("[[ source declare typeset let pushd popd shopt mapfile readarray disown enable builtin complete compgen")

// prefixes run the command behind them.
var prefixes = strings.Fields("sudo command exec env nice nohup time builtin setsid stdbuf timeout")

// systemctlVerbs are those that a policy can allow; show, status and their like
// only read.
var systemctlVerbs = strings.Fields("enable start restart try-restart reload reload-or-restart try-reload-or-restart " +
	"status show cat is-active is-enabled is-failed list-units list-unit-files list-timers daemon-reload")

// call looks at one command.
func (w *walker) call(c *syntax.CallExpr) {
	args := c.Args
	var name string
	for {
		if len(args) == 0 {
			return
		}
		word, ok := literal(args[0])
		if !ok {
			return
		}
		name = path.Base(word)
		if !slices.Contains(prefixes, name) || len(args) == 1 {
			break
		}
		if next, _ := literal(args[1]); name == "command" && (next == "-v" || next == "-V") {
			return // it asks whether there is one
		}
		if name == "sudo" {
			w.at(args[0], "command", Note, "the script runs as root already: take sudo out")
		}
		args = args[1:]
		for len(args) > 0 { // options, assignments and timeout's number
			word, ok := literal(args[0])
			if !ok || !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") && !(name == "timeout" && strings.TrimLeft(word, "0123456789.smh") == "") {
				break
			}
			args = args[1:]
		}
	}
	if w.functions[name] {
		return // the script's own
	}
	words := make([]string, len(args)-1)
	for i, a := range args[1:] {
		words[i], _ = literal(a)
	}
	w.command(args, name, words)
	w.arguments(args, name)
}

// command looks at a command's name and words; a word with an expansion is "".
func (w *walker) command(args []*syntax.Word, name string, words []string) {
	for _, r := range refusedCommands {
		if slices.Contains(strings.Fields(r.names), name) && !onlyAsks(name, words) {
			w.at(args[0], "command", Warning, "%s can only be refused: %s", name, r.why)
			return
		}
	}
	if isProlog(w.name) && slices.Contains(networkCommands, name) {
		w.at(args[0], "no-network", Warning, "%s in %s: there is no network yet; do this in epilog.sh", name, w.name)
	}
	if w.posix && slices.Contains(bashCommands, name) {
		w.at(args[0], "bashism", Warning, "%s is bash's, and sh on Debian has none: write #!/bin/bash in the first line%s", name, instead(name))
	}
	if w.posix && (name == "[" || name == "test") && slices.Contains(words, "==") {
		w.at(args[0], "bashism", Warning, "== in %s is bash's: write =", name)
	}
	switch name {
	case "ip":
		if changes := []string{"add", "del", "delete", "set", "change", "replace", "flush", "append"}; slices.ContainsFunc(words, func(s string) bool { return slices.Contains(changes, s) }) {
			w.at(args[0], "command", Warning, "ip can only be refused: the network belongs to the image and the hypervisor; $CTX_ADDRESS and $CTX_INTERFACE say what there is")
		}
	case "mount":
		if len(words) > 0 {
			w.at(args[0], "command", Warning, "mount can only be refused: file systems belong to the image, and the call is not allowed; what lies on the disc is in $CONTEXT_DIR already")
		}
	case "hostname":
		if len(words) > 0 && !strings.HasPrefix(words[0], "-") {
			w.at(args[0], "command", Warning, "hostname can only be refused: the machine's name comes from the image or DHCP")
		}
	case "sysctl":
		if slices.ContainsFunc(words, func(s string) bool { return s == "-w" || s == "-p" || s == "--system" || strings.Contains(s, "=") }) {
			w.at(args[0], "command", Warning, "sysctl can only be refused: kernel settings belong to the image, and /proc is read-only")
		}
	case "date":
		if slices.Contains(words, "-s") || slices.Contains(words, "--set") {
			w.at(args[0], "command", Warning, "date -s can only be refused: the clock belongs to the image and the hypervisor")
		}
	case "ssh-keygen":
		w.at(args[0], "command", Warning, "ssh-keygen can only be refused where it writes below /root or /etc/ssh: keys that open an account belong to the image")
	case "systemctl":
		w.systemctl(args[0], words)
	}
}

// questions are first words with which a command only shows something; "" stands
// for none at all.
var questions = map[string]string{
	"rpm": "-q -qa -qi -ql -qf -V --eval", "dpkg": "-l -s -L -S --print-architecture --compare-versions", "apt": "list show", "yum": "list info",
	"dnf": "list info", "ifconfig": " -a", "route": " -n", "nft": "list", "iptables": "-L -S", "crontab": "-l", "nmcli": "", "timedatectl": " status show",
	"hostnamectl": " status", "networkctl": " status list", "pip": "list show freeze", "pip3": "list show freeze", "fdisk": "-l", "ldconfig": "-p",
}

// onlyAsks tells that a command only shows something.
func onlyAsks(name string, words []string) bool {
	first := ""
	if len(words) > 0 {
		first = words[0]
	}
	if slices.Contains([]string{"--help", "--version", "-V"}, first) {
		return true
	}
	asked, ok := questions[name]
	return ok && slices.Contains(strings.Split(asked, " "), first)
}

func (w *walker) systemctl(n syntax.Node, words []string) {
	for _, verb := range words {
		if verb == "" || strings.HasPrefix(verb, "-") {
			continue
		}
		if !slices.Contains(systemctlVerbs, verb) {
			w.at(n, "command", Warning, "systemctl %s can only be refused: a context may ask to enable, start, restart or reload a unit that the policy names", verb)
		}
		return
	}
}

func instead(name string) string {
	switch name {
	case "[[":
		return ", or write [ … ]"
	case "source":
		return `, or write ". FILE"`
	case "declare", "typeset":
		return ", or write NAME=value"
	case "let":
		return ", or write NAME=$((…))"
	}
	return ""
}

// writers are commands whose words name what they write: all of them, or the last.
var (
	writesAll  = strings.Fields("tee touch rm rmdir mkdir truncate chmod chown chgrp unlink shred")
	writesLast = strings.Fields("cp mv ln install rsync")
)

// arguments looks at what a command reads from the disc and writes to the root.
func (w *walker) arguments(args []*syntax.Word, name string) {
	if name == "[" || name == "test" {
		return // it asks whether the file is there
	}
	for i, a := range args {
		if i == 0 || name != "mkdir" && name != "touch" && name != "rm" {
			w.uses(a)
		}
		p, ok := literal(a)
		if !ok || i == 0 {
			continue
		}
		inPlace := name == "sed" && i > 1 && slices.ContainsFunc(args[1:i], func(a *syntax.Word) bool {
			s, _ := literal(a)
			return strings.HasPrefix(s, "-i") || strings.HasPrefix(s, "--in-place")
		})
		if slices.Contains(writesAll, name) || inPlace || slices.Contains(writesLast, name) && i == len(args)-1 {
			w.writes(a, p)
		}
	}
	if (name == "." || name == "source" || name == "sh" || name == "bash") && len(args) > 1 && stage(w.name) {
		w.relative(args[1])
	}
	if p, ok := literal(args[0]); ok && strings.HasPrefix(p, "./") && stage(w.name) {
		w.relative(args[0])
	}
}

// relative reports a script that is looked for in the disc's own directory and
// is not there. After a cd nobody knows, and so only ./NAME and NAME.sh count.
func (w *walker) relative(word *syntax.Word) {
	p, ok := literal(word)
	if !ok || path.IsAbs(p) || strings.HasPrefix(p, "-") || !strings.HasPrefix(p, "./") && path.Ext(p) != ".sh" {
		return
	}
	if clean := path.Clean(p); !w.names[strings.ToLower(clean)] {
		w.at(word, "missing-file", Warning, "the disc has no %q: put it there, or take this out", clean)
	}
}
