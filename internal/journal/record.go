// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Schema is the version of the journal's files.
const Schema = 1

// Context is what a record belongs to: the same disc on the same machine. A
// clone of a machine's disk has another Machine, and is another context.
type Context struct {
	Disc    string `json:"disc"`              // its digest
	Machine string `json:"machine,omitempty"` // its DMI product UUID, where it has one
}

// Record is what the context in force did to the root.
type Record struct {
	Context Context `json:"context"`
	Done    []int   `json:"done,omitempty"` // the stages that succeeded
	Entries []Entry `json:"entries"`        // sorted by path
	Enabled []Unit  `json:"enabled,omitempty"`
	// Pending are the requests that were accepted and not yet made: whoever
	// finds them makes them, and takes them out by Update.
	Pending []Request `json:"pending,omitempty"`
	// Before are the links of units that were there when Pending was noted, nil if there
	// is none among it to enable: what an enabling made and nobody said is known by them.
	Before []Link `json:"before,omitzero"`
}

// Unit is one that a context enabled and that the image had not.
type Unit struct {
	Unit string `json:"unit"`
	Was  string `json:"was"` // its state before, systemctl(1)'s is-enabled
	// Links are the symlinks that the service manager made for it.
	Links []Link `json:"links,omitempty"`
	// Dropped is one that no context wants any more: it is to be disabled, and goes
	// from the record when it is.
	Dropped bool `json:"dropped,omitempty"`
}

// Made notes a link, once.
func (u *Unit) Made(l Link) {
	if !slices.Contains(u.Links, l) {
		u.Links = append(u.Links, l)
	}
}

// Link is a symlink.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Request is one to the service manager.
type Request struct {
	Verb string `json:"verb"`
	Unit string `json:"unit"`
}

// Entry is one path: what the image has, and what each stage made of it.
type Entry struct {
	Path   string  `json:"path"`
	Base   State   `json:"base"`
	Layers []Layer `json:"layers,omitempty"` // in the order of the stages
}

// Layer is what one stage made of a path.
type Layer struct {
	Stage int   `json:"stage"`
	State State `json:"state"`
}

// Top is what the path is to be.
func (e *Entry) Top() State {
	if n := len(e.Layers); n > 0 {
		return e.Layers[n-1].State
	}
	return e.Base
}

// below is what the path is before a stage.
func (e *Entry) below(stage int) State {
	s := e.Base
	for _, l := range e.Layers {
		if l.Stage < stage {
			s = l.State
		}
	}
	return s
}

// layer is what a stage made of the path; ok tells whether it did anything.
func (e *Entry) layer(stage int) (s State, ok bool) {
	for _, l := range e.Layers {
		if l.Stage == stage {
			return l.State, true
		}
	}
	return State{}, false
}

// states are all of an entry's, to be altered.
func (e *Entry) states() []*State {
	out := []*State{&e.Base}
	for i := range e.Layers {
		out = append(out, &e.Layers[i].State)
	}
	return out
}

// entry finds the one of a path.
func (r *Record) entry(p string) (*Entry, bool) {
	i, ok := slices.BinarySearchFunc(r.Entries, p, func(e Entry, p string) int { return strings.Compare(e.Path, p) })
	if !ok {
		return nil, false
	}
	return &r.Entries[i], true
}

// images are the names that the record refers to.
func (r *Record) images() map[string]bool {
	out := map[string]bool{}
	for i := range r.Entries {
		for _, s := range r.Entries[i].states() {
			if s.Image != "" {
				out[s.Image] = true
			}
		}
	}
	return out
}

// Shown is what a script has to see at a path in place of what is there: the
// image with what earlier stages of the same context did, and nothing of what a
// former run of this stage or another context left.
type Shown struct {
	Path  string
	State State
	// Source is the path inside the root of a file with a File's content and
	// extended attributes, mode and owner aside.
	Source string
	Xattrs map[string]string // of a File that is not InPlace
	// Own tells that the context made the path: the image has none.
	Own bool
	// InPlace tells that the root has just this state.
	InPlace bool
}

// View lists what a script of a stage has to see at the paths of the record,
// sorted.
func (j *Journal) View(c Context, stage int) ([]Shown, error) {
	if c != j.record.Context {
		stage = 0 // of another context nothing is to be seen
	}
	var out []Shown
	for i := range j.record.Entries {
		e := &j.record.Entries[i]
		if e.lost(j.now[e.Path]) {
			continue
		}
		s := e.below(stage)
		v := Shown{Path: e.Path, State: s, Own: e.Base.Type == Absent, InPlace: s.Same(j.now[e.Path])}
		if s.Type == File {
			v.Source = e.Path
			if s.Image != "" && !v.InPlace {
				v.Source = path.Join("/", Dir, imagesDir, s.Image)
			}
		}
		if s.Type == File && !v.InPlace {
			var err error
			if v.Xattrs, err = j.xattrsAt(v.Source); err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
}

func (j *Journal) xattrsAt(p string) (map[string]string, error) {
	dir, err := openDir(j.root, path.Dir(p))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := openAt(dir, path.Base(p), unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return xattrs(f)
}

// lost tells that someone else's write took the place of content that was kept
// nowhere else: a file whose attributes alone the context had changed. What is
// there now is the image's own from then on.
func (e *Entry) lost(now State) bool {
	kept := e.states()
	if len(e.Layers) > 0 {
		kept = kept[:len(kept)-1]
	}
	return slices.ContainsFunc(kept, func(s *State) bool { return s.Type == File && s.Image == "" && s.SHA256 != now.SHA256 })
}
