// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// victims lie in wait outside. Each counts what hits it; none ever answers.
type victims struct {
	intruder string
	process  *exec.Cmd
	outside  string // a file that no root of a script has
	disk     *os.File
	number   uint64         // of the disk
	sockets  map[string]int // listening, by name
	fifos    map[string]int
	shm      int
	cores    string // what the crash handler writes; "" where it is not ours to set
	kmsg     int
	hits     map[string]int
}

const (
	victimUID      = 4242
	victimPort     = 5514
	victimAbstract = "ctxagent-victim"
	victimShm      = 0x0badcafe
	mark           = "ctxagent-attack-mark"
)

func newVictims(t *testing.T, root, intruder string) *victims {
	t.Helper()
	v := &victims{intruder: intruder, sockets: map[string]int{}, fifos: map[string]int{}, hits: map[string]int{}}
	v.outside = filepath.Join(t.TempDir(), "outside")
	if guestRoot {
		v.outside = "/run/ctxtest/outside"
	}
	if err := os.WriteFile(v.outside, []byte("outside\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.start(t)
	v.address(t)
	for _, p := range []string{"etc", "srv/second"} {
		name := filepath.Join(root, p, "victim.sock")
		v.listenUnix(t, name, unix.SOCK_STREAM)
		v.fifo(t, filepath.Join(root, p, "victim.fifo"))
	}
	v.listenUnix(t, "@"+victimAbstract, unix.SOCK_STREAM)
	v.listenUnix(t, "@"+victimAbstract+".dgram", unix.SOCK_DGRAM)
	for _, a := range [][4]byte{{127, 0, 0, 1}, {169, 254, 169, 254}} {
		v.listenInet(t, a, victimPort, unix.SOCK_STREAM)
		v.listenInet(t, a, victimPort, unix.SOCK_DGRAM)
	}
	v.listenInet(t, [4]byte{169, 254, 169, 254}, 80, unix.SOCK_STREAM)
	v.lock(t, root)
	v.makeDisk(t)
	v.makeShm(t)
	v.kernel(t)
	return v
}

// start starts the process that others may want to end.
func (v *victims) start(t *testing.T) {
	t.Helper()
	v.process = exec.Command(v.intruder, fmt.Sprintf("as=%d", victimUID), "victim")
	v.process.Dir = "/"
	if err := v.process.Start(); err != nil {
		t.Fatal(err)
	}
	for range 100 { // until it is that user's
		if st, err := os.Stat(fmt.Sprintf("/proc/%d", v.process.Process.Pid)); err == nil && st.Sys().(*syscall.Stat_t).Uid == victimUID {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Cleanup(func() {
		_ = v.process.Process.Kill()
		_ = v.process.Wait()
	})
}

// address gives the loopback interface the metadata service's address.
func (v *victims) address(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up); err != nil {
		t.Fatal(err)
	}
	meta, err := unix.NewIfreq("lo:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := meta.SetInet4Addr([]byte{169, 254, 169, 254}); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, meta); err != nil {
		t.Fatal(err)
	}
}

func (v *victims) listenUnix(t *testing.T, name string, kind int) {
	t.Helper()
	v.listen(t, "unix "+name, unix.AF_UNIX, kind, &unix.SockaddrUnix{Name: name})
	if !strings.HasPrefix(name, "@") {
		t.Cleanup(func() { _ = os.Remove(name) })
	}
}

func (v *victims) listenInet(t *testing.T, a [4]byte, port, kind int) {
	t.Helper()
	v.listen(t, fmt.Sprintf("inet %v:%d kind %d", a, port, kind), unix.AF_INET, kind, &unix.SockaddrInet4{Port: port, Addr: a})
}

func (v *victims) listen(t *testing.T, name string, family, kind int, at unix.Sockaddr) {
	t.Helper()
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, at); err != nil {
		t.Fatalf("bind %s: %v", name, err)
	}
	if kind == unix.SOCK_STREAM {
		if err := unix.Listen(fd, 100); err != nil {
			t.Fatal(err)
		}
	}
	v.sockets[name] = fd
	t.Cleanup(func() { _ = unix.Close(fd) })
}

// fifo has a reader, as a host's daemon would be.
func (v *victims) fifo(t *testing.T, name string) {
	t.Helper()
	_ = os.Remove(name)
	if err := unix.Mkfifo(name, 0o666); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	v.fifos[name] = fd
	t.Cleanup(func() { _ = unix.Close(fd) })
}

// lock holds files of the root: a script that can lock them has others.
func (v *victims) lock(t *testing.T, root string) {
	t.Helper()
	for _, name := range []string{"etc/passwd", "etc/victim.lock"} {
		f, err := os.Open(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
	}
}

// makeDisk makes a loop device, the disk that is not to be written.
func (v *victims) makeDisk(t *testing.T) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	backing, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("a loop device is needed as a victim: %v", err)
	}
	defer control.Close()
	for range 20 { // another process may take the free one first
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Fatal(err)
		}
		disk, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.IoctlSetInt(int(disk.Fd()), unix.LOOP_SET_FD, int(backing.Fd())); err != nil {
			disk.Close()
			continue
		}
		v.disk, v.number = disk, unix.Mkdev(7, uint32(n))
		t.Cleanup(func() {
			_ = unix.IoctlSetInt(int(disk.Fd()), unix.LOOP_CLR_FD, 0)
			disk.Close()
		})
		return
	}
	t.Fatal("no free loop device")
}

func (v *victims) makeShm(t *testing.T) {
	t.Helper()
	id, err := unix.SysvShmGet(victimShm, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	v.shm = id
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
}

// kernel follows the kernel's log and, in a guest, sets the handler of crashes.
func (v *victims) kernel(t *testing.T) {
	t.Helper()
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Seek(fd, 0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	v.kmsg = fd
	t.Cleanup(func() { _ = unix.Close(fd) })
	if !guestRoot {
		return
	}
	v.cores = "/run/ctxtest/cores"
	const handler = "/run/ctxtest/core-handler"
	if err := os.WriteFile(handler, []byte("#!/bin/sh\necho core >>"+v.cores+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/kernel/core_pattern", []byte("|"+handler+" %p"), 0); err != nil {
		t.Fatal(err)
	}
}

// variables tell a script where the victims are: it may know all but how to
// reach them.
func (v *victims) variables() string {
	return fmt.Sprintf("VICTIM_PID=%d\nVICTIM_UID=%d\nAGENT_PID=%d\nVICTIM_PORT=%d\nVICTIM_ABSTRACT=%s\nVICTIM_OUTSIDE=%s\nVICTIM_DISK='%d %d'\nMARK=%s\n",
		v.process.Process.Pid, victimUID, os.Getpid(), victimPort, victimAbstract, strings.TrimPrefix(v.outside, "/"),
		unix.Major(v.number), unix.Minor(v.number), mark)
}

// count takes in what hit the victims since the last time.
func (v *victims) count() error {
	buf := make([]byte, 8192)
	for name, fd := range v.sockets {
		for {
			n, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) { // it takes datagrams
				if _, _, err = unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); err != nil {
					break
				}
			} else if err != nil {
				break
			} else {
				_ = unix.Close(n)
			}
			v.hits[name]++
		}
	}
	for name, fd := range v.fifos {
		for {
			n, err := unix.Read(fd, buf)
			if err != nil || n == 0 {
				break
			}
			v.hits[name] += n
		}
	}
	for {
		n, err := unix.Read(v.kmsg, buf)
		if errors.Is(err, unix.EPIPE) {
			continue // overwritten meanwhile
		}
		if err != nil || n == 0 {
			break
		}
		if text := string(buf[:n]); strings.Contains(text, mark) || strings.Contains(text, "sysrq: ") {
			v.hits["kernel log"]++
		}
	}
	return nil
}

// state is what the victims are like, by name.
func (v *victims) state() (map[string]string, error) {
	if err := v.count(); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, n := range v.hits {
		out["hits on "+name] = fmt.Sprint(n)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.process.Process.Pid))
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(stat))
	out["victim process"] = fmt.Sprintf("alive %v nice %s", strings.Contains("SRD", f[2]), f[18])
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", v.process.Process.Pid))
	if err != nil {
		return nil, err
	}
	out["victim process limits"] = string(limits)
	h := sha256.New()
	if _, err := v.disk.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, err := io.Copy(h, v.disk); err != nil {
		return nil, err
	}
	out["disk"] = hex.EncodeToString(h.Sum(nil))
	b, err := os.ReadFile(v.outside)
	out["file outside"] = fmt.Sprint(string(b), err)
	if v.cores != "" {
		b, _ := os.ReadFile(v.cores)
		out["crash handler"] = fmt.Sprint(len(b))
	}
	return out, nil
}
