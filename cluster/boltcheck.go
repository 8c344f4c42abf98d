package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
)

// errDamaged marks what is wrong with a file's content, as opposed to what is wrong with a disk. The node
// stops with ExitCorruption of it: to start it again would not help.
var errDamaged = errors.New("the file is damaged")

// boltFile checks a bolt file before bolt opens it.
//
// Bolt trusts its pages: of a damaged one it panics, also in goroutines of its own, or reads outside of the
// map, and both end the process where nobody can catch it. So the pages are walked here first, by reading
// and not by mapping, with every bound checked. The values are not judged: checkedLog and checkedStable do.
//
// Both meta pages have to be right. Bolt goes back to the older one when the newer is not, which would lose
// what was acknowledged last; a meta is smaller than a sector, so a crash does not tear it.
type boltFile struct {
	file     *os.File
	size     int64
	pageSize int64
	pages    uint64 // ids from here on are not in use
	seen     map[uint64]bool
	// key is called for every key of a bucket, in order.
	key func(bucket string, key []byte) error
}

// Layout of bolt's pages (go.etcd.io/bbolt/internal/common), in the byte order of the machine.
const (
	boltHeader   = 16 // id 8, flags 2, count 2, overflow 4
	boltElement  = 16
	boltBranch   = 0x01
	boltLeaf     = 0x02
	boltMeta     = 0x04
	boltMagic    = 0xED0CDAED
	boltMetaSum  = 56 // bytes before the meta's checksum
	boltDepthMax = 64
)

// checkBolt returns an errDamaged for a file whose pages are not sound. A missing file is sound.
func checkBolt(path string, key func(bucket string, key []byte) error) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b := &boltFile{file: f, size: info.Size(), seen: map[uint64]bool{}, key: key}
	if err := b.check(); err != nil {
		return fmt.Errorf("cluster: %s: %w", path, err)
	}
	return nil
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

func (b *boltFile) check() error {
	var newest []byte
	for i := range int64(2) {
		meta := make([]byte, boltHeader+boltMetaSum+8)
		at := i * b.pageSize
		if _, err := b.file.ReadAt(meta, at); err != nil {
			return wrong("it ends before its meta page %d", i)
		}
		flags, body := binary.NativeEndian.Uint16(meta[8:]), meta[boltHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(body[:boltMetaSum])
		if flags&boltMeta == 0 || binary.NativeEndian.Uint32(body) != boltMagic || sum.Sum64() != binary.NativeEndian.Uint64(body[boltMetaSum:]) {
			return wrong("meta page %d", i)
		}
		if b.pageSize = int64(binary.NativeEndian.Uint32(body[8:])); b.pageSize < 512 || b.pageSize > 1<<16 {
			return wrong("pages of %d bytes", b.pageSize)
		}
		if newest == nil || txid(body) > txid(newest) {
			newest = body
		}
	}
	b.pages = binary.NativeEndian.Uint64(newest[40:])
	return b.walk("", binary.NativeEndian.Uint64(newest[16:]), nil, nil, 0)
}

func txid(meta []byte) uint64 { return binary.NativeEndian.Uint64(meta[48:]) }

// walk checks the tree below a page, whose keys are least or more, and less than end (nil: no bound).
func (b *boltFile) walk(bucket string, id uint64, least, end []byte, depth int) error {
	if id < 2 || id >= b.pages || b.seen[id] || depth > boltDepthMax {
		return wrong("a page number %d that cannot be", id)
	}
	b.seen[id] = true
	page := make([]byte, b.pageSize)
	if _, err := b.file.ReadAt(page, int64(id)*b.pageSize); err != nil {
		return wrong("page %d is missing", id)
	}
	more := uint64(binary.NativeEndian.Uint32(page[12:]))
	if binary.NativeEndian.Uint64(page) != id || id+more >= b.pages || int64(id+more+1)*b.pageSize > b.size {
		return wrong("the header of page %d", id)
	}
	for n := range more {
		if b.seen[id+n+1] {
			return wrong("page %d is in use twice", id+n+1)
		}
		b.seen[id+n+1] = true
	}
	if more > 0 {
		page = make([]byte, int64(more+1)*b.pageSize)
		if _, err := b.file.ReadAt(page, int64(id)*b.pageSize); err != nil {
			return err
		}
	}
	return b.elements(bucket, page, least, end, depth)
}

// elements checks what is in a page, or in a small bucket within one.
func (b *boltFile) elements(bucket string, page, least, end []byte, depth int) error {
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != boltBranch && flags != boltLeaf || boltHeader+count*boltElement > len(page) || flags == boltBranch && count == 0 {
		return wrong("the kind of a page below bucket %q", bucket)
	}
	keys, at := make([][]byte, count), func(i int) []byte { return page[boltHeader+i*boltElement:] }
	values := make([][]byte, count)
	for i := range keys {
		e := at(i)
		pos, ksize, vsize := binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]), uint32(0)
		if flags == boltLeaf {
			pos, ksize, vsize = binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
		}
		if uint64(pos)+uint64(ksize)+uint64(vsize) > uint64(len(e)) {
			return wrong("an element of bucket %q lies outside of its page", bucket)
		}
		keys[i], values[i] = e[pos:pos+ksize], e[pos+ksize:pos+ksize+vsize]
		low := least
		if i > 0 {
			low = keys[i-1]
		}
		if order := bytes.Compare(keys[i], low); low != nil && (order < 0 || order == 0 && i > 0) || end != nil && bytes.Compare(keys[i], end) >= 0 {
			return wrong("the order of the keys of bucket %q", bucket)
		}
	}
	for i := range keys {
		var err error
		switch {
		case flags == boltBranch:
			below := end
			if i+1 < count {
				below = keys[i+1]
			}
			err = b.walk(bucket, binary.NativeEndian.Uint64(at(i)[8:]), keys[i], below, depth+1)
		case binary.NativeEndian.Uint32(at(i)) == 0:
			err = b.key(bucket, keys[i])
		case bucket != "" || len(values[i]) < boltHeader:
			err = wrong("a bucket within bucket %q", bucket)
		case binary.NativeEndian.Uint64(values[i]) != 0:
			err = b.walk(string(keys[i]), binary.NativeEndian.Uint64(values[i]), nil, nil, depth+1)
		case len(values[i]) < 2*boltHeader:
			err = wrong("the small bucket %q", keys[i])
		default:
			err = b.elements(string(keys[i]), values[i][boltHeader:], nil, nil, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
