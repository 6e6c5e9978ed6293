// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// maxLine bounds one line: a path and the extended attributes of a file, each of
// which may have 64 KiB (XATTR_SIZE_MAX).
const maxLine = 4 << 20

// Reader reads a manifest that Write has written.
type Reader struct {
	Header Header

	lines *bufio.Scanner
	n     int    // of the line that was read last
	line  string // that is not yet an entry
	count int    // of entries
	last  string // path
}

// NewReader reads the header of a manifest.
func NewReader(r io.Reader) (*Reader, error) {
	m := &Reader{lines: bufio.NewScanner(r)}
	m.lines.Buffer(nil, maxLine)
	for _, want := range []string{signature, versionLine} {
		if !m.scan() {
			return nil, m.fault(errors.New("it ends before it begins"))
		}
		if m.lines.Text() != want {
			return nil, m.fault(fmt.Errorf("is %.40q; want %q: `ctxagent seal` writes what this reads", m.lines.Text(), want))
		}
	}
	for m.scan() {
		line := m.lines.Text()
		list := &m.Header.Mutable
		p, ok := strings.CutPrefix(line, mutableLine)
		if !ok {
			list = &m.Header.With
			if p, ok = strings.CutPrefix(line, withLine); !ok {
				m.line = line
				return m, nil
			}
		}
		p, err := decode(p)
		if err != nil {
			return nil, m.fault(err)
		}
		*list = append(*list, p)
	}
	return nil, m.fault(errors.New("it ends after the header"))
}

func (m *Reader) scan() bool {
	m.n++
	return m.lines.Scan()
}

// DamagedError tells where a manifest is not one.
type DamagedError struct {
	Line int
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the reason.
func (e *DamagedError) Unwrap() error { return e.Err }

func (m *Reader) fault(err error) error {
	if read := m.lines.Err(); read != nil {
		err = read
	}
	return &DamagedError{m.n, err}
}

// Next reads an entry; nil is the end. A manifest that is damaged, out of order or
// cut off is a *DamagedError.
func (m *Reader) Next() (*Entry, error) {
	if m.count > 0 {
		if !m.scan() {
			return nil, m.fault(errors.New("the manifest is cut off: its last line is missing"))
		}
		m.line = m.lines.Text()
	}
	if end, ok := strings.CutPrefix(m.line, endLine); ok {
		return nil, m.end(end)
	}
	e, err := parse(m.line)
	if err == nil && m.count > 0 && !before(m.last, e.Path) {
		err = fmt.Errorf("%q stands behind %q", e.Path, m.last)
	}
	if err != nil {
		return nil, m.fault(err)
	}
	m.count, m.last = m.count+1, e.Path
	return e, nil
}

// end checks the last line, and that it is the last.
func (m *Reader) end(said string) error {
	if want := fmt.Sprintf("%d entries", m.count); said != want {
		return m.fault(fmt.Errorf("it says %q; there are %s", said, want))
	}
	if m.scan() || m.lines.Err() != nil {
		return m.fault(errors.New("the manifest goes on behind its end"))
	}
	return nil
}

// parse reads one entry.
func parse(line string) (*Entry, error) {
	words := strings.Split(line, " ")
	name, err := decode(words[0])
	if err != nil {
		return nil, err
	}
	e := &Entry{Path: strings.TrimPrefix(name, ".")}
	if name == "." {
		e.Path = "/"
	}
	if !strings.HasPrefix(name, ".") || path.Clean(e.Path) != e.Path || e.Path[0] != '/' {
		return nil, fmt.Errorf("%.80q is no path of an entry", name)
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		if err := e.set(key, value); err != nil {
			return nil, fmt.Errorf("%q: %.80q: %w", e.Path, w, err)
		}
	}
	if e.Type == "" {
		return nil, fmt.Errorf("%q has no type", e.Path)
	}
	return e, nil
}

// set reads one keyword.
func (e *Entry) set(key, value string) (err error) {
	switch key {
	case "type":
		e.Type = value
	case "mode":
		e.Mode, err = number(value, 8)
	case "uid":
		e.UID, err = number(value, 10)
	case "gid":
		e.GID, err = number(value, 10)
	case "size":
		e.Size, err = strconv.ParseInt(value, 10, 64)
	case "sha256digest":
		e.SHA256 = value
	case "link":
		e.Target, err = decode(value)
	case "device":
		e.Device = strings.TrimPrefix(value, "native,")
	case "ignore":
		e.Ignore = true
	default:
		name, ok := strings.CutPrefix(key, "xattr.")
		if !ok {
			return errors.New("unknown keyword")
		}
		return e.setXattr(name, value)
	}
	return err
}

func number(s string, base int) (uint32, error) {
	n, err := strconv.ParseUint(s, base, 32)
	return uint32(n), err
}

func (e *Entry) setXattr(name, value string) error {
	name, err := decode(name)
	if err != nil {
		return err
	}
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return err
	}
	if e.Xattrs == nil {
		e.Xattrs = map[string]string{}
	}
	e.Xattrs[name] = string(b)
	return nil
}
