// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// grace is what a script has between SIGTERM and SIGKILL.
const grace = 2 * time.Second

// What the agent tells sandbox-init later on: whether a cgroup bounds it, which
// it needs to know before it starts the command, and at last to end.
const (
	bounded   = "bounded"
	unbounded = "unbounded"
	terminate = "terminate"
)

// message is what sandbox-init tells the agent, over a SOCK_SEQPACKET socket.
// Descriptors come with the message that names them.
type message struct {
	Error       string   `json:",omitempty"` // set-up came to an end here
	NotFound    bool     `json:",omitempty"`
	Exec        bool     `json:",omitempty"` // it was the command's start that failed
	Layer       string   `json:",omitempty"` // with lower and upper directory
	UserMarks   bool     `json:",omitempty"`
	Control     bool     `json:",omitempty"` // with the shim's listening socket
	Listener    bool     `json:",omitempty"` // with the filter's notification descriptor
	Relay       bool     `json:",omitempty"` // with the loopback's listening socket
	Also        bool     `json:",omitempty"` // the context is at Spec.Also
	Confined    bool     `json:",omitempty"`
	Started     int64    `json:",omitempty"` // when, by monotonic
	Ended       bool     `json:",omitempty"`
	Exit        int      `json:",omitempty"`
	Signal      string   `json:",omitempty"`
	LeftOver    []string `json:",omitempty"`
	receivedFDs []*os.File

	Uncovered *Uncovered `json:",omitempty"`
}

// Run runs the command of spec and returns when no process of it is left: the
// layers are quiet then. The end of ctx kills it. The caller closes the Result.
func Run(ctx context.Context, spec Spec) (_ *Result, err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: it needs root", ErrUnsupported)
	}
	agent, err := os.Executable()
	if err != nil {
		return nil, err
	}
	conf, err := json.Marshal(config{Spec: spec, Agent: agent, Relay: spec.Relay != nil, Hold: spec.Hold != nil})
	if err != nil {
		return nil, err
	}
	// The kernel kills sandbox-init when the thread that made it ends
	// (PR_SET_PDEATHSIG in prctl(2)): this goroutine keeps its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := start()
	if err != nil {
		return nil, fmt.Errorf("%w: start its init: %w", ErrUnsupported, err)
	}
	res := &Result{}
	defer func() {
		if err != nil {
			err = errors.Join(err, res.Close())
		}
	}()
	stop := context.AfterFunc(ctx, p.end)

	var side sync.WaitGroup
	var held error
	alive, over := context.WithCancel(ctx)
	defer over()
	side.Go(func() { held = p.feed(alive, conf, spec.Hold, res) })
	var limits limited
	// To move a process to a cgroup takes the kernel as long as all the rest.
	side.Go(func() { limits = p.limit(spec) })
	side.Go(func() { collect(p.output, res, spec.Line) })
	seen := p.listen(res, func(l *os.File) error { return serveLoopback(alive, &side, l, spec.Relay) })
	waitErr := p.cmd.Wait() // the pid namespace is dead when its init is
	over()
	stop()
	p.waited()
	seen.control.close()
	seen.calls.close()
	side.Wait()
	res.Requests, res.Full, res.Denied, res.Unmapped = seen.control.requests(), full(res.Layers), seen.calls.denied(), slices.Sorted(maps.Keys(seen.calls.unmapped))
	res.NoMemory, res.NoProcess = limits.group.events()
	limits.group.remove()
	res.Unbounded = limits.unbounded
	_ = p.back.Close()
	switch {
	case held != nil && !seen.started: // init, too, ended for want of the release
		return res, held
	case limits.failure != nil && seen.failure == nil && ctx.Err() == nil:
		return res, limits.failure
	}
	return res, conclude(ctx, res, seen, waitErr)
}

// full tells whether the tmpfs of the layers has no block or no inode left.
func full(layers []Layer) bool {
	var st unix.Statfs_t
	return len(layers) > 0 && unix.Fstatfs(int(layers[0].Upper.Fd()), &st) == nil && (st.Bfree == 0 || st.Ffree == 0)
}

// conclude decides what the messages and init's end say together.
func conclude(ctx context.Context, res *Result, seen heard, waitErr error) error {
	switch {
	case seen.failure != nil:
		return seen.failure
	case seen.ended:
		res.TimedOut = ctx.Err() != nil
		return nil
	case ctx.Err() != nil && seen.started:
		res.TimedOut, res.ExitStatus, res.Signal = true, -1, "SIGKILL"
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("set up confinement: %w", context.Cause(ctx))
	case seen.started:
		// The kernel ended init, for want of memory say, and all with it.
		res.ExitStatus, res.Signal = -1, "SIGKILL"
		return nil
	}
	return fmt.Errorf("%w: its init ended early: %v", ErrUnsupported, waitErr)
}

// process is sandbox-init as the agent holds it.
type process struct {
	cmd    *exec.Cmd
	conf   *os.File // written
	output *os.File // read
	back   *os.File

	mu    sync.Mutex
	timer *time.Timer // of the end's second part
	over  bool        // nothing is left to kill
}

// end asks all processes to end, and ends them a moment later.
func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.tell(terminate)
	p.timer = time.AfterFunc(grace, func() { _ = p.cmd.Process.Kill() })
}

// waited notes that the process is gone.
func (p *process) waited() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// tell sends sandbox-init a word; if it is gone, its end says more.
func (p *process) tell(word string) {
	_ = unix.Sendmsg(int(p.back.Fd()), []byte(word), nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
}

// limited is how a process was bounded.
type limited struct {
	group     *cgroup
	unbounded string // why there is no cgroup
	failure   error
}

// limit puts sandbox-init into a cgroup, which it waits for with the command.
func (p *process) limit(spec Spec) limited {
	group, err := newCgroup(spec)
	if err == nil {
		err = group.add(p.cmd.Process.Pid)
	}
	if err != nil && userNamespace() { // what nobody delegated to this user
		group.remove()
		group, err = nil, errNoCgroup
	}
	if errors.Is(err, errNoCgroup) {
		p.tell(unbounded)
		return limited{unbounded: err.Error()}
	}
	if err != nil {
		_ = p.cmd.Process.Kill()
		return limited{group: group, failure: fmt.Errorf("%w: limit its processes and memory: %w", ErrUnsupported, err)}
	}
	p.tell(bounded)
	return limited{group: group}
}

// start clones sandbox-init into its namespaces. All are needed in both stages:
// in the machine's own network namespace a script would reach its abstract
// sockets, its services on localhost and the cloud's metadata address.
func start() (_ *process, err error) {
	var opened []*os.File
	defer func() {
		if err != nil {
			for _, f := range opened {
				_ = f.Close()
			}
		}
	}()
	confR, confW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	opened = append(opened, confR, confW)
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	opened = append(opened, outR, outW)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "sandbox"), os.NewFile(uintptr(fds[1]), "sandbox")
	opened = append(opened, ours, theirs)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"ctxagent", initArg}
	cmd.Env = initEnv()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = outW, outW
	cmd.ExtraFiles = []*os.File{confR, theirs} // descriptors 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for _, f := range []*os.File{confR, outW, theirs} {
		_ = f.Close()
	}
	return &process{cmd: cmd, conf: confW, output: outR, back: ours}, nil
}

// heard is what sandbox-init said.
type heard struct {
	failure        error
	started, ended bool
	control        *control
	calls          *watcher
}

// listen reads messages until the command ended or init is gone.
func (p *process) listen(res *Result, relay func(*os.File) error) heard {
	h := heard{control: &control{}, calls: &watcher{}}
	for {
		m, err := receive(p.back)
		if err != nil {
			return h // closed: Wait tells why
		}
		switch {
		case m.Error != "" && m.NotFound:
			h.failure = fmt.Errorf("%w: it has no %s", ErrNotFound, m.Error)
		case m.Error != "" && m.Exec:
			h.failure = errors.New(m.Error)
		case m.Error != "":
			h.failure = fmt.Errorf("%w: %s", ErrUnsupported, m.Error)
		case m.Layer != "" && len(m.receivedFDs) == 2:
			res.Layers = append(res.Layers, Layer{At: m.Layer, Lower: m.receivedFDs[0], Upper: m.receivedFDs[1], UserMarks: m.UserMarks})
		case m.Control && len(m.receivedFDs) == 1:
			h.control.serve(m.receivedFDs[0])
		case m.Uncovered != nil:
			res.Uncovered = append(res.Uncovered, *m.Uncovered)
		case m.Listener && len(m.receivedFDs) == 1:
			h.calls.watch(m.receivedFDs[0])
		case m.Relay && len(m.receivedFDs) == 1:
			if err := relay(m.receivedFDs[0]); err != nil {
				h.failure = fmt.Errorf("%w: %w", ErrUnsupported, err)
				_ = p.cmd.Process.Kill()
			}
		case m.Also:
			res.Also = true
		case m.Confined:
			res.Confined = time.Now()
		case m.Started != 0:
			now := time.Now()
			h.started, res.Started = true, now.Add(time.Duration(m.Started-monotonic()))
		case m.Ended:
			h.ended = true
			res.ExitStatus, res.Signal, res.LeftOver = m.Exit, m.Signal, m.LeftOver
		}
	}
}

// receive reads one message with its descriptors.
func receive(back *os.File) (message, error) {
	var m message
	buf, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := unix.Recvmsg(int(back.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC)
	// ECONNRESET, once: init is gone and never read our last word. What it said
	// before is still there.
	if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNRESET) {
		return receive(back)
	}
	if err != nil {
		return m, os.NewSyscallError("recvmsg", err)
	}
	if n == 0 {
		return m, io.EOF
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return m, err
	}
	for i := range cmsgs {
		fds, err := unix.ParseUnixRights(&cmsgs[i])
		if err != nil {
			return m, err
		}
		for _, fd := range fds {
			m.receivedFDs = append(m.receivedFDs, os.NewFile(uintptr(fd), "sandbox"))
		}
	}
	return m, json.Unmarshal(buf[:n], &m)
}

// collect reads the output to its end: all writers die with the pid namespace,
// so a daemon that keeps the pipe cannot hold it open.
func collect(r *os.File, res *Result, line func(string)) {
	defer r.Close()
	var tail []byte
	lines := 0
	br := bufio.NewReaderSize(r, 4096)
	for {
		chunk, err := br.ReadSlice('\n')
		if over := len(tail) + len(chunk) - maxOutput; over > 0 {
			res.Lost += int64(over)
			tail = tail[:copy(tail, tail[over:])]
		}
		tail = append(tail, chunk...)
		if len(chunk) > 0 && line != nil && lines < maxLines {
			line(string(trimNewline(chunk)))
			if lines++; lines == maxLines {
				line("(further output is not logged; the receipt has its end)")
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			res.Output = string(tail)
			return
		}
	}
}

func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return b[:n-1]
	}
	return b
}
