// SPDX-License-Identifier: Apache-2.0

// Package cdrom finds the context disc and reads it once. Its input is the
// machine's block devices (or a disc that somebody names); its output is the
// disc's tree as bounded bytes in a directory of the caller's, with digests. It
// mounts nothing, runs nothing, and does not know what the files mean.
//
// A disc is a context disc when its root directory holds prolog.sh or epilog.sh,
// or init.sh or context.sh as at CERN and in OpenNebula (HEPiX Virtualisation
// Working Group book, "Contextualisation proposal").
package cdrom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ctxagent/ctxagent/internal/iso9660"
)

// ErrNoMedia tells that there is no context disc. The error's text says what
// was looked at.
var ErrNoMedia = errors.New("no context disc")

// AmbiguousError tells that there is more than one context disc.
type AmbiguousError struct{ Devices []string }

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

	Sys, Dev, Run string // "/sys", "/dev", "/run"
	// Events subscribes to what may bring a disc: a value hints that something
	// changed. It ends with its context.
	Events func(context.Context) (<-chan struct{}, error)
}

// Disc is what was read.
type Disc struct {
	Device  string // path of the device, file or directory
	Label   string // volume identifier (ECMA-119 8.4.7), trimmed
	Flavour string // "rock ridge", "joliet", "plain", or "directory"
	// Digest is the SHA-256, in hex, over one line for each entry in the order
	// of their paths: type, quoted path, and the file's SHA-256 or the quoted
	// link target. The same tree has the same digest on every kind of disc.
	Digest string
	Files  []File // sorted by path
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

// Find looks for the one context disc and reads it into the directory into,
// which has to be empty. It waits for at most f.Wait, and only as long as the
// kernel or udev is still probing.
func (f Finder) Find(ctx context.Context, into *os.Root) (*Disc, error) {
	var (
		found []*medium
		seen  []string
		err   error
	)
	if len(f.Named) > 0 {
		found, err = f.named()
	} else {
		found, seen, err = f.search(ctx)
	}
	defer func() {
		for _, m := range found {
			_ = m.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		if len(seen) > 0 {
			return nil, fmt.Errorf("%w: %s", ErrNoMedia, strings.Join(seen, "; "))
		}
		return nil, fmt.Errorf("%w: no drive or read-only disk", ErrNoMedia)
	case 1:
	default:
		var names []string
		for _, m := range found {
			names = append(names, m.device)
		}
		return nil, &AmbiguousError{Devices: names}
	}
	d, err := f.read(found[0], into)
	if err != nil {
		return nil, &UnusableError{Device: found[0].device, Err: err}
	}
	return d, nil
}

// medium is a context disc, open.
type medium struct {
	device, label, flavour string
	tree                   fs.FS
	io.Closer
}

// named opens the media that somebody named; each has to be a context disc.
func (f Finder) named() ([]*medium, error) {
	var found []*medium
	for _, name := range f.Named {
		m, note, err := f.open(name, name)
		if err == nil && m == nil {
			err = errors.New(note)
		}
		if err != nil {
			return found, &UnusableError{Device: name, Err: err}
		}
		found = append(found, m)
	}
	return found, nil
}

// open looks at one file, directory or device. It returns the medium, or a note
// why this is no context disc, or an error if it is meant to be one and broken.
func (f Finder) open(name, file string) (_ *medium, note string, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, "", err
	}
	m := &medium{device: name}
	if info.IsDir() {
		dir, err := os.OpenRoot(file)
		if err != nil {
			return nil, "", err
		}
		m.tree, m.flavour, m.Closer = dir.FS(), "directory", dir
	} else {
		// O_NONBLOCK lets an empty or opening drive be opened, and a FIFO too.
		fd, err := os.OpenFile(file, os.O_RDONLY|oNonblock, 0)
		if err != nil {
			return nil, openNote(err), openError(err)
		}
		m.Closer = fd
		if note := driveNote(fd); note != "" {
			return nil, note, fd.Close()
		}
		size, err := fd.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, "", errors.Join(err, fd.Close())
		}
		vol, err := iso9660.Open(fd, size)
		if errors.Is(err, iso9660.ErrNotISO) {
			return nil, "not an ISO 9660 volume", fd.Close()
		}
		if err != nil {
			return nil, "", errors.Join(err, fd.Close())
		}
		m.tree, m.label, m.flavour = vol, vol.Label(), vol.Flavour()
	}
	note, err = f.recognise(m)
	if note != "" || err != nil {
		return nil, note, errors.Join(err, m.Close())
	}
	return m, "", nil
}

// recognise says why an open medium is no context disc, or "".
func (f Finder) recognise(m *medium) (string, error) {
	entries, err := fs.ReadDir(m.tree, ".")
	if err != nil {
		return "", err
	}
	there := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return slices.ContainsFunc(markers, func(n string) bool { return sameName(e.Name(), n) })
	})
	switch {
	case !there:
		return fmt.Sprintf("a %s disc labelled %q with neither prolog.sh nor epilog.sh in its root directory", m.flavour, m.label), nil
	case f.Label != "" && m.label != f.Label:
		return fmt.Sprintf("its label is %q and the policy demands %q", m.label, f.Label), nil
	}
	return "", nil
}

// search scans until nothing is left to wait for. It does not stop at the first
// disc: a second one may be on its way, and which of two is used must not be a
// matter of which came first.
func (f Finder) search(ctx context.Context) ([]*medium, []string, error) {
	if f.Wait == 0 {
		s := f.scan()
		return s.found, s.notes, s.err
	}
	ctx, cancel := context.WithTimeout(ctx, f.Wait)
	defer cancel()
	hints, err := f.Events(ctx) // before the first scan: nothing falls between
	if err != nil {
		return nil, nil, fmt.Errorf("listen for devices: %w", err)
	}
	for {
		s := f.scan()
		if !s.notReady && !f.probing() {
			return s.found, s.notes, s.err
		}
		select {
		case <-hints:
			if err := s.close(); err != nil {
				return nil, nil, err
			}
		case <-ctx.Done():
			s.notes = append(s.notes, fmt.Sprintf("devices were still being probed after %v", f.Wait))
			return s.found, s.notes, s.err
		}
	}
}

// scanned is the outcome of one look at all devices.
type scanned struct {
	found    []*medium
	notes    []string
	notReady bool
	err      error
}

func (s scanned) close() error {
	var errs []error
	for _, m := range s.found {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

func (f Finder) scan() scanned {
	var s scanned
	for _, c := range f.candidates() {
		dev := path.Join(f.Dev, c.name)
		if slices.ContainsFunc(s.found, func(m *medium) bool { return m.device == path.Join(f.Dev, c.parent) }) {
			continue // a hybrid image: the partition shows the same disc again
		}
		m, note, err := f.open(dev, dev)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.notReady = true // the kernel has it and /dev not yet
		case err != nil:
			s.err = errors.Join(s.err, &UnusableError{Device: dev, Err: err})
		case m != nil:
			s.found = append(s.found, m)
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
