package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Plan is all that is decided before a simulation begins. The same seed and tier give the same plan.
type Plan struct {
	Tier    string `json:"tier"`
	Seed    uint64 `json:"seed"`
	Nodes   int    `json:"nodes"`
	Workers int    `json:"workers"`
	Slots   int    `json:"slots"` // of each worker
	// LeaseTTL is how long the cluster waits for a silent worker.
	LeaseTTL time.Duration `json:"lease_ttl"`
	// Threshold and Trailing are when a node flushes its state, and how much of the log it keeps then, in entries.
	Threshold uint64 `json:"threshold"`
	Trailing  uint64 `json:"trailing"`
	// Sync is the longest that a write to a log takes.
	Sync time.Duration `json:"sync"`
	// Load is how long there are operations and faults; then everything is healed, and has to end.
	Load   time.Duration `json:"load"`
	Ops    []Op          `json:"ops"`
	Faults []Fault       `json:"faults"`
	// Clocks are how far the nodes' clocks are off from the start.
	Clocks []time.Duration `json:"clocks"`
	// Crash kills a node at one of its writes; nil: none. It is not of the seed: see Writes.
	Crash *CrashAt `json:"crash,omitempty"`
}

// Op is something that a client does.
type Op struct {
	ID   int           `json:"id"`
	At   time.Duration `json:"at"`
	Kind string        `json:"kind"`
	N    int           `json:"n"` // how much of it
	// Pause is how long the client waits before the second thing that it does, such as a cancel.
	Pause time.Duration `json:"pause"`
}

// Fault is something that breaks.
type Fault struct {
	ID   int           `json:"id"`
	At   time.Duration `json:"at"`
	For  time.Duration `json:"for"`
	Kind string        `json:"kind"`
	Node int           `json:"node"` // or worker, or client
	Peer int           `json:"peer"`
	N    int           `json:"n"` // how much: percent of packets, or which write
}

// CrashAt is a power failure at the Nth write of a node, counted from its first start, before or after it.
type CrashAt struct {
	Node  int  `json:"node"`
	Write int  `json:"write"`
	After bool `json:"after"`
}

// armed is the share of plans, in percent, that a kind of fault is in.
const armed = 25

// Generate makes the plan of a seed.
func Generate(tier string, seed uint64) (Plan, error) {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	p := Plan{Tier: tier, Seed: seed, Nodes: 3, Workers: 3, Load: 20 * time.Second}
	var ops, faults []string
	switch tier {
	case TierCluster:
		ops, faults = clusterOps, clusterFaults
	case TierCore:
		ops, faults = coreOps, coreFaults
		p.Load = 5 * time.Second
	default:
		return p, fmt.Errorf("there is no tier %q; there are %v", tier, Tiers)
	}
	p.Slots = 1 + r.IntN(4)
	p.LeaseTTL = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second}[r.IntN(3)]
	if tier == TierCore {
		p.LeaseTTL = time.Second
	}
	p.Threshold, p.Trailing = 8192, 20480
	if r.IntN(100) < 50 {
		p.Threshold, p.Trailing = 4+r.Uint64N(30), 1+r.Uint64N(8)
	}
	p.Sync = time.Duration(r.IntN(4)) * time.Millisecond
	p.Clocks = make([]time.Duration, p.Nodes)
	if chance(r, armed) {
		for i := range p.Clocks {
			p.Clocks[i] = between(r, -3*time.Second, 3*time.Second)
		}
	}
	for _, kind := range ops {
		if chance(r, 50) {
			for range 1 + r.IntN(3) {
				p.Ops = append(p.Ops, Op{ID: len(p.Ops), At: between(r, 0, p.Load*3/4), Kind: kind, N: 1 + r.IntN(8), Pause: between(r, 0, 4*time.Second)})
			}
		}
	}
	if len(p.Ops) == 0 {
		p.Ops = []Op{{Kind: ops[r.IntN(len(ops))], N: 4}}
	}
	for _, kind := range faults {
		if chance(r, armed) {
			for range 1 + r.IntN(3) {
				p.Faults = append(p.Faults, Fault{
					ID: len(p.Faults), At: between(r, 0, p.Load), For: between(r, 50*time.Millisecond, 6*time.Second), Kind: kind,
					Node: r.IntN(p.Nodes), Peer: r.IntN(p.Nodes), N: r.IntN(100),
				})
			}
		}
	}
	slices.SortStableFunc(p.Ops, func(a, b Op) int { return int(a.At - b.At) })
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	return p, nil
}

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Int64N(int64(most-least)+1))).Truncate(time.Millisecond)
}
