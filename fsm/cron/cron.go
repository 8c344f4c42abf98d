// Package cron says when the ticks of a schedule are: cron expressions of five and six fields in a time
// zone, and fixed intervals. It computes, and nothing else: no clock, no files. Time zones come as the
// location of the time that is asked about.
//
// What a change of the clocks does is a rule and not an accident. A cron expression whose hour is fixed (a
// number, a list, a range, a name) ticks once for each local time that it names, on each local date: a
// time that the clocks jump over ticks at the first instant after the gap, and a time that comes twice
// ticks the first time. An expression whose hour is a wildcard (*, or a step over *) goes by real time: it
// ticks whenever the clock shows a time that it names, so "every 15 minutes" neither stops nor bunches up.
// The idea is Vixie cron's; the sets are defined exactly, and tested against an oracle that walks every
// minute of all time zones.
package cron

import (
	"math/bits"
	"time"
)

// Spec is a cron expression. The zero value is not valid; Parse makes one. It is immutable.
type Spec struct {
	second, minute, hour uint64 // bit n: n is named
	day, month, weekday  uint64
	// either: day and weekday are both restricted, and a date has to match one of them. Otherwise both.
	either bool
	// real: the hour is a wildcard, and ticks go by real time.
	real bool
}

// horizonDays is how far Next and Prev look: the rarest expression that Parse lets pass, a 29th of
// February, comes within 8 years, and a certain weekday of it within 40.
const horizonDays = 50 * 366

// Next is the first tick after a time, in that time's location; the zero time when there is none in the
// next 50 years.
func (s *Spec) Next(after time.Time) time.Time {
	at := after.Unix() + 1
	for limit := at + horizonDays*day; at < limit; {
		g := s.segment(at, after.Location())
		if at == g.start && g.gap() && s.names(g.shown, g.start+g.offset) {
			return time.Unix(at, 0).In(after.Location())
		}
		if c, ok := s.from(max(at+g.offset, g.shown), g.end+g.offset); ok {
			return time.Unix(c-g.offset, 0).In(after.Location())
		}
		at = g.end
	}
	return time.Time{}
}

// Prev is the last tick before a time, in that time's location; the zero time when there is none in the
// 50 years before.
func (s *Spec) Prev(before time.Time) time.Time {
	at := before.Unix()
	if before.Nanosecond() == 0 {
		at--
	}
	for limit := at - horizonDays*day; at > limit; {
		g := s.segment(at, before.Location())
		if c, ok := s.to(at+g.offset, max(g.start+g.offset, g.shown)); ok {
			return time.Unix(c-g.offset, 0).In(before.Location())
		}
		if g.gap() && s.names(g.shown, g.start+g.offset) {
			return time.Unix(g.start, 0).In(before.Location())
		}
		at = g.start - 1
	}
	return time.Time{}
}

// names reports whether the expression names a local time in [from, end).
func (s *Spec) names(from, end int64) bool {
	_, ok := s.from(from, end)
	return ok
}

const day = 24 * 3600

// Local times are counted in seconds, as if the local clock were UTC.

// from is the first local time in [at, end) that the expression names.
func (s *Spec) from(at, end int64) (int64, bool) {
	for d, sod := split(at); d*day < end; d, sod = d+1, 0 {
		skip, ok := s.onDay(d)
		if skip > 0 {
			d += skip - 1
			continue
		}
		if n := s.timeFrom(sod); ok && n >= 0 {
			return d*day + int64(n), d*day+int64(n) < end
		}
	}
	return 0, false
}

// to is the last local time in [begin, at] that the expression names.
func (s *Spec) to(at, begin int64) (int64, bool) {
	for d, sod := split(at); d*day+day > begin; d, sod = d-1, day-1 {
		if _, ok := s.onDay(d); ok {
			if n := s.timeTo(sod); n >= 0 {
				return d*day + int64(n), d*day+int64(n) >= begin
			}
		}
	}
	return 0, false
}

// split makes a day's number and the second of the day.
func split(at int64) (d int64, sod int) {
	d = at / day
	if at%day < 0 {
		d--
	}
	return d, int(at - d*day)
}

// onDay reports whether the expression names a day; skip, when it is not 0, is how many days there are to
// the next month, because this one is not named at all.
func (s *Spec) onDay(d int64) (skip int64, ok bool) {
	year, month, dom := time.Unix(d*day, 0).UTC().Date()
	if s.month>>month&1 == 0 {
		return int64(daysIn(year, month) - dom + 1), false
	}
	weekday := (d + 4) % 7 // the first day of 1970 was a Thursday
	if weekday < 0 {
		weekday += 7
	}
	onDate, onWeekday := s.day>>dom&1 == 1, s.weekday>>weekday&1 == 1
	if s.either {
		return 0, onDate || onWeekday
	}
	return 0, onDate && onWeekday
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// timeFrom is the first second of the day, from sod on, that the expression names; -1 when there is none.
func (s *Spec) timeFrom(sod int) int {
	h, m, sec := sod/3600, sod/60%60, sod%60
	if up(s.hour, h) == h {
		if up(s.minute, m) == m {
			if n := up(s.second, sec); n >= 0 {
				return h*3600 + m*60 + n
			}
			m++
		}
		if n := up(s.minute, m); n >= 0 {
			return h*3600 + n*60 + up(s.second, 0)
		}
		h++
	}
	if n := up(s.hour, h); n >= 0 {
		return n*3600 + up(s.minute, 0)*60 + up(s.second, 0)
	}
	return -1
}

// timeTo is the last second of the day, up to sod, that the expression names; -1 when there is none.
func (s *Spec) timeTo(sod int) int {
	h, m, sec := sod/3600, sod/60%60, sod%60
	if down(s.hour, h) == h {
		if down(s.minute, m) == m {
			if n := down(s.second, sec); n >= 0 {
				return h*3600 + m*60 + n
			}
			m--
		}
		if n := down(s.minute, m); n >= 0 {
			return h*3600 + n*60 + down(s.second, 59)
		}
		h--
	}
	if n := down(s.hour, h); n >= 0 {
		return n*3600 + down(s.minute, 59)*60 + down(s.second, 59)
	}
	return -1
}

// up is the lowest bit of set that is not below n, -1 when there is none.
func up(set uint64, n int) int {
	if set >>= n; set == 0 {
		return -1
	}
	return n + bits.TrailingZeros64(set)
}

// down is the highest bit of set that is not above n, -1 when there is none.
func down(set uint64, n int) int {
	if n < 0 {
		return -1
	}
	return 63 - bits.LeadingZeros64(set&(2<<n-1))
}
