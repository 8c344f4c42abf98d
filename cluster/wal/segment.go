package wal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/fsm/planted"
)

// segment is one file of the log.
type segment struct {
	number uint64
	name   string
	file   vfs.File
	end    int64  // of the records
	filled int64  // size of the file: what is between is zeros, or of the segment that the file was before
	top    uint64 // the highest index of an entry that was ever in it; 0: none
}

const suffix = ".wal"

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, suffix) }

func segmentNumber(name string) (number uint64, ok bool) {
	var rest string
	n, _ := fmt.Sscanf(name, "%016x%s", &number, &rest)
	return number, n == 2 && rest == suffix && name == segmentName(number)
}

var zeros [fillBytes]byte

// append writes at the end and waits for the disk.
func (s *segment) append(records []byte, limit int64) error {
	end := s.end + int64(len(records))
	if end > s.filled {
		to := max(end, min(end+fillBytes, limit))
		for at := end; at < to; {
			n, err := s.file.WriteAt(zeros[:min(fillBytes, to-at)], at)
			if err != nil {
				return fmt.Errorf("wal: extend %s: %w", s.name, err)
			}
			at += int64(n)
		}
		s.filled = to
	}
	if _, err := s.file.WriteAt(records, s.end); err != nil {
		return fmt.Errorf("wal: write %s: %w", s.name, err)
	}
	s.end = end
	if planted.AckBeforeFsync {
		return nil
	}
	if err := s.file.SyncData(); err != nil {
		return fmt.Errorf("wal: sync %s: %w", s.name, err)
	}
	return nil
}

// roll begins the next segment, in a spare file if there is one. Its header is on the disk before anything
// follows in it.
func (l *Log) roll() (err error) {
	next := &segment{number: 1}
	if n := len(l.segments); n > 0 {
		next.number = l.segments[n-1].number + 1
	}
	next.name = segmentName(next.number)
	path := l.fs.PathJoin(l.dir, next.name)
	if len(l.spares) > 0 {
		spare := l.spares[0]
		if err := errors.Join(spare.file.Close(), l.fs.Rename(l.fs.PathJoin(l.dir, spare.name), path)); err != nil {
			return fmt.Errorf("wal: use %s again: %w", spare.name, err)
		}
		l.spares = l.spares[1:]
		next.filled = spare.filled
	}
	if next.file, err = l.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified); err != nil {
		return fmt.Errorf("wal: make %s: %w", next.name, err)
	}
	// The name comes first: an old segment's name must not be found on what is written now.
	if err := syncDir(l.fs, l.dir); err != nil {
		return errors.Join(err, next.file.Close())
	}
	h := header{kind: kindSegment, detail: version, fresh: true, index: next.number}
	record := h.append(nil)
	l.chain = seal(record, spot{next.number, 0}, l.chain)
	l.segments = append(l.segments, next)
	if err := next.append(record, l.o.SegmentBytes); err != nil {
		return err
	}
	if err := next.file.Sync(); err != nil {
		return fmt.Errorf("wal: sync %s: %w", next.name, err)
	}
	return errors.Join(l.mark.set(l.end()), l.mark.sync())
}

// dropSpares removes the oldest spare files that are too many.
func (l *Log) dropSpares() error {
	for ; len(l.spares) > spareMax; l.spares = l.spares[1:] {
		spare := l.spares[0]
		if err := spare.file.Close(); err != nil {
			return fmt.Errorf("wal: close %s: %w", spare.name, err)
		}
		if err := l.fs.Remove(l.fs.PathJoin(l.dir, spare.name)); err != nil {
			return fmt.Errorf("wal: remove %s: %w", spare.name, err)
		}
		// The numbers must have no gap after a crash: one removal is on the disk before the next.
		if err := syncDir(l.fs, l.dir); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	if err := dir.Sync(); err != nil {
		_ = dir.Close()
		return fmt.Errorf("wal: sync %s: %w", path, err)
	}
	return dir.Close()
}
