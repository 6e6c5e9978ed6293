// SPDX-License-Identifier: Apache-2.0

package attacks

var kernel = []Attack{
	{
		Name: "kexec", Family: "kernel", Tries: "loads another kernel", StoppedBy: Seccomp,
		Script: `./intruder kexec-load kexec-file-load`,
		Inside: []string{"kexec-load EPERM", "kexec-file-load EPERM"}, Calls: []string{"kexec_load", "kexec_file_load"},
	},
	{
		Name: "modules", Family: "kernel", Tries: "loads and unloads kernel modules", StoppedBy: Seccomp,
		Script: `./intruder init-module finit-module delete-module`,
		Inside: []string{"init-module EPERM", "finit-module EPERM", "delete-module EPERM"}, Calls: []string{"init_module", "finit_module", "delete_module"},
	},
	{
		Name: "module-autoload", Family: "kernel", Tries: "has the kernel load modules by running a file of an unknown format and by naming protocols", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder exec-unknown socket=inet:dccp socket=inet:seqpacket socket=inet6:dccp socket=can:raw socket=tipc:raw socket=x25:seqpacket socket=rds:seqpacket socket=smc:stream congestion=dctcp ulp=tls`,
		Inside: []string{"exec-unknown ENOEXEC", "socket=inet:dccp ESOCKTNOSUPPORT|EPROTONOSUPPORT", "socket=inet:seqpacket ESOCKTNOSUPPORT|EPROTONOSUPPORT",
			"socket=inet6:dccp ESOCKTNOSUPPORT|EPROTONOSUPPORT", "socket=can:raw EAFNOSUPPORT", "socket=tipc:raw EAFNOSUPPORT", "socket=x25:seqpacket EAFNOSUPPORT",
			"socket=rds:seqpacket EAFNOSUPPORT", "socket=smc:stream EAFNOSUPPORT", "congestion=dctcp ENOENT|EPERM", "ulp=tls ENOENT|ENOTCONN|EPERM|ENOPROTOOPT"},
	},
	{
		Name: "bpf", Family: "kernel", Tries: "loads a BPF program and makes a BPF map", StoppedBy: Seccomp,
		Script: `./intruder bpf-prog bpf-map`,
		Inside: []string{"bpf-prog EPERM", "bpf-map EPERM"}, Calls: []string{"bpf"},
	},
	{
		Name: "perf", Family: "kernel", Tries: "opens performance counters of itself and of the whole machine", StoppedBy: Seccomp,
		Script: `./intruder perf=self perf=machine`,
		Inside: []string{"perf=self EPERM", "perf=machine EPERM"}, Noted: []string{"perf_event_open"},
	},
	{
		Name: "userfaultfd", Family: "kernel", Tries: "handles page faults itself, to hold the kernel in the middle of a call", StoppedBy: Seccomp,
		Script: `./intruder userfaultfd; try device test -e /dev/userfaultfd`,
		Inside: []string{"userfaultfd EPERM", "device no"}, Noted: []string{"userfaultfd"},
	},
	{
		Name: "io-uring", Family: "kernel", Tries: "makes system calls past the filter by io_uring", StoppedBy: Seccomp,
		Script: `./intruder io-uring-setup io-uring-enter io-uring-register`,
		Inside: []string{"io-uring-setup EPERM", "io-uring-enter EPERM", "io-uring-register EPERM"}, Noted: []string{"io_uring_setup"},
	},
	{
		Name: "keyrings", Family: "kernel", Tries: "reads and adds keys, which lie in no namespace", StoppedBy: Seccomp,
		Script: `./intruder keyctl-session keyctl-join add-key request-key`,
		Inside: []string{"keyctl-session EPERM", "keyctl-join EPERM", "add-key EPERM", "request-key EPERM"}, Noted: []string{"keyctl", "add_key", "request_key"},
	},
	{
		Name: "memfd-exec", Family: "kernel", Tries: "runs a program from memory that no file system has", StoppedBy: Seccomp,
		Script: `./intruder memfd-exec=mount=tmpfs:/etc memfd-exec=capabilities`,
		Inside: []string{"mount=tmpfs:/etc EPERM", "capabilities 0xfb"}, Calls: []string{"mount"},
	},
	{
		Name: "clock", Family: "kernel", Tries: "sets the clock by each call there is", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder clock-settime settimeofday adjtimex clock-adjtime`,
		Inside: []string{"clock-settime EPERM", "settimeofday EPERM", "adjtimex EPERM", "clock-adjtime EPERM"},
		Calls:  []string{"clock_settime", "settimeofday"}, Noted: []string{"adjtimex", "clock_adjtime"},
	},
	{
		Name: "hostname", Family: "kernel", Tries: "renames the machine", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder sethostname setdomainname`,
		Inside: []string{"sethostname EPERM", "setdomainname EPERM"}, Calls: []string{"sethostname", "setdomainname"},
	},
	{
		Name: "reboot", Family: "kernel", Tries: "restarts the machine by the system call", StoppedBy: Seccomp,
		Script: `./intruder reboot=restart reboot=cad`,
		Inside: []string{"reboot=restart EPERM", "reboot=cad EPERM"}, Calls: []string{"reboot"},
	},
	{
		Name: "hardware", Family: "kernel", Arch: "amd64", Tries: "asks for the processor's ports and its own descriptor tables", StoppedBy: Seccomp,
		Script: `./intruder iopl ioperm modify-ldt`,
		Inside: []string{"iopl EPERM|ENOSYS", "ioperm EPERM|ENOSYS", "modify-ldt EPERM|ENOSYS"}, Calls: []string{"iopl", "ioperm", "modify_ldt"},
	},
	{
		Name: "accounting", Family: "kernel", Tries: "starts process accounting, hangs up terminals, and watches all files of the machine", StoppedBy: Seccomp,
		Script: `touch /tmp/acct; ./intruder acct=/tmp/acct vhangup fanotify`,
		Inside: []string{"acct=/tmp/acct EPERM", "vhangup EPERM", "fanotify EPERM"}, Calls: []string{"acct"}, Noted: []string{"vhangup", "fanotify_init"},
	},
	{
		Name: "future-calls", Family: "kernel", Tries: "makes system calls that are newer than the filter", StoppedBy: Seccomp,
		Script: `./intruder future=600 future=1000 future=65535`,
		Inside: []string{"future=600 ENOSYS", "future=1000 ENOSYS", "future=65535 ENOSYS"},
	},
	{
		Name: "denied-flood", Family: "kernel", Tries: "makes denied calls without end, under ever new names, to hide one among them", StoppedBy: Seccomp,
		Script: `./intruder denied-flood=2000 denied-rename=300`,
		Inside: []string{"denied-flood=2000 ok", "denied-rename=300 ok"}, Calls: []string{"umount2"},
	},
	{
		Name: "filter-undo", Family: "kernel", Tries: "loads a filter of its own that allows everything, with a listener to answer for itself", StoppedBy: Harmless,
		Script: `./intruder seccomp-allow-mount seccomp-listener`,
		Inside: []string{"seccomp-allow-mount EPERM", "seccomp-listener ok|EBUSY|EPERM"}, Calls: []string{"mount"},
	},
	{
		Name: "no-new-privs-undo", Family: "kernel", Tries: "takes back no_new_privs, raises capabilities, ambient ones and secure bits", StoppedBy: Capability,
		Script: `./intruder undo-no-new-privs capset-all ambient securebits bounding dumpable-init`,
		Inside: []string{"undo-no-new-privs EINVAL", "capset-all EPERM", "ambient EPERM", "securebits EPERM", "bounding EPERM", "dumpable-init EPERM|EACCES"},
	},
}
