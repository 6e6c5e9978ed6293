// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The lines that are comments to other tools.
const (
	signature   = "#mtree"
	versionLine = "# ctxagent manifest 1"
	mutableLine = "# mutable "
	withLine    = "# with "
	endLine     = "# end: "
)

// Write writes a manifest. It holds nothing that is not of the tree, so that the
// same tree is the same bytes. An entry that could not be read is an error: a
// manifest that says less than the whole is none.
func Write(out io.Writer, h Header, w *Walk) (n int, err error) {
	b := bufio.NewWriter(out)
	fmt.Fprintf(b, "%s\n%s\n", signature, versionLine) // errors stay until Flush
	for _, p := range h.Mutable {
		fmt.Fprintf(b, "%s%s\n", mutableLine, encode(p))
	}
	for _, p := range h.With {
		fmt.Fprintf(b, "%s%s\n", withLine, encode(p))
	}
	for ; ; n++ {
		e, err := w.Next()
		if err != nil {
			return n, err
		}
		if e == nil {
			break
		}
		if e.Mount && e.Type != Directory {
			e.Err = errors.New("another file is mounted over it: unmount that first")
		}
		if e.Err != nil {
			return n, fmt.Errorf("%q: %w", e.Path, e.Err)
		}
		if _, err := b.WriteString(e.line()); err != nil {
			return n, err
		}
	}
	fmt.Fprintf(b, "%s%d entries\n", endLine, n)
	return n, b.Flush()
}

// line is the entry as a manifest has it.
func (e *Entry) line() string {
	out := "." + encode(e.Path)
	if e.Path == "/" {
		out = "."
	}
	out += " type=" + e.Type
	if e.Ignore || e.Mount {
		return out + " ignore\n"
	}
	if e.Type != Symlink {
		out += fmt.Sprintf(" mode=%#o", e.Mode)
	}
	out += fmt.Sprintf(" uid=%d gid=%d", e.UID, e.GID)
	switch e.Type {
	case File:
		out += fmt.Sprintf(" size=%d sha256digest=%s", e.Size, e.SHA256)
	case Symlink:
		out += " link=" + encode(e.Target)
	case Block, Char:
		out += " device=native," + e.Device
	}
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		key := strings.ReplaceAll(encode(name), "=", `\075`) // the first one ends the keyword
		out += " xattr." + key + "=" + base64.StdEncoding.EncodeToString([]byte(e.Xattrs[name]))
	}
	return out + "\n"
}
