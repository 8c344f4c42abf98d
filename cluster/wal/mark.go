package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// mark is a file beside the segments that says how far the log went at least: a log that ends before has been
// damaged, and not torn.
//
// It is written after each append has reached the disk, in place, and not synced itself: that would cost as much
// again as the append. So it is exact when the process has died or ended, and after a power failure as old as the
// system lets a written page become, which is half a minute.
//
//	 0  checksum of bytes 4 to 23
//	 4  version of this format, 4 bytes
//	 8  number of the segment
//	16  offset in it
//
// One that is not whole says nothing: a sector that the power failed under may be anything.
type mark struct {
	file vfs.File // nil: opened for reading only, or not at all
	last spot
	buf  [markBytes]byte
}

const (
	markName    = "synced"
	markBytes   = 24
	markVersion = 1
)

// before reports whether a place comes before another one.
func (p spot) before(q spot) bool {
	return p.segment < q.segment || p.segment == q.segment && p.at < q.at
}

// openMark reads the mark, and makes the file where there is none.
func (l *Log) openMark() error {
	path := l.fs.PathJoin(l.dir, markName)
	file, err := l.fs.Open(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("wal: %w", err)
	default:
		content, err := readAll(file)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("wal: read %s: %w", markName, err)
		}
		if l.mark.last, err = parseMark(content); err != nil {
			return err
		}
	}
	if l.o.ReadOnly {
		return nil
	}
	if l.mark.file, err = l.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified); err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	return nil
}

func parseMark(b []byte) (spot, error) {
	if len(b) < markBytes || crc32.Checksum(b[4:markBytes], castagnoli) != le.Uint32(b) {
		return spot{}, nil
	}
	if v := le.Uint32(b[4:]); v != markVersion {
		return spot{}, fmt.Errorf("wal: %s has format %d, and this program knows %d", markName, v, markVersion)
	}
	return spot{le.Uint64(b[8:]), int64(le.Uint64(b[16:]))}, nil
}

// set says that the log is on the disk until a place.
func (m *mark) set(to spot) error {
	b := &m.buf
	le.PutUint32(b[4:], markVersion)
	le.PutUint64(b[8:], to.segment)
	le.PutUint64(b[16:], uint64(to.at))
	le.PutUint32(b[:], crc32.Checksum(b[4:], castagnoli))
	if _, err := m.file.WriteAt(b[:], 0); err != nil {
		return fmt.Errorf("wal: write %s: %w", markName, err)
	}
	m.last = to
	return nil
}

func (m *mark) sync() error {
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("wal: sync %s: %w", markName, err)
	}
	return nil
}

// close syncs, so that the mark of a log that was closed is exact.
func (m *mark) close() error {
	if m.file == nil {
		return nil
	}
	return errors.Join(m.sync(), m.file.Close())
}
