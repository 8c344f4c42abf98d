// Package checker judges what has to be true of every run, whatever the work was: folds over the committed
// log, comparisons between replicas, and of what clients were told with what the log says. The ids of the
// invariants are S (submissions and ends), A (attempts and leases), D (order of tasks), T (time), X (replicas),
// L (liveness and hygiene).
package checker

import (
	"slices"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// Check judges a run, and counts what became of its submissions.
func Check(e *evidence.Evidence) []evidence.Verdict {
	all := events(e.Ledger.Entries)
	told, n := submissions(e.Ops, all)
	e.Submissions = n
	return slices.Concat([]evidence.Verdict{sameHashes(e), sameLogs(e), recount(e), neverBack(e), probes(e), exits(e), quiet(e)}, told, leases(all), attempts(all), order(all, totals(e)))
}

// totals reads off the last state how many tasks the steps of a job have.
func totals(e *evidence.Evidence) func(fsm.JobID, uint32) (uint64, bool) {
	known := map[fsm.JobID][]fsm.StepView{}
	return func(id fsm.JobID, step uint32) (uint64, bool) {
		steps, ok := known[id]
		if !ok {
			v := e.Ledger.Machine.View()
			defer v.Close()
			if job, err := v.Job(id); err == nil {
				steps = job.Steps
			}
			known[id] = steps
		}
		if int(step) >= len(steps) {
			return 0, false // the job was purged
		}
		return steps[step].Total, true
	}
}
