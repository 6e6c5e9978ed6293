// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// entry is everything about one path that a write would alter.
type entry struct {
	fixed string // type, mode, owner, inode, device number, attributes, target, content of a small file
	loose string // size, links, times: a directory's alter with what is made in it
}

// outside is the world around the sandbox at one moment.
type outside struct {
	tree  map[string]entry
	host  map[string]string
	clock time.Duration // real time minus time since boot
}

// look takes a picture of dirs below root, and of the machine.
func look(root string, dirs []string, v *victims) (outside, error) {
	o := outside{tree: map[string]entry{}, host: map[string]string{}}
	for _, d := range dirs {
		if err := walk(root, d, o.tree); err != nil {
			return o, err
		}
	}
	state, err := v.state()
	if err != nil {
		return o, err
	}
	maps.Copy(o.host, state)
	if err := machine(o.host); err != nil {
		return o, err
	}
	var real, boot unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &real), unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)); err != nil {
		return o, err
	}
	o.clock = time.Duration(real.Nano() - boot.Nano())
	return o, nil
}

// volatile directories are the kernel's own, or written by a guest's daemons.
var volatile = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/systemd", "/var/lib/ctxagent"}

func walk(root, dir string, tree map[string]entry) error {
	return filepath.WalkDir(path.Join(root, dir), func(p string, d fs.DirEntry, err error) error {
		rel := "/" + strings.TrimPrefix(strings.TrimPrefix(p, root), "/")
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if slices.Contains(volatile, rel) {
			return fs.SkipDir
		}
		e, err := describe(p)
		tree[rel] = e
		return err
	})
}

// digests keeps the content's digest of an inode that has not changed since.
var (
	digests = map[string][sha256.Size]byte{}
	xattrs  = make([]byte, 1<<16)
)

func describe(p string) (entry, error) {
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		return entry{}, &os.PathError{Op: "lstat", Path: p, Err: err}
	}
	e := entry{
		fixed: fmt.Sprintf("%o %d:%d inode %d device %d", st.Mode, st.Uid, st.Gid, st.Ino, st.Rdev),
		loose: fmt.Sprintf("size %d links %d mtime %d ctime %d", st.Size, st.Nlink, st.Mtim.Nano(), st.Ctim.Nano()),
	}
	if n, err := unix.Llistxattr(p, xattrs); err == nil && n > 0 {
		for name := range strings.SplitSeq(strings.TrimRight(string(xattrs[:n]), "\x00"), "\x00") {
			value := make([]byte, 1<<16)
			n, _ := unix.Lgetxattr(p, name, value)
			e.fixed += fmt.Sprintf(" %s=%x", name, value[:max(n, 0)])
		}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(p)
		if err != nil {
			return e, err
		}
		e.fixed += " to " + target
	case unix.S_IFREG:
		// In a guest the inode's times are enough: its root is large, and slow.
		if st.Size <= 64<<10 && !guestRoot {
			key := fmt.Sprint(st.Dev) + e.fixed + e.loose
			sum, ok := digests[key]
			if !ok {
				b, err := os.ReadFile(p)
				if err != nil {
					return e, err
				}
				sum = sha256.Sum256(b)
				digests[key] = sum
			}
			e.fixed += fmt.Sprintf(" content %x", sum)
		}
	}
	return e, nil
}

// settings are files whose text must stay.
var settings = []string{
	"/proc/self/mountinfo", "/proc/swaps", "/proc/net/route", "/proc/net/fib_trie", "/proc/net/if_inet6", "/proc/net/ipv6_route", "/proc/net/arp",
	"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/core_uses_pid", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/poweroff_cmd", "/proc/sys/kernel/hostname",
	"/proc/sys/kernel/domainname", "/proc/sys/kernel/sysrq", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops", "/proc/sys/kernel/randomize_va_space",
	"/proc/sys/kernel/dmesg_restrict", "/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/modules_disabled", "/proc/sys/kernel/printk", "/proc/sys/kernel/pid_max",
	"/proc/sys/kernel/threads-max", "/proc/sys/kernel/unprivileged_bpf_disabled", "/proc/sys/kernel/yama/ptrace_scope", "/proc/sys/kernel/ctrl-alt-del",
	"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/swappiness", "/proc/sys/vm/mmap_min_addr", "/proc/sys/vm/max_map_count", "/proc/sys/vm/nr_hugepages",
	"/proc/sys/fs/suid_dumpable", "/proc/sys/fs/protected_symlinks", "/proc/sys/fs/protected_hardlinks", "/proc/sys/fs/file-max", "/proc/sys/fs/nr_open",
	"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ping_group_range", "/proc/sys/net/core/somaxconn", "/proc/sys/net/ipv4/ip_unprivileged_port_start",
	"/proc/self/limits", "/proc/self/oom_score_adj", "/proc/self/cgroup", "/proc/irq/default_smp_affinity",
	"/sys/power/state", "/sys/kernel/uevent_helper",
}

// machine describes the machine and this process, the agent.
func machine(host map[string]string) error {
	for _, name := range settings {
		if b, err := os.ReadFile(name); err == nil {
			host[name] = string(b)
		}
	}
	modules, err := os.ReadFile("/proc/modules")
	if err == nil {
		for line := range strings.Lines(string(modules)) {
			name, _, _ := strings.Cut(line, " ")
			host["modules"] += name + " "
		}
	}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"} {
		host[name] = listening(name)
	}
	links, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(links)) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			host["links"] += strings.TrimSpace(name) + " "
		}
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	host["descriptors of the agent"] = fmt.Sprint(len(fds))
	host["processes"] = strings.Join(descendants(), " ")
	host["cgroups"] = strings.Join(cgroups(), " ")
	return nil
}

// listening are the local addresses of sockets in a table of proc(5) that wait
// for others.
func listening(table string) string {
	b, err := os.ReadFile(table)
	if err != nil {
		return ""
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 3 && (f[3] == "0A" || f[3] == "07") {
			out = append(out, f[1])
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// descendants are the processes that this one started, and theirs: orphans come
// to it (PR_SET_CHILD_SUBREAPER).
func descendants() []string {
	parents, names := map[int]int{}, map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(path.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		end := strings.LastIndexByte(string(stat), ')')
		f := strings.Fields(string(stat[end+1:]))
		parents[pid], _ = strconv.Atoi(f[1])
		names[pid] = string(stat[:end+1])
	}
	var out []string
	for pid := range parents {
		for at := pid; at > 1; at = parents[at] {
			if at == os.Getpid() && pid != at {
				out = append(out, names[pid])
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// cgroups are those with this process's number in their names.
func cgroups() []string {
	var out []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), fmt.Sprintf("ctxagent-%d", os.Getpid())) {
			out = append(out, p)
		}
		if d.IsDir() && strings.Count(p, "/") > 8 {
			return fs.SkipDir
		}
		return nil
	})
	return out
}

// differences lists what is not as it was before. Of the paths in applied and of
// the directories that hold them, only what an accepted stage may alter is left out.
func (o outside) differences(before outside, applied []string) []string {
	own, parents := map[string]bool{}, map[string]bool{}
	for _, p := range applied {
		own[p] = true
		for d := path.Dir(p); ; d = path.Dir(d) {
			parents[d] = true
			if d == "/" {
				break
			}
		}
	}
	var out []string
	for p, was := range before.tree {
		is, there := o.tree[p]
		switch {
		case own[p]:
		case !there:
			out = append(out, fmt.Sprintf("%q is gone", p))
		case is.fixed != was.fixed:
			out = append(out, fmt.Sprintf("%q was %s, is %s", p, was.fixed, is.fixed))
		case is.loose != was.loose && !parents[p]:
			out = append(out, fmt.Sprintf("%q was %s, is %s", p, was.loose, is.loose))
		}
	}
	for p := range o.tree {
		if _, there := before.tree[p]; !there && !own[p] {
			out = append(out, fmt.Sprintf("%q is new", p))
		}
	}
	for k, was := range before.host {
		if is := o.host[k]; is != was {
			out = append(out, fmt.Sprintf("%s: was %q, is %q", k, was, is))
		}
	}
	for k, is := range o.host {
		if _, there := before.host[k]; !there {
			out = append(out, fmt.Sprintf("%s: is %q", k, is))
		}
	}
	if d := (o.clock - before.clock).Abs(); d > time.Second {
		out = append(out, fmt.Sprintf("the clock moved by %v", d))
	}
	slices.Sort(out)
	return out
}
