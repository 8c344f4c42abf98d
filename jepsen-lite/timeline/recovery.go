package timeline

import (
	"slices"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// Recovery is how long after a fault was healed the next operation succeeded.
type Recovery struct {
	Nemesis string        `json:"nemesis"`
	Healed  time.Duration `json:"healed"`
	Took    time.Duration `json:"took"`
	// Done is false when the next fault, or the end of the load, came first: Took is the time until then.
	Done bool `json:"done"`
}

// Recoveries are those of all faults that were healed before until, which are in the order of time.
func Recoveries(ops []history.Op, faults []evidence.Fault, until time.Duration) (all []Recovery) {
	var ends []time.Duration
	for _, op := range ops {
		if op.Outcome == history.OK {
			ends = append(ends, op.End)
		}
	}
	slices.Sort(ends)
	for i, f := range faults {
		limit := until
		if i+1 < len(faults) {
			limit = min(limit, faults[i+1].Begin)
		}
		if f.End >= limit {
			continue
		}
		r := Recovery{Nemesis: f.Nemesis, Healed: f.End, Took: limit - f.End}
		if at, _ := slices.BinarySearch(ends, f.End); at < len(ends) && ends[at] <= limit {
			r.Took, r.Done = ends[at]-f.End, true
		}
		all = append(all, r)
	}
	return all
}
