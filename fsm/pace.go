package fsm

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	pacePiece = 32 << 10 // bytes of a table that are written between two pauses
	// paceRest is how long a pause is, as a multiple of the time that the piece before it took: flushes, and merges, have a
	// third of a processor each.
	paceRest = 2
	paceMost = 20 * time.Millisecond // a pause, however long the piece took
	// paceDebt is from how many bytes of level 0 on merges make no pauses: about as much as eight memtables leave there. Writers are
	// stopped at 24 layers.
	paceDebt = 256 << 20
)

// pace makes Pebble's flushes and merges give way to what clients wait for.
//
// A memtable of 64 MiB is written in one go, by replicas that have applied the same entries at the same moment: for
// some tenths of a second that keeps the processors busy, and every task that is on its way pays for it at each of its
// stations. With pauses the same work takes three times as long. A store that falls behind (a memtable fills up while
// others are flushed, or level 0 grows), or whose end is waited for, makes none.
type pace struct {
	vfs.FS
	sleep   func(time.Duration)  // nil: no pauses
	uptime  func() time.Duration // a clock that does not go back
	opened  atomic.Bool
	waiting atomic.Int64 // memtables that are full, and that no flush has begun with
	debt    atomic.Int64 // bytes in level 0 that were flushed since the store was opened
	closing atomic.Bool  // somebody waits for the store's end
}

// rotated notes that a log begins, and so that a memtable is full.
func (p *pace) rotated() {
	if p.opened.Load() { // before that it is the first log
		p.waiting.Add(1)
	}
}

// taken notes that a flush begins with memtables. Those that the store found when it was opened were never noted.
func (p *pace) taken(memtables int) { lower(&p.waiting, int64(memtables)) }

func (p *pace) flushed(tables []pebble.TableInfo) { p.debt.Add(sizeOf(tables)) }

func (p *pace) merged(i pebble.CompactionInfo) {
	for _, l := range i.Input {
		if l.Level == 0 && i.Err == nil {
			lower(&p.debt, sizeOf(l.Tables))
		}
	}
}

func sizeOf(tables []pebble.TableInfo) (bytes int64) {
	for _, t := range tables {
		bytes += int64(t.Size)
	}
	return bytes
}

// lower takes n away, down to zero.
func lower(v *atomic.Int64, n int64) {
	for {
		old := v.Load()
		if v.CompareAndSwap(old, max(old-n, 0)) {
			return
		}
	}
}

// behind reports whether writers would soon wait for the store, or somebody waits for its end.
func (p *pace) behind() bool {
	return p.waiting.Load() > 0 || p.debt.Load() > paceDebt || p.closing.Load()
}

func (p *pace) Unwrap() vfs.FS { return p.FS }

func (p *pace) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := p.FS.Create(name, category)
	if err != nil || p.sleep == nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return &pacedFile{File: f, pace: p, began: p.uptime()}, nil
}

// pacedFile is a table that is being written, by one goroutine.
type pacedFile struct {
	vfs.File
	pace  *pace
	since int           // bytes since the last pause
	began time.Duration // when that pause was over
}

func (f *pacedFile) Write(b []byte) (int, error) {
	if f.since += len(b); f.since >= pacePiece {
		f.since = 0
		if !f.pace.behind() {
			f.pace.sleep(min(paceRest*(f.pace.uptime()-f.began), paceMost))
		}
		f.began = f.pace.uptime()
	}
	return f.File.Write(b)
}
