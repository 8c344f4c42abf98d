package wal

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// A record is a header and, for an entry, its data and then its extensions. All numbers are little endian:
//
//	 0  checksum of bytes 4 to 43, seeded with the checksum of the header before
//	 4  kind
//	 5  entry: Raft's type; segment: version of this format
//	 6  1: this record begins an append, so everything before it was on the disk
//	 7  0
//	 8  entry: index; cut: the last index that stays, 0 for none; segment: its number
//	16  entry: term; segment: checksum of the last header of the segment before
//	24  entry: when the leader appended it, unix ns; 0: not known
//	32  bytes of data
//	36  bytes of extensions
//	40  checksum of data and extensions
//
// The checksums are CRC-32C. Numbers of kinds are on disk: append only.
const headerBytes = 44

const version = 1

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
	sum          uint32
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

// append writes a header that follows on another one, and returns its checksum.
func (h *header) append(b []byte, chain uint32) ([]byte, uint32) {
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
	return b, seal(b[from:], chain)
}

// seal sets a header's checksum.
func seal(h []byte, chain uint32) uint32 {
	sum := crc32.Update(chain, castagnoli, h[4:headerBytes])
	le.PutUint32(h, sum)
	return sum
}

// rechain makes records follow on another header than the one that they were made for.
func rechain(records []byte, chain uint32) uint32 {
	for len(records) > 0 {
		chain = seal(records, chain)
		h := parseHeader(records)
		records = records[headerBytes+h.size():]
	}
	return chain
}

func parseHeader(b []byte) header {
	return header{
		kind: kind(b[4]), detail: b[5], fresh: b[6] == 1, index: le.Uint64(b[8:]), term: le.Uint64(b[16:]),
		at: int64(le.Uint64(b[24:])), data: le.Uint32(b[32:]), extras: le.Uint32(b[36:]), sum: le.Uint32(b[40:]),
	}
}

// follows reports whether b begins with a header that was written after the one of this checksum.
func follows(b []byte, chain uint32) (h header, next uint32, ok bool) {
	if len(b) < headerBytes || b[4] == 0 {
		return header{}, 0, false
	}
	next = crc32.Update(chain, castagnoli, b[4:headerBytes])
	return parseHeader(b), next, next == le.Uint32(b)
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
