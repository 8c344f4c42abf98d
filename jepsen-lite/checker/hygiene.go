package checker

import (
	"fmt"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// What a node may have more after a run than before: idle connections to the others, tables that Pebble keeps
// open, and what goes with them. What leaks with every operation, of which a run has hundreds, is more.
const (
	moreGoroutines = 60
	moreSockets    = 20
	moreFiles      = 60
)

// tidy compares what nodes hold after the run with what they held before the load.
func tidy(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "L4", Rule: "after the run a node has about as many goroutines, sockets and files as before it", Count: len(e.Vitals)}
	var base evidence.Vitals // the most that any node had
	for _, n := range e.Vitals {
		base.Goroutines = max(base.Goroutines, n.Before.Goroutines)
		base.Sockets = max(base.Sockets, n.Before.Sockets)
		base.Files = max(base.Files, n.Before.Files)
	}
	for _, n := range e.Vitals {
		for _, c := range []struct {
			what              string
			before, now, more int
		}{
			{"goroutines", base.Goroutines, n.After.Goroutines, moreGoroutines},
			{"sockets", base.Sockets, n.After.Sockets, moreSockets},
			{"files", base.Files, n.After.Files, moreFiles},
		} {
			if c.now > c.before+c.more {
				v.Violate(fmt.Sprintf("node %s has %d %s after the run; before it no node had more than %d", n.Node, c.now, c.what, c.before))
			}
		}
	}
	return v
}

// Starved says why an election is no wonder although nothing was broken: the machine had no time for its processes.
// "": it had.
func Starved(e *evidence.Evidence) string {
	switch {
	case e.Lag > lagMost:
		return fmt.Sprintf("the machine kept the runner itself from running for %v", e.Lag)
	case e.Slow > lagMost:
		return fmt.Sprintf("a node took %v to say how it is", e.Slow)
	}
	return ""
}

// oneLeader judges a run in which nothing was broken. none: something was, or the machine was starved, so that
// an election is no wonder.
func oneLeader(e *evidence.Evidence) []evidence.Verdict {
	if len(e.Faults) > 0 || e.Moves || Starved(e) != "" || e.Start.IsZero() {
		return nil
	}
	v := evidence.Verdict{ID: "L2", Rule: "without a fault the leader stays"}
	began := e.Start.UnixMilli()
	var now int64 // by the log; the entries with which Raft begins a term have no time of their own
	term := uint64(0)
	known := map[uint64]bool{}
	for _, entry := range e.Ledger.Entries {
		now = max(now, entry.NowMS)
		if term != 0 && entry.Term > term && now >= began {
			v.Violate(fmt.Sprintf("index %d: term %d begins, and nothing was broken", entry.Index, entry.Term))
		}
		term = max(term, entry.Term)
		known[entry.Term] = true
		v.Count++
	}
	for _, s := range e.Samples { // a term may begin in which nobody is elected
		if s.Term > 0 && !known[s.Term] {
			v.Violate(fmt.Sprintf("at %v node %s is in term %d, which nobody leads, and nothing was broken", s.At, s.Node, s.Term))
			known[s.Term] = true
		}
		v.Count++
	}
	return []evidence.Verdict{v}
}

// lagMost is how long the machine may keep a process from running that has little to do: half of the time after
// which a follower stands for election.
const lagMost = 250_000_000

// patienceMS is how long a job may wait for its first task while others are served, by the log's clock.
const patienceMS = 20_000

// fair judges whether anything that could run was left waiting. Jobs that are not due are not judged.
func fair(all []event) evidence.Verdict {
	v := evidence.Verdict{ID: "L6", Rule: "no job that could run is left waiting, whatever else fails"}
	waiting := map[string]event{}
	var end int64
	paused := false
	for _, e := range all {
		end = max(end, e.nowMS)
		switch e.what {
		case submitted:
			v.Count++
			if e.submit.NotBeforeMs == 0 {
				waiting[e.job.String()] = e
			}
		case granted, ended:
			delete(waiting, e.job.String())
		case redriven:
			paused = true
		}
	}
	for id, e := range waiting {
		if end-e.nowMS > patienceMS && !paused {
			v.Violate(fmt.Sprintf("index %d: job %s was never granted a task, %d s before the end", e.index, id, (end-e.nowMS)/1000))
		}
	}
	return v
}
