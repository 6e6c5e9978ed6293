// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"path"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/manifest"
	"github.com/ctxagent/ctxagent/internal/policy"
	"github.com/ctxagent/ctxagent/internal/stages"
	"github.com/ctxagent/ctxagent/internal/units"
)

// The explanations of a difference.
const (
	byContext   = "context"
	byPolicy    = "mutable"
	unexplained = "no"
)

// explanation is why a path is not what was sealed.
type explanation struct{ kind, by string }

// explainer holds a difference against what the journal has of the context in
// force, and against the paths that the manifest lets change.
type explainer struct {
	disc    string
	entries map[string]*journal.Entry
	enabled []journal.Unit
	mutable []string
}

func newExplainer(rec journal.Record, mutable []string) explainer {
	x := explainer{disc: rec.Context.Disc, entries: map[string]*journal.Entry{}, mutable: mutable}
	for _, u := range rec.Enabled {
		if !u.Dropped {
			x.enabled = append(x.enabled, u)
		}
	}
	for i := range rec.Entries {
		x.entries[rec.Entries[i].Path] = &rec.Entries[i]
	}
	return x
}

// explain finds why a path differs.
func (x *explainer) explain(d manifest.Difference) explanation {
	if d.Hidden == 0 && (d.Now == nil || d.Now.Err == nil && !d.Now.Mount) {
		if by := x.applied(d); by != "" {
			return explanation{byContext, fmt.Sprintf("%s of the disc %.12s", by, x.disc)}
		}
		if unit := x.enabling(d); unit != "" {
			return explanation{byContext, "the enabling of " + unit}
		}
	}
	if glob, ok := policy.Mutable(x.mutable, d.Path, d.Sealed == nil); ok && !powerful(d) {
		return explanation{byPolicy, glob}
	}
	return explanation{kind: unexplained}
}

// applied names the stage that made a path what it is. It has to have found there
// what was sealed, and to have left what is there now: a file that was altered
// before or since is not explained by it.
func (x *explainer) applied(d manifest.Difference) string {
	e, ok := x.entries[d.Path]
	if !ok || len(e.Layers) == 0 || !e.Base.Same(stateOf(d.Sealed)) || !e.Top().Same(stateOf(d.Now)) {
		return ""
	}
	var was, is map[string]string
	if d.Sealed != nil && d.Now != nil && d.Sealed.Type == d.Now.Type {
		was = d.Sealed.Xattrs
	}
	if d.Now != nil {
		is = maps.Clone(d.Now.Xattrs)
	}
	if _, labelled := was["security.selinux"]; !labelled {
		delete(is, "security.selinux") // the kernel labels what is new
	}
	if !maps.Equal(was, is) {
		return ""
	}
	return "the " + []string{stages.Prolog, stages.Epilog}[min(e.Layers[len(e.Layers)-1].Stage, 1)]
}

// stateOf is an entry in the journal's words.
func stateOf(e *manifest.Entry) journal.State {
	if e == nil {
		return journal.State{}
	}
	s := journal.State{Type: journal.Other, Mode: e.Mode, UID: e.UID, GID: e.GID, SHA256: e.SHA256, Target: e.Target}
	switch e.Type {
	case manifest.File:
		s.Type = journal.File
	case manifest.Directory:
		s.Type = journal.Directory
	case manifest.Symlink:
		s.Type = journal.Symlink
	}
	return s
}

// enabling names the unit for which the service manager made a symlink, or the
// directory that it lies in.
func (x *explainer) enabling(d manifest.Difference) string {
	if d.Sealed != nil || d.Now == nil || d.Now.UID != 0 || d.Now.GID != 0 {
		return ""
	}
	for _, u := range x.enabled {
		for _, l := range u.Links {
			link := l.Path == d.Path && d.Now.Type == manifest.Symlink && units.Link(l).Leads(d.Now.Target)
			if link || path.Dir(l.Path) == d.Path && d.Now.Type == manifest.Directory && d.Now.Mode == 0o755 {
				return u.Unit
			}
		}
	}
	return ""
}

// powerful tells whether a path gives rights to who runs or opens it. That a path
// may change explains other contents, and never this.
func powerful(d manifest.Difference) bool {
	if d.Now == nil {
		return false
	}
	switch d.Now.Type {
	case manifest.Block, manifest.Char:
		return true
	case manifest.File:
		_, capable := d.Now.Xattrs["security.capability"]
		return capable || d.Now.Mode&0o6000 != 0
	}
	return false
}
