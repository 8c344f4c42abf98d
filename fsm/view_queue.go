package fsm

import "bytes"

// Tally counts jobs and the bytes of their inputs and results.
type Tally struct{ Jobs, Bytes uint64 }

// Retention bounds the ended jobs of a state; zero fields: the default age, no bound.
type Retention struct {
	AgeMS        int64
	Count, Bytes uint64
}

// Budget bounds what is taken in; 0 = no bound.
type Budget struct{ Jobs, Bytes uint64 }

// QueueJobs are the jobs whose first step is in a queue, and what bounds them.
type QueueJobs struct {
	Unfinished                 Tally
	Success, Failure, Canceled Tally
	Draining, Purging          bool
	Purged                     uint64 // jobs that the purge under way, or the last one, has canceled
	Budget                     Budget
	KeepSuccess, KeepFailure   Retention
	KeepCanceled               Retention
}

// jobs reads what a queue's record and its control say about jobs.
func (v *View) jobs(q *queue) QueueJobs {
	out := QueueJobs{
		Unfinished: Tally{q.live.jobs, q.live.bytes}, Success: Tally{q.ended[0].jobs, q.ended[0].bytes}, Failure: Tally{q.ended[1].jobs, q.ended[1].bytes}, Canceled: Tally{q.ended[2].jobs, q.ended[2].bytes},
	}
	b := v.disk.get(keyControl(q.id))
	if b == nil {
		return out
	}
	c := decodeControl(bytes.Clone(b))
	out.Draining, out.Purging, out.Purged = c.draining, c.purgeSeq != 0, c.purged
	out.Budget = Budget{c.budget.jobs, c.budget.bytes}
	for i, to := range []*Retention{&out.KeepSuccess, &out.KeepFailure, &out.KeepCanceled} {
		*to = Retention{c.keep[i].ageMS, c.keep[i].count, c.keep[i].bytes}
	}
	return out
}

// Budget is what bounds the whole cluster, and what is used of it: unfinished jobs, and the bytes of all.
func (v *View) Budget() (b Budget, used Tally, err error) {
	defer catch(&err)
	if raw := v.disk.get(keyControl(0)); raw != nil {
		c := decodeControl(bytes.Clone(raw))
		b = Budget{c.budget.jobs, c.budget.bytes}
	}
	for _, q := range v.queues() {
		used.Jobs += q.live.jobs
		used.Bytes += q.stored()
	}
	return b, used, nil
}
