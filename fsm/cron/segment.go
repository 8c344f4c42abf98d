package cron

import (
	"math"
	"time"
)

// segment is a time in which the local clock runs evenly: [start, end) in Unix seconds.
type segment struct {
	start, end int64
	offset     int64 // local time = Unix time + offset
	// shown is the local time up to which everything has been shown, or jumped over, before start. After
	// a jump forward it is less than start + offset: between them is the gap. After a jump back it is
	// more: up to it, times come again. By real time nothing is a gap and nothing comes again.
	shown int64
}

func (g *segment) gap() bool { return g.shown < g.start+g.offset }

const (
	farPast   = math.MinInt64 / 4
	farFuture = math.MaxInt64 / 4
	// lookBack is how far before a segment the clock may have shown later times than at its start: more
	// than any jump back.
	lookBack = 2 * day
)

// segment finds the one that a Unix time is in.
func (s *Spec) segment(at int64, loc *time.Location) segment {
	g := bounds(at, loc)
	g.shown = g.start + g.offset
	if s.real || g.start == farPast {
		return g
	}
	shown := int64(farPast)
	for before := g.start; before > g.start-lookBack && before > farPast; {
		b := bounds(before-1, loc)
		shown = max(shown, before+b.offset)
		before = b.start
	}
	g.shown = shown
	return g
}

// bounds asks package time. From the rule at the end of a zone's data it makes years of 365 days: in a
// leap year the last day is outside of the bounds that it answers.
func bounds(at int64, loc *time.Location) segment {
	t := time.Unix(at, 0).In(loc)
	_, offset := t.Zone()
	g := segment{start: farPast, end: farFuture, offset: int64(offset)}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		g.start = min(start.Unix(), at)
	}
	if !end.IsZero() {
		g.end = end.Unix()
		if g.end <= at {
			g.end = time.Date(t.UTC().Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()
		}
	}
	return g
}
