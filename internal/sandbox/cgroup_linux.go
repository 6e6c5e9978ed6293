// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// cgroup bounds the tasks and the memory of all of a command's processes
// together, which no rlimit does for uid 0. A nil one bounds nothing. It is below the agent's own, which
// the unit delegates (Delegate= in systemd.resource-control(5)), so that what
// ends a greedy script cannot end the agent.
type cgroup struct {
	dirs    []string // one; with cgroup v1 one for each controller
	pids    string
	memory  string
	unified bool // version 2, Documentation/admin-guide/cgroup-v2.rst
}

const (
	cgroupPrefix = "ctxagent-"      // and the agent's pid
	cgroupAgent  = "ctxagent.agent" // where the agent itself moves to
	ownTasks     = 16               // threads of sandbox-init, which count
)

// errNoCgroup tells that there is no place for a cgroup with both controllers.
var errNoCgroup = errors.New("no cgroup with the pids and memory controllers can be made here")

// newCgroup makes the command's cgroup.
func newCgroup(s Spec) (_ *cgroup, err error) {
	if s.noCgroup || without("cgroup") {
		return nil, errNoCgroup
	}
	places, err := cgroupPlaces()
	if err != nil {
		return nil, err
	}
	c := &cgroup{}
	defer func() {
		if err != nil {
			c.remove()
		}
	}()
	if base, ok := places[""]; ok && hasControllers(base, "cgroup.controllers") {
		if base, ok = delegated(base); ok {
			return c, c.setUnified(base, s.Processes, s.Memory)
		}
	}
	pids, ok1 := places["pids"]
	mem, ok2 := places["memory"]
	if !ok1 || !ok2 {
		return nil, errNoCgroup
	}
	return c, c.setSplit(pids, mem, s.Processes, s.Memory)
}

// cgroupPlaces are the directories of the agent's own cgroups by controller; ""
// is version 2 (cgroups(7), /proc/[pid]/cgroup).
func cgroupPlaces() (map[string]string, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, err
	}
	places := map[string]string{}
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(f[1], ",") {
			for _, m := range mounts {
				if (m.FSType == "cgroup2") != (controller == "") || controller != "" && !slices.Contains(strings.Split(m.VFSOptions, ","), controller) {
					continue
				}
				if rel, err := filepath.Rel(m.Root, f[2]); err == nil && !strings.HasPrefix(rel, "..") {
					places[controller] = path.Join(m.Mountpoint, rel)
				}
			}
		}
	}
	return places, nil
}

// hasControllers tells whether one of a cgroup's lists has both.
func hasControllers(dir, list string) bool {
	b, err := os.ReadFile(path.Join(dir, list))
	words := strings.Fields(string(b))
	return err == nil && slices.Contains(words, "pids") && slices.Contains(words, "memory")
}

// delegated makes base a cgroup that can have limited children, and where other
// processes live in it (a login session, say) takes the nearest one above.
func delegated(base string) (string, bool) {
	if path.Base(base) == cgroupAgent {
		base = path.Dir(base) // moved by an earlier run of this process
	}
	if hasControllers(base, "cgroup.subtree_control") || enable(base) {
		return base, true
	}
	for dir := path.Dir(base); dir != "/"; dir = path.Dir(dir) {
		if hasControllers(dir, "cgroup.subtree_control") {
			return dir, true
		}
	}
	return "", false
}

// enable gives base's children the controllers. A cgroup with processes of its
// own cannot do that: the agent moves out of the way, into a child.
func enable(base string) bool {
	leaf := path.Join(base, cgroupAgent)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return false
	}
	if write(leaf, "cgroup.procs", strconv.Itoa(os.Getpid())) == nil && write(base, "cgroup.subtree_control", "+pids +memory") == nil {
		return true
	}
	_ = write(base, "cgroup.procs", strconv.Itoa(os.Getpid()))
	_ = os.Remove(leaf)
	return false
}

func (c *cgroup) setUnified(base string, processes int, memory int64) error {
	dir, err := c.mkdir(base)
	if err != nil {
		return err
	}
	c.pids, c.memory, c.unified = dir, dir, true
	if _, err := os.Stat(path.Join(dir, "memory.swap.max")); err == nil {
		if err := write(dir, "memory.swap.max", "0"); err != nil {
			return err
		}
	}
	return errors.Join(write(dir, "pids.max", strconv.Itoa(processes+ownTasks)),
		write(dir, "memory.max", strconv.FormatInt(memory, 10)),
		write(dir, "memory.oom.group", "1")) // half a script is of no use
}

func (c *cgroup) setSplit(pids, mem string, processes int, memory int64) error {
	var err error
	if c.pids, err = c.mkdir(pids); err != nil {
		return err
	}
	if c.memory, err = c.mkdir(mem); err != nil {
		return err
	}
	limit := strconv.FormatInt(memory, 10)
	err = errors.Join(write(c.pids, "pids.max", strconv.Itoa(processes+ownTasks)), write(c.memory, "memory.limit_in_bytes", limit))
	if _, statErr := os.Stat(path.Join(c.memory, "memory.memsw.limit_in_bytes")); statErr == nil {
		err = errors.Join(err, write(c.memory, "memory.memsw.limit_in_bytes", limit)) // with swap
	}
	return err
}

// mkdir makes the cgroup in base, and sweeps away those of agents that were killed.
func (c *cgroup) mkdir(base string) (string, error) {
	stale, _ := filepath.Glob(path.Join(base, cgroupPrefix+"*")) // the pattern is a good one
	for _, dir := range stale {
		number, _, _ := strings.Cut(strings.TrimPrefix(path.Base(dir), cgroupPrefix), ".")
		pid, err := strconv.Atoi(number)
		if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = os.Remove(dir)
		}
	}
	dir := path.Join(base, cgroupPrefix+strconv.Itoa(os.Getpid()))
	err := os.Mkdir(dir, 0o755)
	for n := 1; errors.Is(err, os.ErrExist) && n < 100; n++ { // another stage of this process
		dir = path.Join(base, fmt.Sprintf("%s%d.%d", cgroupPrefix, os.Getpid(), n))
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		c.dirs = append(c.dirs, dir)
	}
	return dir, err
}

// add puts a process into the cgroup; its children will be born there.
func (c *cgroup) add(pid int) error {
	if c == nil {
		return nil
	}
	for _, dir := range c.dirs {
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// events tells how often memory ran out and how often a process was refused.
func (c *cgroup) events() (oom, forks int) {
	if c == nil {
		return 0, 0
	}
	file := "memory.oom_control"
	if c.unified {
		file = "memory.events"
	}
	return counter(path.Join(c.memory, file), "oom_kill"), counter(path.Join(c.pids, "pids.events"), "max")
}

// counter reads one "name number" line.
func counter(file, name string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == name {
			n, _ := strconv.Atoi(value)
			return n
		}
	}
	return 0
}

// remove removes the cgroup, whose processes are dead. The last of them may be
// on its way out of it for a moment; what stays is swept by the next run.
func (c *cgroup) remove() {
	if c == nil {
		return
	}
	for _, dir := range c.dirs {
		for range 1000 {
			if err := os.Remove(dir); !errors.Is(err, unix.EBUSY) {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	c.dirs = nil
}

// write is for files of the kernel: no creation, one write.
func write(dir, name, value string) error {
	f, err := os.OpenFile(path.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
