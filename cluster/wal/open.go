package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open reads the log in dir, which exists, and makes one where there is none. A torn end, which nobody was
// told about, is left out. Damage before it is ErrCorrupt, as far as it can be told from a torn end.
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
	return l, nil
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

	h, chain, ok := follows(content, 0)
	if ok = ok && h.kind == kindSegment && h.index == number; !ok && newest && (number == 1 || len(l.segments) > 0) {
		// The power failed while the segment was begun. Nothing can be in it yet.
		if err := s.file.Close(); err != nil || l.o.ReadOnly {
			return err
		}
		if err := l.fs.Remove(path); err != nil {
			return fmt.Errorf("wal: %w", err)
		}
		return syncDir(l.fs, l.dir)
	}
	switch {
	case !ok:
		err = fmt.Errorf("%w: %s has no header", ErrCorrupt, s.name)
	case h.detail != version:
		err = fmt.Errorf("wal: %s has format %d, and this program knows %d", s.name, h.detail, version)
	case len(l.segments) > 0 && uint32(h.term) != l.chain:
		err = fmt.Errorf("%w: %s does not go on where %s ends", ErrCorrupt, s.name, l.segments[len(l.segments)-1].name)
	}
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	l.segments, l.chain, s.end = append(l.segments, s), chain, headerBytes
	return l.replay(s, content)
}

// replay indexes the records of a segment.
func (l *Log) replay(s *segment, content []byte) error {
	for {
		rest := content[s.end:]
		h, next, ok := follows(rest, l.chain)
		if !ok {
			return nil
		}
		if !h.fits(rest[headerBytes:]) {
			return torn(s, rest, next)
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
		l.chain = next
		s.end += int64(headerBytes + h.size())
	}
}

// torn tells a torn end from damage. The header is whole and its data is not: it is the end, unless some
// header after it says that another append was begun, which happens only when the one before was on the disk.
func torn(s *segment, rest []byte, chain uint32) error {
	h := parseHeader(rest)
	damaged := h.index
	for {
		size := headerBytes + h.size()
		if size > len(rest) {
			return nil
		}
		rest = rest[size:]
		var ok bool
		if h, chain, ok = follows(rest, chain); !ok {
			return nil
		}
		if h.fresh {
			return fmt.Errorf("%w: entry %d in %s", ErrCorrupt, damaged, s.name)
		}
	}
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
