// SPDX-License-Identifier: Apache-2.0

package attacks

// $VICTIM_DISK is "MAJOR MINOR" of a disk outside, /etc/victim.fifo and the like
// lie in the root. See victims_test.go.
var devices = []Attack{
	{
		Name: "mknod-disk", Family: "devices", Tries: "makes a node for a disk and writes to it", StoppedBy: Capability,
		Script: `for d in /tmp /dev /etc /run; do try "$d" mknod $d/disk b $VICTIM_DISK; done
			for d in /tmp /dev /etc /run; do echo OVERWRITTEN 2>/dev/null >$d/disk; rm -f $d/disk; done`,
		Inside: []string{"/tmp no", "/dev no", "/etc no", "/run no"},
	},
	{
		Name: "mknod-mem", Family: "devices", Tries: "makes nodes for /dev/mem, /dev/kmsg, /dev/port and a console", StoppedBy: Capability,
		Script: `try mem mknod /tmp/mem c 1 1; try port mknod /tmp/port c 1 4; try kmsg mknod /tmp/kmsg c 1 11; try console mknod /tmp/console c 5 1; try tty1 mknod /tmp/tty1 c 4 1
			echo "$MARK" 2>/dev/null >/tmp/kmsg; :`,
		Inside: []string{"mem no", "port no", "kmsg no", "console no", "tty1 no"},
	},
	{
		Name: "host-nodes", Family: "devices", Tries: "opens the host's own device nodes by their names", StoppedBy: Mount,
		Script: `./intruder open=/dev/mem open=/dev/kmsg open=/dev/port open=/dev/vda open=/dev/loop-control open=/dev/fuse open=/dev/kvm open=/dev/vsock open=/dev/net/tun open=/dev/tty1 open=/dev/console open=/dev/mapper/control`,
		Inside: []string{"open=/dev/mem ENOENT", "open=/dev/kmsg ENOENT", "open=/dev/port ENOENT", "open=/dev/vda ENOENT", "open=/dev/loop-control ENOENT", "open=/dev/fuse ENOENT",
			"open=/dev/kvm ENOENT", "open=/dev/vsock ENOENT", "open=/dev/net/tun ENOENT", "open=/dev/tty1 ENOENT", "open=/dev/console ENOENT", "open=/dev/mapper/control ENOENT"},
	},
	{
		Name: "node-in-change", Family: "devices", Tries: "leaves a device node in an allowed directory", StoppedBy: Capability,
		Script: `try null mknod /opt/condor/null c 1 3; try disk mknod /opt/condor/disk b $VICTIM_DISK`,
		Inside: []string{"null no", "disk no"},
	},
	{
		Name: "chmod-null", Family: "devices", Tries: "changes mode and owner of /dev/null, and of the file behind standard input", StoppedBy: Mount,
		Script: `./intruder chmod=/dev/null chown=/dev/null fchmod=0 utimes=/dev/zero`,
		Inside: []string{"chmod=/dev/null EROFS", "chown=/dev/null EROFS", "fchmod=0 EROFS", "utimes=/dev/zero EROFS"},
	},
	{
		Name: "replace-null", Family: "devices", Tries: "replaces /dev/null by a file, and mounts something over it", StoppedBy: Mount,
		Script: `try rm rm -f /dev/null; try mv mv /dev/zero /dev/null; try new touch /dev/new; ./intruder bind=/etc/passwd:/dev/null`,
		Inside: []string{"rm no", "mv no", "new no", "bind=/etc/passwd:/dev/null EPERM"}, Calls: []string{"mount"},
	},
	{
		Name: "tiocsti", Family: "devices", Tries: "types a command into a terminal, and into its own controlling one", StoppedBy: Seccomp,
		Script: `./intruder tiocsti tiocsti-high tioclinux`,
		Inside: []string{"tiocsti EPERM", "tiocsti-high EPERM", "tioclinux EPERM"}, Calls: []string{"ioctl(TIOCSTI)", "ioctl(TIOCLINUX)"},
	},
	{
		Name: "kernel-log", Family: "devices", Tries: "reads and clears the kernel's log", StoppedBy: Seccomp,
		Script: `./intruder syslog-read open=/proc/kmsg write=/dev/kmsg; grep -q . /proc/kmsg && say kmsg readable; :`,
		Inside: []string{"syslog-read EPERM", "open=/proc/kmsg EACCES|ENXIO|EPERM|EROFS", "write=/dev/kmsg ENOENT"}, Noted: []string{"syslog"},
	},
	{
		Name: "ptmx", Family: "devices", Tries: "opens the host's pseudo-terminals", StoppedBy: Mount,
		Script: `for p in 0 1 2 3 4 5; do [ ! -e /dev/pts/$p ] || say pts/$p there; done; say list "$(ls /dev/pts)"`,
		Inside: []string{"list ptmx"},
	},
	{
		Name: "usermode-disk-ioctl", Family: "devices", Tries: "reads the disk behind the root by its name in /sys and /proc", StoppedBy: Mount,
		Script: `try sysblock ls /sys/block/; try sysdev ls /sys/dev/block/; try scsi ls /proc/scsi/sg; try class ls /sys/class/`,
		Inside: []string{"sysblock no", "sysdev no", "scsi no", "class no"},
	},
}
