package timeline

import (
	"slices"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// Rate is what one kind of operation did in one slice of the run, by the time of its end.
type Rate struct {
	OK, Fail, Unknown int
	// P50, P99 and Max are of the durations of those that succeeded; 0 when none did.
	P50, P99, Max time.Duration
}

// Rates cuts the time up to until into slices of the given width.
func Rates(ops []history.Op, kind string, width, until time.Duration) []Rate {
	rates := make([]Rate, int((until+width-1)/width))
	took := make([][]time.Duration, len(rates))
	for _, op := range ops {
		i := int(op.End / width)
		if op.Kind != kind || i >= len(rates) {
			continue
		}
		switch op.Outcome {
		case history.OK:
			rates[i].OK++
			took[i] = append(took[i], op.End-op.Begin)
		case history.Fail:
			rates[i].Fail++
		default:
			rates[i].Unknown++
		}
	}
	for i, t := range took {
		if len(t) > 0 {
			slices.Sort(t)
			rates[i].P50, rates[i].P99, rates[i].Max = t[len(t)/2], t[len(t)*99/100], t[len(t)-1]
		}
	}
	return rates
}

// Kinds are the kinds of the operations, by name.
func Kinds(ops []history.Op) (kinds []string) {
	seen := map[string]bool{}
	for _, op := range ops {
		if !seen[op.Kind] {
			seen[op.Kind] = true
			kinds = append(kinds, op.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}
