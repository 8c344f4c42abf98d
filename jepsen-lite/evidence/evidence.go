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
	// Samples are what nodes said of themselves during the run, in the order of time.
	Samples []Sample
	// Probes are hashes that nodes had of their state during the run.
	Probes []Probe
	// Lag is by how much the runner itself was kept from running, at most: more than an election takes says
	// that the machine was starved.
	Lag time.Duration
	// Slow is how long a node took to say how it is, at most, of those that said so.
	Slow time.Duration
	// Moves says that the workload itself moves the leader.
	Moves bool
	// Output is what was found in the logs of the processes.
	Output Output
	// Vitals are what nodes held before the load and after the run.
	Vitals []NodeVitals
	// Settled is the judgement of what happened after healing.
	Settled  []Verdict
	Duration time.Duration
	// Start is when the clock of Ops and Faults was at zero; Load is when on it the load ended.
	Start time.Time
	Load  time.Duration
	// Submissions are counted by the checkers.
	Submissions Submissions
}

// Sample is what a node said of itself.
type Sample struct {
	At   time.Duration `json:"at"`
	Node string        `json:"node"`
	// Disk counts how often the node's disk was replaced before.
	Disk int `json:"disk"`
	// Leader is who leads, as far as the node knows.
	Leader  string `json:"leader"`
	Term    uint64 `json:"term"`
	Applied uint64 `json:"applied"` // index
	Flushed uint64 `json:"flushed"` // index up to which the state is on the disk
}

// Probe is the hash of a node's state at an index.
type Probe struct {
	Node  string `json:"node"`
	Index uint64 `json:"index"`
	Hash  string `json:"hash"`
}

// Output is what was found in the logs of the processes of a run.
type Output struct {
	Lines int // read
	// Alarms are lines of a panic, a data race or a fatal error.
	Alarms []string
	// Installs are how often a node has put the leader's state in the place of its own.
	Installs map[string]int
}

// Installed is how often any node has.
func (o Output) Installed() (n int) {
	for _, k := range o.Installs {
		n += k
	}
	return n
}

// Vitals are what a process holds. Files and Sockets are 0 where the system does not tell.
type Vitals struct {
	PID        int   `json:"pid"`
	UnixMS     int64 `json:"unix_ms"`
	Goroutines int   `json:"goroutines"`
	Files      int   `json:"files"`
	Sockets    int   `json:"sockets"`
}

// NodeVitals are those of a node, and the sizes of what it has on its disk.
type NodeVitals struct {
	Node   string           `json:"node"`
	Before Vitals           `json:"before"`
	After  Vitals           `json:"after"`
	Bytes  map[string]int64 `json:"bytes"`
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
