// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

var zero = time.Unix(0, 0)

const small = `#mtree
# ctxagent manifest 1
# mutable /var/log/\052\052
# with /boot
. type=dir mode=0755 uid=0 gid=0
./a type=dir mode=0755 uid=0 gid=0
./a/b\040c type=file mode=4755 uid=1 gid=2 size=3 sha256digest=ab xattr.user.x=eA== xattr.user.y=
./a-b type=link uid=0 gid=0 link=x\040y
./c type=char mode=0600 uid=0 gid=0 device=native,1,3
./d type=dir ignore
# end: 6 entries
`

// all reads a manifest to its end.
func all(text string) (h Header, out []Entry, err error) {
	m, err := NewReader(strings.NewReader(text))
	if err != nil {
		return h, nil, err
	}
	for {
		e, err := m.Next()
		if err != nil || e == nil {
			return m.Header, out, err
		}
		out = append(out, *e)
	}
}

func TestRead(t *testing.T) {
	h, got, err := all(small)
	want := []Entry{
		{Path: "/", Type: Directory, Mode: 0o755}, {Path: "/a", Type: Directory, Mode: 0o755},
		{Path: "/a/b c", Type: File, Mode: 0o4755, UID: 1, GID: 2, Size: 3, SHA256: "ab", Xattrs: map[string]string{"user.x": "x", "user.y": ""}},
		{Path: "/a-b", Type: Symlink, Target: "x y"}, {Path: "/c", Type: Char, Mode: 0o600, Device: "1,3"}, {Path: "/d", Type: Directory, Ignore: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(h, Header{[]string{"/var/log/**"}, []string{"/boot"}}) {
		t.Errorf("%+v, %+v, %v; want\n%+v", h, got, err, want)
	}
}

// TestDamaged: a manifest that lost a line, or got one, is none.
func TestDamaged(t *testing.T) {
	lines := strings.SplitAfter(small, "\n")
	for i := range len(lines) - 1 {
		for what, text := range map[string]string{
			"cut off before":  strings.Join(lines[:i], ""),
			"without":         strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), ""),
			"twice":           strings.Join(lines[:i+1], "") + strings.Join(lines[i:], ""),
			"half of":         strings.Join(lines[:i], "") + lines[i][:len(lines[i])/2],
			"something after": small + lines[i],
		} {
			if what == "without" && (i == 2 || i == 3) || what == "twice" && (i == 2 || i == 3) {
				continue // the header is as long as it is
			}
			_, _, err := all(text)
			if _, ok := errors.AsType[*DamagedError](err); !ok {
				t.Errorf("%s %q: %v; want a *DamagedError", what, lines[i], err)
			}
		}
	}
	for from, to := range map[string]string{
		"./a-b": "a-b", "./c ": "./c/../x ", "./d ": "./d/ ", "mode=4755": "mode=9", "uid=1": "uid=-1", "size=3": "size=x", `\040`: `\04`, "eA==": "e", "ignore": "optional",
		"type=char ": "", "./d": "./b", "6 entries": "7 entries", "#mtree": "#mtree v2.0", "manifest 1": "manifest 2",
	} {
		if _, _, err := all(strings.Replace(small, from, to, 1)); err == nil {
			t.Errorf("%q in place of %q: no error", to, from)
		}
	}
	if _, _, err := all(strings.Replace(small, "xattr.user.x", "xattr."+strings.Repeat("x", maxLine), 1)); err == nil {
		t.Error("a line of 4 MiB: no error")
	}
}

// FuzzReader: no bytes panic, and what is read is read the same once written.
func FuzzReader(f *testing.F) {
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := NewReader(io.LimitReader(bytes.NewReader(b), 1<<16))
		for err == nil {
			var e *Entry
			if e, err = m.Next(); e == nil {
				return
			}
			again, err := parse(strings.TrimSuffix(e.line(), "\n"))
			if err != nil || again.Path != e.Path || again.Target != e.Target && e.Type == Symlink && !e.Ignore {
				t.Fatalf("%+v is written as %q, and read as %+v, %v", e, e.line(), again, err)
			}
		}
	})
}
