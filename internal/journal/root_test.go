// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// thing is a path of a test's root: a file with a content, a directory, whose
// path ends with a slash, or a symlink, whose text begins with "->".
type thing struct {
	path, text string
	mode       uint32
	owner      uint32
}

// image is a root with one of everything that a context can alter.
var imageThings = []thing{
	{"/etc/", "", 0o755, 0}, {"/etc/modified", "image\n", 0o644, 0}, {"/etc/twice", "image\n", 0o640, 7}, {"/etc/mode", "image\n", 0o644, 0},
	{"/etc/link", "->old", 0, 0}, {"/etc/owner", "->same", 0, 0}, {"/etc/untouched", "image\n", 0o644, 0}, {"/etc/later", "image\n", 0o644, 0},
	{"/etc/moded/", "", 0o755, 0}, {"/etc/moded/x", "x\n", 0o600, 0}, {"/opt/", "", 0o755, 0},
	{"/etc/was-mode", "image\n", 0o644, 0}, {"/etc/was-content", "image\n", 0o644, 0},
}

// first and second are what two contexts make of it. Between them they make,
// alter, remove and put back one of each kind, and turn files into directories
// and back.
var first = []thing{
	{"/etc/twice", "first\n", 0o640, 7}, {"/etc/later", "first\n", 0o600, 0}, {"/etc/link", "->first", 0, 0}, {"/etc/created", "first\n", 0o644, 0},
	{"/etc/was-mode", "image\n", 0o600, 0}, {"/etc/was-content", "first\n", 0o644, 0},
	{"/opt/old/", "", 0o755, 0}, {"/opt/old/a", "first a\n", 0o644, 0}, {"/opt/old/sub/", "", 0o700, 7}, {"/opt/old/sub/b", "first b\n", 0o755, 7}, {"/opt/old/l", "->a", 0, 0},
	{"/opt/both/", "", 0o755, 0}, {"/opt/both/same", "same\n", 0o644, 0}, {"/opt/both/differs", "first\n", 0o644, 0}, {"/opt/both/gone", "first\n", 0o644, 0},
	{"/opt/file-dir", "first\n", 0o644, 0}, {"/opt/dir-file/", "", 0o755, 0}, {"/opt/dir-file/in", "first\n", 0o644, 0},
}

var second = []thing{
	{"/etc/modified", "second\n", 0o644, 0}, {"/etc/twice", "second\n", 0o600, 0}, {"/etc/mode", "image\n", 0o600, 7}, {"/etc/link", "->second", 0, 0},
	{"/etc/owner", "->same", 0, 7}, {"/etc/created", "second\n", 0o644, 0}, {"/etc/moded/", "", 0o700, 7}, {"/etc/new", "second\n", 0o644, 0}, {"/etc/new-link", "->new", 0, 0},
	{"/etc/was-mode", "second\n", 0o644, 0}, {"/etc/was-content", "image\n", 0o600, 0},
	{"/opt/both/", "", 0o750, 0}, {"/opt/both/same", "same\n", 0o644, 0}, {"/opt/both/differs", "second\n", 0o644, 0},
	{"/opt/new/", "", 0o755, 0}, {"/opt/new/a", strings.Repeat("second\n", 9999), 0o755, 0}, {"/opt/new/sub/", "", 0o700, 7}, {"/opt/new/sub/b", "b\n", 0o600, 7}, {"/opt/new/sub/l", "->b", 0, 0},
	{"/opt/file-dir/", "", 0o755, 0}, {"/opt/file-dir/in", "second\n", 0o644, 0}, {"/opt/dir-file", "second\n", 0o644, 0},
}

var (
	contextOne = Context{Disc: "one", Machine: "m"}
	contextTwo = Context{Disc: "two", Machine: "m"}
)

func (x thing) state() State {
	s := State{Type: File, Mode: x.mode, UID: x.owner, GID: x.owner}
	target, link := strings.CutPrefix(x.text, "->")
	switch {
	case strings.HasSuffix(x.path, "/"):
		s.Type = Directory
	case link:
		s.Type, s.Target = Symlink, target
	default:
		sum := sha256.Sum256([]byte(x.text))
		s.Size, s.SHA256, s.ModTime = int64(len(x.text)), hex.EncodeToString(sum[:]), 1700000000123456789
	}
	return s
}

// lay writes things into a directory the plain way.
func lay(t testing.TB, dir string, things []thing) {
	t.Helper()
	for _, x := range things {
		p, s := filepath.Join(dir, x.path), x.state()
		var err error
		switch s.Type {
		case Directory:
			err = os.Mkdir(p, 0o700)
		case Symlink:
			err = os.Symlink(s.Target, p)
		default:
			err = os.WriteFile(p, []byte(x.text), 0o600)
		}
		if err == nil {
			err = os.Lchown(p, int(x.owner), int(x.owner))
		}
		if err == nil && s.Type != Symlink {
			err = unix.Chmod(p, x.mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// goal is what a stage makes of a root that its script saw as j shows it.
func goal(t testing.TB, j *Journal, c Context, stage int, things []thing) Goal {
	t.Helper()
	g := Goal{Context: c, Stage: stage}
	shown := map[string]State{}
	view, err := j.View(c, stage)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range view {
		shown[v.Path] = v.State
	}
	for _, x := range things {
		r := Result{Path: filepath.Clean(x.path), State: x.state(), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(x.text)), nil }}
		var known bool
		if r.Before, known = shown[r.Path]; !known {
			if dir, err := openDir(j.root, filepath.Dir(r.Path)); err == nil {
				if r.Before, err = look(dir, filepath.Base(r.Path)); err != nil {
					t.Fatal(err)
				}
				dir.Close()
			}
		}
		g.Results = append(g.Results, r)
	}
	return g
}

func newRoot(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		unable(t, "changing owners needs root")
	}
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		dir, err = os.MkdirTemp("", "journal")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	lay(t, dir, imageThings)
	if err := unix.Setxattr(filepath.Join(dir, "etc/modified"), "trusted.ctxagent-test", []byte("kept"), 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unable skips a test for want of something that this machine lacks; in CI,
// which has it all, that is a failure.
func unable(t testing.TB, format string, a ...any) {
	t.Helper()
	if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
		t.Fatalf(format, a...)
	}
	t.Skipf("SKIPPED: "+format, a...)
}

// openTest opens the journal of a directory.
func openTest(t testing.TB, dir string, fault func(op, path string) error) (*Journal, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return Open(root, fault)
}

// shut lets go of everything: the file system may be unmounted next.
func shut(t testing.TB, j *Journal) {
	t.Helper()
	if err := errors.Join(j.Close(), j.top.Close()); err != nil {
		t.Error(err)
	}
}

// commit makes one transaction that has to succeed.
func commit(t testing.TB, dir string, c Context, stage int, things []thing) *Plan {
	t.Helper()
	j, err := openTest(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, j)
	p := j.Plan(goal(t, j, c, stage, things))
	if err := j.Commit(p); err != nil {
		t.Fatalf("Commit() = %v; want no error", err)
	}
	return p
}

// revert puts back everything.
func revert(t testing.TB, dir string) *Plan {
	t.Helper()
	j, err := openTest(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, j)
	p := j.Plan(Goal{})
	if err := j.Commit(p); err != nil {
		t.Fatalf("revert: %v; want no error", err)
	}
	return p
}

// manifest is all that a reader of a root can tell of it, read the plain way. The
// journal's own directory is left out, and so are directories' times and sizes.
func manifest(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := "/" + strings.TrimPrefix(strings.TrimPrefix(p, dir), "/")
		if rel == "/var" {
			return fs.SkipDir
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" links %d %q", st.Nlink, b)
			if !strings.Contains(rel, "mode") && !strings.Contains(rel, "content") { // of which the attributes alone are changed
				line += fmt.Sprintf(" mtime %d", st.Mtim.Nano())
			}
		case unix.S_IFLNK:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		list := make([]byte, 4096)
		n, _ := unix.Llistxattr(p, list)
		names := strings.FieldsFunc(string(list[:max(n, 0)]), func(r rune) bool { return r == 0 })
		slices.Sort(names)
		out[rel] = line + " " + strings.Join(names, ",")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// differ lists the paths of which two manifests tell different things.
func differ(got, want map[string]string) string {
	var b strings.Builder
	all := maps.Clone(got)
	maps.Copy(all, want)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if got[p] != want[p] {
			fmt.Fprintf(&b, "%q\n  is     %.200s\n  wanted %.200s\n", p, got[p], want[p])
		}
	}
	return b.String()
}

// copyOf copies a root with everything.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to, err := os.MkdirTemp(filepath.Dir(dir), "journal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(to) })
	if out, err := exec.Command("cp", "-a", dir+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	return to
}

// files lists what the journal itself holds.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(dir, Dir), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(p, filepath.Join(dir, Dir)+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readRecord(t testing.TB, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, Dir, recordFile))
	if err != nil {
		t.Fatal(err)
	}
	// The names of images differ from run to run.
	return string(bytes.TrimSpace(b))
}
