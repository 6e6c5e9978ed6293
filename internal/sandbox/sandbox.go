// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs one command confined as a Spec says. Its input is a root
// directory that the command may look at and write over; its output is the
// command's status, what it printed, what it asked the service manager for, and
// one overlay layer per mount with everything it wrote. The root itself is only
// read. It knows no policy, and there is no way to run with less confinement: a
// kernel that lacks a feature is ErrUnsupported.
//
// The caller's main has to call Main first, for the process that sets up the
// confinement and the stand-in for systemctl are the same binary.
package sandbox

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// ErrUnsupported tells that this kernel or system cannot confine a command.
// Nothing of it was run.
var ErrUnsupported = errors.New("this system cannot confine scripts")

// ErrNotFound tells that none of a Spec's interpreters is in the root.
var ErrNotFound = errors.New("the interpreter is not in this image")

// ContextDir is where the command sees the context disc's content: the path of
// CernVM's amiconfig-hepix, which scripts in the field name.
const ContextDir = "/var/lib/hepix/context"

// Spec says what to run and on what. Every limit has to be set.
type Spec struct {
	Root    string   // absolute path of the root to show, never written
	Mirrors string   // the directory that Root is a mirror of, if it is one: what is mounted there counts
	Work    string   // an empty directory outside of what the command needs; a tmpfs is mounted there, in the sandbox's own namespace
	Context string   // directory that is shown, read-only, at ContextDir
	Also    string   // a directory of the root where it is shown, too, if that is there and empty; "" for none
	Command []string // argv; a name without a slash is looked up in Env's PATH
	// Else are commands to try in turn when the first one is not in the root.
	Else [][]string
	Env  []string
	Show []Entry // laid over the root before the command sees it
	// The deadline is in the context of Run; these bound the rest.
	Bytes     int64 // of everything written, in a tmpfs
	Inodes    int
	Processes int   // tasks, threads among them
	Memory    int64 // of all processes and of what they write
	noCgroup  bool  // as if there were no place for one; for tests
	// Line, if set, is called for each line of output, a bounded number of times.
	Line func(string)
	// Relay, if set, serves a listener at RelayAddr on the loopback of the
	// command's network namespace, which leads nowhere else. Its context ends
	// when no process of the command is left; it returns soon after.
	Relay func(context.Context, net.Listener)
	// Hold, if set, is called at once, while the confinement is being set up.
	// The command is started when both are done, as the Release says; Hold's
	// error ends Run with nothing started. Its context ends when there is nothing
	// left to hold. What is in Context counts from the release on.
	Hold func(context.Context) (Release, error)
}

// Release completes a Spec when its command may start.
type Release struct {
	Command []string // with Else in place of the Spec's, if it is not empty
	Else    [][]string
	Env     []string // beside the Spec's
	Then    func()   // what can wait until the command is under way; nil for nothing
}

// Entry is something that the command sees in place of what the root has. It
// is no change; what the command writes there is one, against the root.
type Entry struct {
	Path   string // absolute
	Kind   Kind
	Mode   uint32
	UID    uint32
	GID    uint32
	Data   []byte // of a ShowFile
	From   string // or the file on the host that has them, and its extended attributes
	Target string // of a ShowSymlink
}

// Kind is what an Entry shows.
type Kind string

// The kinds of entries. ShowDirectory makes a directory if the root has none;
// ShowAttributes makes one, or gives mode and owner to the root's. ShowEmpty shows a
// file, a directory or nothing as empty if the root has it: for secrets that no
// script needs. ShowAbsent hides what the root has. What is
// mounted below a ShowEmpty is not shown; a write there is one to the file system
// around it.
const (
	ShowFile       Kind = "file"
	ShowDirectory  Kind = "directory"
	ShowAttributes Kind = "attributes"
	ShowSymlink    Kind = "symlink"
	ShowEmpty      Kind = "empty"
	ShowAbsent     Kind = "absent"
)

const (
	maxOutput = 64 << 10 // bytes of a command's output that are kept, the last ones
	maxLines  = 2000     // lines of a command's output that reach Spec.Line
)

// Result is what became of a command.
type Result struct {
	ExitStatus int    // 0…255; -1 if it was ended by a signal
	Signal     string // "SIGKILL" and the like
	TimedOut   bool   // the context ended first: SIGTERM to all, and SIGKILL after a moment
	Output     string // the end of stdout and stderr, 64 KiB at most
	Lost       int64  // bytes of output before those
	Requests   []Request
	Full       bool     // no room was left for writes: a file may be cut off
	LeftOver   []string // commands that still ran when the main one ended
	Uncovered  []Uncovered
	Denied     []Denied // system calls that were refused, by command and call
	NoMemory   int      // how often Spec.Memory ran out, and ended a process
	NoProcess  int      // how often Spec.Processes kept one from starting
	Also       bool     // the context was shown at Spec.Also
	Unbounded  string   // why Spec.Processes and Spec.Memory hold for each process alone; "" if they hold for all
	Unmapped   []string // what ids the command wanted to give or take that this user namespace has not
	Layers     []Layer
	Confined   time.Time // when the confinement stood
	Released   time.Time // when Hold had returned; zero without Hold
	Started    time.Time // when the command was started, not its confinement
}

// Request is one call of systemctl, service or the like inside.
type Request struct {
	Verb string
	Unit string
}

// Uncovered is a mount of the root that no overlay covers: the command could
// change nothing there.
type Uncovered struct {
	At     string // mount point inside the root
	Empty  bool   // shown as an empty directory or file; otherwise as it is, read-only
	Reason string
}

// Denied is a system call that was refused to a command, Count times.
type Denied struct {
	Comm  string // the process's own name for itself, 15 bytes at most: comm in proc(5)
	Call  string // "mount", "ioctl(TIOCSTI)", "socket(AF_VSOCK)", "rtnetlink(link)"
	Count int
}

// Layer is one mount of the root with what was written over it. The caller
// closes the Result.
type Layer struct {
	At           string // mount point inside the root
	Lower, Upper *os.File
	// UserMarks says that overlayfs's marks are user.overlay.*, as in a user namespace.
	UserMarks bool
}

// Close lets go of the layers, and with them of all memory they hold.
func (r *Result) Close() error {
	var errs []error
	for _, l := range r.Layers {
		errs = append(errs, l.Lower.Close(), l.Upper.Close())
	}
	r.Layers = nil
	return errors.Join(errs...)
}
