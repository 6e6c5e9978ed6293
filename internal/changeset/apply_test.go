// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/journal"
	"github.com/ctxagent/ctxagent/internal/policy"
)

// testPolicy allows all that Apply can do, below /opt/t.
const testPolicy = `version: 1
classes:
  batch:
    paths:
      - {path: "/opt/t/**", content: opaque, max_bytes: 64MiB, exec: true, owners: [u], image_files: replace}
limits: {deadline: 5m, bytes: 256MiB, inodes: 20000, processes: 256, memory: 512MiB, changes: 5000}
media: {wait: 10s, max_bytes: 128MiB, max_files: 10000}
network: {timeout: 2m}
`

func approve(t *testing.T, changes []policy.Change) policy.Approved {
	t.Helper()
	p, err := policy.Parse("test", []byte(testPolicy))
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.Check(policy.Proposal{Changes: changes}, policy.Accounts{Users: map[string]uint32{"u": 7}, Groups: map[string]uint32{"u": 7}})
	if err != nil {
		t.Fatalf("Check() = %v; want the changes approved", err)
	}
	return a
}

// places is a root with one of everything that a change can alter.
var places = []entry{
	{"opt/", "", 0o755}, {"opt/t/", "", 0o755},
	{"opt/t/b", "old b\n", 0o644}, {"opt/t/e", "e\n", 0o644}, {"opt/t/f/", "", 0o755}, {"opt/t/g", "->old", 0},
	{"opt/t/h", "old h\n", 0o600}, {"opt/t/i", "->same", 0}, {"opt/t/z", "untouched\n", 0o644},
	{"elsewhere/", "", 0o755}, {"elsewhere/b", "old b\n", 0o644}, {"elsewhere/f/", "", 0o755},
}

// everything makes one change of each kind; the comments are the places in the
// order of their paths.
const everything = `umask 022; cd opt/t
	echo a >a                            # 0 create file
	echo 'new b' >b                      # 1 modify file
	ln -s z c                            # 2 create symlink
	mkdir d                              # 3 create directory
	head -c 100000 /dev/urandom >d/big   # 4 create file below it
	chmod 755 d/big; chown 7:7 d/big
	mkdir -m 700 d/sub                   # 5
	chmod 600 e                          # 6 metadata of a file
	chmod 700 f; chown 7:7 f             # 7 metadata of a directory
	ln -sfn z g                          # 8 modify symlink
	echo 'new h' >h; chown 7:7 h         # 9 modify file
	chown -h 7:7 i                       # 10 metadata of a symlink
	printf '#!/bin/sh\n' >j; chmod 755 j # 11 create executable file
`

// staged runs a script on an overlay and returns its changes.
func staged(t *testing.T, script string) (*overlay, []policy.Change) {
	t.Helper()
	o := newOverlay(t, places)
	o.sh(t, script)
	return o, o.scan(t)
}

// apply makes approved changes in a directory, as a stage does.
func apply(t testing.TB, dir string, a policy.Approved) error {
	t.Helper()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	j, err := journal.Open(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	p, err := Plan(j, a, journal.Goal{Context: journal.Context{Disc: "test"}})
	if err != nil {
		return err
	}
	return j.Commit(p)
}

// identity adds to a tree what a rewrite in place would alter.
func identity(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for p, s := range tree(t, dir) {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, p), &st); err != nil {
			t.Fatal(err)
		}
		out[p] = fmt.Sprintf("%+v", s)
		if s.kind != policy.Directory {
			out[p] += fmt.Sprintf(" links %d inode %d mtime %d", st.Nlink, st.Ino, st.Mtim.Nano())
		}
	}
	return out
}

// compare tells which paths differ, apart from those in except.
func compare(got, want map[string]string, except ...string) string {
	var b strings.Builder
	all := maps.Clone(got)
	maps.Copy(all, want)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if got[p] != want[p] && !slices.Contains(except, p) {
			fmt.Fprintf(&b, "%q\n  has   %s\n  wants %s\n", p, got[p], want[p])
		}
	}
	return b.String()
}

func leftOver(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(p), ".ctxagent-") {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestApplyMakesEveryKindExactly(t *testing.T) {
	o, changes := staged(t, everything)
	if len(changes) != 12 {
		t.Fatalf("Scan() = %q; want 12 changes", short(changes))
	}
	want, was := tree(t, o.merged), identity(t, o.lower)
	if err := apply(t, o.lower, approve(t, changes)); err != nil {
		t.Fatalf("Apply() = %v; want no error", err)
	}
	if got, want := describeAll(plainDiff(want, tree(t, o.lower))), ""; got != want {
		t.Errorf("Apply() leaves the root different from what the script saw:\n%s", got)
	}
	if left := leftOver(t, o.lower); left != nil {
		t.Errorf("Apply() leaves %q", left)
	}
	now := identity(t, o.lower)
	for _, p := range []string{"/opt/t/z", "/elsewhere/b"} {
		if now[p] != was[p] {
			t.Errorf("Apply() rewrites %s: %s; want %s", p, now[p], was[p])
		}
	}
}

func TestApplyOfNothing(t *testing.T) {
	o := newOverlay(t, places)
	before := identity(t, o.lower)
	if err := apply(t, o.lower, policy.Approved{}); err != nil {
		t.Errorf("Apply(nothing) = %v; want no error", err)
	}
	if diff := compare(identity(t, o.lower), before); diff != "" {
		t.Errorf("Apply(nothing) changes\n%s", diff)
	}
}

// A second scan of an applied change finds nothing.
func TestApplyThenScan(t *testing.T) {
	o, changes := staged(t, everything)
	if err := apply(t, o.lower, approve(t, changes)); err != nil {
		t.Fatalf("Apply() = %v; want no error", err)
	}
	if again := o.scan(t); len(again) != 0 {
		t.Errorf("Scan() after Apply() = %q; want none", short(again))
	}
}

func TestApplyLongNames(t *testing.T) {
	long := strings.Repeat("n", 255)
	o, changes := staged(t, "echo x >opt/t/"+long)
	if err := apply(t, o.lower, approve(t, changes)); err != nil {
		t.Fatalf("Apply(a name of 255 bytes) = %v; want no error", err)
	}
	if b, err := os.ReadFile(filepath.Join(o.lower, "opt/t", long)); err != nil || string(b) != "x\n" {
		t.Errorf("the file has %q, %v; want %q", b, err, "x\n")
	}
}

// fails runs Apply, which has to fail and to leave the root as it was, but for
// what was sabotaged.
func fails(t *testing.T, o *overlay, changes []policy.Change, want string, sabotaged ...string) {
	t.Helper()
	before := identity(t, o.lower)
	err := apply(t, o.lower, approve(t, changes))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Apply() = %v; want an error with %q", err, want)
	}
	if diff := compare(identity(t, o.lower), before, sabotaged...); diff != "" {
		t.Errorf("Apply() = %v, and the root differs:\n%s", err, diff)
	}
	if left := leftOver(t, o.lower); left != nil {
		t.Errorf("Apply() = %v, and leaves %q", err, left)
	}
}

// immutable sets chattr(1)'s +i, FS_IMMUTABLE_FL of linux/fs.h: even root cannot
// write, link or rename the file.
func immutable(t *testing.T, p string) {
	t.Helper()
	set := func(flags int) error {
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	if err := set(0x10); err != nil {
		unable(t, "chattr +i: %v", err)
	}
	t.Cleanup(func() {
		if err := set(0); err != nil {
			t.Error(err)
		}
	})
}

// Before anything is moved, each target is held against what the scan saw.
func TestApplyRefusesATargetThatChanged(t *testing.T) {
	for _, tt := range []struct{ name, path, do, want string }{
		{"content", "b", "echo other >b", "changed by someone else"},
		{"content of the same length", "b", "echo 'OLD b' >b", "changed by someone else"},
		{"mode", "b", "chmod 600 b", "changed by someone else"},
		{"owner", "b", "chown 9 b", "changed by someone else"},
		{"type", "b", "rm b; mkdir b", "changed by someone else"},
		{"a symlink in its place", "b", "rm b; ln -s ../../elsewhere/b b", "changed by someone else"},
		{"gone", "b", "rm b", "changed by someone else"},
		{"a file where one is made", "a", "echo mine >a", "changed by someone else"},
		{"a symlink where a file is made", "a", "ln -s ../../elsewhere/b a", "changed by someone else"},
		{"a dangling symlink where a file is made", "a", "ln -s /none a", "changed by someone else"},
		{"a file where a symlink is made", "c", "echo mine >c", "changed by someone else"},
		{"a directory where one is made", "d", "mkdir d", "changed by someone else"},
		{"a symlink where a directory is made", "d", "ln -s ../../elsewhere d", "changed by someone else"},
		{"metadata of a changed file", "e", "echo other >e", "changed by someone else"},
		{"metadata of a removed directory", "f", "rmdir f", "changed by someone else"},
		{"a symlink in place of a directory", "f", "rmdir f; ln -s ../../elsewhere/f f", "changed by someone else"},
		{"a file in place of a directory, with its mode", "f", "rmdir f; echo x >f; chmod 755 f", "changed by someone else"},
		{"a file in place of a symlink", "g", "rm g; echo x >g", "changed by someone else"},
		{"metadata of a changed symlink", "i", "ln -sfn other i", "changed by someone else"},
		{"metadata of a removed symlink", "i", "rm i", "changed by someone else"},
		{"the last one", "j", "echo mine >j", "changed by someone else"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, changes := staged(t, everything)
			other := *o
			other.merged = filepath.Join(o.lower, "opt/t")
			other.sh(t, tt.do)
			fails(t, o, changes, tt.want)
		})
	}
}

// A parent that leads elsewhere is not followed, wherever it leads.
func TestApplyFollowsNoSymlink(t *testing.T) {
	for _, tt := range []struct{ name, do string }{
		{"parent to a directory of the root", "mv opt/t opt/old; ln -s ../elsewhere opt/t"},
		{"parent, absolute", "mv opt/t opt/old; ln -s /elsewhere opt/t"},
		{"parent out of the root", "mv opt/t opt/old; ln -s ../../.. opt/t"},
		{"grandparent", "mv opt old; ln -s old opt"},
		{"parent is a file", "mv opt/t opt/old; echo x >opt/t"},
		{"parent is gone", "mv opt/t opt/old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, changes := staged(t, "echo new >opt/t/b; chown 7:7 opt/t/f; echo n >opt/t/n")
			root := *o
			root.merged = o.lower
			root.sh(t, tt.do)
			fails(t, o, changes, "apply")
		})
	}
}

// A directory that is exchanged for a link once Apply holds it changes nothing
// behind the link.
func TestApplyHoldsItsDirectories(t *testing.T) {
	o, changes := staged(t, "echo new >opt/t/b; echo n >opt/t/n")
	last := len(changes) - 1
	open := changes[last].Open
	changes[last].Open = func() (io.ReadCloser, error) {
		root := *o
		root.merged = o.lower
		root.sh(t, "mv opt/t opt/old; ln -s ../elsewhere opt/t")
		return open()
	}
	before := identity(t, filepath.Join(o.lower, "elsewhere"))
	err := apply(t, o.lower, approve(t, changes))
	if diff := compare(identity(t, filepath.Join(o.lower, "elsewhere")), before); diff != "" {
		t.Errorf("Apply() = %v, and writes through the link:\n%s", err, diff)
	}
	if left := leftOver(t, o.lower); left != nil {
		t.Errorf("Apply() = %v, and leaves %q", err, left)
	}
}

type brokenReader struct{ n int }

func (b *brokenReader) Read(p []byte) (int, error) {
	if b.n--; b.n < 0 {
		return 0, errors.New("read error")
	}
	return copy(p[:1], "a"), nil
}

// The bytes that were checked are the bytes that are written.
func TestApplyRefusesOtherBytes(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func() (io.ReadCloser, error)
		want string
	}{
		{"other bytes", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("evil b")), nil }, "not the approved ones"},
		{"more bytes", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20))), nil }, "not the approved ones"},
		{"no bytes", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }, "not the approved ones"},
		{"a read error", func() (io.ReadCloser, error) { return io.NopCloser(&brokenReader{1}), nil }, "read error"},
		{"an open error", func() (io.ReadCloser, error) { return nil, errors.New("no such stage") }, "no such stage"},
	} {
		for i := range 12 {
			t.Run(fmt.Sprintf("%s at %d", tt.name, i), func(t *testing.T) {
				o, changes := staged(t, everything)
				if changes[i].Type != policy.File || changes[i].Op == policy.Metadata {
					return
				}
				changes[i].Open = tt.open
				fails(t, o, changes, tt.want)
			})
		}
	}
}

// Whatever stops Apply in the middle of moving names, what was moved before is
// moved back. The hook runs when the last file is prepared: each earlier target
// has been looked at by then.
func TestApplyUndoesWhatItMoved(t *testing.T) {
	for _, tt := range []struct {
		path string
		do   func(t *testing.T, p string)
	}{
		{"a", func(t *testing.T, p string) { write(t, p) }},
		{"b", func(t *testing.T, p string) { remove(t, p); mkdir(t, p) }},
		{"c", func(t *testing.T, p string) { write(t, p) }},
		{"d", func(t *testing.T, p string) { mkdir(t, p); write(t, p+"/stranger") }},
		{"e", immutable},
		{"f", immutable},
		{"g", func(t *testing.T, p string) { remove(t, p); mkdir(t, p) }},
		{"h", remove},
		{"i", remove},
		{"j", func(t *testing.T, p string) { write(t, p) }},
	} {
		t.Run(tt.path, func(t *testing.T) {
			o, changes := staged(t, everything)
			last := len(changes) - 1
			open := changes[last].Open
			changes[last].Open = func() (io.ReadCloser, error) {
				tt.do(t, filepath.Join(o.lower, "opt/t", tt.path))
				return open()
			}
			// What was sabotaged stays so.
			fails(t, o, changes, "apply", "/opt/t/"+tt.path, "/opt/t/d/stranger")
		})
	}
}

func write(t *testing.T, p string) {
	t.Helper()
	if err := os.WriteFile(p, []byte("mine\n"), 0o644); err != nil {
		t.Error(err)
	}
}

func remove(t *testing.T, p string) {
	t.Helper()
	if err := os.Remove(p); err != nil {
		t.Error(err)
	}
}

func mkdir(t *testing.T, p string) {
	t.Helper()
	if err := os.Mkdir(p, 0o755); err != nil {
		t.Error(err)
	}
}

// A file that nobody can unlink any more has its second link still: as much as
// can be is undone, and the rest when the journal is opened again.
func TestApplyToAFileThatBecomesImmutable(t *testing.T) {
	for _, name := range []string{"b", "h"} {
		o, changes := staged(t, everything)
		before := identity(t, o.lower)
		t.Run(name, func(t *testing.T) {
			last := len(changes) - 1
			open := changes[last].Open
			changes[last].Open = func() (io.ReadCloser, error) {
				immutable(t, filepath.Join(o.lower, "opt/t", name))
				return open()
			}
			err := apply(t, o.lower, approve(t, changes))
			if _, ok := errors.AsType[*journal.UnfinishedError](err); !ok {
				t.Errorf("Apply() = %v; want it to say that something is left to recovery", err)
			}
			if left := leftOver(t, o.lower); len(left) != 1 {
				t.Errorf("Apply() leaves %q; want one second link", left)
			}
		})
		if err := apply(t, o.lower, policy.Approved{}); err != nil {
			t.Errorf("the journal cannot be opened again: %v", err)
		}
		if diff := compare(identity(t, o.lower), before); diff != "" {
			t.Errorf("recovery leaves the root different:\n%s", diff)
		}
	}
}

// A temporary file that is taken away stops the rename after its target has
// got its second name.
func TestApplyWithoutItsTemporaryFile(t *testing.T) {
	for _, i := range []int{0, 1, 2, 8, 9} {
		o, changes := staged(t, everything)
		last := len(changes) - 1
		open := changes[last].Open
		changes[last].Open = func() (io.ReadCloser, error) {
			temps, err := filepath.Glob(filepath.Join(o.lower, "opt/t", fmt.Sprintf(".ctxagent-*-%d.new", i)))
			if err != nil || len(temps) != 1 {
				t.Errorf("the temporary files of change %d are %q, %v; want one", i, temps, err)
			}
			for _, p := range temps {
				remove(t, p)
			}
			return open()
		}
		fails(t, o, changes, "no such file")
	}
}

// What came meanwhile stays: it is neither overwritten nor removed.
func TestApplyKeepsWhatCameMeanwhile(t *testing.T) {
	o, changes := staged(t, everything)
	last := len(changes) - 1
	open := changes[last].Open
	p := filepath.Join(o.lower, "opt/t/a")
	changes[last].Open = func() (io.ReadCloser, error) {
		write(t, p)
		return open()
	}
	if err := apply(t, o.lower, approve(t, changes)); err == nil {
		t.Errorf("Apply() = nil; want an error")
	}
	if b, err := os.ReadFile(p); err != nil || string(b) != "mine\n" {
		t.Errorf("the file has %q, %v; want it left alone", b, err)
	}
}

func TestApplyToADirectoryThatCannotBeWritten(t *testing.T) {
	o, changes := staged(t, "echo n >opt/t/a; echo n >opt/t/f/n")
	immutable(t, filepath.Join(o.lower, "opt/t/f"))
	fails(t, o, changes, "operation not permitted")
}

func TestApplyToAReadOnlyMount(t *testing.T) {
	o, changes := staged(t, "echo n >opt/t/a; echo n >opt/t/f/n; echo new >opt/t/h")
	f := filepath.Join(o.lower, "opt/t/f")
	mount(t, "ro", f, "tmpfs", "ro,mode=0755")
	fails(t, o, changes, "read-only file system")
}

// A target that is a mount of its own cannot be replaced by a rename.
func TestApplyToAMountedFile(t *testing.T) {
	o, changes := staged(t, "echo n >opt/t/a; echo new >opt/t/h")
	h := filepath.Join(o.lower, "opt/t/h")
	if err := unix.Mount(h, h, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(h, 0); err != nil {
			t.Error(err)
		}
	})
	fails(t, o, changes, "apply")
}

func TestApplyToAFullDisk(t *testing.T) {
	needRoot(t)
	for _, opts := range []string{"size=256k", "size=1m,nr_inodes=16"} {
		t.Run(opts, func(t *testing.T) {
			small := newDir(t)
			mount(t, "small", small, "tmpfs", opts+",mode=0755")
			fill(t, small, []entry{{"opt/", "", 0o755}, {"opt/t/", "", 0o755}, {"opt/t/b", "old b\n", 0o644}})
			o := newOverlay(t, []entry{{"opt/", "", 0o755}, {"opt/t/", "", 0o755}, {"opt/t/b", "old b\n", 0o644}})
			o.sh(t, `cd opt/t; echo a >a; echo new >b; for i in 1 2 3 4 5 6 7 8 9 10; do head -c 50000 /dev/urandom >c$i; done; ln -s z d; mkdir e`)
			changes := o.scan(t)
			o.lower = small
			fails(t, o, changes, "no space left")
		})
	}
}

// What the policy never approves cannot be planned either.
func TestNoPlanForOtherKinds(t *testing.T) {
	for _, kind := range []policy.Type{policy.Device, policy.FIFO, policy.Socket} {
		if r, err := result(policy.Change{Path: "/opt/t/n", Op: policy.Create, Type: kind}); err == nil {
			t.Errorf("result(a %s) = %+v; want an error", kind, r)
		}
	}
}
