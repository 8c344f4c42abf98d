package cluster

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// watchdog ends the process when a write to the disk hangs.
//
// The naive way is a timeout that turns the hang into an error. It has broken clusters: the write
// that was given up lands later, and the log no longer is what Raft believes (grafana/pyroscope
// #4892, #5432). Doing nothing is no better: heartbeats are sent by a goroutine of their own, so a
// leader with a dead disk stays leader and the cluster stands still (hashicorp/raft #503, #614).
// So the process ends; what it had promised is on the other disks.
//
// Time is counted in ticks during which the operation was seen in flight, not by the clock: after the
// process was stopped and continued (SIGSTOP, a suspended laptop) one tick has passed, not an hour.
type watchdog struct {
	tick  time.Duration
	limit int // ticks
	log   *slog.Logger
	fail  func(code int, reason string)

	mu     sync.Mutex
	last   uint64
	flying map[uint64]*watched
}

type watched struct {
	name  string
	code  int
	ticks int
}

// stallTicks is how finely the stall timeout is measured; a warning is due after one of them.
const stallTicks = 10

func newWatchdog(timeout time.Duration, log *slog.Logger, fail func(code int, reason string)) *watchdog {
	return &watchdog{tick: timeout / stallTicks, limit: stallTicks, log: log, fail: fail, flying: map[uint64]*watched{}}
}

// begin says that an operation started; the caller calls the function returned when it ended. Code is
// what the process exits with should it hang.
func (w *watchdog) begin(name string, code int) (end func()) {
	w.mu.Lock()
	w.last++
	id := w.last
	w.flying[id] = &watched{name: name, code: code}
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		delete(w.flying, id)
		w.mu.Unlock()
	}
}

// Run watches until ctx is done.
func (w *watchdog) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.look()
		}
	}
}

func (w *watchdog) look() {
	var stalled *watched
	w.mu.Lock()
	for _, op := range w.flying {
		op.ticks++
		if op.ticks == 2 {
			w.log.Warn("the disk is slow", "operation", op.name, "longer_than", w.tick)
		}
		if op.ticks > w.limit {
			stalled = op
		}
	}
	w.mu.Unlock()
	if stalled == nil {
		return
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	w.log.Error("the disk hangs", "operation", stalled.name, "goroutines", string(stacks))
	w.fail(stalled.code, stalled.name+" did not return in time: the disk hangs")
}
