// SPDX-License-Identifier: Apache-2.0

package changeset

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctxagent/ctxagent/internal/policy"
)

func TestScan(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         []string
	}{
		{"nothing", ":", nil},
		{"reading", "cat etc/a etc/d/x; ls -lR; test -e etc/none || :", nil},
		{"create", "echo new >etc/c", []string{"create file /etc/c"}},
		{"create empty", ": >etc/c", []string{"create file /etc/c"}},
		{"modify", "echo more >>etc/a", []string{"modify file /etc/a"}},
		{"same length, other bytes", "printf 'A\\n' >etc/a", []string{"modify file /etc/a"}},
		{"truncated", ": >etc/a", []string{"modify file /etc/a"}},
		{"replaced by rename", "echo new >etc/.t; mv etc/.t etc/a; chmod 644 etc/a", []string{"modify file /etc/a"}},
		{"rewritten with the same bytes", "cat etc/a >etc/.t; chmod 644 etc/.t; mv etc/.t etc/a", nil},
		{"written and taken back", "echo z >>etc/a; printf 'a\\n' >etc/a", nil},
		{"opened for writing, not written", ": >>etc/a", nil},
		{"times alone", "touch etc/a etc/d; touch -h etc/link", nil},
		{"made and removed again", "echo x >etc/c; rm etc/c; mkdir etc/e; rmdir etc/e", nil},
		{"mode", "chmod 640 etc/a", []string{"metadata file /etc/a"}},
		{"mode and back", "chmod 640 etc/a; chmod 644 etc/a", nil},
		{"setuid", "chmod u+s etc/a", []string{"metadata file /etc/a"}},
		{"owner", "chown 7 etc/a", []string{"metadata file /etc/a"}},
		{"group", "chgrp 7 etc/a", []string{"metadata file /etc/a"}},
		{"owner of a symlink", "chown -h 7 etc/link", []string{"metadata symlink /etc/link"}},
		{"mode of a directory", "chmod 700 etc/d", []string{"metadata directory /etc/d"}},
		{"mode of the root", "chmod 700 .", []string{"metadata directory /"}},
		{"content and mode", "echo x >etc/b; chmod 644 etc/b", []string{"modify file /etc/b"}},
		{"delete", "rm etc/a", []string{"delete file /etc/a"}},
		{"delete a symlink", "rm etc/link", []string{"delete symlink /etc/link"}},
		{"delete an empty directory", "rmdir etc/empty", []string{"delete directory /etc/empty"}},
		{"delete a tree", "rm -r etc/d", []string{"delete directory /etc/d", "delete symlink /etc/d/l", "delete directory /etc/d/sub",
			"delete file /etc/d/sub/z", "delete file /etc/d/x", "delete file /etc/d/y"}},
		{"delete everything", "rm -r etc", []string{"delete directory /etc", "delete file /etc/a", "delete file /etc/b", "delete directory /etc/d",
			"delete symlink /etc/d/l", "delete directory /etc/d/sub", "delete file /etc/d/sub/z", "delete file /etc/d/x", "delete file /etc/d/y",
			"delete directory /etc/empty", "delete symlink /etc/link"}},
		{"move", "mv etc/a etc/c", []string{"delete file /etc/a", "create file /etc/c"}},
		{"exchange", "mv etc/a t; mv etc/b etc/a; mv t etc/b", []string{"modify file /etc/a", "modify file /etc/b"}},
		{"file replaced by a directory", "rm etc/a; mkdir etc/a; echo x >etc/a/n", []string{"modify directory /etc/a", "create file /etc/a/n"}},
		{"file replaced by a symlink", "ln -sf b etc/a", []string{"modify symlink /etc/a"}},
		{"file replaced by a FIFO", "rm etc/a; mkfifo etc/a", []string{"modify fifo /etc/a"}},
		{"symlink replaced by a file", "rm etc/link; echo a >etc/link", []string{"modify file /etc/link"}},
		{"symlink replaced by a directory", "rm etc/link; mkdir etc/link", []string{"modify directory /etc/link"}},
		{"directory replaced by a file", "rm -r etc/d; echo x >etc/d", []string{"modify file /etc/d", "delete symlink /etc/d/l",
			"delete directory /etc/d/sub", "delete file /etc/d/sub/z", "delete file /etc/d/x", "delete file /etc/d/y"}},
		{"directory replaced by a symlink", "rm -r etc/d; ln -s empty etc/d", []string{"modify symlink /etc/d", "delete symlink /etc/d/l",
			"delete directory /etc/d/sub", "delete file /etc/d/sub/z", "delete file /etc/d/x", "delete file /etc/d/y"}},
		{"directory made anew, empty", "rm -r etc/d; mkdir -m 750 etc/d", []string{"delete symlink /etc/d/l", "delete directory /etc/d/sub",
			"delete file /etc/d/sub/z", "delete file /etc/d/x", "delete file /etc/d/y"}},
		{"directory made anew, some kept", "rm -r etc/d; mkdir -m 750 etc/d; printf 'x\\n' >etc/d/x; echo Y >etc/d/y; echo n >etc/d/n; mkdir etc/d/sub; ln -s /etc/a etc/d/l",
			[]string{"create file /etc/d/n", "delete file /etc/d/sub/z", "modify file /etc/d/y"}},
		{"directory made anew twice", "rm -r etc/d; mkdir -m 750 etc/d; rm -r etc/d; mkdir -m 700 etc/d", []string{"metadata directory /etc/d", "delete symlink /etc/d/l",
			"delete directory /etc/d/sub", "delete file /etc/d/sub/z", "delete file /etc/d/x", "delete file /etc/d/y"}},
		{"symlink changed", "ln -sfn b etc/link", []string{"modify symlink /etc/link"}},
		{"symlink made anew, the same", "rm etc/link; ln -s a etc/link", nil},
		{"dangling symlink", "ln -s /none etc/dangling", []string{"create symlink /etc/dangling"}},
		{"FIFO", "mkfifo etc/p", []string{"create fifo /etc/p"}},
		{"device", "mknod etc/null c 1 3; mknod etc/loop b 7 0", []string{"create device /etc/loop", "create device /etc/null"}},
		{"new tree", "mkdir -p opt/x/y; echo z >opt/x/y/z", []string{"create directory /opt", "create directory /opt/x", "create directory /opt/x/y", "create file /opt/x/y/z"}},
		{"odd names", `mkdir opt; cd opt; : >"a
b"; : >"$(printf 'x\377')"; : >-rf; : >'a b'; : >.hidden`, []string{"create directory /opt", "create file /opt/-rf", "create file /opt/.hidden",
			"create file /opt/a\nb", "create file /opt/a b", "create file /opt/x\xff"}},
		{"sorted by bytes", "mkdir -p etc/z; : >etc/z/1; : >etc/z-1; : >etc/z.1; : >etc/Z; : >etc/ä", []string{"create file /etc/Z", "create directory /etc/z",
			"create file /etc/z-1", "create file /etc/z.1", "create file /etc/z/1", "create file /etc/ä"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOverlay(t, standard)
			o.sh(t, "umask 022; "+tt.script)
			changes := o.scan(t)
			want := slices.Clone(tt.want)
			slices.SortFunc(want, func(a, b string) int { return strings.Compare(a[strings.Index(a, "/"):], b[strings.Index(b, "/"):]) })
			if got := short(changes); !slices.Equal(got, want) {
				t.Errorf("Scan() after %q =\n%q; want\n%q", tt.script, got, want)
			}
			if got, want := describeAll(changes), describeAll(plainDiff(tree(t, o.lower), tree(t, o.merged))); got != want {
				t.Errorf("Scan() after %q =\n%swant as a plain comparison has it\n%s", tt.script, got, want)
			}
		})
	}
}

func one(t *testing.T, changes []policy.Change, path string) policy.Change {
	t.Helper()
	for _, c := range changes {
		if c.Path == path {
			return c
		}
	}
	t.Fatalf("Scan() = %q; want a change of %q", short(changes), path)
	return policy.Change{}
}

func TestScanReadsContent(t *testing.T) {
	o := newOverlay(t, standard)
	o.sh(t, "echo new >etc/a; mkdir -p opt/x; head -c 2000000 /dev/zero >opt/x/big; head -c 1048576 /dev/zero >opt/x/edge")
	changes := o.scan(t)
	for path, size := range map[string]int64{"/etc/a": 4, "/opt/x/big": 2000000, "/opt/x/edge": policy.MaxChecked} {
		c := one(t, changes, path)
		if held := int64(len(c.Data)); c.Size != size || (size <= policy.MaxChecked) != (held == size) || (size > policy.MaxChecked) != (held == 0) {
			t.Errorf("Scan() has %d bytes, %d held, for %s; want %d, held up to %d", c.Size, held, path, size, policy.MaxChecked)
		}
		f, err := c.Open()
		if err != nil {
			t.Fatalf("Open(%s) = %v; want no error", path, err)
		}
		b, err := io.ReadAll(f)
		if err != nil || int64(len(b)) != size {
			t.Errorf("Open(%s) reads %d bytes, %v; want %d", path, len(b), err, size)
		}
		f.Close()
	}
	// What is opened later is still below the upper directory, and no link.
	o.sh(t, "rm -r opt/x; ln -s /etc opt/x; ln -sf /etc/passwd etc/a")
	for _, path := range []string{"/etc/a", "/opt/x/big"} {
		if f, err := one(t, changes, path).Open(); err == nil {
			f.Close()
			t.Errorf("Open(%s) after it became a symlink succeeds; want an error", path)
		}
	}
}

func TestScanHardLinks(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		outside      map[string]bool
	}{
		{"alone", "echo x >etc/n", map[string]bool{"/etc/n": false}},
		{"both in the change", "echo x >etc/n; ln etc/n etc/m", map[string]bool{"/etc/n": false, "/etc/m": false}},
		{"in two directories", "mkdir opt; echo x >etc/n; ln etc/n opt/m", map[string]bool{"/etc/n": false, "/opt/m": false}},
		{"to a file of the image", "ln etc/a etc/n", map[string]bool{"/etc/n": true}},
		{"to a file of the image, three", "ln etc/a etc/n; ln etc/a etc/m", map[string]bool{"/etc/n": true, "/etc/m": true}},
		{"to a file of the image that changes too", "ln etc/a etc/n; echo x >>etc/n", map[string]bool{"/etc/n": false, "/etc/a": false}},
		{"to a symlink", "ln -P etc/link etc/n", map[string]bool{"/etc/n": false}},
		{"the other name removed", "ln etc/a etc/n; rm etc/a", map[string]bool{"/etc/n": false, "/etc/a": false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOverlay(t, standard)
			o.sh(t, tt.script)
			changes := o.scan(t)
			for path, want := range tt.outside {
				if c := one(t, changes, path); c.LinkedOutside != want {
					t.Errorf("Scan() after %q has LinkedOutside %v for %s; want %v", tt.script, c.LinkedOutside, path, want)
				}
			}
		})
	}
}

// A file that the image links twice is copied up alone.
func TestScanHardLinkOfTheImage(t *testing.T) {
	needRoot(t)
	o := newOverlay(t, standard)
	if err := os.Link(filepath.Join(o.lower, "etc/b"), filepath.Join(o.lower, "etc/b2")); err != nil {
		t.Fatal(err)
	}
	o.sh(t, "echo x >>etc/b")
	if changes := o.scan(t); len(changes) != 1 || changes[0].LinkedOutside {
		t.Errorf("Scan() = %+v; want one change, not linked outside", changes)
	}
}

func TestScanXattrs(t *testing.T) {
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service=ep
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\x07\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
	set := func(path, name, value string) func(*testing.T, *overlay) {
		return func(t *testing.T, o *overlay) {
			if err := unix.Lsetxattr(filepath.Join(o.merged, path), name, []byte(value), 0); err != nil {
				unable(t, "setxattr %s: %v", name, err)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		do     func(*testing.T, *overlay)
		path   string
		op     policy.Op
		xattrs []string
	}{
		{"file capability", set("etc/a", "security.capability", capability), "/etc/a", policy.Metadata, []string{"security.capability"}},
		{"trusted", set("etc/a", "trusted.x", "1"), "/etc/a", policy.Metadata, []string{"trusted.x"}},
		{"two", func(t *testing.T, o *overlay) {
			set("etc/a", "trusted.y", "1")(t, o)
			set("etc/a", "trusted.x", "1")(t, o)
		}, "/etc/a", policy.Metadata, []string{"trusted.x", "trusted.y"}},
		{"on a directory", set("etc/d", "trusted.x", "1"), "/etc/d", policy.Metadata, []string{"trusted.x"}},
		{"on a symlink", set("etc/link", "trusted.x", "1"), "/etc/link", policy.Metadata, []string{"trusted.x"}},
		{"ACL", set("etc/d/x", "system.posix_acl_access", acl), "/etc/d/x", policy.Metadata, []string{"system.posix_acl_access"}},
		{"default ACL", set("etc/d", "system.posix_acl_default", acl), "/etc/d", policy.Metadata, []string{"system.posix_acl_default"}},
		{"on a new file", func(t *testing.T, o *overlay) {
			o.sh(t, "echo x >etc/n")
			set("etc/n", "security.capability", capability)(t, o)
		}, "/etc/n", policy.Create, []string{"security.capability"}},
		{"altered", set("etc/had", "trusted.had", "2"), "/etc/had", policy.Metadata, []string{"trusted.had"}},
		{"removed", func(t *testing.T, o *overlay) {
			if err := unix.Lremovexattr(filepath.Join(o.merged, "etc/had"), "trusted.had"); err != nil {
				t.Fatal(err)
			}
		}, "/etc/had", policy.Metadata, []string{"trusted.had"}},
		{"kept by a copy-up", func(t *testing.T, o *overlay) { o.sh(t, "echo more >>etc/had") }, "/etc/had", policy.Modify, nil},
		{"lost by a replacement", func(t *testing.T, o *overlay) { o.sh(t, "cp etc/had t; mv t etc/had") }, "/etc/had", policy.Metadata, []string{"trusted.had"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOverlay(t, append(slices.Clone(standard), entry{"etc/had", "h\n", 0o644}))
			had := filepath.Join(o.lower, "etc/had")
			if err := unix.Setxattr(had, "trusted.had", []byte("1"), 0); err != nil {
				unable(t, "setxattr trusted.had: %v", err)
			}
			tt.do(t, o)
			changes := o.scan(t)
			c := one(t, changes, tt.path)
			if c.Op != tt.op || !slices.Equal(c.Xattrs, tt.xattrs) || len(changes) != 1 {
				t.Errorf("Scan() = %q, op %s, xattrs %q; want one change, op %s, xattrs %q", short(changes), c.Op, c.Xattrs, tt.op, tt.xattrs)
			}
		})
	}
}

// user.* is not compared: a tmpfs before Linux 6.6 could not keep it, and Apply
// takes it from the file that it replaces.
func TestScanLeavesOutUserXattrs(t *testing.T) {
	o := newOverlay(t, standard)
	err := unix.Setxattr(filepath.Join(o.merged, "etc/a"), "user.x", []byte("1"), 0)
	if errors.Is(err, unix.ENOTSUP) {
		return // such a kernel: there is nothing to leave out
	}
	if err != nil {
		t.Fatal(err)
	}
	if changes := o.scan(t); len(changes) != 0 {
		t.Errorf("Scan() = %q; want none", short(changes))
	}
}

// The sandbox shows the script things that the root lacks; a removal of such a
// one is no change of the root.
func TestScanWhiteoutOfNothing(t *testing.T) {
	o := newOverlay(t, standard)
	if err := unix.Mknod(filepath.Join(o.upper, "ghost"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	if changes := o.scan(t); len(changes) != 0 {
		t.Errorf("Scan() = %q; want none", short(changes))
	}
}

func TestScanSocket(t *testing.T) {
	o := newOverlay(t, standard)
	l, err := net.Listen("unix", filepath.Join(o.merged, "etc/s"))
	if err != nil {
		unable(t, "listen: %v", err)
	}
	defer l.Close()
	if got := short(o.scan(t)); !slices.Equal(got, []string{"create socket /etc/s"}) {
		t.Errorf("Scan() = %q; want the socket", got)
	}
}

// A sparse file costs its writer nothing and its reader much: it counts with
// its length.
func TestScanSparseFile(t *testing.T) {
	for _, script := range []string{"truncate -s 1T etc/huge", "truncate -s 1T etc/a", "for i in 1 2 3; do truncate -s 30M $i; done",
		"truncate -s 1T etc/huge; ln etc/huge etc/link2"} {
		o := newOverlay(t, standard)
		o.sh(t, script)
		began := time.Now()
		_, err := Scan([]Layer{o.layer(t, "/")}, Seen{}, wideLimits)
		if limit, is := errors.AsType[*LimitError](err); !is || !strings.Contains(limit.Reason, "together longer than") {
			t.Errorf("Scan() after %q = %v; want a LimitError", script, err)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("Scan() after %q took %v; want it not to read a terabyte of nothing", script, d)
		}
	}
}

// What is held for the policy is bounded; digests and Open have no such bound.
func TestScanHoldsBoundedContent(t *testing.T) {
	o := newOverlay(t, nil)
	o.sh(t, "for i in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49; do truncate -s 1M $i; done")
	held := 0
	changes := o.scan(t)
	for _, c := range changes {
		held += len(c.Data)
		if c.SHA256After == "" || c.Data != nil && len(c.Data) != 1<<20 {
			t.Errorf("Scan() has digest %q and %d bytes for %s; want a digest, and all of the content or nothing", c.SHA256After, len(c.Data), c.Path)
		}
	}
	if len(changes) != 40 || held != maxHeld {
		t.Errorf("Scan() holds %d bytes of %d files; want %d of 40", held, len(changes), maxHeld)
	}
}

func TestScanLimits(t *testing.T) {
	nest := func(n int) string {
		return fmt.Sprintf("i=0; while [ $i -lt %d ]; do mkdir d; cd d; i=$((i+1)); done", n)
	}
	deep := func(n int) []entry {
		var out []entry
		for i := 1; i <= n; i++ {
			out = append(out, entry{strings.Repeat("d/", i), "", 0o755})
		}
		return out
	}
	for _, tt := range []struct {
		name, script string
		lower        []entry
		lim          Limits
		want         string // part of the error, "" for none
	}{
		{"300 nested directories", nest(300), nil, wideLimits, "nested deeper than 100"},
		{"100 nested directories", nest(100), nil, wideLimits, ""},
		{"300 nested directories removed", "rm -r d", deep(300), wideLimits, "nested deeper than 100"},
		{"300 nested directories replaced by a file", "rm -r d; : >d", deep(300), wideLimits, "nested deeper than 100"},
		{"eleven new files", "for i in 1 2 3 4 5 6 7 8 9 10 11; do : >$i; done", nil, Limits{10, 1 << 20}, "more than 10 changes"},
		{"ten new files", "for i in 1 2 3 4 5 6 7 8 9 10; do : >$i; done", nil, Limits{10, 1 << 20}, ""},
		{"twelve removed with a tree", "rm -r d", deep(12), Limits{10, 1 << 20}, "more than 10 changes"},
		{"the root's own mode is one more", ": >1; chmod 700 .", nil, Limits{1, 1 << 20}, "more than 1 changes"},
		{"no limit is none", ": >1", nil, Limits{}, "more than 0 changes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOverlay(t, tt.lower)
			o.sh(t, tt.script)
			changes, err := Scan([]Layer{o.layer(t, "/")}, Seen{}, tt.lim)
			limit, is := errors.AsType[*LimitError](err)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Scan() = %v; want no error", err)
			case tt.want != "" && (!is || !strings.Contains(limit.Reason, tt.want) || limit.Path == "" || changes != nil):
				t.Errorf("Scan() = %d changes, %v; want none and a LimitError with %q", len(changes), err, tt.want)
			}
		})
	}
}

// A mount of the root is a layer of its own; its paths are the root's.
func TestScanLayers(t *testing.T) {
	root, data := newOverlay(t, standard), newOverlay(t, []entry{{"f", "f\n", 0o644}, {"g", "g\n", 0o644}})
	root.sh(t, "echo x >etc/a; mkdir var")
	data.sh(t, "echo x >f; echo n >n; rm g; chmod 700 .")
	changes, err := Scan([]Layer{root.layer(t, "/"), data.layer(t, "/srv/data")}, Seen{}, wideLimits)
	want := []string{"modify file /etc/a", "metadata directory /srv/data", "modify file /srv/data/f", "delete file /srv/data/g", "create file /srv/data/n", "create directory /var"}
	if err != nil || !slices.Equal(short(changes), want) {
		t.Fatalf("Scan() = %q, %v; want %q", short(changes), err, want)
	}
	f, err := one(t, changes, "/srv/data/n").Open()
	if err != nil {
		t.Fatalf("Open() of a file of the second layer: %v", err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "n\n" {
		t.Errorf("Open() reads %q, %v; want %q", b, err, "n\n")
	}
}

// Whatever is done to an overlay, Scan finds what a plain recursive comparison
// of the merged view with the root finds.
func TestScanAgainstPlainComparison(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			o := newOverlay(t, randomTree(r))
			var log []string
			for range 5 + r.IntN(60) {
				log = append(log, randomStep(r, o.merged))
			}
			got, want := describeAll(o.scan(t)), describeAll(plainDiff(tree(t, o.lower), tree(t, o.merged)))
			if got != want {
				t.Errorf("after\n%s\nScan() =\n%swant\n%s", strings.Join(log, "\n"), got, want)
			}
		})
	}
}

var somenames = []string{"a", "b", "c", "d\n", "é"}

// randomTree is a root three directories deep.
func randomTree(r *rand.Rand) []entry {
	var out []entry
	var fillDir func(dir string, depth int)
	fillDir = func(dir string, depth int) {
		for _, n := range somenames {
			switch k := r.IntN(6); {
			case k < 2 && depth < 3:
				out = append(out, entry{dir + n + "/", "", 0o755})
				fillDir(dir+n+"/", depth+1)
			case k == 2:
				out = append(out, entry{dir + n, "->" + somenames[r.IntN(len(somenames))], 0})
			case k < 5:
				out = append(out, entry{dir + n, strings.Repeat("x", r.IntN(3)), 0o644})
			}
		}
	}
	fillDir("", 0)
	return out
}

// randomStep does something to the tree; what fails for want of the right
// thing there has done nothing.
func randomStep(r *rand.Rand, root string) string {
	pick := func() string {
		p := root
		for range 1 + r.IntN(3) {
			p = filepath.Join(p, somenames[r.IntN(len(somenames))])
		}
		return p
	}
	p, q := pick(), pick()
	data := []byte(strings.Repeat("xy"[r.IntN(2):][:1], r.IntN(3)))
	var what string
	var err error
	switch r.IntN(13) {
	case 0, 1:
		what, err = "write", writeNoFollow(p, data)
	case 2:
		what, err = "remove", os.Remove(p)
	case 3:
		what, err = "remove all", os.RemoveAll(p)
	case 4, 5:
		what, err = "mkdir", os.Mkdir(p, 0o755)
	case 6:
		what, err = "symlink", os.Symlink(somenames[r.IntN(len(somenames))], p)
	case 7, 8:
		what, err = "rename to "+q, os.Rename(p, q)
	case 9:
		what, err = "chmod", unix.Fchmodat(unix.AT_FDCWD, p, []uint32{0o755, 0o644, 0o4711, 0o1777}[r.IntN(4)], 0)
	case 10:
		what, err = "chown", os.Lchown(p, r.IntN(2), r.IntN(2))
	case 11:
		what, err = "link to "+q, os.Link(p, q)
	case 12:
		what, err = "remake", errors.Join(os.RemoveAll(p), os.Mkdir(p, 0o755))
	}
	return fmt.Sprintf("%q: %s: %v", p, what, err)
}

func writeNoFollow(p string, data []byte) error {
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
