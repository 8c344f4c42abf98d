package fsm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/fsm/planted"
)

// A snapshot is a stream: header, blocks of sorted keys, trailer. Everything is checked before any of
// it is used: each block by a CRC-32C, the whole by the number of keys and the state hash.
//
//	header   "FANFOLD" version, then as one block: index, term, configuration and its index
//	block    length u32, CRC-32C u32, that many bytes: (key length, key, value length, value)*
//	trailer  length 0 u32, then as one block: number of keys, state hash
const (
	snapshotMagic = "FANFOLD\x01"
	blockTarget   = 256 << 10
	blockMax      = 16 << 20
)

// ErrSnapshot is returned for a snapshot that is damaged, cut short, or of another version.
var ErrSnapshot = errors.New("fsm: the snapshot is damaged: nothing of it was used; have the leader send it again")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteSnapshot streams the committed state and says what it holds. It may run beside Apply.
func (m *Machine) WriteSnapshot(w io.Writer) (wit Witness, err error) {
	defer catch(&err)
	snap := m.db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	d := disk{snap}
	wit = storedWitness(d)
	bw := bufio.NewWriterSize(w, 64<<10)
	bw.WriteString(snapshotMagic)
	h := newEnc(len(wit.Configuration) + 32)
	h.uint(wit.Index)
	h.uint(wit.Term)
	h.uint(wit.ConfigurationIndex)
	h.bytes(wit.Configuration)
	writeBlock(bw, h)
	var count uint64
	var block []byte
	hash := newStateHash()
	d.scan([]byte{0}, []byte{0xff}, func(k, v []byte) bool {
		if k[0] == tagConf {
			return true
		}
		hash.add(k, v)
		count++
		block = binary.AppendUvarint(block, uint64(len(k)))
		block = append(block, k...)
		block = binary.AppendUvarint(block, uint64(len(v)))
		block = append(block, v...)
		if len(block) >= blockTarget {
			writeBlock(bw, block)
			block = block[:0]
		}
		return true
	})
	if len(block) > 0 {
		writeBlock(bw, block)
	}
	bw.Write(make([]byte, 4))
	t := newEnc(80)
	t.uint(count)
	t.str(hash.sum())
	writeBlock(bw, t)
	return wit, bw.Flush() // bufio keeps the first error
}

func storedWitness(d disk) Witness {
	var w Witness
	if b := d.get(keyState()); b != nil {
		s := decodeState(b)
		w.Index, w.Term = s.index, s.term
	}
	if b := d.get(keyConf()); b != nil {
		w.ConfigurationIndex, w.Configuration = decodeConf(b)
	}
	return w
}

func writeBlock(w *bufio.Writer, b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint32(n[:4], uint32(len(b)))
	binary.BigEndian.PutUint32(n[4:], crc32.Checksum(b, castagnoli))
	w.Write(n[:])
	w.Write(b)
}

// readBlock returns nil at a zero length.
func readBlock(r *bufio.Reader) ([]byte, error) {
	var n [8]byte
	if _, err := io.ReadFull(r, n[:4]); err != nil {
		return nil, fmt.Errorf("%w (%v)", ErrSnapshot, err)
	}
	size := binary.BigEndian.Uint32(n[:4])
	if size == 0 {
		return nil, nil
	}
	if size > blockMax {
		return nil, fmt.Errorf("%w (a block of %d bytes)", ErrSnapshot, size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, n[4:]); err != nil {
		return nil, fmt.Errorf("%w (%v)", ErrSnapshot, err)
	}
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("%w (%v)", ErrSnapshot, err)
	}
	if crc32.Checksum(b, castagnoli) != binary.BigEndian.Uint32(n[4:]) {
		return nil, fmt.Errorf("%w (a block's checksum is wrong)", ErrSnapshot)
	}
	return b, nil
}

// RestoreSnapshot builds the state in the fresh directory dir, verifies all of it, and makes it
// durable. On an error the directory is removed: there is no half-restored state.
func RestoreSnapshot(fs vfs.FS, dir string, r io.Reader, o Options) (w Witness, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, fs.RemoveAll(dir))
		}
	}()
	defer catch(&err)
	db, err := openPebble(&pace{FS: fs}, dir, &o)
	if err != nil {
		return w, fmt.Errorf("fsm: restore into %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if w, err = restore(db, bufio.NewReaderSize(r, 64<<10)); err != nil {
		return Witness{}, err
	}
	if err := db.Flush(); err != nil {
		return Witness{}, fmt.Errorf("fsm: restore: %w", err)
	}
	return w, nil
}

func restore(db *pebble.DB, r *bufio.Reader) (w Witness, err error) {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != snapshotMagic {
		return w, fmt.Errorf("%w (it does not begin as a snapshot of version 1 does)", ErrSnapshot)
	}
	head, err := readBlock(r)
	if err != nil {
		return w, err
	}
	d := newDec("snapshot header", head)
	w = Witness{Index: d.uint(), Term: d.uint(), ConfigurationIndex: d.uint()}
	w.Configuration = bytes.Clone(d.bytes())
	d.end()
	b := db.NewBatch()
	var count uint64
	hash := newStateHash()
	for {
		block, err := readBlock(r)
		if err != nil {
			return w, err
		}
		if block == nil {
			break
		}
		n, err := restoreBlock(b, block, hash)
		if err != nil {
			return w, err
		}
		count += n
		if b.Len() > 4<<20 {
			must(b.Commit(pebble.NoSync))
			must(b.Close())
			b = db.NewBatch()
		}
	}
	tail, err := readBlock(r)
	if err != nil {
		return w, err
	}
	t := newDec("snapshot trailer", tail)
	wantCount, wantHash := t.uint(), t.str()
	t.end()
	if count != wantCount || hash.sum() != wantHash {
		return w, fmt.Errorf("%w (it has %d keys with hash %s, and says %d with %s)", ErrSnapshot, count, hash.sum(), wantCount, wantHash)
	}
	if w.Configuration != nil {
		must(b.Set(keyConf(), encodeConf(w.ConfigurationIndex, w.Configuration), nil))
	}
	must(b.Commit(pebble.NoSync))
	return w, b.Close()
}

func restoreBlock(b *pebble.Batch, block []byte, hash stateHash) (n uint64, err error) {
	d := &dec{b: block, what: "snapshot"}
	for len(d.b) > 0 && !d.bad {
		k, v := d.bytes(), d.bytes()
		if d.bad || len(k) == 0 {
			return 0, fmt.Errorf("%w (a block does not parse)", ErrSnapshot)
		}
		hash.add(k, v)
		n++
		if planted.SnapSkip && k[0] == tagTimer {
			continue
		}
		must(b.Set(k, v, nil))
	}
	return n, nil
}
