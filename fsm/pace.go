package fsm

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	pacePiece = 256 << 10 // bytes of tables that are written between two pauses
	pacePause = 2 * time.Millisecond
)

// pace makes Pebble's flushes and merges give way to what clients wait for.
//
// A memtable of 64 MiB is written in one go, by replicas that have applied the same entries at the same moment: for
// some tenths of a second that keeps the processors busy, and every task that is on its way pays for it at each of its
// stations. With pauses the same work takes a little longer. A store that falls behind (a second memtable
// is full), or whose flush is waited for, makes none.
type pace struct {
	vfs.FS
	sleep  func(time.Duration) // nil: no pauses
	opened atomic.Bool
	full   atomic.Int64 // memtables that are full and not in tables yet
	hurry  atomic.Int64 // flushes that somebody waits for
}

// rotated notes that a log begins, and so that a memtable is full.
func (p *pace) rotated() {
	if p.opened.Load() { // before that it is the first log
		p.full.Add(1)
	}
}

// flushed notes that memtables are in tables. Those that the store found when it was opened were never noted.
func (p *pace) flushed(memtables int) {
	for {
		full := p.full.Load()
		if p.full.CompareAndSwap(full, max(full-int64(memtables), 0)) {
			return
		}
	}
}

func (p *pace) Unwrap() vfs.FS { return p.FS }

func (p *pace) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := p.FS.Create(name, category)
	if err != nil || p.sleep == nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return &pacedFile{File: f, pace: p}, nil
}

// pacedFile is a table that is being written, by one goroutine.
type pacedFile struct {
	vfs.File
	pace  *pace
	since int // bytes since the last pause
}

func (f *pacedFile) Write(b []byte) (int, error) {
	if f.since += len(b); f.since >= pacePiece {
		f.since = 0
		if p := f.pace; p.full.Load() <= 1 && p.hurry.Load() == 0 {
			p.sleep(pacePause)
		}
	}
	return f.File.Write(b)
}
