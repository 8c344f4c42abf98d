package fsm

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// paused is a clock that a pause moves on, as work does.
type paused struct {
	mu    sync.Mutex
	now   time.Duration
	slept []time.Duration
}

func (p *paused) sleep(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now += d
	p.slept = append(p.slept, d)
}

// uptime makes each piece of a table take a millisecond.
func (p *paused) uptime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now += time.Millisecond / 2
	return p.now
}

func (p *paused) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	slept := p.slept
	p.slept = nil
	return slept
}

// TestPace_TablesAreWrittenWithPausesUnlessTheStoreIsBehind writes tables of a megabyte through Pebble.
func TestPace_TablesAreWrittenWithPausesUnlessTheStoreIsBehind(t *testing.T) {
	var clock paused
	p := &pace{FS: vfs.NewMem(), sleep: clock.sleep, uptime: clock.uptime}
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
	for range 6 {
		flush() // Pebble's first memtables are small, and double
	}
	if debt := p.debt.Load(); debt < 5<<20 || debt > 8<<20 {
		t.Errorf("%d bytes in level 0 after six flushes of a megabyte", debt)
	}
	if n := p.waiting.Load(); n != 0 {
		t.Errorf("%d memtables wait after a flush", n)
	}
	clock.take()
	flush()
	slept := clock.take()
	if n := len(slept); n < 24 || n > 36 {
		t.Errorf("%d pauses in a table of 1 MiB, want one for each %d bytes", n, pacePiece)
	}
	for _, d := range slept[1:] {
		if d != paceRest*time.Millisecond/2 {
			t.Fatalf("pauses of %v after half a millisecond each, want %d times as long", slept, paceRest)
		}
	}
	for _, behind := range []struct {
		why string
		of  *atomic.Int64
		n   int64
	}{
		{"a memtable has filled up during the flush", &p.waiting, 1},
		{"level 0 grows", &p.debt, paceDebt},
	} {
		behind.of.Add(behind.n)
		flush()
		if slept := clock.take(); len(slept) != 0 {
			t.Errorf("%s: %d pauses", behind.why, len(slept))
		}
		behind.of.Add(-behind.n)
	}
	p.closing.Store(true)
	flush()
	if slept := clock.take(); len(slept) != 0 {
		t.Errorf("somebody waits for the end: %d pauses", len(slept))
	}
	if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	if debt := p.debt.Load(); debt != 0 {
		t.Errorf("%d bytes in level 0 after all was merged", debt)
	}
	p.taken(5)
	if n := p.waiting.Load(); n != 0 {
		t.Errorf("%d memtables wait, after more were flushed than were noted", n)
	}
}

// TestPace_APauseIsShort: a machine that stands still for a second does not make the store stand still for two.
func TestPace_APauseIsShort(t *testing.T) {
	var clock paused
	p := &pace{FS: vfs.NewMem(), sleep: clock.sleep, uptime: clock.uptime}
	f, err := p.Create("000001.sst", "")
	if err != nil {
		t.Fatal(err)
	}
	clock.now += time.Second
	if _, err := f.Write(make([]byte, pacePiece)); err != nil {
		t.Fatal(err)
	}
	if slept := clock.take(); len(slept) != 1 || slept[0] != paceMost {
		t.Errorf("pauses %v, want one of %v", slept, paceMost)
	}
}
