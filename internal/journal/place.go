// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// step is one path of a transaction with the names that it uses on the way.
type step struct {
	Path  string `json:"path"`
	From  State  `json:"from"`
	To    State  `json:"to"`
	Image string `json:"image,omitempty"` // in images/, with To's content
	// New is the path at which To is made; inside a directory that is made too
	// it is below that one's New, and moved with it.
	New    string `json:"new,omitempty"`
	Inside bool   `json:"inside,omitempty"`
	// Old is the path of a second link to From, which keeps it for undoing.
	Old string `json:"old,omitempty"`

	open func() (io.ReadCloser, error)
	seen ident // of From, once Old is made
}

// place gives the steps their temporary names, and puts them into the order in
// which they are made: what goes first, from below; then what comes, from above.
//
// A name is a point, "ctxagent", 65 random bits and a number: no one else has
// it, and so recovery removes nothing but what this transaction made.
func (pl *planner) place() {
	slices.SortFunc(pl.steps, func(a, b *step) int {
		if ra, rb := a.removes(), b.removes(); ra != rb {
			if ra {
				return -1
			}
			return 1
		} else if ra {
			return strings.Compare(b.Path, a.Path)
		}
		return strings.Compare(a.Path, b.Path)
	})
	gone, made := map[string]bool{}, map[string]string{}
	for _, s := range pl.steps {
		if s.From.Type == Directory && s.To.Type != Directory {
			gone[s.Path] = true
		}
	}
	for i, s := range pl.steps {
		temp := fmt.Sprintf(".ctxagent-%s-%d", pl.id, i)
		dir := path.Dir(s.Path)
		if s.makes() {
			if inside, ok := made[dir]; ok {
				s.New, s.Inside = path.Join(inside, path.Base(s.Path)), true
			} else {
				s.New = path.Join(dir, temp+".new")
			}
			if s.To.Type == Directory {
				made[s.Path] = s.New
			}
		}
		if s.keeps() {
			for gone[dir] {
				dir = path.Dir(dir)
			}
			s.Old = path.Join(dir, temp+".old")
		}
	}
}

// removes tells that the path is to go.
func (s *step) removes() bool { return s.To.Type == Absent }

// makes tells that something is made anew, and not only given attributes.
func (s *step) makes() bool { return !s.removes() && !s.From.sameContent(s.To) }

// keeps tells that what is there is a file or symlink that goes.
func (s *step) keeps() bool {
	return (s.From.Type == File || s.From.Type == Symlink) && !s.From.sameContent(s.To)
}

// maxHeldDirs bounds the descriptors of a transaction.
const maxHeldDirs = 200

// dirs holds the directories that a transaction works in open: one that is
// exchanged for another meanwhile is still the one that was looked at.
type dirs struct {
	root *os.File
	held map[string]*os.File
}

// at opens the directory of a path.
func (d *dirs) at(p string) (*os.File, string, error) {
	parent := path.Dir(p)
	if f, ok := d.held[parent]; ok {
		return f, path.Base(p), nil
	}
	if len(d.held) >= maxHeldDirs {
		if err := d.close(); err != nil {
			return nil, "", err
		}
	}
	f, err := openDir(d.root, parent)
	if err != nil {
		return nil, "", err
	}
	if d.held == nil {
		d.held = map[string]*os.File{}
	}
	d.held[parent] = f
	return f, path.Base(p), nil
}

// forgetDir lets go of a directory, and of those in it, that has another name or
// none from now on: what is made anew at its path is another one.
func (d *dirs) forgetDir(p string) error {
	var errs []error
	for at, f := range d.held {
		if at == p || strings.HasPrefix(at, p+"/") {
			errs = append(errs, f.Close())
			delete(d.held, at)
		}
	}
	return errors.Join(errs...)
}

func (d *dirs) close() error {
	var errs []error
	for _, f := range d.held {
		errs = append(errs, f.Close())
	}
	d.held = nil
	return errors.Join(errs...)
}
