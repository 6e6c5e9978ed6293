// SPDX-License-Identifier: Apache-2.0

package attacks

var shims = []Attack{
	{
		Name: "reboot-commands", Family: "shim", Tries: "asks for a reboot in ten ways", StoppedBy: Shim,
		Script:  `reboot; poweroff; halt -f; shutdown -h now; init 6; telinit 6; systemctl reboot; systemctl -f -f poweroff; systemctl isolate rescue.target; systemctl kexec; exit 0`,
		Outcome: "refused", Refused: []string{"units reboot", "units poweroff", "units halt|call reboot", "units shutdown|units now", "units kexec", "units rescue.target"},
	},
	{
		Name: "foreign-units", Family: "shim", Tries: "restarts, stops, masks and edits units that the policy does not name", StoppedBy: Shim,
		Script:  `systemctl restart sshd; systemctl stop auditd.service; systemctl mask rsyslog; systemctl edit rsyslog; systemctl set-property rsyslog MemoryMax=1; service ssh restart; systemctl enable /tmp/x.service; exit 0`,
		Outcome: "refused", Refused: []string{"units sshd.service", "units auditd.service", "units rsyslog.service", "units ssh.service"},
	},
	{
		Name: "unit-spelling", Family: "shim", Tries: "spells a unit so that the policy and systemd read different names", StoppedBy: Shim,
		Script:  `systemctl restart 'rsyslog.service sshd.service'; systemctl restart ../rsyslog; systemctl restart 'rsys*'; systemctl restart rsyslog.service@; systemctl restart -- sshd; systemctl --root=/x restart sshd; exit 0`,
		Outcome: "refused", Refused: []string{"units rsyslog.service sshd.service", "units ../rsyslog.service|units ../rsyslog", "units sshd.service"},
	},
	{
		Name: "run-and-bus", Family: "shim", Tries: "starts a program outside by systemd-run, busctl, loginctl and systemd-tmpfiles", StoppedBy: Shim,
		Script:  `systemd-run id; busctl call org.freedesktop.systemd1 / x StartTransientUnit; loginctl enable-linger root; systemd-tmpfiles --create /tmp/x; exit 0`,
		Outcome: "refused", Refused: []string{"units id", "units enable-linger root"},
	},
	{
		Name: "forged-request", Family: "shim", Tries: "speaks the shim's protocol itself, with requests that the shim would not make", StoppedBy: Shim,
		Script:  `./intruder 'control={"Verb":"restart","Unit":"sshd.service"}' 'control={"verb":"daemon-reexec"}' 'control={"Verb":"restart","Unit":"rsyslog.service","Unit":"sshd.service"}'`,
		Inside:  []string{`control={"Verb":"restart","Unit":"sshd.service"} ok`, `control={"verb":"daemon-reexec"} ok`, `control={"Verb":"restart","Unit":"rsyslog.service","Unit":"sshd.service"} ok`},
		Outcome: "refused", Refused: []string{"units sshd.service", "units daemon-reexec"},
	},
	{
		Name: "unreadable-request", Family: "shim", Tries: "sends the agent what is no request: junk, nothing, far too much, another type", StoppedBy: Shim,
		Script:  `./intruder control=junk control-long 'control={}' control=[1] control=null control-empty`,
		Inside:  []string{"control=junk ok", "control-long ok", "control={} ok", "control=[1] ok", "control=null ok", "control-empty ok"},
		Outcome: "refused", Refused: []string{"units unreadable request"},
	},
	{
		Name: "request-flood", Family: "shim", Tries: "floods the agent with requests to push an earlier one out", StoppedBy: Shim,
		Script:  `systemctl restart sshd; ./intruder control-flood=1500`,
		Inside:  []string{"control-flood=1500 ok"},
		Outcome: "refused", Refused: []string{"units sshd.service", "units too many requests"},
	},
	{
		Name: "request-hold", Family: "shim", Tries: "opens connections without sending anything, so that the agent waits", StoppedBy: Limit,
		Script: `./intruder control-hold=60; say done yes`,
		Inside: []string{"control-hold=60 ok", "done yes"},
	},
	{
		Name: "control-replaced", Family: "shim", Tries: "removes, renames, replaces and links the control socket and its directory", StoppedBy: Mount,
		Script: `try rm rm -f /run/ctxagent/control; try mv mv /run/ctxagent /run/x; try ln ln -sf /tmp/x /run/ctxagent/control; try dir rmdir /run/ctxagent/bin; try new touch /run/ctxagent/new; ./intruder bind=/tmp:/run/ctxagent listen-unix=/run/ctxagent/control`,
		Inside: []string{"rm no", "mv no", "ln no", "dir no", "new no", "bind=/tmp:/run/ctxagent EPERM", "listen-unix=/run/ctxagent/control EADDRINUSE|EROFS"}, Calls: []string{"mount"},
	},
	{
		Name: "request-undone", Family: "shim", Tries: "asks for a forbidden restart and then for it to be forgotten", StoppedBy: Shim,
		Script:  `systemctl restart sshd; systemctl cancel; systemctl reset-failed sshd 2>/dev/null; ./intruder 'control={"Verb":"forget"}'`,
		Outcome: "refused", Refused: []string{"units sshd.service", "units forget"},
		Inside: []string{`control={"Verb":"forget"} ok`},
	},
	{
		Name: "control-listened", Family: "shim", Tries: "takes the agent's place at the control socket's own end", StoppedBy: Mount,
		Script: `./intruder open=/run/ctxagent/control control-accept`,
		Inside: []string{"open=/run/ctxagent/control ENXIO", "control-accept EINVAL"},
	},
	{
		Name: "agent-inside", Family: "shim", Tries: "runs the agent's own program inside, under its other names and as its init", StoppedBy: Harmless,
		Script: `/run/ctxagent/agent sandbox-init >/dev/null 2>&1; (exec -a x /run/ctxagent/agent version) >/dev/null 2>&1; say done yes`,
		Inside: []string{"done yes"},
	},
}

var foreign = []Attack{
	{
		Name: "i386", Family: "foreign system calls", Arch: "amd64", Tries: "makes 32-bit system calls by int 0x80, whose numbers mean other calls", StoppedBy: Seccomp,
		Script: `./intruder i386=mount; say mount $?; ./intruder i386=socketcall; say socketcall $?; ./intruder i386=getpid; say getpid $?`,
		// 159 is SIGSYS, by the filter; 2 is a Go program's end by SIGSEGV, where the
		// kernel has no such gate (ia32_emulation=off).
		Inside: []string{"mount 159|2", "socketcall 159|2", "getpid 159|2"},
	},
	{
		Name: "x32", Family: "foreign system calls", Arch: "amd64", Tries: "makes x32 system calls, whose numbers have bit 30 set", StoppedBy: Seccomp,
		Script: `./intruder x32=mount x32=ptrace x32=getpid x32=execve`,
		Inside: []string{"x32=mount ENOSYS", "x32=ptrace ENOSYS", "x32=getpid ENOSYS", "x32=execve ENOSYS"},
	},
	{
		Name: "negative-numbers", Family: "foreign system calls", Tries: "makes system calls with numbers that wrap around", StoppedBy: Seccomp,
		Script: `./intruder number=-1 number=-2147483648 number=4294967461 number=1073742000`,
		Inside: []string{"number=-1 ENOSYS", "number=-2147483648 ENOSYS", "number=4294967461 EPERM|ENOSYS", "number=1073742000 ENOSYS"}, Outcome: "refused",
	},
	{
		Name: "high-arguments", Family: "foreign system calls", Tries: "hides flags in the upper halves of arguments, which the filter may not look at", StoppedBy: Seccomp,
		Script: `./intruder clone-high=user socket=vsock:high socket=packet:high core-limit-high`,
		Inside: []string{"clone-high=user same-namespace", "socket=vsock:high EAFNOSUPPORT", "socket=packet:high EAFNOSUPPORT", "core-limit-high 1"},
	},
	{
		Name: "personality", Family: "foreign system calls", Tries: "runs as a 32-bit or older Linux by its personality", StoppedBy: Harmless,
		Script: `./intruder personality=linux32 personality=uname26 personality=no-random`,
		Inside: []string{"personality=linux32 ok|EPERM", "personality=uname26 ok|EPERM", "personality=no-random ok|EPERM"},
	},
}
