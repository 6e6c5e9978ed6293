// SPDX-License-Identifier: Apache-2.0

package attacks

// $VICTIM_PID is a process outside of uid $VICTIM_UID, $AGENT_PID the agent.
var processes = []Attack{
	{
		Name: "kill-outside", Family: "processes and signals", Tries: "signals the agent, the victim and everybody by number", StoppedBy: Namespace, Stage: Both,
		Script: `for p in $VICTIM_PID $AGENT_PID; do [ -e /proc/$p ] || kill -9 $p 2>/dev/null; [ -e /proc/$p ] || kill -STOP $p 2>/dev/null; done; say tried yes`,
		Inside: []string{"tried yes"},
	},
	{
		Name: "kill-as-victim", Family: "processes and signals", Tries: "becomes the user whose process runs outside, and signals all of that user's processes", StoppedBy: Namespace,
		Script: `./intruder kill-all-as=$VICTIM_UID`,
		Inside: []string{"kill-all-as=4242 ESRCH|EPERM|ok"},
	},
	{
		Name: "kill-all", Family: "processes and signals", Tries: "kills every process that it may", StoppedBy: Namespace,
		Script: `(while :; do sleep 1; done) & kill -9 -1; say alive yes`,
		Inside: []string{"alive yes"},
	},
	{
		Name: "kill-init", Family: "processes and signals", Tries: "ends the sandbox's init by every signal there is", StoppedBy: Namespace,
		Script: `i=1; while [ $i -le 64 ]; do kill -$i 1 2>/dev/null; i=$((i+1)); done
i=0; while [ $i -lt 300 ]; do kill -10 1; kill -32 1; kill -34 1; i=$((i+1)); done 2>/dev/null
sleep 0.2; say alive yes`,
		Inside: []string{"alive yes"},
	},
	{
		Name: "signal-forged", Family: "processes and signals", Tries: "sends init a fault signal with a forged origin, which a runtime takes for its own", StoppedBy: Seccomp,
		Script: `./intruder sigqueue=1 tgsigqueue=1 pidfd-signal=1; sleep 0.1; say alive yes`,
		Inside: []string{"sigqueue=1 EPERM", "tgsigqueue=1 EPERM", "pidfd-signal=1 EPERM", "alive yes"}, Noted: []string{"rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"},
	},
	{
		Name: "ptrace", Family: "processes and signals", Tries: "traces init, its parent and a child, and lets itself be traced", StoppedBy: Seccomp,
		Script: `./intruder ptrace-attach=1 ptrace-seize=1 ptrace-parent ptrace-child`,
		Inside: []string{"ptrace-attach=1 EPERM", "ptrace-seize=1 EPERM", "ptrace-parent EPERM", "ptrace-child EPERM"}, Calls: []string{"ptrace"},
	},
	{
		Name: "process-memory", Family: "processes and signals", Tries: "reads and writes the memory of init and of its parent", StoppedBy: Seccomp,
		Script: `./intruder vm-read=1 vm-write=1 vm-read=parent madvise=1`,
		Inside: []string{"vm-read=1 EPERM", "vm-write=1 EPERM", "vm-read=parent EPERM", "madvise=1 EPERM"}, Calls: []string{"process_vm_readv", "process_vm_writev"}, Noted: []string{"process_madvise"},
	},
	{
		Name: "pidfd-getfd", Family: "processes and signals", Tries: "takes a descriptor out of init, and compares its own with init's", StoppedBy: Seccomp,
		Script: `./intruder pidfd-getfd=1 kcmp=1`,
		Inside: []string{"pidfd-getfd=1 EPERM", "kcmp=1 EPERM"}, Calls: []string{"pidfd_getfd"}, Noted: []string{"kcmp"},
	},
	{
		Name: "prlimit-init", Family: "processes and signals", Tries: "takes init's descriptors and processor time away by resource limits", StoppedBy: Seccomp,
		Script: `./intruder prlimit=1:nofile prlimit=1:cpu prlimit=1:fsize; say alive yes`,
		Inside: []string{"prlimit=1:nofile EPERM", "prlimit=1:cpu EPERM", "prlimit=1:fsize EPERM", "alive yes"}, Noted: []string{"prlimit64(other process)"},
	},
	{
		Name: "priority", Family: "processes and signals", Tries: "raises its own priority over everything else on the machine", StoppedBy: Capability,
		Script: `./intruder nice=-20 sched-fifo ionice-rt rlimit-raise mlockall`,
		Inside: []string{"nice=-20 EPERM|EACCES", "sched-fifo EPERM", "ionice-rt EPERM", "rlimit-raise EPERM", "mlockall ENOMEM|EPERM"},
	},
	{
		Name: "orphan-daemon", Family: "processes and signals", Tries: "leaves a daemon in a session of its own that ignores all signals", StoppedBy: Namespace, Stage: Both,
		Script: `./intruder daemon; say started yes`,
		Inside: []string{"started yes"}, Says: "were ended",
	},
	{
		Name: "daemon-keeps-pipe", Family: "processes and signals", Tries: "leaves a daemon that holds the output pipe open and fills it", StoppedBy: Namespace,
		Script: `(trap '' TERM HUP PIPE; while :; do echo still here; done) & (trap '' TERM HUP; sleep 1000) &`,
		Says:   "were ended",
	},
	{
		Name: "sysv-ipc", Family: "processes and signals", Tries: "leaves shared memory, semaphores and message queues behind, and looks for the host's", StoppedBy: Namespace,
		Script: `./intruder shm-host shm-leave mqueue`,
		Inside: []string{"shm-host ENOENT", "shm-leave ok", "mqueue EMFILE|EPERM|ENOSYS|EACCES"},
	},
	{
		Name: "locks", Family: "processes and signals", Tries: "locks the image's files against the host's services", StoppedBy: Mount,
		Script: `./intruder lock=/etc/passwd lock=/etc/victim.lock`,
		Inside: []string{"lock=/etc/passwd ok", "lock=/etc/victim.lock ok"},
	},
}

var services = []Attack{
	{
		Name: "abstract-socket", Family: "services", Tries: "connects to an abstract socket of the host", StoppedBy: Namespace, Stage: Both,
		Script: `./intruder connect=@$VICTIM_ABSTRACT datagram=@$VICTIM_ABSTRACT.dgram`,
		Inside: []string{"connect=@ctxagent-victim ECONNREFUSED", "datagram=@ctxagent-victim.dgram ECONNREFUSED"},
	},
	{
		Name: "socket-in-root", Family: "services", Tries: "connects to a Unix socket that lies in the root, on each of its mounts", StoppedBy: Mount, Stage: Both,
		Script: `./intruder connect=/etc/victim.sock connect=/srv/second/victim.sock`,
		Inside: []string{"connect=/etc/victim.sock ECONNREFUSED", "connect=/srv/second/victim.sock ECONNREFUSED"},
	},
	{
		Name: "fifo-in-root", Family: "services", Tries: "writes to a FIFO in the root that a host's daemon reads", StoppedBy: Mount, Stage: Both,
		Script: `./intruder fifo=/etc/victim.fifo fifo=/srv/second/victim.fifo`,
		Inside: []string{"fifo=/etc/victim.fifo ENXIO", "fifo=/srv/second/victim.fifo ENXIO"},
	},
	{
		Name: "dbus", Family: "services", Tries: "calls D-Bus and systemd over their sockets", StoppedBy: Mount, Stage: Both,
		Script: `./intruder connect=/run/dbus/system_bus_socket connect=/var/run/dbus/system_bus_socket connect=/run/systemd/private connect=/run/systemd/notify connect=/run/systemd/journal/stdout connect=/run/udev/control connect=/dev/log`,
		Inside: []string{"connect=/run/dbus/system_bus_socket ENOENT", "connect=/var/run/dbus/system_bus_socket ENOENT", "connect=/run/systemd/private ENOENT", "connect=/run/systemd/notify ENOENT",
			"connect=/run/systemd/journal/stdout ENOENT", "connect=/run/udev/control ENOENT", "connect=/dev/log ENOENT"},
	},
	{
		Name: "containers", Family: "services", Tries: "asks a container engine for a privileged container", StoppedBy: Mount,
		Script: `./intruder connect=/run/docker.sock connect=/var/run/docker.sock connect=/run/containerd/containerd.sock connect=/run/podman/podman.sock connect=/run/crio/crio.sock connect=/run/snapd.socket connect=/run/libvirt/libvirt-sock`,
		Inside: []string{"connect=/run/docker.sock ENOENT", "connect=/var/run/docker.sock ENOENT", "connect=/run/containerd/containerd.sock ENOENT", "connect=/run/podman/podman.sock ENOENT",
			"connect=/run/crio/crio.sock ENOENT", "connect=/run/snapd.socket ENOENT", "connect=/run/libvirt/libvirt-sock ENOENT"},
	},
	{
		Name: "munge-socket", Family: "services", Tries: "asks munge and other daemons with sockets below /run for credentials", StoppedBy: Mount,
		Script: `./intruder connect=/run/munge/munge.socket.2 connect=/var/run/munge/munge.socket.2 connect=/run/nscd/socket connect=/run/rpcbind.sock; say run "$(ls /run | tr '\n' ,)"`,
		Inside: []string{"connect=/run/munge/munge.socket.2 ENOENT", "connect=/var/run/munge/munge.socket.2 ENOENT", "connect=/run/nscd/socket ENOENT", "connect=/run/rpcbind.sock ENOENT", "run ctxagent,lock,"},
	},
	{
		Name: "vsock", Family: "services", Tries: "talks to the hypervisor over VSOCK", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder socket=vsock:stream socket=vsock:dgram socket=vsock:high socketpair=vsock`,
		Inside: []string{"socket=vsock:stream EAFNOSUPPORT", "socket=vsock:dgram EAFNOSUPPORT", "socket=vsock:high EAFNOSUPPORT", "socketpair=vsock EAFNOSUPPORT"},
	},
}
