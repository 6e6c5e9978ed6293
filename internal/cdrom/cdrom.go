// SPDX-License-Identifier: Apache-2.0

// Package cdrom finds the context disc and reads it once. Its input is the
// machine's block devices (or a disc that somebody names); its output is the
// disc's tree as bounded bytes in a directory of the caller's, with digests. It
// mounts nothing, runs nothing, and does not know what the files mean.
//
// ISO 9660 and FAT volumes are read, on a whole disc or in its partitions, by
// readers of our own that trust no number on the disc.
//
// A disc is a context disc when its root directory holds prolog.sh or epilog.sh,
// or init.sh or context.sh as at CERN and in OpenNebula (HEPiX Virtualisation
// Working Group book, "Contextualisation proposal"). An OpenStack config drive is
// one when its vendor data, the site's half, says so; the rest of it is not read.
package cdrom

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNoMedia tells that there is no context disc. The error's text says what
// was looked at.
var ErrNoMedia = errors.New("no context disc")

// AmbiguousError tells that there is more than one context disc.
type AmbiguousError struct{ Devices []string }

func ambiguous(media []*medium) error {
	var names []string
	for _, m := range media {
		names = append(names, m.device)
	}
	return &AmbiguousError{Devices: names}
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%d context discs, in %s: remove all but one", len(e.Devices), strings.Join(e.Devices, " and "))
}

// UnusableError tells that a disc is there and cannot be used.
type UnusableError struct {
	Device string
	Err    error
}

func (e *UnusableError) Error() string { return fmt.Sprintf("disc %s: %v", e.Device, e.Err) }

// Unwrap gives the reason.
func (e *UnusableError) Unwrap() error { return e.Err }

// Finder says where to look and how much to take. The directories are seams;
// the zero value of none of the limits means "without limit".
type Finder struct {
	Named         []string // look at these alone: ISO files, directories or devices
	Label         string   // demanded when not empty
	WritableDisks bool     // look at disks that can be written, too
	MaxBytes      int64    // of all files together
	MaxFiles      int      // entries of any type
	Wait          time.Duration
	Expect        Expect // what the host says, by Hint

	// Verify checks the signature of a disc's manifest and returns the signer's
	// name; nil: signatures are not looked at. With AllowUnsigned a disc is used
	// all the same, and Disc.Unsigned says what is wrong.
	Verify        func(manifest, signature []byte) (string, error)
	AllowUnsigned bool

	// Waiting, if set, is called at most once, when a disc that the host has announced is
	// not there at the first look.
	Waiting func()

	Sys, Dev, Run string // "/sys", "/dev", "/run"
	// Events subscribes to what may bring a disc. It ends with its context.
	Events func(context.Context) (Hints, error)
}

// Hints each tell that something changed, and when. A reader that is late gets
// the earliest of those that came.
type Hints struct {
	Disks   <-chan time.Time // a disk or what is in it
	Devices <-chan time.Time // what a disk may be found on, or a driver
}

// Disc is what was read.
type Disc struct {
	Device  string // path of the device, file or directory
	Label   string // volume identifier (ECMA-119 8.4.7), trimmed
	Flavour string // "rock ridge", "joliet", "plain", "fat12", "fat16", "fat32" or "directory"
	// Contract is what makes it a context disc: "hepix" or "openstack vendor data",
	// of which Files are the site's half; "" if it is none.
	Contract string
	// Digest is the SHA-256, in hex, over one line for each entry in the order
	// of their paths: type, quoted path, and the file's SHA-256 or the quoted
	// link target. The same tree has the same digest on every kind of disc.
	Digest string
	Files  []File // sorted by path
	Signer string // who signed its manifest, by Finder.Verify
	// Unsigned says why there is no signer, where one was asked for.
	Unsigned error `json:"-"`
	// Context is the text of context.sh; Inspect alone reads it.
	Context []byte `json:"-"`
	// Event is when the uevent came that led to the look at which the disc was there,
	// with a monotonic clock reading; zero if that was the first look. Of a disc that
	// was changed while it was read it is that of the first one.
	Event time.Time `json:"-"`
}

// File is one entry of the disc.
type File struct {
	Path   string // relative to the disc's root
	Type   fs.FileMode
	Mode   fs.FileMode // permission bits
	Size   int64
	SHA256 string
	Target string
}

// Script is the path of the file in the root directory that is called name but
// for case, or "".
func (d *Disc) Script(name string) string {
	i := slices.IndexFunc(d.Files, func(f File) bool { return f.Path == name && f.Type.IsRegular() })
	if i < 0 {
		i = slices.IndexFunc(d.Files, func(f File) bool { return sameName(f.Path, name) && f.Type.IsRegular() })
	}
	if i < 0 {
		return ""
	}
	return d.Files[i].Path
}

// sameName compares without regard to the case of ASCII letters: Unicode's folding
// would take the long s of prolog.\u017fh for one.
func sameName(name, lower string) bool {
	return len(name) == len(lower) && strings.EqualFold(name, lower)
}

// markers are the names that make a disc a context disc.
var markers = []string{"prolog.sh", "epilog.sh", "init.sh", "context.sh"}

// maxSwaps bounds how often Find begins anew.
const maxSwaps = 5

// Find looks for the one context disc and reads it into the directory into,
// which has to be empty. It waits for at most f.Wait, and only as long as a device
// is being probed or the host has announced a disc. If the disc is changed
// meanwhile, the new one is read; that there is none then is an error.
func (f Finder) Find(ctx context.Context, into *os.Root) (*Disc, error) {
	if f.Waiting != nil {
		f.Waiting = sync.OnceFunc(f.Waiting)
	}
	until := time.Now().Add(f.Wait)
	d, event, err := f.find(ctx, into)
	for swaps := 0; errors.Is(err, errSwapped) && swaps < maxSwaps; swaps++ {
		if err := empty(into); err != nil {
			return nil, err
		}
		if f.Wait > 0 { // whoever changes a disc may take it out first
			f.Wait, f.Expect = max(time.Until(until), readyPoll), Awaited
		}
		next, _, nextErr := f.find(ctx, into)
		if errors.Is(nextErr, ErrNoMedia) {
			break // it was taken out
		}
		d, err = next, nextErr
	}
	if err != nil {
		return nil, err
	}
	d.Event = event
	return d, nil
}

// find is Find, once. The event is that which brought the disc.
func (f Finder) find(ctx context.Context, into *os.Root) (_ *Disc, event time.Time, err error) {
	var s scanned
	if len(f.Named) > 0 {
		s.found, err = f.named()
	} else {
		s, err = f.search(ctx)
	}
	defer func() { _ = closeAll(s.found) }()
	if err = errors.Join(err, s.err); err != nil {
		return nil, s.event, err
	}
	switch len(s.found) {
	case 0:
		if len(s.notes) > 0 {
			return nil, s.event, fmt.Errorf("%w: %s", ErrNoMedia, strings.Join(s.notes, "; "))
		}
		return nil, s.event, fmt.Errorf("%w: no drive or read-only disk", ErrNoMedia)
	case 1:
	default:
		return nil, s.event, ambiguous(s.found)
	}
	m := s.found[0]
	d, err := f.read(m, into)
	if err = m.intact(err); err != nil {
		return nil, s.event, &UnusableError{Device: m.device, Err: err}
	}
	return d, s.event, nil
}

// empty removes what a directory holds.
func empty(dir *os.Root) error {
	entries, err := fs.ReadDir(dir.FS(), ".")
	for _, e := range entries {
		err = errors.Join(err, dir.RemoveAll(e.Name()))
	}
	return err
}

// Inspect reads a file, directory or device that need not be a context disc, and
// keeps nothing of it. Of several file trees on it, one in each partition, it
// takes the one that is a context disc; otherwise there must be only one.
func (f Finder) Inspect(name string) (*Disc, error) {
	media, note, err := f.open(name, true)
	if err == nil && len(media) == 0 {
		err = errors.New(note)
	}
	if err != nil {
		return nil, &UnusableError{Device: name, Err: err}
	}
	defer func() { _ = closeAll(media) }()
	var chosen []*medium
	for _, m := range media {
		note, err := f.recognise(m)
		if err != nil {
			return nil, &UnusableError{Device: m.device, Err: err}
		}
		if note == "" {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		chosen = media
	}
	if len(chosen) > 1 {
		return nil, ambiguous(chosen)
	}
	d, err := f.read(chosen[0], nil)
	if name := d.contextFile(); err == nil && name != "" {
		d.Context, err = smallFile(chosen[0].tree, name, maxContext)
	}
	if err = chosen[0].intact(err); err != nil {
		return nil, &UnusableError{Device: chosen[0].device, Err: err}
	}
	return d, nil
}

// maxContext is how long a context.sh is read, in bytes.
const maxContext = 1 << 20

func (d *Disc) contextFile() string {
	if d == nil {
		return ""
	}
	return d.Script("context.sh")
}

// readyPoll is how often a drive is asked that has no event for what is waited
// for: a disc that spins up, or a machine whose kernel does not look for one.
const readyPoll = 100 * time.Millisecond

// search scans until nothing is left to wait for. It does not stop at the first
// disc: a second one may be on its way, and which of two is used must not be a
// matter of which came first.
func (f Finder) search(ctx context.Context) (scanned, error) {
	if f.Wait == 0 || f.Expect == Never {
		return f.scan(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.Wait)
	defer cancel()
	hints, err := f.Events(ctx) // before the first scan: nothing falls between
	if err != nil {
		return scanned{}, fmt.Errorf("listen for devices: %w", err)
	}
	var last time.Time // of a hint
	for {
		select { // the look to come covers what came before it
		case <-hints.Devices:
		default:
		}
		// Nothing is looked at while a disc may still come: a device that comes after
		// the look, and before probing is found to be over, would be missed.
		s, probing := scanned{}, f.probing()
		if !probing {
			s = f.scan()
		}
		s.event = last
		awaited := f.Expect == Awaited && len(s.found) == 0 && s.err == nil
		if !probing && !s.notReady && !awaited {
			return s, nil
		}
		if awaited && f.Waiting != nil {
			f.Waiting()
		}
		devices := hints.Devices
		if !probing && !s.notReady {
			devices = nil // each brings a disk, and that has an event of its own
		}
		var poll <-chan time.Time
		if s.notReady || awaited && f.silent() {
			poll = time.After(readyPoll)
		}
		select {
		case last = <-hints.Disks:
		case last = <-devices:
		case <-poll:
		case <-ctx.Done():
			return f.overdue(s, probing, awaited), nil
		}
		if err := closeAll(s.found); err != nil {
			return scanned{}, err
		}
	}
}

// overdue ends a search for which there is no time left: what is there now counts.
func (f Finder) overdue(s scanned, probing, awaited bool) scanned {
	if probing {
		s = f.scan()
		awaited = awaited && len(s.found) == 0 && s.err == nil
	}
	why := fmt.Sprintf("devices were still being probed after %v", f.Wait)
	if awaited {
		why = fmt.Sprintf("the host announced a disc, and none came in %v", f.Wait)
	}
	s.notes = append(s.notes, why)
	return s
}

// scanned is the outcome of one look at all devices.
type scanned struct {
	found    []*medium
	notes    []string
	notReady bool
	event    time.Time // of the hint that led to this look; zero for the first
	err      error
}

func (f Finder) scan() scanned {
	var s scanned
	for _, c := range f.candidates() {
		dev := path.Join(f.Dev, c.name)
		if slices.ContainsFunc(s.found, func(m *medium) bool { return m.device == path.Join(f.Dev, c.parent) }) {
			continue // a hybrid image: the partition shows the same disc again
		}
		// The kernel shows a disk's partitions as devices; an optical drive's, never.
		media, note, err := f.contexts(dev, c.optical)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.notReady = true // the kernel has it and /dev not yet
		case err != nil:
			s.err = errors.Join(s.err, &UnusableError{Device: dev, Err: err})
		case len(media) > 0:
			s.found = append(s.found, media...)
		default:
			s.notReady = s.notReady || note == noteNotReady
			s.notes = append(s.notes, dev+": "+note)
		}
	}
	if s.err != nil && len(s.found) > 0 {
		// A sound disc beside a broken one: which is the site's?
		for _, m := range s.found {
			s.err = errors.Join(s.err, fmt.Errorf("disc %s: sound, and not used for that reason", m.device))
		}
	}
	return s
}
