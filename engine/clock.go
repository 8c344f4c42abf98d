package engine

import "time"

// jumpMS is how far the wall clock may run ahead of the monotonic one within a term.
const jumpMS = 500

// termClock makes the times that entries are stamped with. The state's time never goes back, so one
// entry stamped far in the future fires every timer and leaves the cluster there for good. Therefore
// a term's time follows the wall clock only between two bounds that the monotonic clock moves: never
// more than jumpMS ahead of the term's begin plus what has elapsed, and never slower than half of
// what has elapsed, so that a clock set back delays timers and does not stop them.
//
// The price: a machine that slept keeps its late time until the next term.
type termClock struct {
	wall  func() time.Time
	start time.Time // with its monotonic reading
	base  int64     // unix ms at start: the later of the wall clock and the state's time
}

func newTermClock(wall func() time.Time, stateMS int64) *termClock {
	return &termClock{wall: wall, start: time.Now(), base: max(wall().UnixMilli(), stateMS)}
}

// nowMS is the time to stamp an entry with, in unix milliseconds.
func (c *termClock) nowMS() int64 {
	elapsed := time.Since(c.start).Milliseconds()
	return min(max(c.wall().UnixMilli(), c.base+elapsed/2), c.base+elapsed+jumpMS)
}
