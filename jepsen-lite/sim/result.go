package sim

import (
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// Tiers names them.
var Tiers = []string{TierCore, TierCluster}

// The tiers.
const (
	TierCore    = "core"    // engines and state machines over a simulated Raft: many seeds
	TierCluster = "cluster" // whole nodes, workers and clients: everything
)

// Result is what became of a plan.
type Result struct {
	Plan Plan `json:"plan"`
	// Broken are the invariants that did not hold, the first one to be believed first.
	Broken []evidence.Verdict `json:"broken,omitempty"`
	// Error is why the plan could not be run or judged: a panic, a process that hangs.
	Error string `json:"error,omitempty"`

	Virtual time.Duration  `json:"virtual"` // how long the simulation lasted for those in it
	CPU     time.Duration  `json:"cpu"`     // and how long here
	Entries int            `json:"entries"` // in the log
	Ops     int            `json:"ops"`     // calls of clients
	Fired   map[string]int `json:"fired,omitempty"`
	Writes  []int          `json:"writes"` // of each node's disk

	Submissions evidence.Submissions `json:"submissions"`
	// Digest is a hash of the log, for comparing two runs of a plan.
	Digest string `json:"digest"`
	// Checked counts, by invariant, how many things were judged.
	Checked map[string]int `json:"checked,omitempty"`
}

// Failed reports whether the plan found something.
func (r *Result) Failed() bool { return len(r.Broken) > 0 || r.Error != "" }

// Why names what was found first.
func (r *Result) Why() string {
	switch {
	case len(r.Broken) > 0:
		v := r.Broken[0]
		if len(v.Violations) > 0 {
			return v.ID + ": " + v.Violations[0]
		}
		return v.ID
	default:
		return r.Error
	}
}
