// SPDX-License-Identifier: Apache-2.0

// Package qcow2 unpacks a disk image in QEMU's format (docs/interop/qcow2.rst in
// QEMU's source, whose names are used here). Input: an io.ReaderAt; output: the
// disk's bytes, written sparsely. An image that names another file, as a backing
// file or for its data, is refused: it could name any file of the machine that
// reads it. Encrypted images, extended L2 entries and zstd are refused, too.
package qcow2

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	magic      = "QFI\xfb"
	headerSize = 112
	maxL1      = 32 << 20           // bytes, as in QEMU
	offsetMask = 0x00fffffffffffe00 // of L1 and L2 entries
	maxSize    = 1 << 43            // bytes of the disk: 8 TiB
	compressed = 1 << 62            // flag of a L2 entry
	allZero    = 1                  // flag of a L2 entry, version 3
)

// ErrNotQCOW2 says that an image is in another format.
var ErrNotQCOW2 = errors.New("not a qcow2 image")

// Image is an open image.
type Image struct {
	r           io.ReaderAt
	size        int64 // of the disk, bytes
	clusterBits uint
	version     uint32
	l1          []uint64
}

// ErrElsewhere tells that an image cannot be read alone.
var ErrElsewhere = errors.New("what lies in another file is not read")

// Open reads the header and the L1 table.
func Open(r io.ReaderAt) (*Image, error) {
	h := make([]byte, headerSize)
	if n, err := r.ReadAt(h, 0); err != nil && (!errors.Is(err, io.EOF) || n < 72) {
		if errors.Is(err, io.EOF) {
			return nil, ErrNotQCOW2
		}
		return nil, err
	}
	if string(h[:4]) != magic {
		return nil, ErrNotQCOW2
	}
	im := &Image{r: r, version: binary.BigEndian.Uint32(h[4:]), clusterBits: uint(binary.BigEndian.Uint32(h[20:])), size: int64(binary.BigEndian.Uint64(h[24:]))}
	if err := im.check(h); err != nil {
		return nil, err
	}
	entries := int64(binary.BigEndian.Uint32(h[36:]))
	perL1 := int64(1) << (2*im.clusterBits - 3) // bytes that one entry stands for
	if need := (im.size + perL1 - 1) / perL1; entries < need {
		return nil, fmt.Errorf("qcow2: the L1 table has %d entries; a disk of %d bytes needs %d", entries, im.size, need)
	} else if need*8 > maxL1 {
		return nil, fmt.Errorf("qcow2: a L1 table of %d bytes; up to %d are read", need*8, maxL1)
	} else {
		entries = need
	}
	table := make([]byte, entries*8)
	if _, err := io.ReadFull(io.NewSectionReader(r, int64(binary.BigEndian.Uint64(h[40:])), entries*8), table); err != nil {
		return nil, fmt.Errorf("qcow2: read the L1 table: %w", err)
	}
	for i := range entries {
		im.l1 = append(im.l1, binary.BigEndian.Uint64(table[i*8:]))
	}
	return im, nil
}

// check refuses what is not understood, and numbers that cannot be.
func (im *Image) check(h []byte) error {
	switch {
	case im.version != 2 && im.version != 3:
		return fmt.Errorf("qcow2: version %d; 2 and 3 are known", im.version)
	case binary.BigEndian.Uint64(h[8:]) != 0:
		return fmt.Errorf("qcow2: the image has a backing file: %w", ErrElsewhere)
	case binary.BigEndian.Uint32(h[32:]) != 0:
		return errors.New("qcow2: the image is encrypted")
	case im.clusterBits < 9 || im.clusterBits > 21:
		return fmt.Errorf("qcow2: clusters of 2^%d bytes; from 2^9 to 2^21 are allowed", im.clusterBits)
	case im.size <= 0 || im.size > maxSize:
		return fmt.Errorf("qcow2: a disk of %d bytes; up to %d are read", im.size, int64(maxSize))
	}
	if im.version == 2 {
		return nil
	}
	switch features := binary.BigEndian.Uint64(h[72:]); {
	case features&4 != 0:
		return fmt.Errorf("qcow2: the image's data is not in it: %w", ErrElsewhere)
	case features&2 != 0:
		return errors.New("qcow2: the image is marked as corrupt: see `qemu-img check`")
	case features&^9 != 0:
		return fmt.Errorf("qcow2: incompatible features %#x: convert it with `qemu-img convert -O raw`", features)
	case features&8 != 0 && h[104] != 0:
		return errors.New("qcow2: clusters are compressed by zstd: convert it with `qemu-img convert -O raw`")
	}
	return nil
}

// Size is that of the disk, in bytes.
func (im *Image) Size() int64 { return im.size }

// WriteTo writes each cluster that holds something at its place. What is not
// written is zero.
func (im *Image) WriteTo(ctx context.Context, w io.WriterAt) error {
	cluster := int64(1) << im.clusterBits
	table, data := make([]byte, cluster), make([]byte, cluster)
	for i, e := range im.l1 {
		at := int64(e & offsetMask)
		if at == 0 {
			continue
		}
		if err := im.read(table, at); err != nil {
			return err
		}
		for j := int64(0); j < cluster/8; j++ {
			place := (int64(i)*(cluster/8) + j) * cluster
			if place >= im.size {
				break
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			there, err := im.cluster(data, binary.BigEndian.Uint64(table[j*8:]))
			if err != nil {
				return fmt.Errorf("qcow2: the disk's byte %d: %w", place, err)
			}
			if !there {
				continue
			}
			if _, err := w.WriteAt(data[:min(cluster, im.size-place)], place); err != nil {
				return err
			}
		}
	}
	return nil
}

// cluster reads what a L2 entry stands for; false for a cluster of zeros.
func (im *Image) cluster(data []byte, entry uint64) (bool, error) {
	if entry&compressed != 0 {
		return true, im.inflate(data, entry&^(3<<62))
	}
	at := int64(entry & offsetMask)
	if at == 0 || im.version == 3 && entry&allZero != 0 {
		return false, nil
	}
	return true, im.read(data, at)
}

// inflate unpacks a compressed cluster.
func (im *Image) inflate(data []byte, descriptor uint64) error {
	split := 62 - (im.clusterBits - 8)
	at := int64(descriptor & (1<<split - 1))
	length := int64(descriptor>>split+1)*512 - at%512
	packed := make([]byte, length) // at most 2^(clusterBits-8) sectors
	n, err := im.r.ReadAt(packed, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(packed[:n])), data); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

// read reads one cluster; the last one of a file may be short.
func (im *Image) read(b []byte, at int64) error {
	n, err := im.r.ReadAt(b, at)
	if errors.Is(err, io.EOF) && n > 0 {
		clear(b[n:])
		return nil
	}
	return err
}
