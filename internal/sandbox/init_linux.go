// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// initArg is the one argument of a process that is sandbox-init.
const initArg = "sandbox-init"

// Descriptors that the agent leaves to sandbox-init. The socket moves up, to
// where the filter knows it and commands seldom have one of their own; not
// beyond 63, for a larger table takes the kernel milliseconds to make.
const (
	configFD = 3
	givenFD  = 4
	backFD   = 63
)

// Main does the work of this binary where it is not the agent: as sandbox-init,
// or inside a sandbox under the name of systemctl and its like. It reports false
// where it is the agent.
func Main(args []string, stderr io.Writer) (status int, done bool) {
	if len(args) == 0 {
		return 0, false
	}
	name := path.Base(args[0])
	if _, ok := shims[name]; ok {
		return shim(name, args[1:], stderr), true
	}
	if len(args) == 2 && args[1] == initArg && os.Getpid() == 1 {
		return initMain(), true
	}
	return 0, false
}

// initMain sets up the confinement, runs the command in it, and returns when
// that has ended; the kernel then kills what it left behind.
func initMain() int {
	if err := unix.Dup3(givenFD, backFD, unix.O_CLOEXEC); err != nil {
		return 1 // nobody to tell
	}
	_ = unix.Close(givenFD)
	in := &inside{back: backFD}
	if err := in.run(); errors.Is(err, errAsked) {
		return 1 // it knows why
	} else if err != nil {
		in.send(message{Error: err.Error(), NotFound: errors.Is(err, ErrNotFound), Exec: errors.Is(err, errExec)})
		return 1
	}
	return 0
}

// errAsked tells that the agent asked to end before the command was started.
var errAsked = errors.New("asked to end")

// errExec tells that confinement stands and the command alone is at fault.
var errExec = errors.New("start the command")

// inside is sandbox-init's state from one step to the next.
type inside struct {
	conf   config
	config io.Reader // what else the agent has to say
	back   int       // the socket to the agent
	mounts []mount   // the root's, as they were found
	view   string    // where the command's root is put together
	argv   []string
	exe    string

	rlimits bool // there is no cgroup: they take its place, as far as they reach
}

// run is the order of confinement. Each step stands where it does for a reason;
// the first error ends it, and nothing of the command has run by then.
func (in *inside) run() error {
	if err := surviveSignals(); err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"read the configuration", in.readConfig}, // nothing before it: the agent has us in place
		{"open the loopback", in.openLoopback},    // with the capabilities for it
		{"list mounts", in.listMounts},            // before the first one of ours
		{"detach mount propagation", makePrivate}, // or the host would see all that follows
		{"mount the workspace", in.mountWorkspace},
		{"cover the root", in.coverMounts},
		{"mount kernel file systems", in.mountKernel}, // over the root's own empty ones
		{"mount private directories", in.mountPrivate},
		{"show the context", in.showContext},
		{"show the shims", in.showShims}, // in the private /run
		{"enter the view", in.pivot},     // last of all mounts: the host's tree is gone after it
		{"find the command", in.findCommand},
		{"close the way out", in.closeDescriptors},
		{"wait for the cgroup", in.awaitCgroup}, // it was made meanwhile
		{"limit resources", in.limitResources},
		{"hide from ptrace", notDumpable},
		{"stock threads", stockThreads},    // before what has to hold for each of them
		{"keep to one thread", keepThread}, // the bounding set and Landlock hold for a thread alone
		{"drop capabilities", dropCapabilities},
		{"set no_new_privs", noNewPrivs}, // Landlock and seccomp(2) ask for it without CAP_SYS_ADMIN
		{"restrict by Landlock", in.restrictPaths},
		{"filter system calls", in.filterCalls},   // last but one: the steps above use calls that it denies
		{"wait for the release", in.awaitRelease}, // all of the above is done while the agent waits
	} {
		if err := s.do(); errors.Is(err, ErrNotFound) {
			return err // no fault of the step
		} else if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return in.command()
}

func (in *inside) send(m message, fds ...int) {
	b, err := json.Marshal(m)
	if err != nil {
		return
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	// If the agent is gone there is nobody to tell: its death kills us.
	_ = unix.Sendmsg(in.back, b, oob, nil, unix.MSG_NOSIGNAL)
}

func (in *inside) readConfig() error {
	unix.CloseOnExec(configFD)
	f := os.NewFile(configFD, "configuration")
	dec := json.NewDecoder(f)
	if err := dec.Decode(&in.conf); err != nil {
		return err
	}
	in.config = io.MultiReader(dec.Buffered(), f)
	s := &in.conf.Spec
	for _, p := range []string{s.Root, s.Work, in.conf.Agent} {
		if !path.IsAbs(p) {
			return fmt.Errorf("%q is not absolute", p)
		}
	}
	if len(s.Command) == 0 && !in.conf.Hold || s.Bytes <= 0 || s.Inodes <= 0 || s.Processes <= 0 || s.Memory <= 0 {
		return errors.New("the command or a limit is missing")
	}
	syscall.Umask(0)
	in.view = "view"
	return nil
}

// findCommand takes the first command whose program is in the view; one that is
// not known yet comes with the release.
func (in *inside) findCommand() error {
	if len(in.conf.Spec.Command) == 0 {
		return nil
	}
	var tried []string
	for _, argv := range append([][]string{in.conf.Spec.Command}, in.conf.Spec.Else...) {
		if exe, ok := lookPath(argv[0], in.conf.Spec.Env); ok {
			in.argv, in.exe = argv, exe
			return nil
		}
		tried = append(tried, strconv.Quote(argv[0]))
	}
	return &notFound{strings.Join(tried, " nor ")}
}

// notFound names what was looked for; it is an ErrNotFound.
type notFound struct{ names string }

func (e *notFound) Error() string        { return e.names }
func (e *notFound) Is(target error) bool { return target == ErrNotFound }

func lookPath(name string, env []string) (string, bool) {
	executable := func(p string) bool {
		info, err := os.Stat(p)
		return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
	}
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	for _, e := range env {
		if dirs, ok := strings.CutPrefix(e, "PATH="); ok {
			for _, d := range filepath.SplitList(dirs) {
				if p := path.Join(d, name); path.IsAbs(p) && executable(p) {
					return p, true
				}
			}
		}
	}
	return "", false
}

// closeDescriptors leaves the command nothing of ours but its output pipe: a
// descriptor on the host's tree would be a way out (reopened through /proc).
func (in *inside) closeDescriptors() error {
	null, err := os.Open("/dev/null") // the view's own
	if err != nil {
		return err
	}
	if err := unix.Dup3(int(null.Fd()), 0, 0); err != nil {
		return os.NewSyscallError("dup3", err)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// command starts the command and waits for it, reaping what it orphans.
func (in *inside) command() error {
	if len(in.argv) == 0 {
		return fmt.Errorf("%w: the release has none", errExec)
	}
	syscall.Umask(0o022)
	pid, err := in.start(in.exe)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOEXEC) {
		return &notFound{fmt.Sprintf("%q (%v)", in.exe, err)}
	}
	if err != nil { // an environment that is too long, say
		return fmt.Errorf("%w: %q: %w", errExec, in.exe, err)
	}
	in.send(message{Started: monotonic()})
	go in.obey()
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("wait4", err)
		}
		if got != pid {
			continue
		}
		end := message{Ended: true, Exit: ws.ExitStatus(), LeftOver: leftOver()}
		if ws.Signaled() {
			end.Exit, end.Signal = -1, unix.SignalName(ws.Signal())
		}
		in.send(end)
		return nil
	}
}

func (in *inside) start(exe string) (pid int, err error) {
	return syscall.ForkExec(exe, in.argv, &syscall.ProcAttr{
		Dir:   ContextDir,
		Env:   in.conf.Spec.Env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// hear waits for a word of the agent's; none means that it is gone.
func (in *inside) hear() string {
	buf := make([]byte, 32)
	for {
		n, _, err := unix.Recvfrom(in.back, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return string(buf[:max(0, n)])
	}
}

func (in *inside) awaitCgroup() error {
	word := in.hear()
	in.rlimits = word == unbounded
	if word != bounded && word != unbounded {
		return errAsked
	}
	return nil
}

// obey asks every process but this one to end when the agent says so (kill(2)
// with -1 spares pid 1 of a namespace).
func (in *inside) obey() {
	if in.hear() == terminate {
		_ = unix.Kill(-1, unix.SIGTERM)
	}
}

// leftOver names the processes that outlive the command by a moment.
func leftOver() []string {
	entries, err := os.ReadDir("/proc")
	if err != nil { // a script can lower our limits (prlimit(2))
		return []string{"unknown: " + err.Error()}
	}
	var names []string
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err != nil || pid == 1 {
			continue
		}
		stat, err := os.ReadFile(path.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		open, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
		if zombie := end > 0 && strings.HasPrefix(string(stat[end:]), ") Z"); open > 0 && end > open && !zombie && len(names) < 50 {
			names = append(names, strconv.QuoteToGraphic(string(stat[open+1:end])))
		}
	}
	slices.Sort(names)
	return names
}

// monotonic is the time by the clock that agent and init share, in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail for this clock: clock_gettime(2)
	return ts.Nano()
}
