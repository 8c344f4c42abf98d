package checker

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// jumpMS is how far a leader's stamps may run ahead of what has elapsed in its term.
const jumpMS = 500

// clocks holds the times that entries are stamped with against the clock of the run. Nobody knows when an entry was
// made, but its time lies between what clients saw: after the begin of an operation that is at the same index or
// before, and before the end of one that is there or later.
func clocks(e *evidence.Evidence, all []event, last func(fsm.JobID) *fsm.JobView) []evidence.Verdict {
	return []evidence.Verdict{stamps(e, marksOf(e.Ops, all)), recorded(all, last)}
}

// stamps judges each term by itself. Its leader begins at its own clock, or at the state's time when that is later;
// from there on its stamps follow what elapses.
func stamps(e *evidence.Evidence, m marks) evidence.Verdict {
	v := evidence.Verdict{ID: "T3", Rule: "no entry is stamped later than its leader's clock when the term began, what has elapsed since, and 500 ms"}
	if e.Start.IsZero() {
		return v // nothing is known of the run's clock
	}
	startMS := e.Start.UnixMilli()
	var term uint64
	var base int64                 // the latest time that the term may have begun with
	var began, state int64         // ms of the run at which the term began at the earliest; the state's time
	last := e.Duration + time.Hour // of an entry that nobody has seen
	for _, entry := range e.Ledger.Entries {
		if entry.Term != term {
			from, _ := m.bounds(entry.Index-1, last) // its clock began before anything was asked of it
			_, until := m.bounds(entry.Index, last)
			term, began = entry.Term, from.Milliseconds()
			base = max(state, startMS+until.Milliseconds()+ahead(e.Faults, from, until))
		}
		if entry.NowMS == 0 {
			continue
		}
		_, until := m.bounds(entry.Index, last)
		if until == last {
			continue // nobody knows when
		}
		v.Count++
		if most := base + until.Milliseconds() - began + jumpMS; entry.NowMS > most {
			v.Violate(fmt.Sprintf("index %d: stamped %d, which is %d ms more than its leader can have had by %v", entry.Index, entry.NowMS, entry.NowMS-most, until))
		}
		state = max(state, entry.NowMS)
	}
	return v
}

// recorded holds the times that the state has recorded against the log: the highest stamp so far, never one that goes
// back.
func recorded(all []event, last func(fsm.JobID) *fsm.JobView) evidence.Verdict {
	v := evidence.Verdict{ID: "T3", Rule: "the state's time is the latest stamp so far: it never goes back"}
	ends := map[fsm.JobID]event{}
	for _, e := range all {
		switch e.what {
		case submitted:
			j := last(e.job)
			if j == nil {
				continue
			}
			v.Count++
			if j.CreatedMS != e.nowMS {
				v.Violate(fmt.Sprintf("index %d: job %s is made at %d; the latest stamp is %d", e.index, e.job, j.CreatedMS, e.nowMS))
			}
		case retried:
			delete(ends, e.job)
		case ended:
			ends[e.job] = e
		}
	}
	for id, e := range ends {
		if j := last(id); j != nil && j.State.Ended() {
			v.Count++
			if j.FinishedMS != e.nowMS {
				v.Violate(fmt.Sprintf("index %d: job %s ends at %d; the latest stamp is %d", e.index, id, j.FinishedMS, e.nowMS))
			}
		}
	}
	return v
}

// wrongClock finds what an order for a clock says, as the target of a fault has it.
var wrongClock = regexp.MustCompile(`clock ([+-]\d+\.\d) s`)

// ahead is how far, in ms, any clock may have been ahead at some time between two.
func ahead(faults []evidence.Fault, from, until time.Duration) (most int64) {
	for _, f := range faults {
		if f.End < from || f.Begin > until {
			continue
		}
		for _, found := range wrongClock.FindAllStringSubmatch(f.Target, -1) {
			if s, err := strconv.ParseFloat(found[1], 64); err == nil {
				most = max(most, int64(s*1000)+100) // it is rounded to a tenth of a second
			}
		}
	}
	return most
}

// marks are what clients know of when an index was reached.
type marks struct {
	began []mark // by index: something at it was asked for at that time, the latest so far
	known []mark // by index: it, or a later one, was known of at that time, the earliest from here on
}

type mark struct {
	index uint64
	at    time.Duration
}

// marksOf takes operations that say their index, and submissions, whose job says it.
func marksOf(ops []history.Op, all []event) (m marks) {
	made := map[string]uint64{}
	for _, e := range all {
		if e.what == submitted {
			made[e.job.String()] = e.index
		}
	}
	first := map[string]bool{} // keys that were submitted before
	for _, op := range ops {
		if op.Kind == "submit" && op.Key != "" {
			again := first[op.Key]
			first[op.Key] = true
			if index := made[op.Value]; op.Outcome == history.OK && index > 0 {
				m.known = append(m.known, mark{index, op.End})
				if !again { // else an earlier call may have made it
					m.began = append(m.began, mark{index, op.Begin})
				}
			}
		}
		if op.Index > 0 && op.Outcome == history.OK {
			m.known = append(m.known, mark{op.Index, op.End})
		}
	}
	byIndex := func(a, b mark) int { return cmp.Compare(a.index, b.index) }
	slices.SortFunc(m.began, byIndex)
	slices.SortFunc(m.known, byIndex)
	for i := 1; i < len(m.began); i++ {
		m.began[i].at = max(m.began[i].at, m.began[i-1].at)
	}
	for i := len(m.known) - 2; i >= 0; i-- {
		m.known[i].at = min(m.known[i].at, m.known[i+1].at)
	}
	return m
}

// bounds are the times between which an entry was made; last when nobody has seen it.
func (m marks) bounds(index uint64, last time.Duration) (from, until time.Duration) {
	after := func(list []mark, index uint64) int {
		n, _ := slices.BinarySearchFunc(list, index, func(k mark, index uint64) int { return cmp.Compare(k.index, index) })
		return n
	}
	if n := after(m.began, index+1); n > 0 {
		from = m.began[n-1].at
	}
	until = last
	if n := after(m.known, index); n < len(m.known) {
		until = m.known[n].at
	}
	return from, until
}
