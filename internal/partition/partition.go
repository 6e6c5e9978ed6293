// SPDX-License-Identifier: Apache-2.0

// Package partition reads the partition table of a disk that may be hostile:
// MBR with logical partitions, or GPT. Its input is an io.ReaderAt and its size
// in bytes; its output is where each partition lies. Every number is checked
// against the size of the disk. It does not look into the partitions.
package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrNone tells that a disk has no partition table.
var ErrNone = errors.New("no partition table")

// A CorruptError says what is wrong with a partition table and where.
type CorruptError struct {
	Offset  int64  // bytes from the start of the disk
	Rule    string // "MBR", or the section of the UEFI specification
	Problem string
}

// Error gives problem, rule and offset in one line.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt partition table at byte %d: %s (%s)", e.Offset, e.Problem, e.Rule)
}

func corrupt(offset int64, rule, format string, args ...any) error {
	return &CorruptError{offset, rule, fmt.Sprintf(format, args...)}
}

// A Part is one partition.
type Part struct {
	Number       int   // as the kernel counts: logical ones from 5
	Offset, Size int64 // bytes
}

const (
	mbrSector  = 512 // an MBR counts in these whatever the disk's blocks are
	maxParts   = 128
	tableAt    = 446
	entrySize  = 16
	protective = 0xee // the type of the one entry that stands before a GPT
)

// Table lists the partitions of the disk r of size bytes in the order of their
// numbers. It returns ErrNone if the disk has no table, a *CorruptError if the
// table cannot be right, or the error of r.
func Table(r io.ReaderAt, size int64) ([]Part, error) {
	if size < 2*mbrSector {
		return nil, ErrNone
	}
	d := disk{r, size}
	sector, err := d.read(0, mbrSector)
	if err != nil {
		return nil, err
	}
	if sector[510] != 0x55 || sector[511] != 0xaa {
		return nil, ErrNone
	}
	var parts []Part
	for i := range 4 {
		e := entryAt(sector, i)
		switch {
		case e.kind == protective:
			return d.gpt()
		case e.kind == 0 || e.count == 0:
			continue
		case sector[tableAt+i*entrySize]&0x7f != 0: // neither active nor not: boot code of a FAT volume, say
			return nil, ErrNone
		case e.extended():
			logical, err := d.logical(e)
			if err != nil {
				return nil, err
			}
			parts = append(parts, logical...)
			continue
		}
		p, err := d.part(i+1, int64(tableAt+i*entrySize), "MBR", e.first*mbrSector, e.count*mbrSector)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return nil, ErrNone
	}
	return parts, nil
}

// entry is one of the four of an MBR, in sectors.
type entry struct {
	kind         byte
	first, count int64
}

func entryAt(sector []byte, i int) entry {
	b := sector[tableAt+i*entrySize:]
	return entry{b[4], int64(binary.LittleEndian.Uint32(b[8:])), int64(binary.LittleEndian.Uint32(b[12:]))}
}

func (e entry) extended() bool { return e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85 }

type disk struct {
	r    io.ReaderAt
	size int64
}

func (d disk) read(offset, n int64) ([]byte, error) {
	if offset < 0 || offset > d.size || n > d.size-offset {
		return nil, corrupt(offset, "MBR", "the disk ends before the table does")
	}
	b := make([]byte, n)
	if _, err := d.r.ReadAt(b, offset); err != nil {
		return nil, fmt.Errorf("read disk at byte %d: %w", offset, err)
	}
	return b, nil
}

// part makes a partition that lies in the disk.
func (d disk) part(number int, at int64, rule string, offset, size int64) (Part, error) {
	if offset <= 0 || size <= 0 || offset > d.size || size > d.size-offset {
		return Part{}, corrupt(at, rule, "partition %d of %d bytes at byte %d is not in the disk of %d bytes", number, size, offset, d.size)
	}
	return Part{number, offset, size}, nil
}

// logical follows the chain of extended boot records: the first entry of each
// is a partition, the second the next record. The bound ends a circle.
func (d disk) logical(extended entry) ([]Part, error) {
	var parts []Part
	at := extended.first
	for range maxParts {
		sector, err := d.read(at*mbrSector, mbrSector)
		if err != nil {
			return nil, err
		}
		if sector[510] != 0x55 || sector[511] != 0xaa {
			return nil, corrupt(at*mbrSector+510, "MBR", "extended boot record without signature")
		}
		if e := entryAt(sector, 0); e.kind != 0 && e.count != 0 {
			p, err := d.part(5+len(parts), at*mbrSector+tableAt, "MBR", (at+e.first)*mbrSector, e.count*mbrSector)
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
		}
		next := entryAt(sector, 1)
		if next.kind == 0 || next.count == 0 {
			return parts, nil
		}
		at = extended.first + next.first
	}
	return nil, corrupt(at*mbrSector, "MBR", "more than %d logical partitions", maxParts)
}

// gpt reads the first GUID partition table, behind the protective MBR (UEFI
// 2.10, 5.3). Its header is in the second logical block, of 512 bytes or of as
// many as the device has: 2048 on an optical disc.
func (d disk) gpt() ([]Part, error) {
	for _, block := range []int64{512, 2048, 4096} {
		if d.size < 3*block {
			break
		}
		header, err := d.read(block, 92)
		if err != nil {
			return nil, err
		}
		if string(header[:8]) == "EFI PART" {
			return d.gptEntries(header, block)
		}
	}
	return nil, corrupt(mbrSector, "UEFI 5.3.2", "protective mbr without a gpt header")
}

func (d disk) gptEntries(header []byte, block int64) ([]Part, error) {
	le := binary.LittleEndian
	length := le.Uint32(header[12:])
	if length != 92 { // a longer one is of a revision that we do not know
		return nil, corrupt(block+12, "UEFI 5.3.2", "gpt header of %d bytes", length)
	}
	sum := le.Uint32(header[16:])
	copy(header[16:20], make([]byte, 4))
	if crc32.ChecksumIEEE(header) != sum {
		return nil, corrupt(block+16, "UEFI 5.3.2", "wrong checksum of the gpt header")
	}
	first, count, size := le.Uint64(header[72:]), le.Uint32(header[80:]), le.Uint32(header[84:])
	if count > 4*maxParts || size != 128 || first > uint64(d.size/block) {
		return nil, corrupt(block+72, "UEFI 5.3.2", "%d entries of %d bytes in block %d", count, size, first)
	}
	table, err := d.read(int64(first)*block, int64(count)*int64(size))
	if err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(table) != le.Uint32(header[88:]) {
		return nil, corrupt(block+88, "UEFI 5.3.2", "wrong checksum of the gpt entries")
	}
	var parts []Part
	for i := range int(count) {
		e := table[i*128 : i*128+128]
		if [16]byte(e) == [16]byte{} {
			continue
		}
		start, end := le.Uint64(e[32:]), le.Uint64(e[40:])
		blocks := uint64(d.size / block)
		if start == 0 || start > blocks || end >= blocks || end < start {
			return nil, corrupt(int64(first)*block+int64(i)*128+32, "UEFI 5.3.3", "partition %d from block %d to %d of %d", i+1, start, end, blocks)
		}
		parts = append(parts, Part{i + 1, int64(start) * block, int64(end-start+1) * block})
	}
	if len(parts) == 0 {
		return nil, ErrNone
	}
	return parts, nil
}
