// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"path"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// Goal is what a stage of a context wants the root to be. The zero Goal is the
// image as it was: nothing of any context.
type Goal struct {
	Context Context
	Stage   int // 0 is the first; the results of later ones stay while this one's do
	Results []Result
	Units   []Request // to be made once the paths are in place
	Enabled []Unit    // those of them that the image has not enabled
	Links   []Link    // all links of units, if one of Units is to be enabled, and not nil then
}

// Result is what a stage made of one path. An absent State is a path that the
// stage removed.
type Result struct {
	Path   string
	Before State // what the script saw there
	State  State
	// Open reads a File's content; its digest is compared with State's.
	Open func() (io.ReadCloser, error)
}

// Plan is a Goal held against the record and the root: the steps of one
// transaction. Making it writes nothing.
type Plan struct {
	// Left are the paths that are not put back, because someone else changed
	// them since or put something into them.
	Left []string
	// Rewritten are the paths that someone else had changed and that are the
	// context's again.
	Rewritten []string

	id     string
	steps  []*step
	images []image
	next   Record
}

// Action is what a plan does to one path.
type Action struct {
	Path     string
	From, To State
	Back     bool // it becomes what the image has
}

// Actions are what the plan does, sorted by path.
func (p *Plan) Actions() []Action {
	var out []Action
	for _, s := range p.steps {
		e, known := p.next.entry(s.Path)
		out = append(out, Action{Path: s.Path, From: s.From, To: s.To, Back: !known || len(e.Layers) == 0})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}

// Units are the requests to be made after the commit. What another context had
// enabled comes first, to be disabled.
func (p *Plan) Units() []Request { return slices.Clone(p.next.Pending) }

// image is a content to be kept.
type image struct {
	Path string `json:"path"` // where it is now
	Name string `json:"name"` // in images/
}

// Plan holds a goal against the record and against what the root is now.
func (j *Journal) Plan(g Goal) *Plan {
	pl := &planner{Plan: &Plan{id: strings.ToLower(rand.Text()[:13])}, j: j, goal: g, results: map[string]*Result{}, occupied: map[string]bool{}}
	paths := map[string]bool{}
	for i := range g.Results {
		pl.results[g.Results[i].Path], paths[g.Results[i].Path] = &g.Results[i], true
	}
	for _, e := range j.record.Entries {
		paths[e.Path] = true
	}
	pl.next = Record{Context: g.Context}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		pl.path(p)
	}
	for dir, names := range j.extra {
		for _, n := range names {
			pl.occupy(path.Join(dir, n))
		}
	}
	pl.keepOccupied()
	slices.Sort(pl.Left)
	pl.units()
	pl.place()
	return pl.Plan
}

type planner struct {
	*Plan
	j        *Journal
	goal     Goal
	results  map[string]*Result
	occupied map[string]bool // directories that hold what is not ours to remove
}

// path decides about one path: what its entry becomes, and whether there is
// anything to do.
func (pl *planner) path(p string) {
	now, old := pl.now(p)
	n := pl.entry(p, now, old)
	want, foreign := n.Top(), old != nil && !now.Same(old.Top())
	switch {
	case now.Same(want):
	case foreign && len(n.Layers) == 0 && !(now.Type == Directory && n.Base.Type == Absent):
		pl.leave(p) // but for a directory that was left for what was in it: it goes if it is empty
	case !pl.step(n, now, want):
		// Content that another stage made and someone else overwrote: that stage
		// makes it again.
	case foreign:
		pl.Rewritten = append(pl.Rewritten, p)
	}
	if len(n.Layers) == 0 && n.Base.Same(now) {
		return // nothing was done to it and nothing is to be
	}
	if len(n.Layers) == 0 && !slices.Contains(pl.Left, p) {
		return // it is put back
	}
	pl.keepImages(n, now)
	pl.next.Entries = append(pl.next.Entries, *n)
}

// now is what the path is, and the record's entry if that still holds.
func (pl *planner) now(p string) (State, *Entry) {
	old, known := pl.j.record.entry(p)
	if !known {
		return pl.results[p].Before, nil
	}
	now := pl.j.now[p]
	if old.lost(now) {
		return now, nil
	}
	return now, old
}

// entry is the path's in the next record.
func (pl *planner) entry(p string, now State, old *Entry) *Entry {
	n := &Entry{Path: p, Base: now}
	g := pl.goal
	var later []Layer
	if old != nil {
		n.Base = old.Base
	}
	same := old != nil && g.Context == pl.j.record.Context
	if same {
		for _, l := range old.Layers {
			if l.Stage < g.Stage {
				n.Layers = append(n.Layers, l)
			} else if l.Stage > g.Stage {
				later = append(later, l)
			}
		}
	}
	res, set := pl.results[p]
	if set && !res.State.Same(n.Top()) {
		n.Layers = append(n.Layers, Layer{g.Stage, res.State})
	}
	if same {
		was, had := old.layer(g.Stage)
		is, has := n.layer(g.Stage)
		if had == has && was.Same(is) {
			if had {
				n.Layers[len(n.Layers)-1].State = was // with its image
			}
			n.Layers = append(n.Layers, later...)
		}
	}
	return n
}

// step adds what makes the path so; false if its content is not to be had.
func (pl *planner) step(n *Entry, now, want State) bool {
	s := &step{Path: n.Path, From: now, To: want}
	if want.Type == File && !now.sameContent(want) {
		res, set := pl.results[n.Path]
		switch {
		case want.Image != "":
			s.Image = want.Image
		case set && res.State.Same(want):
			s.open = res.Open
		default:
			return false
		}
	}
	s.To.Image = ""
	pl.steps = append(pl.steps, s)
	return true
}

func (pl *planner) leave(p string) {
	pl.Left = append(pl.Left, p)
	pl.occupy(p)
}

// occupy marks the directories above a path as not empty.
func (pl *planner) occupy(p string) {
	for d := path.Dir(p); d != "/"; d = path.Dir(d) {
		pl.occupied[d] = true
	}
}

// keepOccupied takes out the removal of directories that are not empty.
func (pl *planner) keepOccupied() {
	pl.steps = slices.DeleteFunc(pl.steps, func(s *step) bool {
		if s.From.Type != Directory || s.To.Type == Directory || !pl.occupied[s.Path] {
			return false
		}
		pl.Left = append(pl.Left, s.Path)
		if _, known := pl.next.entry(s.Path); !known {
			pl.next.Entries = append(pl.next.Entries, Entry{Path: s.Path})
			all := pl.next.Entries
			sort.Slice(all, func(i, j int) bool { return all[i].Path < all[j].Path })
		}
		return true
	})
}

// keepImages sees to it that every file content below the top one is kept: where
// it was kept already, in place, or as a new image of what is in place now.
func (pl *planner) keepImages(n *Entry, now State) {
	made := map[string]string{} // by digest
	states := n.states()
	top := states[len(states)-1]
	if !slices.Contains(pl.Left, n.Path) {
		if pl.stepped(n.Path) || now.Same(*top) {
			top.Image = "" // it is in place, or will be
		}
		states = states[:len(states)-1]
	}
	for _, s := range states {
		if s.Type != File || s.Image != "" || s.sameContent(*top) || s.SHA256 != now.SHA256 {
			continue
		}
		if s.Image = made[s.SHA256]; s.Image == "" {
			s.Image = fmt.Sprintf("%s-%d", pl.id, len(pl.images))
			made[s.SHA256] = s.Image
			pl.images = append(pl.images, image{n.Path, s.Image})
		}
	}
}

func (pl *planner) stepped(p string) bool {
	return len(pl.steps) > 0 && pl.steps[len(pl.steps)-1].Path == p
}

// units fills in what the next record says of units and stages.
func (pl *planner) units() {
	old, g := pl.j.record, pl.goal
	same := g.Context == old.Context
	if same {
		pl.next.Done = slices.Clone(old.Done)
	}
	for _, u := range old.Enabled {
		wanted := same && !u.Dropped || slices.Contains(g.Units, Request{"enable", u.Unit})
		u.Dropped = !wanted
		pl.next.Enabled = append(pl.next.Enabled, u)
		if u.Dropped {
			pl.next.Pending = append(pl.next.Pending, Request{"disable", u.Unit})
		}
	}
	if g.Context != (Context{}) && !slices.Contains(pl.next.Done, g.Stage) {
		pl.next.Done = append(pl.next.Done, g.Stage)
	}
	for _, u := range g.Enabled {
		if !slices.ContainsFunc(pl.next.Enabled, func(o Unit) bool { return o.Unit == u.Unit }) {
			pl.next.Enabled = append(pl.next.Enabled, u)
		}
	}
	pl.next.Pending = append(pl.next.Pending, g.Units...)
	pl.next.Before = g.Links
}

// Empty tells that the plan changes no path.
func (p *Plan) Empty() bool { return len(p.steps) == 0 }

// recordChanges compares what the plan would note with what is noted, requests
// aside, unless they enable something.
func (j *Journal) recordChanges(p *Plan) bool {
	a, b := j.record, p.next
	if b.Before != nil {
		return true
	}
	a.Pending, b.Pending, a.Before = nil, nil, nil
	if len(a.Entries) == 0 {
		a.Entries = nil
	}
	return !reflect.DeepEqual(a, b)
}
