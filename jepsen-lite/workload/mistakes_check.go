package workload

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// passing are codes that say nothing of what was sent.
var passing = []string{"NOT_LEADER", "NO_LEADER", "OVERLOADED", "OUTCOME_UNKNOWN", ""}

// checkMistakes demands that every mistake was refused with its code, and that no key or value of the state that the log
// leads to has its mark: whether it is a job, a queue's name, a key, a graph, a timer or a payload.
func checkMistakes(e *evidence.Evidence) []evidence.Verdict {
	told := evidence.Verdict{ID: "S10", Rule: "bad input is refused, with the code that the API documents for it"}
	right := evidence.Verdict{ID: "S10", Rule: "no submission that is right is refused as a wrong one, whatever others send"}
	kept := evidence.Verdict{ID: "S10", Rule: "nothing of bad input is in the state"}
	made := map[fsm.JobID]history.Op{}
	for _, op := range e.Ops {
		if op.Kind == "submit" {
			if right.Count++; op.Outcome == history.Fail && !slices.Contains(passing, op.Answer) {
				right.Violate(fmt.Sprintf("the submission of key %s was refused at %v with %s: %s", op.Key, op.End, op.Answer, op.Error))
			}
		}
		if op.Kind != opMistake {
			continue
		}
		if id, err := fsm.ParseJobID(op.Value); err == nil {
			made[id] = op
			kept.Count++
		}
		i := slices.IndexFunc(mistakes, func(m mistake) bool { return m.name == op.Key })
		switch {
		case i < 0:
			told.Violate(fmt.Sprintf("%s: no mistake of this name is known", op.Key))
		case op.Outcome == history.OK:
			told.Violate(fmt.Sprintf("%s (%s) was accepted at %v", op.Key, op.Value, op.End))
		case op.Outcome == history.Unknown || slices.Contains(passing, op.Answer):
		case op.Answer != mistakes[i].code:
			told.Violate(fmt.Sprintf("%s (%s) was refused at %v with %s, and not with %s: %s", op.Key, op.Value, op.End, op.Answer, mistakes[i].code, op.Error))
		default:
			told.Count++
		}
	}
	if len(made) == 0 {
		return []evidence.Verdict{told, right, kept}
	}
	var state bytes.Buffer
	if _, err := e.Ledger.Machine.WriteSnapshot(&state); err != nil {
		kept.Violate("the state cannot be read: " + err.Error())
	}
	for id, around := range marksIn(state.Bytes(), made) {
		op := made[id]
		kept.Violate(fmt.Sprintf("%s (%s), answered at %v with %s: of it %q is in the state", op.Key, op.Value, op.End, op.Answer, around))
	}
	return []evidence.Verdict{told, right, kept}
}

// markAround is how many bytes around a mark are shown.
const markAround = 48

// marksIn finds marks in keys and values of a snapshot, which has them as they are: as text behind the word, and as 16
// bytes.
func marksIn(state []byte, made map[fsm.JobID]history.Op) map[fsm.JobID][]byte {
	found := map[fsm.JobID][]byte{}
	note := func(id fsm.JobID, at, size int) {
		if _, was := found[id]; !was {
			found[id] = state[max(0, at-markAround):min(len(state), at+size+markAround)]
		}
	}
	const textSize = 26
	for at := 0; ; at++ {
		next := bytes.Index(state[at:], []byte(markWord))
		if next < 0 {
			break
		}
		at += next
		from := at + len(markWord)
		if id, err := fsm.ParseJobID(string(state[from:min(len(state), from+textSize)])); err == nil {
			if _, ok := made[id]; ok {
				note(id, at, len(markWord)+textSize)
			}
		}
	}
	// Ids begin with a time: most places are none, by their first bytes already.
	begins := map[[4]byte]bool{}
	for id := range made {
		begins[[4]byte(id[:4])] = true
	}
	for at := 0; at+len(fsm.JobID{}) <= len(state); at++ {
		if !begins[[4]byte(state[at:])] {
			continue
		}
		id := fsm.JobID(state[at : at+len(fsm.JobID{})])
		if _, ok := made[id]; ok {
			note(id, at, len(id))
		}
	}
	return found
}
