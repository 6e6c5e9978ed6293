// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Call is a system call that the confinement refused to a command of a script.
type Call struct {
	Comm  string // the command, by its own word
	Call  string // "mount", "ioctl(TIOCSTI)", "socket(AF_VSOCK)", "rtnetlink(link)"
	Count int
}

// noted are the refused calls that are no overstep: programs make them in
// passing, and go on without. "socket(" stands for all that begin so. Any other
// refused call was meant to change the machine, and refuses the stage.
var noted = []string{
	"add_key", "keyctl", "request_key", // PAM, for runuser and su
	"adjtimex", "clock_adjtime", // they read the clock's state, too
	"chroot", "fanotify_init", "kcmp", "lookup_dcookie", "name_to_handle_at", "process_madvise", "vhangup",
	"io_uring_enter", "io_uring_register", "io_uring_setup", "perf_event_open", "userfaultfd", // run-time libraries look whether they are there
	"pidfd_send_signal", "prlimit64(other process)", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	"socket(", // libraries look for what the kernel offers
	"syslog",  // dmesg
}

// meant are the words for what a refused call was meant to do, by its beginning.
var meant = []struct{ call, words string }{
	{"mount", "mount a file system"}, {"umount", "unmount a file system"}, {"fs", "mount a file system"}, {"move_mount", "move a mount"}, {"open_tree", "clone a mount"},
	{"pivot_root", "change the root directory"}, {"unshare", "make a namespace"}, {"setns", "enter a namespace"}, {"clone(", "make a namespace"},
	{"quotactl", "set quotas"}, {"swap", "change the swap space"}, {"ptrace", "trace another process"}, {"process_vm", "reach into another process"},
	{"pidfd_getfd", "take another process's descriptor"}, {"kexec", "load another kernel"}, {"init_module", "load a kernel module"},
	{"finit_module", "load a kernel module"}, {"delete_module", "unload a kernel module"}, {"reboot", "reboot the machine"}, {"bpf", "load a BPF program"},
	{"acct", "switch process accounting"}, {"settimeofday", "set the clock"}, {"clock_settime", "set the clock"}, {"sethostname", "set the host name"},
	{"setdomainname", "set the domain name"}, {"open_by_handle_at", "open a file by its handle"}, {"ioctl(TIOC", "type into a terminal"},
	{"ioctl(SIOCBR", "configure a bridge"}, {"ioctl(SIOC", "configure a link"}, {"rtnetlink(link)", "configure a link"},
	{"rtnetlink(address)", "set an address"}, {"rtnetlink(route)", "set a route"}, {"rtnetlink(", "configure the network"},
}

// checkCall refuses a stage whose script tried what only an overstepping one does.
func checkCall(c Call) (Refusal, bool) {
	if slices.ContainsFunc(noted, func(n string) bool {
		return n == c.Call || strings.HasSuffix(n, "(") && strings.HasPrefix(c.Call, n)
	}) {
		return Refusal{}, false
	}
	words := "make a call that is not allowed"
	for _, m := range meant {
		if strings.HasPrefix(c.Call, m.call) {
			words = m.words
			break
		}
	}
	times := "once"
	if c.Count != 1 {
		times = fmt.Sprintf("%d times", c.Count)
	}
	return Refusal{Call: c.Call, Comm: c.Comm, Rule: "call",
		Reason: fmt.Sprintf("%q tried to %s (%s, refused %s): remove that from the script", cmp.Or(c.Comm, "?"), words, c.Call, times)}, true
}
