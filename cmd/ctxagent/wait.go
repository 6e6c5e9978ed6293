// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/stages"
)

// waitForStages blocks until both stages of this boot have left their receipts
// in root, an absolute path. A receipt comes by rename, so that a directory's
// events tell; they are hints, and what is there counts.
func waitForStages(ctx context.Context, root string) error {
	for {
		dir := filepath.Join(root, runDir)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			dir = filepath.Dir(dir)
		}
		events, err := watch(dir) // before the look: nothing falls between
		if err != nil {
			return err
		}
		missing := ""
		for _, stage := range []string{stages.Prolog, stages.Epilog} {
			if _, err := os.Stat(filepath.Join(root, runDir, stage+".json")); errors.Is(err, fs.ErrNotExist) {
				missing = stage
				break
			} else if err != nil {
				return errors.Join(err, events.Close())
			}
		}
		if missing == "" {
			return events.Close()
		}
		stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })
		_, err = events.Read(make([]byte, 4096))
		stop()
		err = errors.Join(err, events.Close())
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the %s: %w", missing, context.Cause(ctx))
		}
		if err != nil {
			return err
		}
	}
}

// watch subscribes to what appears in a directory (inotify(7)).
func watch(dir string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_ONLYDIR); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "watch", Path: dir, Err: err}, f.Close())
	}
	return f, nil
}
