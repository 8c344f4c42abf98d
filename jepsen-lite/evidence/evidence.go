// Package evidence is what a run leaves to be judged, and what judgements look like.
package evidence

import (
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// Evidence is everything that is known of a run when its processes have ended.
type Evidence struct {
	Dir    string // of the run
	Ops    []history.Op
	Ledger *ledger.Ledger
	// Final is the state hash of each node at one common index, after healing.
	Final      map[string]string
	FinalIndex uint64
	Counters   *apiv1.Counters
	Faults     []Fault
	// Exits are processes that ended although nobody had told them to.
	Exits []string
	// Settled is the judgement of what happened after healing.
	Settled  []Verdict
	Duration time.Duration
	// Start is when the clock of Ops and Faults was at zero; Load is when on it the load ended.
	Start time.Time
	Load  time.Duration
	// Submissions are counted by the checkers.
	Submissions Submissions
}

// Fault is one thing that a nemesis did.
type Fault struct {
	Nemesis string        `json:"nemesis"`
	Target  string        `json:"target"`
	Begin   time.Duration `json:"begin"`
	End     time.Duration `json:"end"`
	// Effect says what was observed of it; "" makes the run invalid.
	Effect string `json:"effect"`
}

// Verdict is the judgement on one invariant.
type Verdict struct {
	ID    string `json:"id"`   // S1, A4 ...
	Rule  string `json:"rule"` // in one sentence
	Count int    `json:"count"`
	// Violations say where it was broken, with ids and log indexes; empty: it held. At most 20.
	Violations []string `json:"violations,omitempty"`
	// Total is how many violations there were in all.
	Total int `json:"total"`
}

// violationsMax bounds what is kept of a verdict.
const violationsMax = 20

// Violate adds a violation.
func (v *Verdict) Violate(text string) {
	v.Total++
	if len(v.Violations) < violationsMax {
		v.Violations = append(v.Violations, text)
	}
}

// Held reports whether nothing broke the invariant.
func (v *Verdict) Held() bool { return v.Total == 0 }

// Idle reports whether the run had nothing that could have broken it.
func (v *Verdict) Idle() bool { return v.Total == 0 && v.Count == 0 }
