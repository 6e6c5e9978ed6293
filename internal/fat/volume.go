// SPDX-License-Identifier: Apache-2.0

// Package fat reads a FAT12, FAT16 or FAT32 volume that may be hostile, with
// long names (VFAT).
//
// Input: an io.ReaderAt and its size in bytes. Output: an fs.FS. Every number
// taken from the volume is checked against its size and a fixed limit before it
// is used. A fault fails the file or the directory that has it, with a
// *CorruptError; it never yields invented bytes. It does not read exFAT, does
// not write, and keeps no attributes: files are 0644, directories 0755.
//
// Sections are those of Microsoft's "FAT32 File System Specification" 1.03,
// called FAT here, and of ECMA-107, which it extends.
package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	maxDepth = 40      // directories below the root
	maxDir   = 2 << 20 // bytes of one directory: 65536 entries, FAT "Directory"

	// What one file may cost in directory entries: its name, a directory's own
	// two, and some that were erased.
	entriesPerFile = maxLong + 12

	dirEntry  = 32    // bytes, ECMA-107 11
	cacheSize = 4096  // bytes of the table that are held, a power of two
	minFAT16  = 4085  // clusters, FAT "FAT Type Determination"
	minFAT32  = 65525 // clusters
)

// ErrNotFAT says that the first sector is no boot sector of a FAT volume. A
// volume whose boot sector contradicts itself gives a *CorruptError instead.
var ErrNotFAT = errors.New("not a fat volume")

// A CorruptError says what is wrong with a volume and where.
type CorruptError struct {
	Offset  int64  // bytes from the start of the volume
	Rule    string // the section that is broken: "ECMA-107 10.1", "FAT BPB"
	Problem string // what is wrong, in a few lower-case words
	Err     error  // nil, or io.ErrUnexpectedEOF for data that ends too soon
}

// Error gives problem, rule and offset in one line.
func (e *CorruptError) Error() string {
	s := fmt.Sprintf("corrupt fat volume at byte %d: %s (%s)", e.Offset, e.Problem, e.Rule)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives Err.
func (e *CorruptError) Unwrap() error { return e.Err }

func corrupt(offset int64, rule, format string, args ...any) error {
	return &CorruptError{Offset: offset, Rule: rule, Problem: fmt.Sprintf(format, args...)}
}

// A Volume is the file tree of a FAT volume. It implements [io/fs.FS],
// [io/fs.ReadDirFS] and [io/fs.StatFS], and several goroutines may use it at
// once if its io.ReaderAt allows that.
type Volume struct {
	r        io.ReaderAt
	size     int64 // bytes
	bits     int   // of an entry in the table: 12, 16 or 32
	label    string
	table    int64 // offset of the first file allocation table, bytes
	data     int64 // offset of cluster 2, bytes
	cluster  int64 // bytes
	clusters uint32
	root     *node

	maxEntries int // directory entries that are read

	mu      sync.Mutex // guards what follows, and the contents of every node
	cache   [cacheSize]byte
	cached  int64 // offset of cache in the volume, or -1
	claimed claims
	entries int // directory entries read so far
}

// Open reads the boot sector and the root directory of the volume r, which is
// size bytes long. It returns an error that wraps ErrNotFAT if there is no such
// volume, a *CorruptError if it is damaged, or the error of r. A volume of more
// than about files entries is refused, so that it cannot fill the memory.
func Open(r io.ReaderAt, size int64, files int) (*Volume, error) {
	if size < 512 {
		return nil, fmt.Errorf("%w: %d bytes only", ErrNotFAT, size)
	}
	v := &Volume{r: r, size: size, cached: -1, claimed: claims{}, maxEntries: entriesPerFile * (files + 16)}
	boot := make([]byte, 512)
	if err := v.readAt(boot, 0); err != nil {
		return nil, err
	}
	b := parameters(boot)
	if !b.plausible(boot) {
		return nil, ErrNotFAT
	}
	if err := v.layout(b); err != nil {
		return nil, fmt.Errorf("open fat volume: %w", err)
	}
	if err := v.load(v.root); err != nil {
		return nil, fmt.Errorf("open root directory: %w", err)
	}
	if v.label == "" {
		v.label = b.label(boot, v.bits)
	}
	return v, nil
}

// Label gives the volume label: that of the root directory, as Linux and the
// tools do, else that of the boot sector. It may be empty.
func (v *Volume) Label() string { return v.label }

// Flavour is "fat12", "fat16" or "fat32".
func (v *Volume) Flavour() string { return fmt.Sprintf("fat%d", v.bits) }

// bpb is the BIOS parameter block (ECMA-107 8.2.1, FAT "BPB").
type bpb struct {
	sector, perCluster, reserved, tables, rootEntries int64
	sectors, perTable                                 int64
	wide                                              bool // perTable is the one of FAT32
	rootCluster                                       uint32
	media                                             byte
}

func parameters(b []byte) bpb {
	le := binary.LittleEndian
	p := bpb{
		sector: int64(le.Uint16(b[11:])), perCluster: int64(b[13]), reserved: int64(le.Uint16(b[14:])), tables: int64(b[16]),
		rootEntries: int64(le.Uint16(b[17:])), sectors: int64(le.Uint16(b[19:])), media: b[21], perTable: int64(le.Uint16(b[22:])),
	}
	if p.sectors == 0 {
		p.sectors = int64(le.Uint32(b[32:]))
	}
	if p.perTable == 0 {
		p.perTable, p.wide, p.rootCluster = int64(le.Uint32(b[36:])), true, le.Uint32(b[44:])
	}
	return p
}

// plausible tells a FAT boot sector from another, as the kernel does: a table of
// some length, and values out of the few that exist.
func (p bpb) plausible(boot []byte) bool {
	powers := func(n, lo, hi int64) bool { return n >= lo && n <= hi && n&(n-1) == 0 }
	jump := boot[0] == 0xeb || boot[0] == 0xe9
	return jump && powers(p.sector, 512, 4096) && powers(p.perCluster, 1, 128) && p.reserved > 0 &&
		(p.tables == 1 || p.tables == 2) && (p.media == 0xf0 || p.media >= 0xf8) && p.perTable > 0 && p.sectors > 0
}

// label is that of the extended boot record, if there is one with a label.
func (p bpb) label(boot []byte, bits int) string {
	at := 38
	if bits == 32 {
		at = 66
	}
	if boot[at] != 0x29 {
		return ""
	}
	label := oemString(boot[at+5 : at+16])
	if label == "NO NAME" {
		return ""
	}
	return label
}

// layout works out where the parts of the volume lie, and that they lie in it.
func (v *Volume) layout(p bpb) error {
	rootAt := (p.reserved + p.tables*p.perTable) * p.sector
	rootSize := p.rootEntries * dirEntry
	v.table, v.cluster = p.reserved*p.sector, p.perCluster*p.sector
	v.data = rootAt + (rootSize+p.sector-1)/p.sector*p.sector
	end := p.sectors * p.sector
	switch {
	case end > v.size:
		return &CorruptError{19, "ECMA-107 8.2.1", fmt.Sprintf("a volume of %d bytes on %d", end, v.size), io.ErrUnexpectedEOF}
	case v.data > end:
		return corrupt(11, "ECMA-107 8.2.1", "the data area begins at byte %d of %d", v.data, end)
	}
	v.size = end
	clusters := (end - v.data) / v.cluster
	switch {
	case p.wide:
		v.bits = 32
	case clusters < minFAT16:
		v.bits = 12
	default:
		v.bits = 16
	}
	if clusters > 0x0ffffff5 || v.bits < 32 && clusters >= minFAT32 || (clusters+2)*int64(v.bits) > p.perTable*p.sector*8 {
		return corrupt(22, "ECMA-107 8.3", "a table of %d bytes for %d clusters", p.perTable*p.sector, clusters)
	}
	v.clusters = uint32(clusters)
	v.root = &node{name: ".", dir: true}
	if v.bits < 32 {
		v.root.fixed, v.root.length = rootAt, rootSize
		return nil
	}
	if !v.valid(p.rootCluster) {
		return corrupt(44, "FAT BPB", "the root directory begins in cluster %d of %d", p.rootCluster, clusters)
	}
	v.root.first = p.rootCluster
	return nil
}

// valid reports whether n is the number of a cluster: they count from 2.
func (v *Volume) valid(n uint32) bool { return n >= 2 && n-2 < v.clusters }

func (v *Volume) clusterAt(n uint32) int64 { return v.data + int64(n-2)*v.cluster }

// next gives the cluster after n, or 0 at the end of the chain (ECMA-107 8.3).
func (v *Volume) next(n uint32) (uint32, error) {
	at := v.table + int64(n)*int64(v.bits)/8
	b, err := v.entry(at, (v.bits+7)/8)
	if err != nil {
		return 0, err
	}
	var value, end uint32
	switch v.bits {
	case 12:
		value, end = uint32(binary.LittleEndian.Uint16(b)), 0xff8
		if n%2 == 1 {
			value >>= 4
		}
		value &= 0xfff
	case 16:
		value, end = uint32(binary.LittleEndian.Uint16(b)), 0xfff8
	default:
		value, end = binary.LittleEndian.Uint32(b)&0x0fffffff, 0x0ffffff8
	}
	switch {
	case value >= end:
		return 0, nil
	case !v.valid(value):
		return 0, corrupt(at, "ECMA-107 8.3", "cluster %d is followed by cluster %d of %d", n, value, v.clusters)
	}
	return value, nil
}

// entry reads n bytes of the table through the cache.
func (v *Volume) entry(at int64, n int) ([]byte, error) {
	if start := at &^ (cacheSize - 1); start != v.cached {
		v.cached = -1
		if err := v.readAt(v.cache[:min(cacheSize, v.size-start)], start); err != nil {
			return nil, err
		}
		v.cached = start
	}
	if i := int(at - v.cached); i+n <= cacheSize {
		return v.cache[i : i+n], nil
	}
	b := make([]byte, n) // an entry of 12 bits lies across the border
	return b, v.readAt(b, at)
}

// readAt fills p from the volume, or says why not. It never reads beyond size.
func (v *Volume) readAt(p []byte, offset int64) error {
	if offset < 0 || offset > v.size || int64(len(p)) > v.size-offset {
		return &CorruptError{offset, "ECMA-107 8.2.1", "the volume ends too soon", io.ErrUnexpectedEOF}
	}
	n, err := v.r.ReadAt(p, offset)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return &CorruptError{offset + int64(n), "ECMA-107 8.2.1", "the volume ends too soon", io.ErrUnexpectedEOF}
	}
	return fmt.Errorf("read volume at byte %d: %w", offset, err)
}

// claims is which clusters belong to a file or directory already, as pages of
// bits: it grows with what is read and not with what the volume says it has.
type claims map[uint32]*[512]uint64

// claim reports whether cluster n was free until now.
func (c claims) claim(n uint32) bool {
	page := c[n>>15]
	if page == nil {
		page = new([512]uint64)
		c[n>>15] = page
	}
	word, bit := &page[n>>6&511], uint64(1)<<(n&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// stamp reads date and time of the last write (ECMA-107 11.3.5, 11.3.6).
func stamp(clock, date uint16) time.Time {
	if date == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}

// oemString decodes bytes of a short name or label, with the spaces that pad
// it cut off.
func oemString(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c < 0x80 {
			s.WriteByte(c)
		} else {
			s.WriteRune(cp437[c-0x80])
		}
	}
	return strings.TrimRight(s.String(), " ")
}

// cp437 is the upper half of the code page that Linux and most tools take short
// names to be in.
var cp437 = []rune("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0")
