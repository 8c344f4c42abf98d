package checker

import (
	"fmt"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// sameHashes compares each node's state with the replay's.
func sameHashes(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "X1", Rule: "each node's state has the hash that a replay from nothing has", Count: len(e.Final)}
	if e.Ledger.Bug != "" {
		v.Violate("the replay ends in a panic, at " + e.Ledger.Bug)
		return v
	}
	want := e.Ledger.Hashes[e.FinalIndex]
	for id, hash := range e.Final {
		if hash != want {
			v.Violate(fmt.Sprintf("at index %d node %s has %s, the replay %s", e.FinalIndex, id, hash, want))
		}
	}
	return v
}

func sameLogs(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "X2", Rule: "the committed logs of all nodes are the same, and their terms never go back", Count: len(e.Ledger.Entries)}
	for _, d := range e.Ledger.Disagreements {
		v.Violate(d)
	}
	term := uint64(0)
	for _, entry := range e.Ledger.Entries {
		if entry.Term < term {
			v.Violate(fmt.Sprintf("index %d is of term %d, after term %d", entry.Index, entry.Term, term))
		}
		term = max(term, entry.Term)
	}
	return v
}

// recount recomputes what the state machine keeps derived.
func recount(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "D7", Rule: "every derived number of the last state is what a recount gives, and every job that runs can go on", Count: 1}
	if e.Ledger.Bug != "" {
		v.Count = 0 // what a panic has left is not counted
	} else if err := e.Ledger.Machine.Check(); err != nil {
		v.Violate(err.Error())
	}
	return v
}

func exits(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "L5", Rule: "no process ended that nobody had killed", Count: 1}
	for _, x := range e.Exits {
		v.Violate(x)
	}
	return v
}
