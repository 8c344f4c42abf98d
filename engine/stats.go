package engine

import "sync/atomic"

// stats count what the term has done.
type stats struct{ entries, commands atomic.Uint64 }

// Stats are counts since the term began.
type Stats struct {
	Entries  uint64 // proposed, ticks included
	Commands uint64 // in them
}

// Stats returns the counts. Safe from any goroutine.
func (e *Engine) Stats() Stats {
	return Stats{Entries: e.stats.entries.Load(), Commands: e.stats.commands.Load()}
}
