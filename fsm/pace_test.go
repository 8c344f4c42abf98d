package fsm

import (
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// pauses counts them.
type pauses struct {
	mu sync.Mutex
	n  int
}

func (p *pauses) sleep(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d == pacePause {
		p.n++
	}
}

func (p *pauses) take() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.n
	p.n = 0
	return n
}

// TestPace_TablesAreWrittenWithPausesUnlessTheStoreIsBehind writes tables of a megabyte through Pebble.
func TestPace_TablesAreWrittenWithPausesUnlessTheStoreIsBehind(t *testing.T) {
	var seen pauses
	p := &pace{FS: vfs.NewMem(), sleep: seen.sleep}
	db, err := openPebble(p, "state", &Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := byte(0)
	flush := func() {
		t.Helper()
		key++
		noise := make([]byte, 1<<10)
		for i := range 1 << 10 {
			if err := db.Set([]byte{key, byte(i >> 8), byte(i)}, noise, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		flush() // Pebble's first memtables are small, and double
	}
	seen.take()
	flush()
	if n := seen.take(); n < 3 || n > 6 {
		t.Errorf("%d pauses in a table of 1 MiB, want one for each %d bytes", n, pacePiece)
	}
	if n := p.full.Load(); n != 0 {
		t.Errorf("%d memtables wait after a flush", n)
	}
	p.full.Add(2) // as when two memtables fill up during a flush
	flush()
	if n := seen.take(); n != 0 {
		t.Errorf("%d pauses while writers would soon wait for a memtable", n)
	}
	p.flushed(5)
	if n := p.full.Load(); n != 0 {
		t.Errorf("%d memtables wait, after more were flushed than were noted", n)
	}
	p.hurry.Add(1)
	flush()
	if n := seen.take(); n != 0 {
		t.Errorf("%d pauses in a flush that is waited for", n)
	}
}
