// SPDX-License-Identifier: Apache-2.0

package attacks

var namespaces = []Attack{
	{
		Name: "mount", Family: "namespaces and mounts", Tries: "mounts a tmpfs, a disk, an overlay and a proc of its own", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder mount=tmpfs:/etc mount=proc:/tmp mount=sysfs:/tmp mount=overlay:/etc mount=cgroup2:/tmp mount=devtmpfs:/dev mount=debugfs:/tmp`,
		Inside: []string{"mount=tmpfs:/etc EPERM", "mount=proc:/tmp EPERM", "mount=sysfs:/tmp EPERM", "mount=overlay:/etc EPERM", "mount=cgroup2:/tmp EPERM", "mount=devtmpfs:/dev EPERM",
			"mount=debugfs:/tmp EPERM"},
		Calls: []string{"mount"},
	},
	{
		Name: "remount", Family: "namespaces and mounts", Tries: "makes /proc, /dev and the disc writable again", StoppedBy: Seccomp,
		Script: `./intruder remount=/proc remount=/dev remount=/run/ctxagent remount=/var/lib/hepix/context remount=/sys`,
		Inside: []string{"remount=/proc EPERM", "remount=/dev EPERM", "remount=/run/ctxagent EPERM", "remount=/var/lib/hepix/context EPERM", "remount=/sys EPERM"},
		Calls:  []string{"mount"},
	},
	{
		Name: "bind", Family: "namespaces and mounts", Tries: "binds the root elsewhere, and a directory over an allowed one", StoppedBy: Seccomp,
		Script: `./intruder bind=/:/tmp bind=/etc/cron.d:/etc/rsyslog.d make-shared`,
		Inside: []string{"bind=/:/tmp EPERM", "bind=/etc/cron.d:/etc/rsyslog.d EPERM", "make-shared EPERM"}, Calls: []string{"mount"},
	},
	{
		Name: "umount", Family: "namespaces and mounts", Tries: "unmounts what covers the root's own directories", StoppedBy: Seccomp,
		Script: `./intruder umount=/proc umount=/dev umount=/run umount=/`,
		Inside: []string{"umount=/proc EPERM", "umount=/dev EPERM", "umount=/run EPERM", "umount=/ EPERM"}, Calls: []string{"umount2"},
	},
	{
		Name: "new-mount-api", Family: "namespaces and mounts", Tries: "mounts by the newer calls: fsopen, open_tree, move_mount, mount_setattr", StoppedBy: Seccomp,
		Script: `./intruder fsopen fspick open-tree move-mount mount-setattr`,
		Inside: []string{"fsopen EPERM", "fspick EPERM", "open-tree EPERM", "move-mount EPERM", "mount-setattr EPERM"},
		Calls:  []string{"fsopen", "fspick", "open_tree", "move_mount", "mount_setattr"},
	},
	{
		Name: "chroot", Family: "namespaces and mounts", Tries: "leaves the view by chroot and a held directory", StoppedBy: Seccomp,
		Script: `./intruder chroot-escape pivot-root`,
		Inside: []string{"chroot-escape EPERM", "pivot-root EPERM"}, Calls: []string{"pivot_root"}, Noted: []string{"chroot"},
	},
	{
		Name: "unshare", Family: "namespaces and mounts", Tries: "makes namespaces of its own, in which it would have every capability", StoppedBy: Seccomp, Stage: Both,
		Script: `./intruder unshare=user unshare=mount unshare=pid unshare=net unshare=ipc unshare=uts unshare=cgroup unshare=time`,
		Inside: []string{"unshare=user EPERM", "unshare=mount EPERM", "unshare=pid EPERM", "unshare=net EPERM", "unshare=ipc EPERM", "unshare=uts EPERM", "unshare=cgroup EPERM", "unshare=time EPERM"},
		Calls:  []string{"unshare"},
	},
	{
		Name: "clone-flags", Family: "namespaces and mounts", Tries: "makes namespaces by clone, and by clone3 whose flags no filter can read", StoppedBy: Seccomp,
		Script: `./intruder clone=user clone=mount clone=net clone=pid clone3=user clone3=mount`,
		Inside: []string{"clone=user EPERM", "clone=mount EPERM", "clone=net EPERM", "clone=pid EPERM", "clone3=user ENOSYS", "clone3=mount ENOSYS"},
		Calls:  []string{"clone(namespace)"},
	},
	{
		Name: "setns", Family: "namespaces and mounts", Tries: "enters the namespaces of process 1 and of its own", StoppedBy: Seccomp,
		Script: `./intruder open=/proc/1/ns/mnt open=/proc/1/ns/net setns=/proc/self/ns/net setns=/proc/self/ns/user setns-pidfd`,
		Inside: []string{"open=/proc/1/ns/mnt EACCES", "open=/proc/1/ns/net EACCES", "setns=/proc/self/ns/net EPERM", "setns=/proc/self/ns/user EPERM|EINVAL", "setns-pidfd EPERM"},
		Calls:  []string{"setns"},
	},
	{
		Name: "open-by-handle", Family: "namespaces and mounts", Tries: "opens the root's inode by its handle, past every mount", StoppedBy: Seccomp,
		Script: `./intruder name-to-handle open-by-handle=/ open-by-handle=/srv/second`,
		Inside: []string{"name-to-handle EPERM", "open-by-handle=/ EPERM", "open-by-handle=/srv/second EPERM"}, Calls: []string{"open_by_handle_at"}, Noted: []string{"name_to_handle_at"},
	},
	{
		Name: "proc-root", Family: "namespaces and mounts", Tries: "reaches the host's tree through /proc/1/root, cwd, fd and map_files", StoppedBy: Capability,
		Script: `./intruder open=/proc/1/root/etc/passwd open=/proc/1/cwd/etc/passwd open=/proc/1/exe open=/proc/1/fd/3 open=/proc/1/mem open=/proc/1/environ
			say maps $(ls /proc/1/map_files/ 2>/dev/null | wc -l)
			for p in /proc/[0-9]*; do [ ! -e "$p/root/$VICTIM_OUTSIDE" ] || say "$p" host; done`,
		Inside: []string{"open=/proc/1/root/etc/passwd EACCES", "open=/proc/1/cwd/etc/passwd EACCES", "open=/proc/1/exe EACCES", "open=/proc/1/fd/3 EACCES|ENOENT", "open=/proc/1/mem EACCES",
			"open=/proc/1/environ EACCES", "maps 0"},
	},
	{
		Name: "descriptors", Family: "namespaces and mounts", Tries: "looks for a descriptor that the agent forgot, and climbs out of it", StoppedBy: Mount, Stage: Both,
		Script: `./intruder descriptors dotdot`,
		Inside: []string{"descriptors 0,1,2", "dotdot contained"},
	},
	{
		Name: "dotdot-root", Family: "namespaces and mounts", Tries: "climbs out of the root by \"..\" from every mount of the view", StoppedBy: Mount,
		Script: `for d in / /proc /dev /run /tmp /run/ctxagent . /srv/second; do ls "$d/../../../../../../../../../$VICTIM_OUTSIDE" >/dev/null 2>&1 && say "$d" host; done; cd /..; [ "$(stat -c %i /)" = "$(stat -c %i /../..)" ] && say root same`,
		Inside: []string{"root same"},
	},
	{
		Name: "quota-swap", Family: "namespaces and mounts", Tries: "sets quotas and swaps to a file", StoppedBy: Seccomp,
		Script: `dd if=/dev/zero of=/tmp/swap bs=4096 count=16 2>/dev/null; ./intruder quotactl swapon=/tmp/swap swapoff=/tmp/swap`,
		Inside: []string{"quotactl EPERM", "swapon=/tmp/swap EPERM", "swapoff=/tmp/swap EPERM"}, Calls: []string{"quotactl", "swapon", "swapoff"},
	},
}

var proc = []Attack{
	{
		Name: "core-pattern", Family: "proc and sysctl", Tries: "has the kernel run a program of its own when a process crashes", StoppedBy: Mount,
		Script: `./intruder sysctl=kernel/core_pattern sysctl=kernel/modprobe sysctl=kernel/poweroff_cmd sysctl=fs/suid_dumpable`,
		Inside: []string{"sysctl=kernel/core_pattern EROFS", "sysctl=kernel/modprobe EROFS|ENOENT", "sysctl=kernel/poweroff_cmd EROFS|ENOENT", "sysctl=fs/suid_dumpable EROFS"},
	},
	{
		Name: "sysctl-kernel", Family: "proc and sysctl", Tries: "lowers the kernel's defences by /proc/sys", StoppedBy: Mount,
		Script: `./intruder sysctl=kernel/randomize_va_space sysctl=kernel/panic sysctl=kernel/hostname sysctl=vm/overcommit_memory sysctl=fs/protected_symlinks sysctl=kernel/kptr_restrict sysctl=vm/drop_caches`,
		Inside: []string{"sysctl=kernel/randomize_va_space EROFS", "sysctl=kernel/panic EROFS", "sysctl=kernel/hostname EROFS", "sysctl=vm/overcommit_memory EROFS",
			"sysctl=fs/protected_symlinks EROFS", "sysctl=kernel/kptr_restrict EROFS|ENOENT", "sysctl=vm/drop_caches EROFS"},
	},
	{
		Name: "sysctl-net", Family: "proc and sysctl", Tries: "routes packets and opens the network's settings by /proc/sys/net", StoppedBy: Mount, Stage: Both,
		Script: `./intruder sysctl=net/ipv4/ip_forward sysctl=net/core/somaxconn sysctl=net/ipv4/ping_group_range`,
		Inside: []string{"sysctl=net/ipv4/ip_forward EROFS", "sysctl=net/core/somaxconn EROFS", "sysctl=net/ipv4/ping_group_range EROFS"},
	},
	{
		Name: "sysrq", Family: "proc and sysctl", Tries: "pulls the magic SysRq key", StoppedBy: Mount,
		Script: `./intruder sysctl=kernel/sysrq; echo h 2>/dev/null >/proc/sysrq-trigger && [ "$(stat -c %t:%T /proc/sysrq-trigger 2>/dev/null)" != 1:3 ] && say sysrq pulled; :`,
		Inside: []string{"sysctl=kernel/sysrq EROFS|ENOENT"},
	},
	{
		Name: "proc-settings", Family: "proc and sysctl", Tries: "alters processes, interrupts and modules by files of /proc", StoppedBy: Mount,
		Script: `./intruder write=/proc/1/oom_score_adj write=/proc/self/oom_score_adj write=/proc/self/loginuid write=/proc/1/comm write=/proc/irq/default_smp_affinity write=/proc/self/uid_map write=/proc/self/attr/current write=/proc/mtrr`,
		Inside: []string{"write=/proc/1/oom_score_adj EROFS|EACCES", "write=/proc/self/oom_score_adj EROFS", "write=/proc/self/loginuid EROFS|ENOENT", "write=/proc/1/comm EROFS|EACCES",
			"write=/proc/irq/default_smp_affinity EROFS|ENOENT", "write=/proc/self/uid_map EROFS|ENOENT", "write=/proc/self/attr/current EROFS|ENOENT", "write=/proc/mtrr ENOENT|EROFS|EACCES"},
	},
	{
		Name: "sysfs", Family: "proc and sysctl", Tries: "acts on the machine through /sys", StoppedBy: Mount,
		Script: `./intruder write=/sys/power/state write=/sys/kernel/uevent_helper write=/sys/module/kernel/parameters/panic open=/sys/class/zram-control/hot_add open=/sys/firmware/acpi/tables/DSDT write=/sys/devices/system/cpu/cpu1/online
			try cgroup ls /sys/fs/cgroup/.; try debug ls /sys/kernel/debug; try bpf ls /sys/fs/bpf`,
		Inside: []string{"write=/sys/power/state ENOENT", "write=/sys/kernel/uevent_helper ENOENT", "write=/sys/module/kernel/parameters/panic ENOENT", "open=/sys/class/zram-control/hot_add ENOENT",
			"open=/sys/firmware/acpi/tables/DSDT ENOENT", "write=/sys/devices/system/cpu/cpu1/online EROFS|ENOENT", "cgroup no", "debug no", "bpf no"},
	},
	{
		Name: "proc-reads", Family: "proc and sysctl", Tries: "reads the kernel's memory and keys from /proc", StoppedBy: Mount,
		Script: `for f in kcore keys key-users kallsyms kpagecount vmallocinfo slabinfo iomem ioports timer_list config.gz; do head -c 16 /proc/$f 2>/dev/null | grep -q . && say $f readable; done; :`,
	},
	{
		Name: "proc-others", Family: "proc and sysctl", Tries: "lists the host's processes and reads their environment", StoppedBy: Namespace, Stage: Both,
		Script: `n=0; for p in /proc/[0-9]*; do n=$((n+1)); done; [ $n -lt 20 ] && say processes own; [ -e /proc/$VICTIM_PID ] && grep -q victim /proc/$VICTIM_PID/cmdline && say victim seen; :`,
		Inside: []string{"processes own"},
	},
	{
		Name: "core-dump", Family: "proc and sysctl", Tries: "crashes, with a core limit of its own choice, so that the host's crash handler runs", StoppedBy: Limit,
		Script: `ulimit -c 0 2>/dev/null; ulimit -c unlimited 2>/dev/null; ./intruder core-limit; sh -c 'kill -SEGV $$'; cd /tmp; sh -c 'kill -ABRT $$'; set -- /tmp/core* /etc/core*; say cores $#$([ -e "$1" ] && echo yes)`,
		Inside: []string{"core-limit 1", "cores 2"},
	},
	{
		Name: "self-exe", Family: "proc and sysctl", Tries: "overwrites the agent's program through /proc and through its copy in the view", StoppedBy: Mount,
		Script: `./intruder write=/run/ctxagent/agent open-write-exe chmod=/run/ctxagent/agent; try rm rm -f /run/ctxagent/agent; for p in /proc/[0-9]*/exe; do (echo x >"$p") 2>/dev/null && say "$p" written; done; :`,
		Inside: []string{"write=/run/ctxagent/agent EROFS|ETXTBSY", "open-write-exe EROFS|ETXTBSY", "chmod=/run/ctxagent/agent EROFS", "rm no"},
	},
}
