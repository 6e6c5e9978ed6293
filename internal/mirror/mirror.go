// SPDX-License-Identifier: Apache-2.0

// Package mirror serves a directory of this machine, read-only, as a FUSE file
// system whose owners are those that a user namespace has. For the kernel itself,
// every file of root belongs to nobody in a namespace that an ordinary user made,
// and nobody can write over it there, not even on an overlay.
//
// Its input is a directory and the requests of a kernel; it needs no privilege,
// and keeps on record what its own user may not read. Sockets, FIFOs and devices
// are names alone: none is the machine's own. It mounts nothing.
//
// The protocol is that of the kernel's include/uapi/linux/fuse.h, version 7.31.
package mirror

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Options say how a directory is shown.
type Options struct {
	// Empty are paths that are shown as empty directories or files, and never
	// looked at: a look at a mount of another machine can hang.
	Empty []string
	// Own tells whether a thread is of whoever mounts the mirror: what that may not
	// read is told to it at once, and is not kept on record.
	Own func(thread uint32) bool
	// Mapped tells whether the namespace has an id. What belongs to another one is
	// shown as root's.
	Mapped func(id uint32) bool
	// Owner, if it is not 0, is the user whose files are root's: who unpacked an
	// image without being root.
	Owner uint32
}

// Server serves one directory. Its methods may be called while it serves.
type Server struct {
	root  int // an O_PATH descriptor
	o     Options
	nodes nodes
	files map[uint64]*os.File
	next  uint64

	asks uint32 // the thread that asks now

	mu     sync.Mutex
	unread map[string]bool // what this user may not read, and the kernel asked for
}

// New opens a directory to be served.
func New(dir string, o Options) (*Server, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return &Server{
		root: fd, o: o, nodes: nodes{paths: map[uint64]*node{rootNode: {path: "."}}, ids: map[string]uint64{".": rootNode}, last: rootNode},
		files: map[uint64]*os.File{}, unread: map[string]bool{},
	}, nil
}

// Close lets go of the directory, when nothing is served any more.
func (s *Server) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(append(errs, unix.Close(s.root))...)
}

// Unread lists the paths that were asked for and that this user may not read.
func (s *Server) Unread() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for p := range s.unread {
		out = append(out, path.Join("/", p))
	}
	slices.Sort(out)
	return out
}

// mostNoted bounds what is kept on record: a script can ask for any number of names.
const mostNoted = 10_000

func (s *Server) note(rel string) {
	if s.o.Own(s.asks) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unread) < mostNoted {
		s.unread[rel] = true
	}
}

// Foreign tells whether a path, absolute in the served directory, is shown with
// another owner than it has.
func (s *Server) Foreign(p string) bool {
	rel := path.Clean(strings.TrimPrefix(p, "/"))
	dir, err := s.beneath(path.Dir(rel), unix.O_PATH)
	if err != nil {
		return false
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	err = unix.Fstatat(dir, path.Base(rel), &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && (s.uid(st.Uid) != st.Uid && st.Uid != s.o.Owner || s.gid(st.Gid) != st.Gid && s.o.Owner == 0)
}

// empty tells whether a path is shown empty.
func (s *Server) empty(rel string) bool { return slices.Contains(s.o.Empty, path.Join("/", rel)) }

// open opens a path beneath the directory, with no symlink on the way.
func (s *Server) open(rel string, flags uint64) (int, error) {
	fd, err := s.beneath(rel, flags)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		s.note(rel)
	}
	return fd, err
}

func (s *Server) beneath(rel string, flags uint64) (int, error) {
	return unix.Openat2(s.root, rel, &unix.OpenHow{
		Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
}

// attr is struct fuse_attr of a path.
func (s *Server) attr(rel string) (attr, error) {
	if s.empty(rel) {
		return s.emptyAttr(rel)
	}
	st, err := s.stat(rel)
	if err != nil {
		return attr{}, err
	}
	a := attr{
		Size: uint64(st.Size), Blocks: uint64(st.Blocks), Mode: st.Mode, Nlink: uint32(st.Nlink), RDev: uint32(st.Rdev), BlkSize: uint32(st.Blksize),
		Atime: uint64(st.Atim.Sec), Mtime: uint64(st.Mtim.Sec), Ctime: uint64(st.Ctim.Sec),
		AtimeNsec: uint32(st.Atim.Nsec), MtimeNsec: uint32(st.Mtim.Nsec), CtimeNsec: uint32(st.Ctim.Nsec),
	}
	a.UID, a.GID = s.uid(st.Uid), s.gid(st.Gid)
	return a, nil
}

func (s *Server) stat(rel string) (st unix.Stat_t, err error) {
	dir, err := s.open(path.Dir(rel), unix.O_PATH)
	if err != nil {
		return st, err
	}
	defer unix.Close(dir)
	err = unix.Fstatat(dir, path.Base(rel), &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EACCES) {
		s.note(rel)
	}
	return st, err
}

// emptyAttr is that of a path that must not be looked at: what kind it is, the
// directory around it tells.
func (s *Server) emptyAttr(rel string) (attr, error) {
	fd, err := s.open(path.Dir(rel), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return attr{}, err
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	entries, err := f.ReadDir(-1) // by getdents(2): no entry is looked at
	if err != nil {
		return attr{}, err
	}
	i := slices.IndexFunc(entries, func(e os.DirEntry) bool { return e.Name() == path.Base(rel) })
	switch {
	case i < 0:
		return attr{}, unix.ENOENT
	case entries[i].IsDir():
		return attr{Mode: unix.S_IFDIR | 0o755, Nlink: 2}, nil
	}
	return attr{Mode: unix.S_IFREG | 0o444, Nlink: 1}, nil
}

// uid is an owner as the namespace has it.
func (s *Server) uid(id uint32) uint32 {
	if id == s.o.Owner || !s.o.Mapped(id) {
		return 0
	}
	return id
}

// gid is a group as the namespace has it; who unpacked an image without being root
// has one group.
func (s *Server) gid(id uint32) uint32 {
	if s.o.Owner != 0 || !s.o.Mapped(id) {
		return 0
	}
	return id
}

// names lists a directory, as struct fuse_dirent wants it.
func (s *Server) names(rel string) ([]os.DirEntry, error) {
	if s.empty(rel) {
		return nil, nil
	}
	fd, err := s.open(rel, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	return entries, err
}

// readlink reads a symlink, whose directory alone is looked up.
func (s *Server) readlink(rel string) (string, error) {
	dir, err := s.open(path.Dir(rel), unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, path.Base(rel), buf)
	return string(buf[:max(0, n)]), err
}

// nodes are the paths that the kernel knows, by the number that it knows them by.
type nodes struct {
	paths map[uint64]*node
	ids   map[string]uint64
	last  uint64
}

type node struct {
	path    string
	lookups uint64 // how often the kernel was told of it
}

const rootNode = 1 // FUSE_ROOT_ID

// path is that of a node, "" for one that was never told of.
func (n *nodes) path(id uint64) string {
	if known, ok := n.paths[id]; ok {
		return known.path
	}
	return ""
}

// id counts one more telling of a path.
func (n *nodes) id(p string) uint64 {
	id, ok := n.ids[p]
	if !ok {
		n.last++
		id = n.last
		n.ids[p], n.paths[id] = id, &node{path: p}
	}
	n.paths[id].lookups++
	return id
}

// forget takes tellings back; after the last, the kernel does not know the node.
func (n *nodes) forget(id, lookups uint64) {
	known, ok := n.paths[id]
	if !ok || id == rootNode {
		return
	}
	if known.lookups > lookups {
		known.lookups -= lookups
		return
	}
	delete(n.paths, id)
	delete(n.ids, known.path)
}

// child is the path of a name in a directory.
func child(dir, name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return "", fmt.Errorf("%q is no name: %w", name, unix.EINVAL)
	}
	return path.Join(dir, name), nil
}
