// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/mirror"
	"github.com/ctxagent/ctxagent/internal/sandbox"
)

// A rehearsal without root takes two processes. The first stays an ordinary user,
// serves a mirror of the root (package mirror) and tells what of it could not be
// read. The second is root in a user namespace of its own, has the mirror mounted,
// and does all the rest, as root does it.

// The hidden words by which the second process is started, and goes on once its
// ids have been mapped: a program that is started before has no capability.
const (
	awaitMapping  = "await-mapping"
	checkMirrored = "check-mirrored"
)

const (
	namespaceFD = 3 // of the second process: a SOCK_SEQPACKET socket to the first
	mapped      = "mapped"
	askUnread   = "unread"
	mostPacket  = 64 << 10
)

// foreignQuestion is what the second process asks about changed paths.
type foreignQuestion struct{ Paths []string }

// checkUnprivileged rehearses in a user namespace. If that cannot be made, why says
// so and nothing has been printed.
func checkUnprivileged(ctx context.Context, root string, args []string) (status int, why error) {
	// The second process ends with its parent (dieWithFirst), which is this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ours, theirs, err := packetPair()
	if err != nil {
		return 0, err
	}
	defer ours.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = append([]string{"ctxagent", awaitMapping}, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return 0, forbidden(err)
	}
	ids, err := mapIDs(ctx, cmd.Process.Pid)
	if err == nil {
		err = serveMirror(ours, root, cmd.Process.Pid, ids)
	}
	if err != nil {
		_ = ours.Close() // which ends the other one
		_ = cmd.Wait()
		return 0, err
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func packetPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "namespace"), os.NewFile(uintptr(fds[1]), "namespace"), nil
}

// serveMirror lets the second process go on, and serves it until it ends.
func serveMirror(sock *os.File, root string, pid int, ids uint32) error {
	empty, err := sandbox.Unshown(root)
	if err != nil {
		return err
	}
	o := mirror.Options{Empty: empty, Own: ownThreads(pid), Mapped: func(id uint32) bool { return id < ids }}
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Getuid() {
		o.Owner = st.Uid
	}
	s, err := mirror.New(root, o)
	if err != nil {
		return err
	}
	if err := send(sock, []byte(mapped)); err != nil {
		return err
	}
	buf, oob := make([]byte, mostPacket), make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(int(sock.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 { // it has ended; its status says more
			return nil
		}
		if dev, ok := received(oob[:oobn]); ok {
			go func() { _ = s.Serve(dev) }() // until the file system is gone
			continue
		}
		answer, err := json.Marshal(answerNamespace(s, string(buf[:n])))
		if err == nil {
			err = send(sock, answer)
		}
		if err != nil {
			return err
		}
	}
}

// ownThreads tells whether a thread is one of the second process's, or of a child of
// it, sandbox-init: those of a script are further down.
func ownThreads(pid int) func(uint32) bool {
	return func(thread uint32) bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			if (name == "Tgid" || name == "PPid") && value == strconv.Itoa(pid) {
				return true
			}
		}
		return false
	}
}

// answerNamespace tells what the mirror knows: paths that could not be read, or the
// first of the given ones whose owner is another one than was shown.
func answerNamespace(s *mirror.Server, question string) []string {
	if question == askUnread {
		unread := s.Unread()
		return unread[:fits(unread)]
	}
	var q foreignQuestion
	if json.Unmarshal([]byte(question), &q) != nil {
		return nil
	}
	for _, p := range q.Paths {
		if s.Foreign(p) {
			return []string{p}
		}
	}
	return nil
}

// fits is how many of these paths a packet takes, the first at least: JSON takes up
// to six bytes for one.
func fits(paths []string) int {
	n, size := 0, 0
	for n < len(paths) && (n == 0 || size+6*len(paths[n]) < mostPacket/2) {
		size += 6 * len(paths[n])
		n++
	}
	return n
}

func received(oob []byte) (*os.File, bool) {
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(cmsgs) != 1 {
		return nil, false
	}
	fds, err := unix.ParseUnixRights(&cmsgs[0])
	if err != nil || len(fds) != 1 {
		return nil, false
	}
	return os.NewFile(uintptr(fds[0]), "/dev/fuse"), true
}

func send(sock *os.File, b []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	return os.NewSyscallError("sendmsg", unix.Sendmsg(int(sock.Fd()), b, oob, nil, unix.MSG_NOSIGNAL))
}

// setting is a file in which a system says whether ordinary users may make user
// namespaces, the value that forbids it, and the command that allows it.
var settings = []struct{ file, forbids, command string }{
	{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"},
	{"/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
}

// forbidden says what to type where a user namespace, or a mount in it, is refused.
func forbidden(err error) error {
	for _, s := range settings {
		b, readErr := os.ReadFile(s.file)
		if readErr == nil && strings.TrimSpace(string(b)) == s.forbids {
			return fmt.Errorf("this system forbids user namespaces to ordinary users (%s is %s): type `sudo %s` once, or run this with sudo: %w", s.file, s.forbids, s.command, err)
		}
	}
	return fmt.Errorf("a user namespace cannot be made or used here: run this with sudo: %w", err)
}
