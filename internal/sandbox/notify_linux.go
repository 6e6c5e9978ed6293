// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel tells the agent of each call that the filter denies, and waits for
// the answer (seccomp_unotify(2)). The answer is always that the call failed; it
// rests on registers alone, never on memory that the caller could change.
// Only what configures a link over rtnetlink is looked at in memory, for the
// record: the kernel refuses that by itself, for want of CAP_NET_ADMIN.

// notification and response are struct seccomp_notif and seccomp_notif_resp of
// include/uapi/linux/seccomp.h.
type notification struct {
	ID    uint64
	PID   uint32
	Flags uint32
	Nr    int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

type response struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// maxDenied is how many different denied calls are kept: a command's name is
// whatever the script says.
const maxDenied = 200

// watcher is the agent's end.
type watcher struct {
	listener *os.File
	stop     [2]int // a pipe: closing the write end stops the watch
	done     sync.WaitGroup

	counts map[Denied]int // by a Denied without its count
	others int            // calls beyond maxDenied

	unmapped map[string]bool // see wantedID
}

// watch answers notifications from f until close.
func (w *watcher) watch(f *os.File) {
	if w.listener != nil || unix.Pipe2(w.stop[:], unix.O_CLOEXEC) != nil {
		_ = f.Close() // what is denied then fails with ENOSYS
		return
	}
	w.listener, w.counts, w.unmapped = f, map[Denied]int{}, map[string]bool{}
	w.done.Go(func() {
		fd := int(f.Fd())
		for {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(w.stop[0])}}
			if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
				continue
			} else if err != nil || fds[1].Revents != 0 || fds[0].Revents&unix.POLLIN == 0 {
				return // stopped, or no process is left under the filter
			}
			w.answer(fd)
		}
	})
}

// answer takes one notification. A caller that was killed meanwhile is none.
func (w *watcher) answer(fd int) {
	var n notification
	if ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)) != nil {
		return
	}
	if id := wantedID(n); id != "" {
		w.unmapped[id] = true
		r := response{ID: n.ID, Error: -int32(unix.EINVAL)}
		_ = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
		return
	}
	call, errno := describe(n)
	comm := commOf(n.PID)
	r := response{ID: n.ID, Error: -int32(errno)}
	if call == "" {
		r = response{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	}
	// Only an answer that arrives is one call: a caller that a signal
	// interrupts makes it again.
	if ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)) != nil || call == "" {
		return
	}
	key := Denied{Comm: comm, Call: call}
	if _, ok := w.counts[key]; !ok && len(w.counts) >= maxDenied {
		w.others++
		return
	}
	w.counts[key]++
}

// close ends the watch; nothing may be left that waits for an answer.
func (w *watcher) close() {
	if w.listener == nil {
		return
	}
	_ = unix.Close(w.stop[1])
	w.done.Wait()
	_ = unix.Close(w.stop[0])
	_ = w.listener.Close()
}

// denied are the calls, sorted; it is for after close.
func (w *watcher) denied() []Denied {
	var out []Denied
	for d, n := range w.counts {
		d.Count = n
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool {
		return cmp.Or(cmp.Compare(out[i].Comm, out[j].Comm), cmp.Compare(out[i].Call, out[j].Call)) < 0
	})
	if w.others > 0 {
		out = append(out, Denied{Comm: "others", Call: "calls beyond the first kinds", Count: w.others})
	}
	return out
}

// describe names a denied call and the errno it gets; "" lets it go on.
func describe(n notification) (string, unix.Errno) {
	nr := uint32(n.Nr)
	switch nr {
	case unix.SYS_CLONE:
		return "clone(namespace)", unix.EPERM
	case unix.SYS_IOCTL:
		return "ioctl(" + deniedIoctls[uint32(n.Args[1])] + ")", unix.EPERM
	case unix.SYS_PRLIMIT64:
		return "prlimit64(other process)", unix.EPERM
	case unix.SYS_SOCKET, unix.SYS_SOCKETPAIR:
		return describeSocket(uint32(n.Args[0]), uint32(n.Args[1]), uint32(n.Args[2]))
	case unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG:
		return describeSend(n), unix.EPERM
	}
	return cmp.Or(denied[nr], deniedHere[nr], fmt.Sprintf("system call %d", nr)), unix.EPERM
}

// families are the address families that scripts' programs are seen to ask for.
var families = map[uint32]string{
	unix.AF_PACKET: "AF_PACKET", unix.AF_VSOCK: "AF_VSOCK", unix.AF_ALG: "AF_ALG", unix.AF_KEY: "AF_KEY", unix.AF_BLUETOOTH: "AF_BLUETOOTH",
	unix.AF_CAN: "AF_CAN", unix.AF_TIPC: "AF_TIPC", unix.AF_SMC: "AF_SMC", unix.AF_XDP: "AF_XDP", unix.AF_RDS: "AF_RDS", unix.AF_QIPCRTR: "AF_QIPCRTR",
	unix.AF_INET: "AF_INET", unix.AF_INET6: "AF_INET6", unix.AF_UNIX: "AF_UNIX",
}

func describeSocket(family, kind, protocol uint32) (string, unix.Errno) {
	switch family {
	case unix.AF_NETLINK:
		return fmt.Sprintf("socket(AF_NETLINK, protocol %d)", protocol), unix.EAFNOSUPPORT
	case unix.AF_INET, unix.AF_INET6:
		if kind &= 0xf; kind != unix.SOCK_STREAM && kind != unix.SOCK_DGRAM {
			return fmt.Sprintf("socket(%s, type %d)", families[family], kind), unix.EPROTONOSUPPORT
		}
		return fmt.Sprintf("socket(%s, protocol %d)", families[family], protocol), unix.EPROTONOSUPPORT
	}
	return "socket(" + cmp.Or(families[family], fmt.Sprintf("family %d", family)) + ")", unix.EAFNOSUPPORT
}

// describeSend names the request if the call sends one to rtnetlink(7) that
// would configure something, and nothing else. It is for the record alone.
func describeSend(n notification) string {
	addr, size := n.Args[1], n.Args[2]
	if n.Nr != unix.SYS_SENDTO { // struct mmsghdr begins with a struct msghdr
		var msg unix.Msghdr
		var iov unix.Iovec
		if !peek(n.PID, addr, unsafe.Slice((*byte)(unsafe.Pointer(&msg)), unsafe.Sizeof(msg))) || msg.Iovlen == 0 ||
			!peek(n.PID, uint64(uintptr(unsafe.Pointer(msg.Iov))), unsafe.Slice((*byte)(unsafe.Pointer(&iov)), unsafe.Sizeof(iov))) {
			return ""
		}
		addr, size = uint64(uintptr(unsafe.Pointer(iov.Base))), iov.Len
	}
	var head [unix.SizeofNlMsghdr]byte
	if size < uint64(len(head)) || !peek(n.PID, addr, head[:]) {
		return ""
	}
	length, kind := binary.NativeEndian.Uint32(head[:]), binary.NativeEndian.Uint16(head[4:])
	// Of four types in a row, RTM_NEW*, RTM_DEL*, RTM_GET* and RTM_SET*.
	if length < uint32(len(head)) || uint64(length) > size || kind < unix.RTM_BASE || kind > unix.RTM_MAX || kind%4 == unix.RTM_GETLINK%4 {
		return ""
	}
	if !isRtnetlink(n.PID, n.Args[0]) {
		return ""
	}
	switch kind &^ 3 {
	case unix.RTM_NEWLINK:
		return "rtnetlink(link)"
	case unix.RTM_NEWADDR:
		return "rtnetlink(address)"
	case unix.RTM_NEWROUTE:
		return "rtnetlink(route)"
	}
	return fmt.Sprintf("rtnetlink(type %d)", kind)
}

// isRtnetlink tells whether a process's descriptor is a NETLINK_ROUTE socket.
func isRtnetlink(pid uint32, fd uint64) bool {
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, int32(fd)))
	inode, ok := strings.CutPrefix(link, "socket:[")
	if err != nil || !ok {
		return false
	}
	inode = strings.TrimSuffix(inode, "]")
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/netlink", pid))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(table) { // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		if f := strings.Fields(string(line)); len(f) > 9 && f[1] == strconv.Itoa(unix.NETLINK_ROUTE) && f[9] == inode {
			return true
		}
	}
	return false
}

// peek reads another process's memory.
func peek(pid uint32, addr uint64, into []byte) bool {
	local := []unix.Iovec{{Base: &into[0], Len: uint64(len(into))}}
	n, err := unix.ProcessVMReadv(int(pid), local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(into)}}, 0)
	return err == nil && n == len(into)
}

// commOf is a process's own name for itself: 15 bytes that the script chose.
func commOf(pid uint32) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?"
	}
	return strings.ToValidUTF8(strings.TrimSuffix(string(b), "\n"), "\uFFFD")
}

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return os.NewSyscallError("ioctl", errno)
		}
		return nil
	}
}
