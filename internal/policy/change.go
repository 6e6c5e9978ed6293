// SPDX-License-Identifier: Apache-2.0

package policy

import "io"

// Op says what a change does to a path.
type Op string

// The operations of a change.
const (
	Create   Op = "create"   // the path was not there
	Modify   Op = "modify"   // content, link target or type differ
	Delete   Op = "delete"   // the path is gone
	Metadata Op = "metadata" // only mode, owner or extended attributes differ
)

// Type is the file type of a path, in words.
type Type string

// The file types that a change can have (inode(7)).
const (
	File      Type = "file"
	Directory Type = "directory"
	Symlink   Type = "symlink"
	Device    Type = "device"
	FIFO      Type = "fifo"
	Socket    Type = "socket"
)

// Attr is what inode(7) keeps beside the content: the permission bits with
// setuid, setgid and sticky (mask 07777), and the numeric owner and group.
type Attr struct {
	Mode     uint32
	UID, GID uint32
}

// Change is one difference between what the script left and the root it was
// shown. Path is absolute inside the root and byte-exact.
type Change struct {
	Path   string
	Op     Op
	Type   Type // of the new state; of the old one for a delete
	Attr   Attr // of the new state; of the old one for a delete
	Size   int64
	Before *Attr // nil for a create
	// TypeBefore is empty for a create. A Modify whose types differ replaces
	// one kind of thing by another.
	TypeBefore Type
	// SHA256Before and SHA256After are lower-case hex digests of regular
	// files' contents, empty for everything else.
	SHA256Before, SHA256After string
	Target                    string   // of a symlink
	TargetBefore              string   // of the symlink that was there
	Through                   string   // the first symlink of the image on the way to Target
	Xattrs                    []string // names that differ from the root's
	// LinkedOutside tells that the file has a further name that is not among
	// the changes.
	LinkedOutside bool
	// Own tells that the same context made the path: the image has none. What
	// is not Own and has a Before is the image's.
	Own bool
	// ModTime is the time of the new state's content, in nanoseconds since 1970.
	ModTime int64
	// Data is the content of a regular file of at most MaxChecked bytes;
	// longer ones have none, and no grammar accepts them.
	Data []byte
	// Open reads the content that was scanned. The staging tree is quiet by
	// then; whoever writes it elsewhere compares with SHA256After again.
	Open func() (io.ReadCloser, error)
}

// MaxChecked is the size in bytes up to which a file's content is held for the
// grammars. A configuration file is far smaller.
const MaxChecked = 1 << 20

// UnitRequest is what a script asked the service manager for.
type UnitRequest struct {
	Verb string // systemctl(1)'s word: restart, reload, enable …
	Unit string // with its suffix
}

// Proposal is all that a script did and asked for.
type Proposal struct {
	Changes []Change
	Units   []UnitRequest
	Calls   []Call // that were refused to it
}

// Approved is what Check accepted. Only Check makes a non-empty one, so
// nothing can be applied that was not checked.
type Approved struct {
	changes []Decided
	units   []UnitRequest
}

// Decided is an accepted change with the class and the rule that accepted it.
type Decided struct {
	Change
	Class, Rule string
}

// Changes are the accepted changes in the order of their paths.
func (a Approved) Changes() []Decided { return append([]Decided(nil), a.changes...) }

// Units are the accepted requests in the order in which they were made,
// each once.
func (a Approved) Units() []UnitRequest { return append([]UnitRequest(nil), a.units...) }
