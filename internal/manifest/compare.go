// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"maps"
	"slices"
)

// Difference is one path that is not what a manifest says.
type Difference struct {
	Path   string
	Sealed *Entry // what the manifest says; nil: it has no such path
	Now    *Entry // what there is; nil: nothing
	// Hidden counts the paths of the manifest that a mount hides, itself left out.
	Hidden int
}

// Compare goes through a manifest and a tree side by side, and tells each
// difference in the order of paths. Where another file system is mounted over
// paths of the manifest, that is one difference.
func Compare(m *Reader, w *Walk, tell func(Difference) error) error {
	c := comparer{m: m, w: w}
	err := c.step(true, true)
	for err == nil && (c.sealed != nil || c.now != nil) {
		a, b := c.sealed, c.now
		d := Difference{Sealed: a, Now: b}
		switch {
		case b == nil || a != nil && before(a.Path, b.Path):
			d.Path, d.Now = a.Path, nil
			err = c.step(true, false)
		case a == nil || before(b.Path, a.Path):
			d.Path, d.Sealed = b.Path, nil
			err = c.step(false, true)
		default:
			d.Path = a.Path
			d.Hidden, err = c.both(a, b)
		}
		if err == nil && d.is() {
			err = tell(d)
		}
	}
	return err
}

// comparer is where both sides are; nil: that one has ended.
type comparer struct {
	m           *Reader
	w           *Walk
	sealed, now *Entry
}

func (c *comparer) step(sealed, now bool) (err error) {
	if sealed {
		c.sealed, err = c.m.Next()
	}
	if now && err == nil {
		c.now, err = c.w.Next()
	}
	return err
}

// both goes behind the two entries of one path, and behind what lies below it
// where that is not to be compared.
func (c *comparer) both(a, b *Entry) (hidden int, err error) {
	err = c.step(true, true)
	for err == nil && b.Mount && c.sealed != nil && below(b.Path, c.sealed.Path) {
		hidden++
		err = c.step(true, false)
	}
	for err == nil && a.Ignore && c.now != nil && below(a.Path, c.now.Path) {
		err = c.step(false, true)
	}
	return hidden, err
}

// is tells whether there is a difference.
func (d *Difference) is() bool {
	switch {
	case d.Sealed == nil:
		return !d.Now.Ignore
	case d.Now == nil:
		return true
	case d.Now.Mount && d.Now.Type != Directory: // over a file of the image
		return true
	}
	return d.Hidden > 0 || d.Now.Err != nil || len(d.What()) > 0
}

// What lists in words in what the path differs from what was sealed.
func (d *Difference) What() []string {
	a, b := d.Sealed, d.Now
	switch {
	case b == nil:
		return []string{"was a " + a.Type}
	case d.Hidden > 0 || b.Mount && b.Type != Directory:
		return []string{fmt.Sprintf("another file system is mounted over it and hides %d paths", d.Hidden+1)}
	case b.Err != nil:
		return []string{b.Err.Error()}
	case a == nil:
		return []string{"is a " + b.text()}
	case a.Type != b.Type:
		return []string{fmt.Sprintf("is a %s, was a %s", b.Type, a.Type)}
	case a.Ignore || a.Mount || b.Ignore || b.Mount:
		return nil
	}
	var out []string
	if is, was := b.text(), a.text(); is != was {
		out = append(out, fmt.Sprintf("is a %s, was a %s", is, was))
	}
	all := maps.Clone(a.Xattrs)
	if all == nil {
		all = b.Xattrs
	} else {
		maps.Copy(all, b.Xattrs)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, had := a.Xattrs[name]
		if is, has := b.Xattrs[name]; is != was || had != has {
			out = append(out, fmt.Sprintf("another extended attribute %q", name))
		}
	}
	return out
}

// text is an entry in words, extended attributes left out.
func (e *Entry) text() string {
	s := fmt.Sprintf("%s of mode %04o, owner %d:%d", e.Type, e.Mode, e.UID, e.GID)
	switch e.Type {
	case File:
		s += fmt.Sprintf(", %d bytes, sha256 %s", e.Size, e.SHA256)
	case Symlink:
		s += fmt.Sprintf(", to %q", e.Target)
	case Block, Char:
		s += ", device " + e.Device
	}
	return s
}
