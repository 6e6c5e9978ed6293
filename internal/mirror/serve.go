// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Operations of enum fuse_opcode that are answered.
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opReadlink    = 5
	opOpen        = 14
	opRead        = 15
	opStatfs      = 17
	opRelease     = 18
	opInit        = 26
	opOpendir     = 27
	opReaddir     = 28
	opReleasedir  = 29
	opInterrupt   = 36
	opBatchForget = 42
)

// request is struct fuse_in_header.
type request struct {
	Len, Opcode    uint32
	Unique, NodeID uint64
	UID, GID, PID  uint32
	_              uint32
}

const headerSize = 40

// attr is struct fuse_attr.
type attr struct {
	Ino, Size, Blocks, Atime, Mtime, Ctime       uint64
	AtimeNsec, MtimeNsec, CtimeNsec, Mode, Nlink uint32
	UID, GID, RDev, BlkSize, Flags               uint32
}

type (
	initIn  struct{ Major, Minor, MaxReadahead, Flags uint32 }
	initOut struct {
		Major, Minor, MaxReadahead, Flags uint32
		MaxBackground, Congestion         uint16
		MaxWrite, TimeGran                uint32
		MaxPages, MapAlignment            uint16
		_                                 [8]uint32
	}
	entryOut struct {
		NodeID, Generation, EntryValid, AttrValid uint64
		EntryValidNsec, AttrValidNsec             uint32
		Attr                                      attr
	}
	attrOut struct {
		Valid     uint64
		ValidNsec uint32
		_         uint32
		Attr      attr
	}
	openOut struct {
		FH       uint64
		Flags, _ uint32
	}
	readIn struct {
		FH, Offset uint64
		Size       uint32
	}
	forgetOne struct{ NodeID, Lookups uint64 }
	statfsOut struct {
		Blocks, Bfree, Bavail, Files, Ffree uint64
		Bsize, Namelen, Frsize              uint32
		_                                   [7]uint32
	}
)

// validSeconds is how long the kernel may believe an answer.
const validSeconds = 1

// Serve answers requests from dev, which /dev/fuse was opened as, until the file
// system is unmounted or the kernel gives up.
func (s *Server) Serve(dev *os.File) error {
	buf := make([]byte, 64<<10+4096) // FUSE_MIN_READ_BUFFER is less
	for {
		n, err := dev.Read(buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT): // interrupted before it was read
			continue
		case errors.Is(err, unix.ENODEV): // unmounted
			return nil
		case err != nil:
			return err
		}
		var r request
		if err := decode(buf[:n], &r); err != nil {
			return err
		}
		s.asks = r.PID
		out, err := s.answer(r, buf[headerSize:n])
		if errors.Is(err, errSilent) {
			continue
		}
		if err := reply(dev, r.Unique, out, err); err != nil && !errors.Is(err, unix.ENOENT) { // the caller is gone
			return err
		}
	}
}

// reply writes struct fuse_out_header and what follows it.
func reply(dev *os.File, unique uint64, out []byte, failure error) error {
	var errno unix.Errno
	if failure != nil && !errors.As(failure, &errno) {
		errno = unix.EIO
	}
	if errno != 0 {
		out = nil
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(16+len(out)))
	b = binary.LittleEndian.AppendUint32(b, uint32(-int32(errno)))
	b = binary.LittleEndian.AppendUint64(b, unique)
	_, err := dev.Write(append(b, out...))
	return err
}

// errSilent tells that a request wants no answer.
var errSilent = errors.New("no answer")

// answer is what one request gets.
func (s *Server) answer(r request, body []byte) ([]byte, error) {
	at := s.nodes.path(r.NodeID)
	switch r.Opcode {
	case opInit:
		return s.init(body)
	case opForget:
		s.nodes.forget(r.NodeID, binary.LittleEndian.Uint64(append(body, make([]byte, 8)...)))
		return nil, errSilent
	case opBatchForget:
		s.forget(body)
		return nil, errSilent
	case opInterrupt: // nothing takes long
		return nil, errSilent
	case opStatfs:
		return encode(statfsOut{Bsize: 4096, Frsize: 4096, Namelen: 255}), nil
	case opRelease, opReleasedir:
		return nil, s.release(body)
	}
	if at == "" {
		return nil, unix.ESTALE
	}
	switch r.Opcode {
	case opLookup:
		return s.lookup(at, body)
	case opGetattr:
		return s.getattr(at, r.NodeID)
	case opReadlink:
		target, err := s.readlink(at)
		return []byte(target), err
	case opOpen:
		return s.openFile(at)
	case opRead:
		return s.read(body)
	case opOpendir:
		return s.openDir(at)
	case opReaddir:
		return s.readdir(at, body)
	}
	return nil, unix.ENOSYS
}

func (s *Server) init(body []byte) ([]byte, error) {
	var in initIn
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	return encode(initOut{Major: 7, Minor: min(in.Minor, 31), MaxReadahead: in.MaxReadahead, MaxWrite: 4096, TimeGran: 1}), nil
}

func (s *Server) forget(body []byte) {
	r := bytes.NewReader(body)
	var head struct{ Count, _ uint32 }
	if binary.Read(r, binary.LittleEndian, &head) != nil {
		return
	}
	for range head.Count {
		var one forgetOne
		if binary.Read(r, binary.LittleEndian, &one) != nil {
			return
		}
		s.nodes.forget(one.NodeID, one.Lookups)
	}
}

func (s *Server) lookup(dir string, body []byte) ([]byte, error) {
	p, err := child(dir, string(bytes.TrimRight(body, "\x00")))
	if err != nil {
		return nil, err
	}
	if s.empty(dir) {
		return nil, unix.ENOENT
	}
	a, err := s.attr(p)
	if err != nil {
		return nil, err
	}
	a.Ino = s.nodes.id(p)
	return encode(entryOut{NodeID: a.Ino, EntryValid: validSeconds, AttrValid: validSeconds, Attr: a}), nil
}

func (s *Server) getattr(at string, id uint64) ([]byte, error) {
	a, err := s.attr(at)
	if err != nil {
		return nil, err
	}
	a.Ino = id
	return encode(attrOut{Valid: validSeconds, Attr: a}), nil
}

func (s *Server) openFile(at string) ([]byte, error) {
	if s.empty(at) {
		return encode(openOut{}), nil
	}
	fd, err := s.open(at, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	s.next++
	s.files[s.next] = os.NewFile(uintptr(fd), at)
	return encode(openOut{FH: s.next}), nil
}

func (s *Server) read(body []byte) ([]byte, error) {
	var in readIn
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	f, ok := s.files[in.FH]
	if !ok {
		return nil, nil // an empty one
	}
	b := make([]byte, in.Size)
	n, err := f.ReadAt(b, int64(in.Offset))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// openDir tells at once whether the directory can be read; its names are listed
// for each part anew, sorted: an offset is a place in the list.
func (s *Server) openDir(at string) ([]byte, error) {
	if _, err := s.names(at); err != nil {
		return nil, err
	}
	return encode(openOut{}), nil
}

func (s *Server) readdir(at string, body []byte) ([]byte, error) {
	var in readIn
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	entries, err := s.names(at)
	if err != nil {
		return nil, err
	}
	var out []byte
	for i, e := range entries {
		if uint64(i) < in.Offset {
			continue
		}
		size := (24 + len(e.Name()) + 7) &^ 7 // FUSE_DIRENT_ALIGN
		if len(out)+size > int(in.Size) {
			break
		}
		d := binary.LittleEndian.AppendUint64(nil, ^uint64(0)) // the number is in the entry's attributes
		d = binary.LittleEndian.AppendUint64(d, uint64(i)+1)
		d = binary.LittleEndian.AppendUint32(d, uint32(len(e.Name())))
		d = binary.LittleEndian.AppendUint32(d, direntType(e))
		d = append(d, e.Name()...)
		out = append(out, append(d, make([]byte, size-len(d))...)...)
	}
	return out, nil
}

// direntType is a DT_* of readdir(3).
func direntType(e os.DirEntry) uint32 {
	switch e.Type() {
	case os.ModeDir:
		return unix.DT_DIR
	case os.ModeSymlink:
		return unix.DT_LNK
	case 0:
		return unix.DT_REG
	}
	return unix.DT_UNKNOWN
}

func (s *Server) release(body []byte) error {
	var in struct{ FH uint64 }
	if err := decode(body, &in); err != nil {
		return err
	}
	f, ok := s.files[in.FH]
	if !ok {
		return nil
	}
	delete(s.files, in.FH)
	return f.Close()
}

func decode(b []byte, v any) error {
	if binary.Read(bytes.NewReader(b), binary.LittleEndian, v) != nil {
		return unix.EINVAL
	}
	return nil
}

func encode(v any) []byte {
	var b bytes.Buffer
	if binary.Write(&b, binary.LittleEndian, v) != nil {
		return nil // every type here has a fixed size
	}
	return b.Bytes()
}
