package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open reads the log in dir, which exists, and makes one where there is none. A torn end, which nobody was
// told about, is left out. Damage is ErrCorrupt, as far as it can be told from a torn end (docs/decisions/0022).
func Open(fs vfs.FS, dir string, o Options) (l *Log, err error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 16 << 20
	}
	l = &Log{fs: fs, dir: dir, o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
			l = nil
		}
	}()
	if err := l.openMark(); err != nil {
		return l, err
	}
	numbers, err := l.list()
	if err != nil {
		return l, err
	}
	for i, number := range numbers {
		if number != numbers[0]+uint64(i) {
			return l, fmt.Errorf("%w: %s is missing", ErrCorrupt, segmentName(numbers[0]+uint64(i)))
		}
		if err := l.load(number, i == len(numbers)-1); err != nil {
			return l, err
		}
	}
	if end := l.end(); end.before(l.mark.last) {
		return l, fmt.Errorf("%w: it ends at byte %d of %s, and went on until byte %d of %s", ErrCorrupt,
			end.at, segmentName(end.segment), l.mark.last.at, segmentName(l.mark.last.segment))
	}
	if o.ReadOnly {
		return l, nil
	}
	if len(l.segments) == 0 {
		return l, l.roll()
	}
	// What was read may not be on the disk yet: the process may have ended between write and sync.
	tail := l.segments[len(l.segments)-1]
	if err := tail.file.Sync(); err != nil {
		return l, fmt.Errorf("wal: sync %s: %w", tail.name, err)
	}
	return l, l.mark.set(l.end())
}

// end is where the log ends; zero where there is none.
func (l *Log) end() spot {
	if len(l.segments) == 0 {
		return spot{}
	}
	tail := l.segments[len(l.segments)-1]
	return spot{tail.number, tail.end}
}

func (l *Log) list() (numbers []uint64, err error) {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	for _, name := range names {
		if number, ok := segmentNumber(name); ok {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// load reads a segment into the index.
func (l *Log) load(number uint64, newest bool) error {
	s := &segment{number: number, name: segmentName(number)}
	path := l.fs.PathJoin(l.dir, s.name)
	var err error
	if l.o.ReadOnly {
		s.file, err = l.fs.Open(path)
	} else {
		s.file, err = l.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	content, err := readAll(s.file)
	if err != nil {
		return errors.Join(fmt.Errorf("wal: read %s: %w", s.name, err), s.file.Close())
	}
	s.filled = int64(len(content))

	h, chain, ok := whole(content, spot{number, 0})
	ok = ok && h.kind == kindSegment && h.index == number
	switch _, begun := begunFrom(content, spot{number, headerBytes}); {
	case !ok && isFormat1(content):
		err = fmt.Errorf("wal: %s has format 1, and this program knows %d", s.name, version)
	case !ok && newest && !begun && (number == 1 || len(l.segments) > 0):
		return l.unbegun(s)
	case !ok:
		err = fmt.Errorf("%w: %s has no header", ErrCorrupt, s.name)
	case h.detail != version:
		err = fmt.Errorf("wal: %s has format %d, and this program knows %d", s.name, h.detail, version)
	case len(l.segments) > 0 && h.before != l.chain:
		err = fmt.Errorf("%w: %s does not go on where %s ends", ErrCorrupt, s.name, l.segments[len(l.segments)-1].name)
	}
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	l.segments, l.chain, s.end = append(l.segments, s), chain, headerBytes
	return l.replay(s, content)
}

// unbegun removes a segment of which the power failed while it was begun. Nothing can be in it yet.
func (l *Log) unbegun(s *segment) error {
	if l.mark.last.segment >= s.number {
		return errors.Join(fmt.Errorf("%w: %s has no header, and the log went on in it", ErrCorrupt, s.name), s.file.Close())
	}
	if err := s.file.Close(); err != nil || l.o.ReadOnly {
		return err
	}
	if err := l.fs.Remove(l.fs.PathJoin(l.dir, s.name)); err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	return syncDir(l.fs, l.dir)
}

// isFormat1 recognizes the first header of a segment of version 1.
func isFormat1(b []byte) bool {
	return len(b) >= 44 && b[4] == byte(kindSegment) && b[5] == 1 && crc32.Checksum(b[4:44], castagnoli) == le.Uint32(b)
}

// replay indexes the records of a segment.
func (l *Log) replay(s *segment, content []byte) error {
	for {
		rest := content[s.end:]
		h, sum, ok := whole(rest, spot{s.number, s.end})
		if !ok || h.before != l.chain || !h.fits(rest[headerBytes:]) {
			return torn(s, content)
		}
		switch h.kind {
		case kindCut:
			l.keepUntil(h.index)
		case kindEntry:
			if len(l.places) == 0 {
				l.first = h.index
			} else if h.index != l.last()+1 {
				return fmt.Errorf("%w: in %s entry %d follows on %d", ErrCorrupt, s.name, h.index, l.last())
			}
			l.places = append(l.places, place{s, s.end, uint32(headerBytes + h.size())})
			s.top = max(s.top, h.index)
		default:
			return fmt.Errorf("wal: %s has a record of kind %d, which this program does not know", s.name, h.kind)
		}
		l.chain = sum
		s.end += int64(headerBytes + h.size())
	}
}

// torn tells a torn end from damage. It is the end, unless a later header says that another append was begun,
// which happens only when what is before it was on the disk.
func torn(s *segment, content []byte) error {
	if h, ok := begunFrom(content, spot{s.number, s.end + 1}); ok {
		return fmt.Errorf("%w: at byte %d of %s, before entry %d", ErrCorrupt, s.end, s.name, h.index)
	}
	return nil
}

func readAll(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	content := make([]byte, info.Size())
	if n, err := f.ReadAt(content, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(content)) {
		return nil, err
	}
	return content, nil
}
