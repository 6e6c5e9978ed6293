// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/ctxagent/ctxagent/internal/fat"
	"github.com/ctxagent/ctxagent/internal/iso9660"
	"github.com/ctxagent/ctxagent/internal/partition"
	"github.com/ctxagent/ctxagent/internal/vendordata"
)

// medium is a file tree on a disc, open.
type medium struct {
	device, label, flavour string
	contract               string // what makes it a context disc, by recognise
	tree                   fs.FS  // of what the contract reads
	disc                   *disc  // nil for a directory
	io.Closer
}

// errSwapped tells that a disc is not the one any more that was opened.
var errSwapped = errors.New("the disc was changed or taken out while it was read: leave it in the drive until the prolog has ended")

// intact is err, what came of reading the medium, or errSwapped if that may have
// been another one towards the end.
func (m *medium) intact(err error) error {
	if m.disc == nil {
		return err
	}
	return m.disc.intact(err)
}

func (d *disc) intact(err error) error {
	if d.swapped(err) {
		return errSwapped
	}
	return err
}

func closeAll(media []*medium) error {
	var errs []error
	for _, m := range media {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// named opens the media that somebody named; each has to be a context disc.
func (f Finder) named() ([]*medium, error) {
	var found []*medium
	for _, name := range f.Named {
		media, note, err := f.contexts(name, true)
		if err == nil && len(media) == 0 {
			err = errors.New(note)
		}
		if err != nil {
			return found, &UnusableError{Device: name, Err: err}
		}
		found = append(found, media...)
	}
	return found, nil
}

// contexts opens what makes a file, directory or device a context disc: one
// medium, or several on a disc whose partitions each are one. If there is none,
// the note says why; an error is of something that is meant to be read and broken.
func (f Finder) contexts(file string, partitions bool) ([]*medium, string, error) {
	media, note, err := f.open(file, partitions)
	if err != nil || note != "" {
		return nil, note, err
	}
	var found []*medium
	var notes []string
	for i, m := range media {
		note, err := f.recognise(m)
		err = m.intact(err)
		if note != "" && m.contract == "" && len(f.Named) > 0 { // somebody at a desk can use more words
			note += deeper(m.tree, f.MaxFiles)
		}
		switch {
		case err != nil:
			return nil, "", errors.Join(err, closeAll(found), closeAll(media[i:]))
		case note == "":
			found = append(found, m)
		default:
			notes = append(notes, note)
			if err := m.Close(); err != nil {
				return nil, "", errors.Join(err, closeAll(found), closeAll(media[i+1:]))
			}
		}
	}
	if len(found) > 0 {
		return found, "", nil
	}
	return nil, strings.Join(notes, "; "), nil
}

// The contracts by which a disc can be a context disc: scripts in its root
// directory, or the vendor data of an OpenStack config drive.
const (
	hepix     = "hepix"
	openStack = "openstack vendor data"
)

// recognise notes which contract makes an open medium a context disc, or says
// why none does.
func (f Finder) recognise(m *medium) (note string, err error) {
	entries, err := fs.ReadDir(m.tree, ".")
	if err != nil {
		return "", err
	}
	there := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return slices.ContainsFunc(markers, func(n string) bool { return sameName(e.Name(), n) })
	})
	if there {
		m.contract = hepix
	} else if note, err = f.vendorData(m); err != nil || note != "" {
		return note, err
	}
	if f.Label != "" && m.label != f.Label {
		return fmt.Sprintf("its label is %q and the policy demands %q", m.label, f.Label), nil
	}
	return "", nil
}

// deeper names a stage's script one level below the root directory, where nobody
// looks for it. It looks into at most limit directories.
func deeper(tree fs.FS, limit int) string {
	top, err := fs.ReadDir(tree, ".")
	if err != nil {
		return ""
	}
	for _, d := range top {
		if !d.IsDir() {
			continue
		}
		if limit--; limit < 0 {
			return ""
		}
		below, err := fs.ReadDir(tree, d.Name())
		if err != nil {
			continue
		}
		for _, e := range below {
			if e.Type().IsRegular() && (sameName(e.Name(), "prolog.sh") || sameName(e.Name(), "epilog.sh")) {
				return fmt.Sprintf("; %q is there: it has to be in the root directory", d.Name()+"/"+e.Name())
			}
		}
	}
	return ""
}

// vendorData puts the site's half of a config drive in the place of a medium's
// tree. A directory, which has no label, may stand for a drive.
func (f Finder) vendorData(m *medium) (note string, err error) {
	if !sameName(m.label, vendordata.Label) && m.flavour != flavourDirectory {
		return fmt.Sprintf("a %s disc labelled %q with neither prolog.sh nor epilog.sh in its root directory", m.flavour, m.label), nil
	}
	tree, err := vendordata.Open(m.tree, f.MaxFiles)
	switch {
	case err != nil:
		return "", err
	case tree == nil:
		what := fmt.Sprintf("a %s disc labelled %q with", m.flavour, m.label)
		if m.flavour == flavourDirectory {
			what = fmt.Sprintf("the directory %s has", m.device)
		}
		return fmt.Sprintf("%s neither prolog.sh nor epilog.sh in its root directory, nor a key %q in the vendor data of OpenStack", what, vendordata.Key), nil
	}
	m.contract, m.tree = openStack, tree
	return "", nil
}

// open opens every file tree of one file, directory or device. If there is
// none, the note says why.
func (f Finder) open(file string, partitions bool) (_ []*medium, note string, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, "", err
	}
	if info.IsDir() {
		dir, err := os.OpenRoot(file)
		if err != nil {
			return nil, "", err
		}
		return []*medium{{device: file, flavour: flavourDirectory, tree: directory{dir.FS(), dir}, Closer: dir}}, "", nil
	}
	disc, note, err := openDisc(file)
	if err != nil || note != "" {
		return nil, note, err
	}
	m, err := f.volume(disc, disc.size)
	err = disc.intact(err)
	switch {
	case err == nil:
		m.device, m.disc, m.Closer = file, disc, disc
		return []*medium{m}, "", nil
	case !errors.Is(err, errNoVolume) || !partitions:
		err = errors.Join(err, disc.Close())
	default:
		return f.openPartitions(file, disc)
	}
	if errors.Is(err, errNoVolume) {
		return nil, err.Error(), nil
	}
	return nil, "", err
}

// openPartitions opens the file trees in the partitions of a disc, and closes
// the disc. What is in a partition that is no file tree of ours is not looked at.
func (f Finder) openPartitions(file string, disc *disc) (media []*medium, note string, err error) {
	parts, err := partition.Table(disc, disc.size)
	err = errors.Join(disc.intact(err), disc.Close())
	if errors.Is(err, partition.ErrNone) {
		return nil, errNoVolume.Error(), nil
	}
	for _, p := range parts {
		if err != nil {
			break
		}
		part, gone, openErr := openDisc(file)
		switch {
		case openErr != nil:
			err = openErr
		case gone != "":
			err = errSwapped
		case part.sequence != disc.sequence:
			err = errors.Join(errSwapped, part.Close())
		}
		if err != nil {
			break
		}
		m, volumeErr := f.volume(io.NewSectionReader(part, p.Offset, p.Size), p.Size)
		if volumeErr = part.intact(volumeErr); volumeErr != nil {
			if volumeErr = errors.Join(volumeErr, part.Close()); !errors.Is(volumeErr, errNoVolume) {
				err = fmt.Errorf("partition %d: %w", p.Number, volumeErr)
			}
			continue
		}
		m.device, m.disc, m.Closer = fmt.Sprintf("%s, partition %d", file, p.Number), part, part
		media = append(media, m)
	}
	if err != nil {
		return nil, "", errors.Join(err, closeAll(media))
	}
	if len(media) == 0 {
		return nil, fmt.Sprintf("neither ISO 9660 nor FAT in its %d partitions", len(parts)), nil
	}
	return media, "", nil
}

// disc is an open file or device.
type disc struct {
	*os.File
	size     int64  // bytes
	sequence uint64 // of its medium when it was opened
}

// openDisc opens a file or device that is no directory. The note says why there
// is nothing to read.
func openDisc(file string) (_ *disc, note string, err error) {
	// O_NONBLOCK lets an empty or opening drive be opened, and a FIFO too.
	fd, err := os.OpenFile(file, os.O_RDONLY|oNonblock, 0)
	if err != nil {
		return nil, openNote(err), openError(err)
	}
	_ = sequence(fd) // an old kernel's answer is about the time since the last question
	d := &disc{File: fd, sequence: sequence(fd)}
	if note := driveNote(fd); note != "" {
		return nil, note, fd.Close()
	}
	if d.size, err = fd.Seek(0, io.SeekEnd); err != nil {
		return nil, "", errors.Join(err, fd.Close())
	}
	return d, "", nil
}

// errNoVolume tells that there is no file tree of a kind that we read.
var errNoVolume = errors.New("not an ISO 9660 volume, nor a FAT one")

// volume opens the file tree that a disc or partition of size bytes holds. ISO
// 9660 comes first: a hybrid image has a boot sector in its system area, which
// may look like that of a FAT volume.
func (f Finder) volume(r io.ReaderAt, size int64) (*medium, error) {
	iso, err := iso9660.Open(r, size, f.MaxFiles)
	if err == nil {
		return &medium{label: iso.Label(), flavour: iso.Flavour(), tree: iso}, nil
	}
	if !errors.Is(err, iso9660.ErrNotISO) {
		return nil, err
	}
	vol, err := fat.Open(r, size, f.MaxFiles)
	if err == nil {
		return &medium{label: vol.Label(), flavour: vol.Flavour(), tree: vol}, nil
	}
	if errors.Is(err, fat.ErrNotFAT) {
		return nil, errNoVolume
	}
	return nil, err
}

const flavourDirectory = "directory"

// directory is a directory tree of this machine, in place of a disc. Somebody
// may change it while it is read.
type directory struct {
	fs.FS
	root *os.Root
}

// Open opens without waiting: a file that was swapped for a FIFO since it was
// listed would otherwise wait for a writer.
func (d directory) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return d.root.OpenFile(name, os.O_RDONLY|oNonblock, 0)
}

// ReadLink is that of the tree.
func (d directory) ReadLink(name string) (string, error) { return d.root.Readlink(name) }

// Lstat is that of the tree.
func (d directory) Lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }
