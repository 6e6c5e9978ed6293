// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/policy"
)

// inNamespace marks the process that has a mount namespace of its own: whatever
// a test mounts is gone with it.
const inNamespace = "CHANGESET_TEST_NAMESPACE"

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv(inNamespace) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // Go makes the mounts private, too
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// overlay is a root with an overlayfs over it, as a script sees it.
type overlay struct{ lower, upper, merged string }

// entry is a path that a test makes in the root. Data beginning with "->" is a
// symlink's target, and a path that ends with a slash is a directory.
type entry struct {
	path, data string
	mode       uint32
}

// standard is what most tests begin with.
var standard = []entry{
	{"etc/", "", 0o755}, {"etc/a", "a\n", 0o644}, {"etc/b", "b\n", 0o600}, {"etc/link", "->a", 0}, {"etc/empty/", "", 0o755},
	{"etc/d/", "", 0o750}, {"etc/d/x", "x\n", 0o644}, {"etc/d/y", "y\n", 0o644}, {"etc/d/sub/", "", 0o755}, {"etc/d/sub/z", "z\n", 0o644},
	{"etc/d/l", "->/etc/a", 0},
}

func fill(t *testing.T, dir string, entries []entry) {
	t.Helper()
	for _, e := range entries {
		p := filepath.Join(dir, e.path)
		var err error
		target, link := strings.CutPrefix(e.data, "->")
		switch {
		case strings.HasSuffix(e.path, "/"):
			err = os.Mkdir(p, 0o700)
		case link:
			err = os.Symlink(target, p)
		default:
			err = os.WriteFile(p, []byte(e.data), 0o600)
		}
		if err == nil && !link {
			err = unix.Chmod(p, e.mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// needRoot skips a test that cannot mount.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		unable(t, "mounting a file system needs root")
	}
}

// unable skips a test for want of something that this machine lacks; in CI,
// which has it all, that is a failure.
func unable(t *testing.T, format string, a ...any) {
	t.Helper()
	if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
		t.Fatalf(format, a...)
	}
	t.Skipf("SKIPPED: "+format, a...)
}

func mount(t *testing.T, src, target, fstype, opts string) {
	t.Helper()
	if err := unix.Mount(src, target, fstype, 0, opts); err != nil {
		t.Fatalf("mount %s on %s (%s): %v", fstype, target, opts, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Errorf("umount %s: %v", target, err)
		}
	})
}

// newDir is a directory without the commas that t.TempDir takes from a test's
// name: they would end a mount option.
func newDir(t *testing.T) string {
	t.Helper()
	d, err := os.MkdirTemp("", "changeset")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(d); err != nil {
			t.Error(err)
		}
	})
	return d
}

// newOverlay mounts an overlay with the sandbox's options over a root.
func newOverlay(t *testing.T, entries []entry) *overlay {
	t.Helper()
	needRoot(t)
	base := newDir(t)
	o := &overlay{filepath.Join(base, "lower"), filepath.Join(base, "stage/upper"), filepath.Join(base, "merged")}
	for _, d := range []string{o.lower, filepath.Join(base, "stage"), o.merged} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, "stage", filepath.Join(base, "stage"), "tmpfs", "size=64m,mode=0755")
	for _, d := range []string{o.upper, filepath.Join(base, "stage/work")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, o.lower, entries)
	mount(t, "overlay", o.merged, "overlay", "lowerdir="+o.lower+",upperdir="+o.upper+",workdir="+filepath.Join(base, "stage/work")+
		",redirect_dir=off,metacopy=off,index=off,xino=off")
	return o
}

// sh runs a shell script in the merged view.
func (o *overlay) sh(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = o.merged
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sh %q: %v: %s", script, err, out)
	}
}

var wideLimits = Limits{Changes: 10000, Bytes: 64 << 20}

// layer opens the overlay's directories.
func (o *overlay) layer(t *testing.T, at string) Layer {
	t.Helper()
	l := Layer{At: at}
	for f, d := range map[**os.File]string{&l.Lower: o.lower, &l.Upper: o.upper} {
		var err error
		if *f, err = os.Open(d); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*f).Close() })
	}
	return l
}

func (o *overlay) scan(t *testing.T) []policy.Change {
	t.Helper()
	changes, err := Scan([]Layer{o.layer(t, "/")}, Seen{}, wideLimits)
	if err != nil {
		t.Fatalf("Scan() = %v; want no error", err)
	}
	return changes
}

// state is all that a change can alter of a path.
type state struct {
	kind   policy.Type
	attr   policy.Attr
	sum    string
	target string
	xattrs string
	rdev   uint64
}

// tree reads a directory the plain way, without anything of Scan.
func tree(t *testing.T, dir string) map[string]state {
	t.Helper()
	out := map[string]state{}
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		s := state{attr: policy.Attr{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid}, xattrs: plainXattrs(p)}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			s.kind, s.sum = policy.File, hex.EncodeToString(sum[:])
		case unix.S_IFDIR:
			s.kind = policy.Directory
		case unix.S_IFLNK:
			s.kind = policy.Symlink
			if s.target, err = os.Readlink(p); err != nil {
				return err
			}
		case unix.S_IFIFO:
			s.kind = policy.FIFO
		case unix.S_IFSOCK:
			s.kind = policy.Socket
		default:
			s.kind, s.rdev = policy.Device, st.Rdev
		}
		rel := strings.TrimPrefix(p, dir)
		if rel == "" {
			rel = "/"
		}
		if rel == "/var" { // the journal's own
			return fs.SkipDir
		}
		out[rel] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func plainXattrs(p string) string {
	list := make([]byte, 4096)
	n, err := unix.Llistxattr(p, list)
	if err != nil {
		return ""
	}
	var out []string
	for k := range strings.FieldsFuncSeq(string(list[:n]), func(r rune) bool { return r == 0 }) {
		if strings.HasPrefix(k, "user.") || strings.HasPrefix(k, "trusted.overlay.") || k == "security.selinux" {
			continue
		}
		v := make([]byte, 4096)
		m, _ := unix.Lgetxattr(p, k, v)
		out = append(out, fmt.Sprintf("%s=%x", k, v[:max(m, 0)]))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// plainDiff compares two trees path by path.
func plainDiff(before, after map[string]state) []policy.Change {
	var out []policy.Change
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		old, had := before[p]
		now, has := after[p]
		c := policy.Change{Path: p, Type: now.kind, Attr: now.attr, SHA256After: now.sum, Target: now.target}
		if had {
			c.TypeBefore, c.Before, c.SHA256Before = old.kind, &old.attr, old.sum
		}
		switch {
		case !has:
			c.Op, c.Type, c.Attr, c.Target = policy.Delete, old.kind, old.attr, old.target
		case !had:
			c.Op = policy.Create
		case old.kind != now.kind || old.sum != now.sum || old.target != now.target || old.rdev != now.rdev:
			c.Op = policy.Modify
		case old.attr != now.attr || old.xattrs != now.xattrs:
			c.Op = policy.Metadata
		default:
			continue
		}
		if c.TypeBefore != policy.File || c.Op != policy.Delete && c.Type != policy.File {
			c.SHA256Before = "" // not asked for where a file is replaced by another kind
		}
		out = append(out, c)
	}
	return out
}

// describe is what the tests compare of a change.
func describe(c policy.Change) string {
	before := "-"
	if c.Before != nil {
		before = fmt.Sprintf("%s %04o %d:%d %.8s", c.TypeBefore, c.Before.Mode, c.Before.UID, c.Before.GID, c.SHA256Before)
	}
	return fmt.Sprintf("%s %s %q %04o %d:%d %.8s %q (was %s)", c.Op, c.Type, c.Path, c.Attr.Mode, c.Attr.UID, c.Attr.GID, c.SHA256After, c.Target, before)
}

func describeAll(changes []policy.Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintln(&b, describe(c))
	}
	return b.String()
}

// short is op, type and path.
func short(changes []policy.Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, fmt.Sprintf("%s %s %s", c.Op, c.Type, c.Path))
	}
	return out
}
