// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// machine is a fake /sys, /dev and /run in which discs come and go.
type machine struct {
	t            *testing.T
	dir          string
	hint, device chan time.Time
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: t.TempDir(), hint: make(chan time.Time, 100), device: make(chan time.Time, 100)}
	for _, d := range []string{"sys/class/block", "sys/bus/pci/devices", "sys/bus/scsi/devices", "sys/bus/virtio/devices", "dev", "run"} {
		m.mkdir(d)
	}
	return m
}

func (m *machine) mkdir(name string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Join(m.dir, name), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) write(name, content string) {
	m.t.Helper()
	m.mkdir(filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// disk adds a block device; iso is what it holds, "" for zeros.
func (m *machine) disk(name, ro, iso string) {
	m.t.Helper()
	m.write("sys/class/block/"+name+"/ro", ro+"\n")
	m.write("sys/class/block/"+name+"/size", "2048\n")
	if iso == "" {
		m.write("dev/"+name, string(make([]byte, 1<<20)))
	} else if err := os.Symlink(iso, filepath.Join(m.dir, "dev", name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) finder() Finder {
	return Finder{
		MaxBytes: 1 << 20, MaxFiles: 100, Wait: 5 * time.Second,
		Sys: filepath.Join(m.dir, "sys"), Dev: filepath.Join(m.dir, "dev"), Run: filepath.Join(m.dir, "run"),
		Events: func(context.Context) (Hints, error) { return Hints{m.hint, m.device}, nil },
	}
}

func (m *machine) find(f Finder) (*Disc, error) {
	m.t.Helper()
	into, err := os.OpenRoot(m.t.TempDir())
	if err != nil {
		m.t.Fatal(err)
	}
	defer into.Close()
	return f.Find(m.t.Context(), into)
}

func iso(t *testing.T, label string, files map[string]string) string {
	t.Helper()
	tree := t.TempDir()
	for name, content := range files {
		p := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err := os.Symlink(target, p); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "disc.iso")
	if b, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", label, "-o", out, tree).CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v: %s", err, b)
	}
	return out
}

var script = map[string]string{"prolog.sh": "#!/bin/sh\n"}

func TestFind(t *testing.T) {
	good, other := iso(t, "CONTEXT", script), iso(t, "OTHER", map[string]string{"epilog.sh": "x"})
	data := iso(t, "DATA", map[string]string{"readme": "x"})
	var ambiguous *AmbiguousError
	var unusable *UnusableError
	for _, tt := range []struct {
		name   string
		setup  func(*machine, *Finder)
		device string // found; "" with an error
		is     error
		as     any
		says   []string
	}{
		{"nothing at all", func(*machine, *Finder) {}, "", ErrNoMedia, nil, []string{"no drive or read-only disk"}},
		{"an optical drive", func(m *machine, _ *Finder) { m.disk("sr0", "0", good) }, "sr0", nil, nil, nil},
		{"a read-only disk", func(m *machine, _ *Finder) { m.disk("vdb", "1", good) }, "vdb", nil, nil, nil},
		{"a writable disk is a user's", func(m *machine, _ *Finder) { m.disk("vdb", "0", good) }, "", ErrNoMedia, nil, nil},
		{"a writable disk, by policy", func(m *machine, f *Finder) { m.disk("vdb", "0", good); f.WritableDisks = true }, "vdb", nil, nil, nil},
		{"a loop device is no disc", func(m *machine, _ *Finder) { m.disk("loop0", "1", good) }, "", ErrNoMedia, nil, nil},
		{"another disc beside it", func(m *machine, _ *Finder) { m.disk("sr0", "0", data); m.disk("sr1", "0", good) }, "sr1", nil, nil, nil},
		{"not a context disc", func(m *machine, _ *Finder) { m.disk("sr0", "0", data) }, "", ErrNoMedia, nil, []string{"sr0", `labelled "DATA"`, "neither prolog.sh"}},
		{"not an ISO", func(m *machine, _ *Finder) { m.disk("sr0", "0", "") }, "", ErrNoMedia, nil, []string{"sr0", "not an ISO 9660 volume, nor a FAT one"}},
		{"two discs", func(m *machine, _ *Finder) { m.disk("sr0", "0", good); m.disk("vdb", "1", other) }, "", nil, &ambiguous, []string{"sr0", "vdb", "remove all but one"}},
		{"the policy's label", func(m *machine, f *Finder) { m.disk("sr0", "0", good); m.disk("sr1", "0", other); f.Label = "OTHER" }, "sr1", nil, nil, nil},
		{"not the policy's label", func(m *machine, f *Finder) { m.disk("sr0", "0", good); f.Label = "OTHER" }, "", ErrNoMedia, nil, []string{`"CONTEXT"`, `"OTHER"`}},
		{"a partition shows the same disc", func(m *machine, _ *Finder) {
			m.disk("vdb", "1", good)
			m.write("sys/devices/vdb/vdb1/partition", "1")
			m.write("sys/devices/vdb/vdb1/ro", "1")
			m.write("sys/devices/vdb/vdb1/size", "2048")
			if err := os.Symlink("../../devices/vdb/vdb1", filepath.Join(m.dir, "sys/class/block/vdb1")); err != nil {
				m.t.Fatal(err)
			}
			if err := os.Symlink(good, filepath.Join(m.dir, "dev/vdb1")); err != nil {
				m.t.Fatal(err)
			}
		}, "vdb", nil, nil, nil},
		{"more bytes than allowed", func(m *machine, f *Finder) { m.disk("sr0", "0", good); f.MaxBytes = 3 }, "", nil, &unusable, []string{"media.max_bytes"}},
		{"more files than allowed", func(m *machine, f *Finder) {
			m.disk("sr0", "0", iso(m.t, "MANY", map[string]string{"prolog.sh": "x", "a": "", "b": "", "c": ""}))
			f.MaxFiles = 3
		}, "", nil, &unusable, []string{"media.max_files"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			f := m.finder()
			tt.setup(m, &f)
			d, err := m.find(f)
			switch {
			case tt.device != "":
				if err != nil || filepath.Base(d.Device) != tt.device {
					t.Errorf("Find = %+v, %v; want %s", d, err, tt.device)
				}
			case tt.is != nil && !errors.Is(err, tt.is), tt.as != nil && !errors.As(err, tt.as):
				t.Errorf("error %v; want %v%T", err, tt.is, tt.as)
			}
			for _, s := range tt.says {
				if err == nil || !strings.Contains(err.Error(), s) {
					t.Errorf("error %v; want %q in it", err, s)
				}
			}
		})
	}
}

// TestWaitsForWhatIsBeingProbed lets a drive appear step by step, as udev and the
// kernel do it, and proves that each step is waited for and nothing else.
func TestWaitsForWhatIsBeingProbed(t *testing.T) {
	m := newMachine(t)
	m.write("run/udev/control", "")
	m.write("sys/bus/pci/devices/0000:00:01.1/class", "0x010180\n")
	m.write("sys/bus/pci/devices/0000:00:01.1/vendor", "0x8086\n")
	good := iso(t, "CONTEXT", script)
	steps := []func(){
		func() { m.write("run/udev/queue", "") },
		func() { m.write("run/udev/data/+pci:0000:00:01.1", "") },
		func() {
			m.write("sys/module/ata_piix/initsize", "4096\n")
			m.mkdir("sys/bus/pci/devices/0000:00:01.1/driver")
		},
		func() { m.write("sys/bus/pci/devices/0000:00:01.1/driver/module/initsize", "4096\n") },
		func() { m.write("sys/bus/scsi/devices/0:0:0:0/type", "5\n") },
		func() { m.write("sys/bus/pci/devices/0000:00:01.1/driver/module/initsize", "0\n") },
		func() { m.mkdir("sys/bus/scsi/devices/0:0:0:0/driver") },
		func() { m.disk("sr0", "0", good); m.mkdir("sys/bus/scsi/devices/0:0:0:0/block/sr0") },
		func() {
			if err := os.Remove(filepath.Join(m.dir, "run/udev/queue")); err != nil {
				t.Error(err)
			}
		},
	}
	go func() {
		for i, s := range steps {
			time.Sleep(5 * time.Millisecond)
			s()
			if i < len(steps)-1 {
				m.device <- time.Now()
			} else { // udev's queue
				m.hint <- time.Now()
			}
		}
	}()
	d, err := m.find(m.finder())
	if err != nil || filepath.Base(d.Device) != "sr0" {
		t.Errorf("Find = %+v, %v; want sr0", d, err)
	}
}

func TestProbing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		want  bool
	}{
		{"no udev", []string{"sys/bus/virtio/devices/virtio0/device=0x0002"}, false},
		{"no udev, though busy", []string{"run/udev/queue="}, false},
		{"nothing that could carry a disc", []string{"run/udev/control=", "run/udev/queue=", "sys/bus/pci/devices/a/class=0x020000"}, false},
		{"a disk without driver", []string{"run/udev/control=", "sys/bus/virtio/devices/virtio0/device=0x0002"}, true},
		{"a network card without driver", []string{"run/udev/control=", "sys/bus/virtio/devices/virtio0/device=0x0001"}, false},
		{"a disk whose driver is being loaded", []string{"run/udev/control=", "run/udev/queue=", "run/udev/data/+virtio:virtio0=", "sys/bus/virtio/devices/virtio0/device=0x0002"}, true},
		{"a disk whose driver has not made it yet", []string{"run/udev/control=", "sys/bus/virtio/devices/virtio0/device=0x0002", "sys/bus/virtio/devices/virtio0/driver/x="}, true},
		{"a disk, udev busy elsewhere", []string{"run/udev/control=", "run/udev/queue=", "sys/bus/virtio/devices/virtio0/device=0x0002", "sys/bus/virtio/devices/virtio0/driver/x=", "sys/bus/virtio/devices/virtio0/block/vda/x="}, false},
		{"a controller whose driver is at its beginning", []string{"run/udev/control=", "sys/bus/pci/devices/a/class=0x010180", "sys/bus/pci/devices/a/driver/module/initsize=8192", "run/udev/data/+pci:a="}, true},
		{"a controller whose driver looks at it", []string{"run/udev/control=", "sys/bus/pci/devices/a/class=0x010180", "sys/bus/pci/devices/a/driver/x=", "sys/module/ahci/initsize=8192"}, true},
		{"a controller that has scanned, udev busy elsewhere", []string{"run/udev/control=", "run/udev/queue=", "sys/bus/pci/devices/a/class=0x010180", "sys/bus/pci/devices/a/driver/module/initsize=0"}, false},
		{"a controller of a built-in driver", []string{"run/udev/control=", "run/udev/queue=", "sys/bus/pci/devices/a/class=0x010180", "sys/bus/pci/devices/a/driver/x=", "sys/module/loop/initsize=0"}, false},
		{"a controller that nobody drives, udev busy", []string{"run/udev/control=", "run/udev/queue=", "sys/bus/pci/devices/a/class=0x010400", "run/udev/data/+pci:a="}, true},
		{"a controller that nobody drives, udev done", []string{"run/udev/control=", "sys/bus/pci/devices/a/class=0x010400", "run/udev/data/+pci:a="}, false},
		{"NVMe, udev busy", []string{"run/udev/control=", "run/udev/queue=", "sys/bus/pci/devices/a/class=0x010802"}, false},
		{"an optical drive without driver", []string{"run/udev/control=", "sys/bus/scsi/devices/b/type=5"}, true},
		{"an optical drive that its driver looks at", []string{"run/udev/control=", "sys/bus/scsi/devices/b/type=5", "sys/bus/scsi/devices/b/driver/x="}, true},
		{"an optical drive", []string{"run/udev/control=", "sys/bus/scsi/devices/b/type=5", "sys/bus/scsi/devices/b/driver/x=", "sys/bus/scsi/devices/b/block/sr0/x="}, false},
		{"a SCSI enclosure", []string{"run/udev/control=", "sys/bus/scsi/devices/b/type=13"}, false},
		{"USB storage that waits for its disk", []string{"run/udev/control=", "sys/bus/usb/devices/1-1:1.0/bInterfaceClass=08", "sys/bus/usb/devices/1-1:1.0/driver/module/initsize=0", "sys/bus/usb/devices/1-1:1.0/host2/x="}, true},
		{"USB storage with its disk", []string{"run/udev/control=", "sys/bus/usb/devices/1-1:1.0/bInterfaceClass=08", "sys/bus/usb/devices/1-1:1.0/driver/x=", "sys/bus/usb/devices/1-1:1.0/host2/target2:0:0/2:0:0:0/x="}, false},
		{"USB storage whose target has no disk yet", []string{"run/udev/control=", "sys/bus/usb/devices/1-1:1.0/bInterfaceClass=08", "sys/bus/usb/devices/1-1:1.0/driver/x=", "sys/bus/usb/devices/1-1:1.0/host2/target2:0:0/x="}, true},
		{"a USB keyboard without driver", []string{"run/udev/control=", "run/udev/queue=", "sys/bus/usb/devices/1-1:1.0/bInterfaceClass=03"}, false},
	} {
		m := newMachine(t)
		for _, f := range tt.files {
			name, content, _ := strings.Cut(f, "=")
			m.write(name, content+"\n")
		}
		if got := m.finder().probing(); got != tt.want {
			t.Errorf("%s: probing = %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestWaitIsBounded(t *testing.T) {
	m := newMachine(t)
	m.write("run/udev/control", "")
	m.write("sys/bus/virtio/devices/virtio0/device", "0x0002\n") // and no driver ever comes
	f := m.finder()
	f.Wait = 20 * time.Millisecond
	if _, err := m.find(f); !errors.Is(err, ErrNoMedia) || !strings.Contains(err.Error(), "still being probed after 20ms") {
		t.Errorf("error %v; want no media, and that devices were still being probed", err)
	}
}

// TestSameTreeSameDigest reads one tree from a directory and from two kinds of
// disc: what was read, and so the digest, is the same.
func TestSameTreeSameDigest(t *testing.T) {
	tree := t.TempDir()
	for name, content := range map[string]string{"prolog.sh": "#!/bin/sh\n", "files/key": strings.Repeat("k", 5000)} {
		if err := os.MkdirAll(filepath.Join(tree, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("files/key", filepath.Join(tree, "key")); err != nil {
		t.Fatal(err)
	}
	rock, joliet := filepath.Join(t.TempDir(), "r.iso"), filepath.Join(t.TempDir(), "g.iso")
	for _, args := range [][]string{{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", rock, tree}, {"genisoimage", "-quiet", "-R", "-J", "-o", joliet, tree}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", args[0], err, out)
		}
	}
	m := newMachine(t)
	var digests []string
	for _, media := range []string{tree, rock, joliet} {
		f := m.finder()
		f.Named = []string{media}
		into, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer into.Close()
		d, err := f.Find(t.Context(), into)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d.Digest)
		if b, err := into.ReadFile("files/key"); err != nil || len(b) != 5000 {
			t.Errorf("%s: files/key has %d bytes, %v; want 5000", media, len(b), err)
		}
		if got := d.Script("PROLOG.sh"); got != "prolog.sh" {
			t.Errorf("%s: Script = %q; want prolog.sh", media, got)
		}
		if i := slices.IndexFunc(d.Files, func(f File) bool { return f.Path == "key" }); i < 0 || d.Files[i].Target != "files/key" {
			t.Errorf("%s: the symlink is not there: %+v", media, d.Files)
		}
	}
	if digests[0] != digests[1] || digests[1] != digests[2] {
		t.Errorf("digests %q; want one", digests)
	}
}

// TestEventsEnd proves that the real listener starts and ends.
func TestEventsEnd(t *testing.T) {
	run := t.TempDir()
	if err := os.MkdirAll(filepath.Join(run, "udev"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hints, err := Events(run)(ctx)
	if err != nil {
		t.Fatal(err)
	}
	queue := filepath.Join(run, "udev/queue")
	if err := os.WriteFile(queue, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(queue); err != nil {
		t.Fatal(err)
	}
	select {
	case <-hints.Disks:
	case <-time.After(5 * time.Second):
		t.Error("the end of udev's queue was no hint")
	}
	cancel()
}

// shortFS has a file that ends before the length it was listed with.
type shortFS struct{ fstest.MapFS }

func (f shortFS) Open(name string) (fs.File, error) {
	file, err := f.MapFS.Open(name)
	if name == "prolog.sh" {
		return shortFile{file}, err
	}
	return file, err
}

type shortFile struct{ fs.File }

func (f shortFile) Read(b []byte) (int, error) {
	n, _ := f.File.Read(b)
	return n / 2, io.EOF
}

func TestShortReadIsNoScript(t *testing.T) {
	into, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	tree := shortFS{fstest.MapFS{"prolog.sh": {Data: []byte("rm -rf /tmp/x # and no more\n")}}}
	if d, err := newMachine(t).finder().read(&medium{tree: tree}, into); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read = %+v, %v; want an unexpected end", d, err)
	}
}

func TestScriptThatIsNoFile(t *testing.T) {
	m := newMachine(t)
	m.disk("sr0", "0", iso(t, "LINK", map[string]string{"prolog.sh": "-> real.sh", "real.sh": "#!/bin/sh\n"}))
	if d, err := m.find(m.finder()); err == nil || !strings.Contains(err.Error(), "put the script itself there") {
		t.Errorf("Find = %+v, %v; want a symlink refused", d, err)
	}
}
