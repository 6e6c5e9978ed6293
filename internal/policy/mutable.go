// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"path"
	"slices"
)

// ownFiles are ctxagent's files that say what an image may be: no list may say that
// they change.
var ownFiles = []string{"/etc/ctxagent/policy.yaml", "/etc/ctxagent/allowed_signers", "/usr/bin/ctxagent", "/usr/lib/ctxagent/manifest.mtree"}

// validMutable checks one glob of the mutable paths.
func validMutable(glob string) error {
	switch {
	case !path.IsAbs(glob) || path.Clean(glob) != glob || glob == "/":
		return fmt.Errorf("%q is not an absolute, clean path", glob)
	case !validGlob(glob):
		return fmt.Errorf("%q: ** stands only as the last element, and [ ] must be balanced", glob)
	}
	if i := slices.IndexFunc(ownFiles, func(p string) bool { return matchPath(glob, p) }); i >= 0 {
		return fmt.Errorf("%q covers %s: what says what the image may be is never mutable", glob, ownFiles[i])
	}
	return nil
}

// Mutable finds the glob that lets a path change. "dir/**" is what lies below dir;
// dir itself may come where the image has none, and not change.
func Mutable(globs []string, p string, created bool) (glob string, ok bool) {
	i := slices.IndexFunc(globs, func(g string) bool {
		return matchPath(g, p) && (created || path.Base(g) != "**" || !matchPath(path.Dir(g), p))
	})
	if i < 0 {
		return "", false
	}
	return globs[i], true
}
