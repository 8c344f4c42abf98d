package cluster

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"
)

// logBytes bounds the log by bytes. Raft counts entries only: 20,480 of them may be 2 MB or 5 GB.
//
// When LogBytes of new entries have gathered, the state is flushed and the log cut so that half of
// LogBytes stays for followers that lag; one that lags more receives the state instead. What was
// stored before this process began is not counted; the first cut removes it.
type logBytes struct {
	limit uint64
	fullC chan struct{} // capacity 1: a cut is wanted

	mu    sync.Mutex // guards what follows
	first uint64     // index of sizes[0]
	sizes []uint32   // of the entries since the last cut
	total uint64
	ever  uint64 // of all entries since this process began
}

func newLogBytes(limit uint64) *logBytes {
	return &logBytes{limit: limit, fullC: make(chan struct{}, 1)}
}

// keepAll is from which TrailingLogs on a log is never cut.
const keepAll = 1 << 30

// stored counts new entries. Entries that take the place of others (a deposed leader's) are counted
// twice, which makes the cut come early.
func (b *logBytes) stored(logs []*raft.Log) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range logs {
		if len(b.sizes) == 0 || l.Index != b.first+uint64(len(b.sizes)) {
			b.first, b.sizes = l.Index, b.sizes[:0]
		}
		b.sizes = append(b.sizes, uint32(len(l.Data)))
		b.total += uint64(len(l.Data))
		b.ever += uint64(len(l.Data))
	}
	if b.total >= b.limit {
		select {
		case b.fullC <- struct{}{}:
		default:
		}
	}
}

// sum is what was stored since this process began, whatever was cut of it; 0 when nobody counts.
func (b *logBytes) sum() uint64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ever
}

// trailing is how many of the newest entries fit into half of the limit, at least 1. It begins the
// count anew.
func (b *logBytes) trailing() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var kept uint64
	n := 0
	for n < len(b.sizes) && kept+uint64(b.sizes[len(b.sizes)-1-n]) <= b.limit/2 {
		kept += uint64(b.sizes[len(b.sizes)-1-n])
		n++
	}
	b.first += uint64(len(b.sizes) - n)
	b.sizes = append([]uint32(nil), b.sizes[len(b.sizes)-n:]...)
	b.total = kept
	return uint64(max(1, n))
}

// cutLog flushes the state and cuts the log whenever it has grown by its limit, until ctx is done.
func (i *instance) cutLog(ctx context.Context) {
	bytes := i.node.logs.bytes
	for {
		select {
		case <-ctx.Done():
			return
		case <-bytes.fullC:
		}
		normal := i.raft.ReloadableConfig()
		short := normal
		short.TrailingLogs = min(normal.TrailingLogs, bytes.trailing())
		if err := i.raft.ReloadConfig(short); err != nil {
			i.node.logger.Warn("the log could not be cut by bytes", "error", err)
			continue
		}
		if err := i.log.wait(ctx, func() raft.Future { return i.raft.Snapshot() }); err != nil {
			i.node.logger.Warn("the log could not be cut by bytes; it is tried again when it has grown as much", "error", err)
		}
		if err := i.raft.ReloadConfig(normal); err != nil {
			i.node.logger.Warn("Raft's configuration could not be restored", "error", err)
		}
	}
}
