package fsm

import "bytes"

// recentMax bounds the ids that recent remembers: 0.4 MB, and half a second of submissions at the highest rate.
const recentMax = 1 << 14

// recent answers most questions whether a job is new without a look-up: it knows all jobs above a floor.
//
// Ids come in the order of time, but for those of the same millisecond, of calls that overtook each other, and
// of submitters whose clocks differ. With the greatest id alone half of all submissions had to be looked up, and an
// absent key is the dearest to look up: it was half the cost of a submission.
//
// It says nothing that the stored jobs do not say, so replicas need not agree on it.
type recent struct {
	floor JobID // every stored job above it is in ids
	ids   map[JobID]struct{}
}

// add notes a job that was created.
func (r *recent) add(id JobID) {
	if bytes.Compare(id[:], r.floor[:]) <= 0 {
		return
	}
	if r.ids == nil {
		r.ids = make(map[JobID]struct{}, recentMax)
	}
	r.ids[id] = struct{}{}
	if len(r.ids) >= recentMax {
		for known := range r.ids { // the greatest: no order is needed
			if bytes.Compare(known[:], r.floor[:]) > 0 {
				r.floor = known
			}
		}
		clear(r.ids)
	}
}

// lacks reports that there is no such job for certain. (A job that was purged may still be known.)
func (r *recent) lacks(id JobID) bool {
	if bytes.Compare(id[:], r.floor[:]) <= 0 {
		return false
	}
	_, known := r.ids[id]
	return !known
}
