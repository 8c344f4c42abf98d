// Package timeline puts what is known of a run on one clock: when nothing succeeded, who led, how much was
// done and how long it took.
package timeline

import (
	"slices"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// GapLeast is the shortest time without a success that counts as a gap: an election takes about as long.
const GapLeast = time.Second

// Gap is a time in which no operation of any client succeeded.
type Gap struct {
	Begin time.Duration `json:"begin"`
	End   time.Duration `json:"end"`
	// Faults are the nemeses that were at work within it, or whose healing came less than GapLeast before it.
	Faults []string `json:"faults,omitempty"`
}

// Length is how long the gap is.
func (g Gap) Length() time.Duration { return g.End - g.Begin }

// Gaps finds the gaps of at least GapLeast between the begin of the run and until.
func Gaps(ops []history.Op, faults []evidence.Fault, until time.Duration) (gaps []Gap) {
	var ends []time.Duration
	for _, op := range ops {
		if op.Outcome == history.OK && op.End < until {
			ends = append(ends, op.End)
		}
	}
	slices.Sort(ends)
	last := time.Duration(0)
	for _, end := range append(ends, until) {
		if g := (Gap{Begin: last, End: end}); g.Length() >= GapLeast {
			g.Faults = within(faults, g)
			gaps = append(gaps, g)
		}
		last = end
	}
	return gaps
}

func within(faults []evidence.Fault, g Gap) (names []string) {
	for _, f := range faults {
		if f.Begin < g.End && f.End > g.Begin-GapLeast && !slices.Contains(names, f.Nemesis) {
			names = append(names, f.Nemesis)
		}
	}
	return names
}

// Longest is the length of the longest of gaps; 0 when there is none.
func Longest(gaps []Gap) (most time.Duration) {
	for _, g := range gaps {
		most = max(most, g.Length())
	}
	return most
}
