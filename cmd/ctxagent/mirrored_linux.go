// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/stages"
)

// awaitNamespace waits until this process's ids are mapped, and starts over: only
// then is it root.
func awaitNamespace(args []string) error {
	buf := make([]byte, len(mapped))
	n, err := unix.Read(namespaceFD, buf)
	if err != nil || string(buf[:max(0, n)]) != mapped {
		return &exitError{status: 1} // who started it knows why
	}
	return os.NewSyscallError("execve", syscall.Exec("/proc/self/exe", append([]string{"ctxagent", checkMirrored}, args...), os.Environ()))
}

// checkInNamespace is check in the second process.
func checkInNamespace(ctx context.Context, args []string, stdout io.Writer) (err error) {
	unix.CloseOnExec(namespaceFD)
	if err := dieWithFirst(); err != nil {
		return err
	}
	c, err := parseCheck(args)
	if err != nil {
		return err
	}
	of, err := filepath.Abs(c.root)
	if err == nil {
		of, err = filepath.EvalSymlinks(of)
	}
	if err != nil {
		return &exitError{2, err}
	}
	first := firstProcess{os.NewFile(namespaceFD, "namespace")}
	defer first.sock.Close() // kept until then: it is asked, too
	dir, release, err := mountMirror(first.sock)
	if err != nil {
		c.cannot = forbidden(err)
		return c.against(ctx, c.root, stdout)
	}
	defer func() { err = errors.Join(err, release()) }()
	c.mirror = &stages.Mirror{Of: of, Unread: first.unread, Foreign: first.foreign}
	return c.against(ctx, dir, stdout)
}

// dieWithFirst has the kernel end this process, whatever its script does, when the
// first one is gone. That could not be asked for before: an execve(2) that makes a
// process root undoes it. If the first is gone already, nothing can be sent to it.
func dieWithFirst() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0))
}

// mountMirror mounts what the first process serves, in a tmpfs of this namespace
// that has the rehearsal's other files, too: whatever flags the machine's /tmp has.
func mountMirror(sock *os.File) (dir string, release func() error, err error) {
	top, err := os.MkdirTemp("", "ctxagent-check-")
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(top))
		}
	}()
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("ctxagent", top, "tmpfs", flags, "mode=0700"); err != nil {
		return "", nil, &os.PathError{Op: "mount", Path: top, Err: err}
	}
	release = func() error { return errors.Join(unix.Unmount(top, unix.MNT_DETACH), os.Remove(top)) }
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Unmount(top, unix.MNT_DETACH))
		}
	}()
	dir = filepath.Join(top, "root")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, err
	}
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return "", nil, fmt.Errorf("the rehearsal needs /dev/fuse (`sudo modprobe fuse`): %w", err)
	}
	defer dev.Close()
	options := "fd=" + strconv.Itoa(int(dev.Fd())) + ",rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
	if err := unix.Mount("ctxagent", dir, "fuse", unix.MS_RDONLY|flags, options); err != nil {
		return "", nil, &os.PathError{Op: "mount FUSE on", Path: dir, Err: err}
	}
	return dir, release, errors.Join(os.Setenv("TMPDIR", top), send(sock, []byte("fuse"), int(dev.Fd())))
}

// firstProcess is the one that serves the mirror, as the second one asks it.
type firstProcess struct{ sock *os.File }

func (f firstProcess) unread() ([]string, error) { return f.ask([]byte(askUnread)) }

// foreign asks in packets that a socket takes.
func (f firstProcess) foreign(paths []string) (string, error) {
	for len(paths) > 0 {
		n := fits(paths)
		q, err := json.Marshal(foreignQuestion{paths[:n]})
		if err != nil {
			return "", err
		}
		found, err := f.ask(q)
		if err != nil || len(found) > 0 {
			return strings.Join(found, ""), err
		}
		paths = paths[n:]
	}
	return "", nil
}

func (f firstProcess) ask(question []byte) ([]string, error) {
	if len(question) > mostPacket { // it would arrive cut off, and be answered as no question
		return nil, fmt.Errorf("a path is too long to ask about: %w", unix.ENAMETOOLONG)
	}
	if err := send(f.sock, question); err != nil {
		return nil, err
	}
	buf := make([]byte, mostPacket)
	n, err := f.sock.Read(buf)
	if err != nil {
		return nil, err
	}
	var answer []string
	return answer, json.Unmarshal(buf[:n], &answer)
}
