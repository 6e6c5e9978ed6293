// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// through finds the first symlink of the image on the way to where c, a symlink,
// leads; "" if there is none. The policy goes by paths, and one that leads
// through another link is not what it says. Links that the context made are no
// matter: each was held to the policy itself.
func (s *scanner) through(layers []Layer, c policy.Change) (string, error) {
	t := c.Target
	if !path.IsAbs(t) {
		t = path.Join(path.Dir(c.Path), t)
	}
	at := "/"
	for name := range strings.SplitSeq(strings.Trim(path.Clean(t), "/"), "/") {
		at = path.Join(at, name)
		v, known := s.shown[at]
		switch {
		case known && v.Own:
			continue
		case known && !v.InPlace && v.State.Type == journal.Symlink:
			return at, nil
		}
		link, err := isLink(layers, at)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return "", nil // the image has nothing there; ELOOP: a link of the context's, above
		}
		if err != nil {
			return "", err
		}
		if link {
			return at, nil
		}
	}
	return "", nil
}

// isLink looks at a path of the image, none of whose directories is a symlink.
func isLink(layers []Layer, at string) (bool, error) {
	var in Layer
	for _, l := range layers {
		if (l.At == "/" || at == l.At || strings.HasPrefix(at, l.At+"/")) && len(l.At) > len(in.At) {
			in = l
		}
	}
	if in.Lower == nil {
		return false, unix.ENOENT
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(at, in.At), "/")
	if rel == "" {
		return false, nil // a mount point
	}
	fd, err := unix.Openat2(int(in.Lower.Fd()), rel, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return false, &os.PathError{Op: "open", Path: at, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, &os.PathError{Op: "stat", Path: at, Err: err}
	}
	return typeOf(&st) == policy.Symlink, nil
}
