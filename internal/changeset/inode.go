// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// readNames lists a directory by its descriptor, sorted by bytes.
func readNames(dir *os.File) ([]string, error) {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// lstat reads the inode of name in dir, of dir itself for "". A nil dir has
// no names.
func lstat(dir *os.File, name string) (*unix.Stat_t, error) {
	if dir == nil {
		return nil, os.ErrNotExist
	}
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return &st, nil
}

func attrOf(st *unix.Stat_t) policy.Attr {
	return policy.Attr{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid}
}

func typeOf(st *unix.Stat_t) policy.Type {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return policy.File
	case unix.S_IFDIR:
		return policy.Directory
	case unix.S_IFLNK:
		return policy.Symlink
	case unix.S_IFIFO:
		return policy.FIFO
	case unix.S_IFSOCK:
		return policy.Socket
	}
	return policy.Device
}

// whiteout is a character device 0:0: overlayfs's mark of a removed name. A
// script cannot make one: overlayfs answers its mknod with EPERM.
func whiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }

// opaque tells that an upper directory hides the lower one of its name.
func opaque(dir *os.File, userMarks bool) bool {
	name := "trusted.overlay.opaque"
	if userMarks {
		name = "user.overlay.opaque"
	}
	var v [4]byte
	n, err := unix.Fgetxattr(int(dir.Fd()), name, v[:])
	return err == nil && n > 0 && v[0] == 'y'
}

func openDir(dir *os.File, name string) (*os.File, error) {
	return openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
}

// openFile opens a regular file; the caller has seen its type, and O_NONBLOCK
// keeps a mistake from waiting for a FIFO's writer.
func openFile(dir *os.File, name string) (*os.File, error) {
	return openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
}

func openat(dir *os.File, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openBeneath opens a regular file below dir; no element may be a symlink.
func openBeneath(dir *os.File, rel string) (*os.File, error) {
	fd, err := unix.Openat2(int(dir.Fd()), rel, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: rel, Err: err}
	}
	return os.NewFile(uintptr(fd), rel), nil
}

func readlink(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

// digest streams a regular file through SHA-256, and returns its content if that
// is at most keep bytes.
func digest(dir *os.File, name string, keep int64) (sum string, data []byte, err error) {
	f, err := openFile(dir, name)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	h := sha256.New()
	if info.Size() > keep {
		_, err = io.Copy(h, f)
		return hex.EncodeToString(h.Sum(nil)), nil, err
	}
	var content bytes.Buffer
	_, err = io.Copy(io.MultiWriter(h, &content), io.LimitReader(f, keep+1))
	return hex.EncodeToString(h.Sum(nil)), content.Bytes(), err
}

// xattrDifference names the extended attributes that were added, removed or
// altered. Left out are overlayfs's own marks and user.*, which a tmpfs before
// Linux 6.6 cannot keep. An unreadable list counts as a difference. What was
// shown in place of what the root has was shown with the attributes of its
// source.
func xattrDifference(low *before, lower, upper *os.File, name string) ([]string, error) {
	up, err := xattrs(upper, name)
	if err != nil {
		return []string{fmt.Sprintf("unreadable: %v", err)}, nil
	}
	old := map[string]string{}
	switch {
	case low == nil:
	case low.shown == nil || low.kind == policy.Directory:
		if old, err = xattrs(lower, name); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	default:
		for k, v := range low.shown.Xattrs {
			if compared(k) {
				old[k] = v
			}
		}
	}
	if err != nil {
		return nil, err
	}
	var diff []string
	for k, v := range up {
		if was, ok := old[k]; !ok || was != v {
			diff = append(diff, k)
		}
	}
	for k := range old {
		if _, ok := up[k]; !ok {
			diff = append(diff, k)
		}
	}
	slices.Sort(diff)
	return diff, nil
}

func compared(xattr string) bool {
	return !strings.HasPrefix(xattr, "trusted.overlay.") && !strings.HasPrefix(xattr, "user.") && xattr != "security.selinux"
}

func xattrs(dir *os.File, name string) (map[string]string, error) {
	p := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
	buf := make([]byte, 1<<16) // XATTR_LIST_MAX
	n, err := unix.Llistxattr(p, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "listxattr", Path: name, Err: err}
	}
	out := map[string]string{}
	val := make([]byte, 1<<16) // XATTR_SIZE_MAX
	for k := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if k == "" || !compared(k) {
			continue
		}
		m, err := unix.Lgetxattr(p, k, val)
		if err != nil {
			return nil, &os.PathError{Op: "getxattr " + k, Path: name, Err: err}
		}
		out[k] = string(val[:m])
	}
	return out, nil
}
