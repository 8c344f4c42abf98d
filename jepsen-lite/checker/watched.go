package checker

import (
	"fmt"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// neverBack judges what nodes said of their states, from start to start.
func neverBack(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "X3", Rule: "what a node said is on its disk is there when it comes back, and never less", Count: len(e.Samples)}
	type disk struct {
		node   string
		number int
	}
	flushed := map[disk]uint64{}
	for _, s := range e.Samples {
		d := disk{s.Node, s.Disk}
		if was := flushed[d]; s.Applied < was || s.Flushed < was {
			v.Violate(fmt.Sprintf("at %v node %s is at index %d, of which %d is on its disk; it had said that %d is", s.At.Round(time.Millisecond), s.Node, s.Applied, s.Flushed, was))
		}
		flushed[d] = max(flushed[d], s.Flushed)
	}
	return v
}

// probes compares the hashes of nodes during the run with the replay's.
func probes(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "X4", Rule: "a state that a snapshot has brought, and what is applied to it, has the hashes of the replay", Count: len(e.Probes)}
	for _, p := range e.Probes {
		if want, ok := e.Ledger.Hashes[p.Index]; p.Hash != want && ok {
			v.Violate(fmt.Sprintf("at index %d node %s has %s, the replay %s", p.Index, p.Node, p.Hash, want))
		}
	}
	return v
}

// quiet judges what the processes wrote.
func quiet(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "L5", Rule: "no process reports a panic, a data race or a fatal error", Count: e.Output.Lines}
	for _, a := range e.Output.Alarms {
		v.Violate(a)
	}
	return v
}

// damaged judges what is read of damaged logs. none: no log was damaged.
func damaged(e *evidence.Evidence) []evidence.Verdict {
	if len(e.Ledger.Damaged) == 0 {
		return nil
	}
	v := evidence.Verdict{ID: "X5", Rule: "reading a damaged log gives what was committed, or an error", Count: len(e.Ledger.Damaged)}
	for _, d := range e.Ledger.Damaged {
		for _, wrong := range d.Wrong {
			v.Violate(wrong)
		}
	}
	return []evidence.Verdict{v}
}
