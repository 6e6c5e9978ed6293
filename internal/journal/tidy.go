// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// tidy removes every temporary name that is still there, and reports whether
// there was one.
func (t *transaction) tidy() (removed bool, err error) {
	var errs []error
	for _, s := range slices.Backward(t.Steps) {
		flag := 0
		if s.To.Type == Directory {
			flag = unix.AT_REMOVEDIR
		}
		for _, temp := range []struct {
			path string
			flag int
		}{{s.New, flag}, {s.Old, 0}} {
			if temp.path == "" {
				continue
			}
			did, err := t.drop(temp.path, temp.flag)
			if err != nil {
				errs = append(errs, err)
			}
			removed = removed || did
		}
	}
	return removed, errors.Join(errs...)
}

// drop removes a temporary name if it is there.
func (t *transaction) drop(temp string, flag int) (bool, error) {
	dir, name, err := t.at(temp)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := lstat(dir, name); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return true, t.do("remove", temp, func() error { return unix.Unlinkat(int(dir.Fd()), name, flag) })
}
