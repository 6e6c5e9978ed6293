// SPDX-License-Identifier: Apache-2.0

package iso9660

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
)

// zisofs stores a file as blocks, each compressed by itself, behind a header
// and a table of where each block begins. Its description is that of libisofs,
// doc/zisofs_format.txt, here called zisofs; Linux reads version 1.
const (
	zisofsRule = "zisofs"

	zisofs1Magic = "\x37\xe4\x53\x96\xc9\xdb\xd6\x07"
	zisofs2Magic = "\xef\x22\x55\xa1\xbc\x1b\x95\xa0"

	minZisofsBlock = 15 // log2 of the bytes of a block
	maxZisofsBlock = 20
)

// packed is what the field ZF says of a file.
type packed struct {
	version  byte  // 1 or 2
	header   int64 // bytes before the table
	blockLog byte
	size     int64 // bytes once unpacked
}

// parseZF reads a ZF field (RRIP, extension of zisofs): algorithm, header length
// in four bytes, block size, and the length of the contents, which version 1 has
// as 32 bits in both byte orders and version 2 as 64 bits.
func parseZF(version byte, data []byte) (*packed, bool) {
	if len(data) < 12 {
		return nil, false
	}
	p := &packed{version: version, header: int64(data[2]) * 4, blockLog: data[3]}
	switch {
	case version == 1 && string(data[:2]) == "pz":
		p.size = le32(data[4:])
	case version == 2 && string(data[:2]) == "PZ":
		n := binary.LittleEndian.Uint64(data[4:])
		if n > 1<<62 {
			return nil, false
		}
		p.size = int64(n)
	default:
		return nil, false
	}
	return p, p.blockLog >= minZisofsBlock && p.blockLog <= maxZisofsBlock
}

// pointerSize is the bytes of one entry of the table.
func (p *packed) pointerSize() int64 { return 4 * int64(p.version) }

// blocks is how many blocks the file has.
func (p *packed) blocks() int64 { return (p.size + 1<<p.blockLog - 1) >> p.blockLog }

// check compares the header of the stored bytes with the field ZF, and makes
// sure that the table lies in them: then a file can not claim much more than
// it holds.
func (p *packed) check(stored io.ReaderAt, length, offset int64) error {
	magic, size := zisofs1Magic, int64(16)
	if p.version == 2 {
		magic, size = zisofs2Magic, 24
	}
	if p.header != size || length < size {
		return corrupt(offset, zisofsRule, "compressed file with a header of %d bytes, in %d", p.header, length)
	}
	b := make([]byte, size)
	if _, err := stored.ReadAt(b, 0); err != nil {
		return err
	}
	own := packed{version: p.version}
	if p.version == 1 {
		own.size, own.header, own.blockLog = le32(b[8:]), int64(b[12])*4, b[13]
	} else {
		own.header, own.blockLog, own.size = int64(b[9])*4, b[11], int64(binary.LittleEndian.Uint64(b[12:]))
	}
	if string(b[:8]) != magic || own != *p || p.version == 2 && (b[8] != 0 || b[10] != 1) { // 1 is zlib
		return corrupt(offset, zisofsRule, "the header of a compressed file contradicts its directory record")
	}
	if n := p.blocks(); n >= 1<<40 || p.header+(n+1)*p.pointerSize() > length {
		return corrupt(offset, zisofsRule, "a table of %d blocks in a compressed file of %d bytes", n, length)
	}
	return nil
}

// unpacker reads a compressed file. It holds one block, unpacked.
type unpacker struct {
	*packed
	stored io.ReaderAt
	length int64 // of stored, bytes
	offset int64 // in the image, for errors
	zlib   io.ReadCloser
	block  []byte
	at     int64 // number of the block that is held, or -1
	raw    []byte
}

func newUnpacker(p *packed, stored io.ReaderAt, length, offset int64) *unpacker {
	return &unpacker{packed: p, stored: stored, length: length, offset: offset, at: -1}
}

// ReadAt reads the unpacked bytes. Only one goroutine may use it at a time.
func (u *unpacker) ReadAt(p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) && offset+int64(done) < u.size {
		at := offset + int64(done)
		if err := u.load(at >> u.blockLog); err != nil {
			return done, err
		}
		done += copy(p[done:], u.block[at&(1<<u.blockLog-1):])
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// load unpacks block n, which has exactly the bytes that the file's length
// leaves for it. A block that is stored in no bytes is all zeros.
func (u *unpacker) load(n int64) error {
	if n == u.at {
		return nil
	}
	u.at = -1
	width := u.pointerSize()
	table := make([]byte, 2*width)
	if _, err := u.stored.ReadAt(table, u.header+n*width); err != nil {
		return err
	}
	start, end := u.pointer(table), u.pointer(table[width:])
	most := int64(2)<<u.blockLog + 1024 // no deflate stream of a block is longer
	if start < 0 || end < start || end > u.length || end-start > most {
		return u.broken("block %d lies from byte %d to %d of %d", n, start, end, u.length)
	}
	size := min(1<<u.blockLog, u.size-n<<u.blockLog)
	if int64(cap(u.block)) < size {
		u.block = make([]byte, size)
	}
	u.block = u.block[:size]
	if start == end {
		clear(u.block)
		u.at = n
		return nil
	}
	if int64(cap(u.raw)) < end-start {
		u.raw = make([]byte, end-start)
	}
	u.raw = u.raw[:end-start]
	if _, err := u.stored.ReadAt(u.raw, start); err != nil {
		return err
	}
	if err := u.inflate(); err != nil {
		return u.broken("block %d: %v", n, err)
	}
	u.at = n
	return nil
}

func (u *unpacker) pointer(b []byte) int64 {
	if u.version == 1 {
		return le32(b)
	}
	return int64(binary.LittleEndian.Uint64(b))
}

// inflate unpacks raw into block, which it has to fill and not to exceed.
func (u *unpacker) inflate() error {
	var err error
	if u.zlib == nil {
		u.zlib, err = zlib.NewReader(bytes.NewReader(u.raw))
	} else {
		err = u.zlib.(zlib.Resetter).Reset(bytes.NewReader(u.raw), nil)
	}
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(u.zlib, u.block); err != nil {
		return err
	}
	switch n, err := u.zlib.Read(make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("more than its %d bytes", len(u.block))
	case err != io.EOF: // the checksum is looked at here
		return err
	}
	return nil
}

func (u *unpacker) broken(format string, args ...any) error {
	return corrupt(u.offset, zisofsRule, "compressed file: "+format, args...)
}
