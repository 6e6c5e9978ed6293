// SPDX-License-Identifier: Apache-2.0

package cdrom

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// smbios makes an SMBIOS table with these OEM strings.
func smbios(oem ...string) string {
	table := "\x00\x18\x00\x00" + strings.Repeat("x", 20) + "SeaBIOS\x001.16\x00\x00" // type 0, with strings
	table += "\x20\x0b\x01\x00" + strings.Repeat("\x00", 7) + "\x00\x00"              // type 32, without
	if len(oem) > 0 {
		table += "\x0b\x05\x02\x00" + string(rune(len(oem))) + strings.Join(oem, "\x00") + "\x00\x00"
	}
	return table + "\x7f\x04\x03\x00\x00\x00"
}

func TestHint(t *testing.T) {
	for _, tt := range []struct {
		name, table, item string
		want              Expect
	}{
		{"nothing", "", "", Unknown},
		{"other strings", smbios("io.systemd.credential:x=y", "expect=yes"), "", Unknown},
		{"yes", smbios("a=b", "ctxagent.expect=yes"), "", Awaited},
		{"no", smbios("ctxagent.expect=no"), "", Never},
		{"fw_cfg yes", "", "yes\n", Awaited},
		{"fw_cfg no", smbios(), "no", Never},
		{"both agree", smbios("ctxagent.expect=no"), "no", Never},
		{"both differ", smbios("ctxagent.expect=no"), "yes", Unknown},
		{"two strings differ", smbios("ctxagent.expect=no", "ctxagent.expect=yes"), "", Unknown},
		{"another word", smbios("ctxagent.expect=maybe"), "", Unknown},
		{"in another structure", strings.Replace(smbios("ctxagent.expect=yes"), "\x0b\x05", "\x0c\x05", 1), "", Unknown},
		{"cut", smbios("ctxagent.expect=yes")[:70], "", Unknown},
		{"length 0", "\x0b\x00\x00\x00ctxagent.expect=yes\x00\x00", "", Unknown},
		{"length beyond", "\x0b\xff\x00\x00ctxagent.expect=yes\x00\x00", "", Unknown},
	} {
		m := newMachine(t)
		m.write("sys/firmware/dmi/tables/DMI", tt.table)
		m.write("sys/firmware/qemu_fw_cfg/by_name/opt/ctxagent/expect/raw", tt.item)
		if got := Hint(filepath.Join(m.dir, "sys")); got != tt.want {
			t.Errorf("%s: Hint = %q; want %q", tt.name, got, tt.want)
		}
	}
}

// An expected disc is waited for with nothing probing, and the hint widens
// nothing: a disc that may not be used is not used for it.
func TestExpectedDisc(t *testing.T) {
	good := iso(t, "CONTEXT", script)
	m := newMachine(t)
	m.disk("vda", "0", good) // writable: a user's
	go func() {
		time.Sleep(20 * time.Millisecond)
		m.disk("sr0", "0", good)
		m.hint <- time.Now()
	}()
	f := m.finder()
	f.Expect = Awaited
	d, err := m.find(f)
	if err != nil || filepath.Base(d.Device) != "sr0" || d.Event.IsZero() {
		t.Fatalf("Find = %+v, %v; want sr0, by an event", d, err)
	}
	if since := time.Since(d.Event); since > 2*time.Second {
		t.Errorf("found %v after its event", since)
	}

	m = newMachine(t)
	m.disk("vda", "0", good)
	f = m.finder()
	f.Expect, f.Wait = Awaited, 30*time.Millisecond
	if d, err := m.find(f); !errors.Is(err, ErrNoMedia) || !strings.Contains(err.Error(), "the host announced a disc, and none came in 30ms") {
		t.Errorf("Find = %+v, %v; want no media", d, err)
	}
}

// Where the host says that there is none, nothing is waited for; a disc that is
// there all the same is found.
func TestUnexpectedDisc(t *testing.T) {
	m := newMachine(t)
	m.write("run/udev/control", "")
	m.write("run/udev/queue", "")
	m.write("sys/bus/virtio/devices/virtio0/device", "0x0002\n")
	f := m.finder()
	f.Expect, f.Wait = Never, time.Minute
	began := time.Now()
	if _, err := m.find(f); !errors.Is(err, ErrNoMedia) || time.Since(began) > 10*time.Second {
		t.Errorf("Find = %v after %v; want no media, at once", err, time.Since(began))
	}
	m.disk("sr0", "0", iso(t, "CONTEXT", script))
	if d, err := m.find(f); err != nil || !d.Event.IsZero() {
		t.Errorf("Find = %+v, %v; want the disc", d, err)
	}
}

// An expected disc is found without events where the kernel sends none.
func TestSilentDrive(t *testing.T) {
	for _, tt := range []struct {
		name, async, poll, usual string
		want                     bool
	}{
		{"the kernel looks", "", "-1", "2000", false},
		{"the drive tells", "media_change", "-1", "0", false},
		{"for this drive", "", "1000", "0", false},
		{"nobody looks", "", "-1", "0", true},
		{"not at this drive", "", "0", "2000", true},
	} {
		m := newMachine(t)
		m.disk("sr0", "0", "")
		m.write("sys/class/block/sr0/events_async", tt.async+"\n")
		m.write("sys/class/block/sr0/events_poll_msecs", tt.poll+"\n")
		m.write("sys/module/block/parameters/events_dfl_poll_msecs", tt.usual+"\n")
		if got := m.finder().silent(); got != tt.want {
			t.Errorf("%s: silent = %v; want %v", tt.name, got, tt.want)
		}
	}
	m := newMachine(t)
	m.disk("sr0", "0", "")
	m.write("sys/module/block/parameters/events_dfl_poll_msecs", "0\n")
	good := iso(t, "CONTEXT", script)
	go func() { // no hint
		time.Sleep(20 * time.Millisecond)
		if err := errors.Join(os.Symlink(good, filepath.Join(m.dir, "dev/new")), os.Rename(filepath.Join(m.dir, "dev/new"), filepath.Join(m.dir, "dev/sr0"))); err != nil {
			t.Error(err)
		}
	}()
	f := m.finder()
	f.Expect = Awaited
	if d, err := m.find(f); err != nil || filepath.Base(d.Device) != "sr0" {
		t.Errorf("Find = %+v, %v; want sr0", d, err)
	}
}

// The order in which two discs come does not matter: both are seen, or the
// second is still on its way.
func TestTwoDiscsInAnyOrder(t *testing.T) {
	one, two := iso(t, "ONE", script), iso(t, "TWO", script)
	for _, first := range []string{"sr0", "vdb"} {
		m := newMachine(t)
		m.write("run/udev/control", "")
		m.write("sys/bus/scsi/devices/b/type", "5\n") // has no driver yet
		second := map[string]string{"sr0": "vdb", "vdb": "sr0"}[first]
		m.disk(first, "1", one)
		go func() {
			time.Sleep(10 * time.Millisecond)
			m.device <- time.Now() // of something else
			time.Sleep(10 * time.Millisecond)
			m.disk(second, "1", two)
			m.mkdir("sys/bus/scsi/devices/b/block")
			m.mkdir("sys/bus/scsi/devices/b/driver")
			m.hint <- time.Now()
		}()
		d, err := m.find(m.finder())
		if _, ok := errors.AsType[*AmbiguousError](err); !ok {
			t.Errorf("%s first: Find = %+v, %v; want both refused", first, d, err)
		}
	}
}

// A second disc that comes while the first is being looked at is not missed,
// though nothing is probing any more when that look is over.
func TestDiscComesDuringALook(t *testing.T) {
	many := map[string]string{"prolog.sh": "#!/bin/sh\n"}
	for i := range 9000 {
		many[fmt.Sprint("file", i)] = ""
	}
	slow, quick := iso(t, "SLOW", many), iso(t, "QUICK", script)
	for range 3 {
		m := newMachine(t)
		m.write("run/udev/control", "")
		m.write("sys/bus/scsi/devices/b/type", "5\n") // has no driver yet
		m.disk("vdb", "1", slow)
		f := m.finder()
		f.MaxFiles = 10_000
		go func() {
			time.Sleep(3 * time.Millisecond)
			m.disk("sr0", "0", quick)
			m.mkdir("sys/bus/scsi/devices/b/block")
			m.mkdir("sys/bus/scsi/devices/b/driver")
			m.hint <- time.Now()
		}()
		d, err := m.find(f)
		if _, ok := errors.AsType[*AmbiguousError](err); !ok {
			t.Errorf("Find = %.80v, %v; want both refused", d, err)
		}
	}
}

// The same disc in two drives is two discs: which is the site's?
func TestSameDiscTwice(t *testing.T) {
	m := newMachine(t)
	good := iso(t, "CONTEXT", script)
	m.disk("sr0", "0", good)
	m.disk("sr1", "0", good)
	if _, err := m.find(m.finder()); err == nil || !strings.Contains(err.Error(), "sr0 and ") {
		t.Errorf("Find = %v; want both named", err)
	}
}

func TestUevents(t *testing.T) {
	for message, want := range map[string]news{
		"change@/devices/x/block/sr0\x00ACTION=change\x00SUBSYSTEM=block\x00DISK_MEDIA_CHANGE=1\x00": diskNews,
		"add@/devices/x\x00SUBSYSTEM=net\x00":                                                        noNews,
		"libudev\x00\xfe\xed\xca\xfe....\x00ACTION=add\x00SUBSYSTEM=pci\x00":                         deviceNews,
		"libudev\x00\xfe\xed\xca\xfe....\x00ACTION=add\x00SUBSYSTEM=block\x00":                       diskNews,
		"libudev\x00\xfe\xed\xca\xfe....\x00ACTION=add\x00SUBSYSTEM=tty\x00":                         noNews,
		"": diskNews, "nothing of the kind": diskNews, "SUBSYSTEM=": noNews, "SUBSYSTEM=blocks\x00": noNews,
	} {
		if got := newsOf([]byte(message)); got != want {
			t.Errorf("newsOf(%q) = %v; want %v", message, got, want)
		}
	}
}

func FuzzUevent(f *testing.F) {
	f.Add([]byte("change@/devices/x\x00SUBSYSTEM=block\x00"))
	f.Fuzz(func(_ *testing.T, b []byte) { newsOf(b) })
}

func FuzzSMBIOS(f *testing.F) {
	f.Add([]byte(smbios("ctxagent.expect=yes")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, word := range oemHints(b) {
			if !strings.Contains(string(b), hintString+word) {
				t.Errorf("%q is not in %q", word, b)
			}
		}
	})
}
