package cron

import "time"

// Every ticks at Anchor and every Interval before and after it, by real time. Interval is positive.
type Every struct {
	Anchor   time.Time
	Interval time.Duration
}

// Next is the first tick after a time.
func (e Every) Next(after time.Time) time.Time {
	return e.Prev(after.Add(1)).Add(e.Interval)
}

// Prev is the last tick before a time. In milliseconds, because a duration ends after 292 years.
func (e Every) Prev(before time.Time) time.Time {
	ms, step := before.Sub(e.Anchor), e.Interval
	n := (ms - 1) / step
	if ms-1 < 0 && (ms-1)%step != 0 {
		n--
	}
	return e.Anchor.Add(n * step)
}
