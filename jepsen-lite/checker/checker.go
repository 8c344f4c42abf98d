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
	last := lastOf(e)
	told, n := submissions(e.Ops, all)
	e.Submissions = n
	return slices.Concat([]evidence.Verdict{sameHashes(e), sameLogs(e), recount(e), neverBack(e), expiries(e.Ledger.Entries), probes(e), exits(e), quiet(e), tidy(e), fair(all)}, oneLeader(e), damaged(e), unique(all), told, leases(all), attempts(all), order(all, totals(last)),
		clocks(e, all, last), limits(all), timeouts(all, last), []evidence.Verdict{ticks(e.Ledger.Entries, scheduledJobs(e))})
}

// lastOf reads jobs off the last state; nil: there is none.
func lastOf(e *evidence.Evidence) func(fsm.JobID) *fsm.JobView {
	known := map[fsm.JobID]*fsm.JobView{}
	return func(id fsm.JobID) *fsm.JobView {
		job, ok := known[id]
		if !ok {
			v := e.Ledger.Machine.View()
			defer v.Close()
			job, _ = v.Job(id) // the only error is that it is not there
			known[id] = job
		}
		return job
	}
}

// scheduledJobs are the jobs of the last state that schedules have made.
func scheduledJobs(e *evidence.Evidence) (made []*fsm.JobView) {
	v := e.Ledger.Machine.View()
	defer v.Close()
	for after, more := (fsm.JobID{}), true; more; more = !after.IsZero() {
		page, next, err := v.Jobs(fsm.JobFilter{}, after, 1000)
		if err != nil {
			return made
		}
		for _, j := range page {
			if j.Schedule != "" {
				made = append(made, j)
			}
		}
		after = next
	}
	return made
}

// totals says how many tasks the steps of a job have.
func totals(last func(fsm.JobID) *fsm.JobView) func(fsm.JobID, uint32) (uint64, bool) {
	return func(id fsm.JobID, step uint32) (uint64, bool) {
		job := last(id)
		if job == nil || int(step) >= len(job.Steps) {
			return 0, false // the job was purged
		}
		return job.Steps[step].Total, true
	}
}
