package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// A record is a header and, for an entry, its data and then its extensions. All numbers are little endian:
//
//	 0  checksum of the segment's number and the header's offset (8 bytes each), and then of bytes 4 to 47
//	 4  kind
//	 5  entry: Raft's type; segment: version of this format
//	 6  1: this record begins an append, so everything before it was on the disk
//	 7  0
//	 8  entry: index; cut: the last index that stays, 0 for none; segment: its number
//	16  entry: term
//	24  entry: when the leader appended it, unix ns; 0: not known
//	32  bytes of data
//	36  bytes of extensions
//	40  checksum of data and extensions
//	44  checksum of the header before, which is in the segment before where this one is the first
//
// The checksums are CRC-32C. Numbers of kinds are on disk: append only.
//
// A header tells by itself whether it was written for its place, so that what was acknowledged is found behind
// damage, and by the one before whether it belongs to what is before. Version 1 could only tell the latter.
const headerBytes = 48

const version = 2

type kind byte

const (
	kindSegment kind = 1
	kindEntry   kind = 2
	kindCut     kind = 3
)

type header struct {
	kind         kind
	detail       byte
	fresh        bool
	index, term  uint64
	at           int64
	data, extras uint32
	sum, before  uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var le = binary.LittleEndian

func headerOf(log *raft.Log) header {
	h := header{
		kind: kindEntry, detail: byte(log.Type), index: log.Index, term: log.Term,
		data: uint32(len(log.Data)), extras: uint32(len(log.Extensions)),
		sum: crc32.Update(crc32.Checksum(log.Data, castagnoli), castagnoli, log.Extensions),
	}
	if !log.AppendedAt.IsZero() {
		h.at = log.AppendedAt.UnixNano()
	}
	return h
}

// append writes a header that is not sealed yet.
func (h *header) append(b []byte) []byte {
	from := len(b)
	b = append(b, 0, 0, 0, 0, byte(h.kind), h.detail, 0, 0)
	if h.fresh {
		b[from+6] = 1
	}
	b = le.AppendUint64(b, h.index)
	b = le.AppendUint64(b, h.term)
	b = le.AppendUint64(b, uint64(h.at))
	b = le.AppendUint32(b, h.data)
	b = le.AppendUint32(b, h.extras)
	b = le.AppendUint32(b, h.sum)
	return le.AppendUint32(b, 0)
}

// spot is a place in the log.
type spot struct {
	segment uint64
	at      int64
}

// sumOf is the checksum of a header at its place.
func (p spot) sumOf(h []byte) uint32 {
	var place [16]byte
	le.PutUint64(place[:], p.segment)
	le.PutUint64(place[8:], uint64(p.at))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, h[4:headerBytes])
}

// seal makes records follow on the header of a checksum, at a place, and returns the checksum of their last header.
func seal(records []byte, p spot, chain uint32) uint32 {
	for len(records) > 0 {
		le.PutUint32(records[44:], chain)
		chain = p.sumOf(records)
		le.PutUint32(records, chain)
		h := parseHeader(records)
		size := headerBytes + h.size()
		records, p.at = records[size:], p.at+int64(size)
	}
	return chain
}

func parseHeader(b []byte) header {
	return header{
		kind: kind(b[4]), detail: b[5], fresh: b[6] == 1, index: le.Uint64(b[8:]), term: le.Uint64(b[16:]),
		at: int64(le.Uint64(b[24:])), data: le.Uint32(b[32:]), extras: le.Uint32(b[36:]), sum: le.Uint32(b[40:]), before: le.Uint32(b[44:]),
	}
}

// whole reports whether b begins with a header that was written for this place, and returns its checksum.
func whole(b []byte, p spot) (h header, sum uint32, ok bool) {
	if len(b) < headerBytes || b[4] == 0 {
		return header{}, 0, false
	}
	sum = p.sumOf(b)
	return parseHeader(b), sum, sum == le.Uint32(b)
}

// begunFrom looks for a header that begins an append, from an offset of a segment on. There is one only where
// everything before it was on the disk.
func begunFrom(content []byte, p spot) (h header, ok bool) {
	const flag = 6 // of the header
	for p.at+headerBytes <= int64(len(content)) {
		skip := bytes.IndexByte(content[p.at+flag:], 1)
		if skip < 0 {
			return header{}, false
		}
		p.at += int64(skip)
		if h, _, ok := whole(content[p.at:], p); ok && h.fresh {
			return h, true
		}
		p.at++
	}
	return header{}, false
}

// size is the bytes after the header.
func (h *header) size() int { return int(h.data) + int(h.extras) }

// fits reports whether what comes after the header is what was written.
func (h *header) fits(after []byte) bool {
	return len(after) >= h.size() && crc32.Checksum(after[:h.size()], castagnoli) == h.sum
}

// entry is the entry of a record. It keeps the slice.
func (h *header) entry(after []byte) raft.Log {
	log := raft.Log{Index: h.index, Term: h.term, Type: raft.LogType(h.detail), Data: after[:h.data:h.data]}
	if h.extras > 0 {
		log.Extensions = after[h.data:h.size()]
	}
	if h.at != 0 {
		log.AppendedAt = time.Unix(0, h.at)
	}
	return log
}
