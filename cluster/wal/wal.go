// Package wal is a log for Raft: an append is one write and one fdatasync.
//
// bolt, which had this place, costs two fdatasyncs in series for an append and rewrites the pages of its
// tree; both are paid by the leader and again by a follower before anything is acknowledged. What a log
// needs is less than a tree: it is appended to, read by index, and cut at either end.
//
// The log is a row of files ("segments"), numbered from 1 without gaps. A segment is written from its start
// and never again where it was written, until it is recycled as a later one:
//
//	| segment n, chain so far | entry 41 | entry 42 | cut to 40 | entry 41 | ... | not written yet |
//
// Each record begins with a header (record.go) that has the checksum of the header before it, over the borders
// of segments too. So a record is one of this log only if all before it are those that were there when it
// was written: what a recycled file held before, or what stood behind a torn end, never passes for a part of
// the log. Open reads everything once, and ends the log at the first record that is not whole.
//
// That end is a torn one, or damage, which must not pass for it: a node that forgets what it has acknowledged may
// take a committed entry back. Two things tell. An append is begun when all before it is on the disk, so the
// header of a later one proves damage. And the mark (mark.go) says how far the log went at least.
//
// Nothing is taken back by overwriting. Removing the end writes a record that says so; removing the front
// makes whole segments spare. After a restart some of a removed front may be there again, which Raft does not mind.
//
// Space ahead of the end is filled with zeros a piece at a time, and files are recycled: fdatasync is twice as
// fast when it need not make blocks a part of the file (docs/performance.md).
package wal

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// Options configure a Log. Zero means default.
type Options struct {
	// SegmentBytes is how large a segment becomes; one append is never split. Default 16 MiB.
	SegmentBytes int64
	// ReadOnly: nothing is written, and an end that is torn is not repaired.
	ReadOnly bool
}

const (
	// fillBytes is how far the zeros reach beyond the end.
	fillBytes = 256 << 10
	// spareMax is how many segments that are not needed any more wait to be used again.
	spareMax = 4
	// bufferMax is how much memory is kept from one append to the next.
	bufferMax = 1 << 20
)

var (
	// ErrCorrupt means that the log is damaged where it had been acknowledged. It is not a torn end.
	ErrCorrupt  = errors.New("wal: the log is damaged")
	errFailed   = errors.New("wal: a write failed before, and nothing is known of what is on the disk")
	errReadOnly = errors.New("wal: opened for reading only")
)

// Log is a raft.LogStore. Its methods are safe for concurrent use; appends and cuts wait for each other,
// reads wait for neither. After an error of a write it takes no more.
type Log struct {
	fs  vfs.FS
	dir string
	o   Options

	write    sync.Mutex // held by who writes; guards what follows
	segments []*segment // oldest first; the last one is written to
	spares   []*segment // older than all of segments, oldest first
	chain    uint32     // checksum of the last header
	mark     mark
	buf      []byte
	failed   error

	read   sync.RWMutex // held to change what follows, and shared by a read until it ends
	first  uint64       // index of places[0]
	places []place
}

var _ raft.LogStore = (*Log)(nil)

// place is where an entry lies.
type place struct {
	in   *segment
	at   int64
	size uint32 // header and data
}

// FirstIndex is 0 when the log is empty.
func (l *Log) FirstIndex() (uint64, error) {
	l.read.RLock()
	defer l.read.RUnlock()
	if len(l.places) == 0 {
		return 0, nil
	}
	return l.first, nil
}

// LastIndex is 0 when the log is empty.
func (l *Log) LastIndex() (uint64, error) {
	l.read.RLock()
	defer l.read.RUnlock()
	return l.last(), nil
}

func (l *Log) last() uint64 {
	if len(l.places) == 0 {
		return 0
	}
	return l.first + uint64(len(l.places)) - 1
}

// GetLog reads an entry, and checks it. It returns raft.ErrLogNotFound where there is none.
func (l *Log) GetLog(index uint64, log *raft.Log) error {
	l.read.RLock()
	defer l.read.RUnlock()
	if index < l.first || index > l.last() || len(l.places) == 0 {
		return raft.ErrLogNotFound
	}
	p := l.places[index-l.first]
	record := make([]byte, p.size)
	if _, err := p.in.file.ReadAt(record, p.at); err != nil {
		return fmt.Errorf("wal: read entry %d: %w", index, err)
	}
	h := parseHeader(record)
	if h.index != index || !h.fits(record[headerBytes:]) {
		return fmt.Errorf("%w: entry %d in %s", ErrCorrupt, index, p.in.name)
	}
	*log = h.entry(record[headerBytes:])
	return nil
}

// StoreLog appends one entry.
func (l *Log) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries, which go on from the last one; an empty log begins anywhere. When it returns
// nil they are on the disk. After a crash in the middle a part of them, from the first one on, may be there.
func (l *Log) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	l.write.Lock()
	defer l.write.Unlock()
	next := logs[0].Index
	if last := l.last(); last != 0 {
		next = last + 1
	}
	buf := l.buf[:0]
	ends := make([]int, len(logs))
	for i, log := range logs {
		if log.Index != next+uint64(i) {
			return fmt.Errorf("wal: entry %d cannot follow on %d", log.Index, next+uint64(i)-1)
		}
		h := headerOf(log)
		h.fresh = i == 0
		buf = append(append(h.append(buf), log.Data...), log.Extensions...)
		ends[i] = len(buf)
	}
	in, at, err := l.append(buf)
	if err != nil {
		return err
	}
	in.top = max(in.top, logs[len(logs)-1].Index)
	l.read.Lock()
	defer l.read.Unlock()
	if len(l.places) == 0 {
		l.first = logs[0].Index
	}
	from := 0
	for _, end := range ends {
		l.places = append(l.places, place{in, at + int64(from), uint32(end - from)})
		from = end
	}
	return nil
}

// append writes records and waits for the disk. Where they do not fit, they begin a new segment.
// Precondition: write is held.
func (l *Log) append(records []byte) (*segment, int64, error) {
	switch {
	case l.o.ReadOnly:
		return nil, 0, errReadOnly
	case l.failed != nil:
		return nil, 0, l.failed
	}
	tail := l.segments[len(l.segments)-1]
	if tail.end > headerBytes && tail.end+int64(len(records)) > l.o.SegmentBytes {
		if err := l.roll(); err != nil {
			return nil, 0, l.fail(err)
		}
		tail = l.segments[len(l.segments)-1]
	}
	at := tail.end
	l.chain = seal(records, spot{tail.number, at}, l.chain)
	if err := tail.append(records, l.o.SegmentBytes); err != nil {
		return nil, 0, l.fail(err)
	}
	if err := l.mark.set(l.end()); err != nil {
		return nil, 0, l.fail(err)
	}
	if l.buf = records[:0]; cap(records) > bufferMax {
		l.buf = nil
	}
	return tail, at, nil
}

func (l *Log) fail(err error) error {
	l.failed = fmt.Errorf("%w: %w", errFailed, err)
	return err
}

// DeleteRange removes the front of the log, its end, or all of it.
func (l *Log) DeleteRange(low, high uint64) error {
	l.write.Lock()
	defer l.write.Unlock()
	first, last := l.first, l.last()
	if last == 0 || high < first || low > last || low > high {
		return nil
	}
	switch {
	case high >= last && low <= first:
		return l.cut(0)
	case high >= last:
		return l.cut(low - 1)
	case low <= first:
		return l.dropFront(high + 1)
	}
	return fmt.Errorf("wal: entries %d to %d are in the middle of %d to %d", low, high, first, last)
}

// cut removes what is after an entry; 0 removes all.
func (l *Log) cut(to uint64) error {
	h := header{kind: kindCut, fresh: true, index: to}
	if _, _, err := l.append(h.append(l.buf[:0])); err != nil {
		return err
	}
	l.read.Lock()
	defer l.read.Unlock()
	l.keepUntil(to)
	return nil
}

// keepUntil forgets the entries after one; 0 is before all.
func (l *Log) keepUntil(to uint64) {
	if to < l.first {
		l.places = nil
		return
	}
	l.places = l.places[:min(uint64(len(l.places)), to-l.first+1)]
}

// dropFront removes what is before an entry: the segments that hold nothing else become spare.
func (l *Log) dropFront(from uint64) error {
	if l.o.ReadOnly {
		return errReadOnly
	}
	l.read.Lock()
	l.places = l.places[from-l.first:]
	l.first = from
	if cap(l.places) > 2*len(l.places)+1024 {
		l.places = slices.Clone(l.places)
	}
	l.read.Unlock()
	for len(l.segments) > 1 && l.segments[0].top < from {
		l.spares, l.segments = append(l.spares, l.segments[0]), l.segments[1:]
	}
	return l.dropSpares()
}

// Close closes the files. Nothing is on its way: every append has waited for the disk.
func (l *Log) Close() error {
	l.write.Lock()
	defer l.write.Unlock()
	l.read.Lock()
	defer l.read.Unlock()
	l.failed = errors.New("wal: closed")
	l.places = nil
	all := []error{l.mark.close()}
	for _, s := range slices.Concat(l.spares, l.segments) {
		all = append(all, s.file.Close())
	}
	l.spares, l.segments = nil, nil
	return errors.Join(all...)
}
