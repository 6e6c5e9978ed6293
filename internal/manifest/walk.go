// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"context"
	"os"
	"path"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Options say what of a tree is walked.
type Options struct {
	Skip   []string // left out, with all below
	Ignore []string // directories of which nothing but the type is told
	With   []string // mount points that are entered
	// Progress counts what is done; nil: nobody wants to know.
	Progress *Progress
}

// Progress is how far a walk is. It may be read while the walk goes on.
type Progress struct{ Paths, Bytes atomic.Int64 }

// ahead is how many entries the walk is before the one that is asked for. The
// files among them are open.
const ahead = 256

// Walk goes through the tree of an open directory, in the order of a manifest. It
// follows no symlink and opens nothing but directories and regular files; it enters
// no other file system but those of Options.With. One goroutine lists, and several
// read contents: as many as keep a disk busy that answers many requests at a time.
type Walk struct {
	// Mounts are the mount points that the walk has passed and not entered.
	Mounts []string

	ctx  context.Context
	stop context.CancelFunc
	Options
	queue chan *pending // in the order of the walk
	files chan *pending // those with a content
	all   sync.WaitGroup
}

// Start begins a walk, which is to be closed.
func Start(ctx context.Context, root *os.File, o Options) *Walk {
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	w := &Walk{Options: o, queue: make(chan *pending, ahead), files: make(chan *pending, ahead)}
	w.ctx, w.stop = context.WithCancel(ctx)
	w.all.Go(func() {
		w.tree(root)
		close(w.queue)
		close(w.files)
	})
	for range max(8, 2*runtime.GOMAXPROCS(0)) {
		w.all.Go(w.read)
	}
	return w
}

// Close ends the walk, wherever it is.
func (w *Walk) Close() {
	w.stop()
	for range w.queue { // lets the lister end
	}
	w.all.Wait()
}

// Next is the next entry; nil is the end. One that cannot be read has its Err; the
// error of Next itself is that of the context.
func (w *Walk) Next() (*Entry, error) {
	p, ok := <-w.queue
	if ok {
		<-p.done
	}
	if w.ctx.Err() != nil {
		return nil, context.Cause(w.ctx)
	}
	if !ok {
		return nil, nil
	}
	w.Progress.Paths.Add(1)
	if p.Mount && !p.Ignore {
		w.Mounts = append(w.Mounts, p.Path)
	}
	return &p.Entry, nil
}

// pending is an entry whose content may still have to be read.
type pending struct {
	Entry
	done chan struct{} // closed when it is complete
	file *os.File      // to be read
	st   unix.Statx_t
}

// read completes files until there are no more.
func (w *Walk) read() {
	buf := make([]byte, 128<<10)
	for p := range w.files {
		w.content(p, buf)
		close(p.done)
	}
}

// send hands an entry on; false: the walk is over.
func (w *Walk) send(p *pending) bool {
	if p.done = make(chan struct{}); p.file == nil {
		close(p.done)
	}
	select {
	case w.queue <- p:
	case <-w.ctx.Done():
		if p.file != nil {
			p.file.Close()
		}
		return false
	}
	if p.file != nil {
		w.files <- p // the readers never end before this does
	}
	return true
}

func (w *Walk) tree(root *os.File) {
	p := &pending{Entry: Entry{Path: "/"}}
	if p.Err = statx(root, "", unix.AT_EMPTY_PATH, &p.st); p.Err == nil {
		p.describe()
		p.Xattrs, p.Err = xattrs(root)
	}
	if w.send(p) && p.Err == nil {
		w.directory(root, "/", p.st)
	}
}

// directory walks what is in an open directory.
func (w *Walk) directory(dir *os.File, at string, st unix.Statx_t) bool {
	list, err := openAt(dir, ".", unix.O_DIRECTORY) // the offset of dir is its owner's
	if err != nil {
		return w.send(&pending{Entry: Entry{Path: path.Join(at, "?"), Err: err}})
	}
	names, err := list.Readdirnames(-1)
	list.Close()
	if err != nil {
		return w.send(&pending{Entry: Entry{Path: path.Join(at, "?"), Err: err}})
	}
	slices.Sort(names)
	for _, name := range names {
		if p := path.Join(at, name); !slices.Contains(w.Skip, p) && !w.entry(dir, name, p, st) {
			return false
		}
	}
	return true
}

// entry walks one name of a directory.
func (w *Walk) entry(dir *os.File, name, at string, parent unix.Statx_t) bool {
	p := &pending{Entry: Entry{Path: at, Ignore: slices.Contains(w.Ignore, at)}}
	if p.Err = statx(dir, name, unix.AT_SYMLINK_NOFOLLOW, &p.st); p.Err != nil {
		return w.send(p)
	}
	p.describe()
	p.Mount = mounted(&p.st, &parent) && !slices.Contains(w.With, at)
	if p.Mount || p.Ignore {
		return w.send(p)
	}
	switch p.Type {
	case Directory:
		return w.enter(dir, name, p)
	case File:
		p.file, p.Err = openAt(dir, name, 0)
		if p.Err == nil {
			p.Xattrs, p.Err = xattrs(p.file)
		}
	case Symlink:
		if p.Target, p.Err = readlink(dir, name); p.Err == nil {
			p.Xattrs, p.Err = xattrsAt(dir, name)
		}
	default:
		p.Xattrs, p.Err = xattrsAt(dir, name)
	}
	return w.send(p)
}

// enter walks a directory and what is in it.
func (w *Walk) enter(dir *os.File, name string, p *pending) bool {
	sub, err := openAt(dir, name, unix.O_DIRECTORY)
	if err != nil {
		p.Err = err
		return w.send(p)
	}
	defer sub.Close()
	var st unix.Statx_t
	if p.Err = statx(sub, "", unix.AT_EMPTY_PATH, &st); p.Err == nil && (st.Ino != p.st.Ino || !sameDevice(&st, &p.st)) {
		p.Err = ErrMoved
	}
	if p.Err == nil {
		p.Xattrs, p.Err = xattrs(sub)
	}
	return w.send(p) && (p.Err != nil || w.directory(sub, p.Path, st))
}
