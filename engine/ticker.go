package engine

import "time"

// dueTimes knows when the state has something to do by itself: a timer falls due, or an entry left
// work behind. Every entry, whatever it carries, fires what is due by its stamp, so a tick (an entry
// without commands) is proposed only when no other entry is about to do it.
type dueTimes struct {
	nextMS  int64 // of the newest result, unix ms; 0 = nothing is due ever
	more    bool  // the newest result left work over
	stampMS int64 // of the newest entry proposed
}

// set takes what the newest result says.
func (d *dueTimes) set(nextMS int64, more bool) { d.nextMS, d.more = nextMS, more }

// stamped notes that an entry with this time is on its way.
func (d *dueTimes) stamped(nowMS int64) {
	d.stampMS = max(d.stampMS, nowMS)
	d.more = false
}

// wantsTick reports whether an entry is needed now even if it is empty.
func (d *dueTimes) wantsTick(nowMS int64, inFlight int) bool {
	if inFlight > 0 {
		return d.nextMS != 0 && nowMS >= d.nextMS && d.stampMS < d.nextMS
	}
	return d.more || d.nextMS != 0 && nowMS >= d.nextMS && nowMS > d.stampMS
}

// wait is how long nothing falls due. While an entry is in flight its result says more.
func (d *dueTimes) wait(nowMS int64, inFlight int) time.Duration {
	const long = time.Hour
	if d.nextMS == 0 || inFlight > 0 && nowMS >= d.nextMS {
		return long
	}
	return min(max(time.Duration(d.nextMS-nowMS), 1)*time.Millisecond, long)
}
