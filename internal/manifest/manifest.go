// SPDX-License-Identifier: Apache-2.0

// Package manifest says what a tree of files is, in the words of mtree(5), and
// compares a tree with what was said of it. Its input is an open directory, or a
// manifest; its output is a manifest, or the differences in the order of their
// paths. Both go by one entry at a time: memory does not grow with the tree. It
// knows no policy and judges no difference.
//
// # The file
//
// A manifest is one line an entry, with its whole path, in the order of a walk
// that sorts each directory by the bytes of its names:
//
//	#mtree
//	# ctxagent manifest 1
//	# mutable /var/log/**
//	. type=dir mode=0755 uid=0 gid=0
//	./etc/fstab type=file mode=0644 uid=0 gid=0 size=37 sha256digest=5d1e…
//	./etc/mtab type=link uid=0 gid=0 link=../proc/self/mounts
//	./proc type=dir ignore
//	./usr/bin/ping type=file … xattr.security.capability=AQAAAgAgAA…
//	# end: 5 entries
//
// Names and link targets are in vis(3)'s octal encoding. NetBSD's mtree(8),
// libarchive and go-mtree read it. The extended attributes are go-mtree's
// keyword, the only one there is for them; mtree(8) does not know it, and reads the
// file without those words.
package manifest

import "strings"

// The types of an entry, in mtree(5)'s words.
const (
	File      = "file"
	Directory = "dir"
	Symlink   = "link"
	Block     = "block"
	Char      = "char"
	FIFO      = "fifo"
	Socket    = "socket"
)

// Entry is one path of a tree.
type Entry struct {
	Path   string // absolute, inside the tree; "/" is the tree itself
	Type   string
	Mode   uint32 // permission bits, mask 07777; a Symlink has none
	UID    uint32
	GID    uint32
	Size   int64             // of a File
	SHA256 string            // of a File, lower-case hex
	Target string            // of a Symlink
	Device string            // of a Block or Char: "8,1"
	Xattrs map[string]string // extended attributes

	// Ignore tells that nothing but the type is said of it, and nothing of what
	// lies below.
	Ignore bool
	// Mount tells that another file system is mounted here. It is not entered,
	// and what it hides cannot be seen.
	Mount bool
	// Err is why the entry could not be read whole.
	Err error
}

// Header is what a manifest says beside its entries.
type Header struct {
	Mutable []string // globs of paths that may change
	With    []string // mount points whose file systems belong to the tree
}

// before tells whether a comes before b in the order of a manifest: a directory
// before all that is in it, and that before the next name.
func before(a, b string) bool {
	for i := range min(len(a), len(b)) {
		if x, y := a[i], b[i]; x != y {
			return y != '/' && (x == '/' || x < y)
		}
	}
	return len(a) < len(b)
}

// below tells whether p lies in the directory dir.
func below(dir, p string) bool {
	return dir == "/" && p != "/" || strings.HasPrefix(p, dir) && len(p) > len(dir) && p[len(dir)] == '/'
}
