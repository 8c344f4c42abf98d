package fsm

import (
	"crypto/sha256"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// overBudgetRetryMS is the hint that goes with OVER_BUDGET. Room comes as jobs end or are purged; the state
// does not know when, and a client that asks once a second costs next to nothing.
const overBudgetRetryMS = 1000

// overBudget decides whether a new job from outside may come in. The callback of a batch is a promise
// that was given before, and always may; a tick of a schedule asks by itself (schedule_tick.go).
//
// A job counts for the queue of its first step; a queue that is drained refuses every graph that names it.
// The last job let in may pass the bound of bytes by what its results add.
func (t *tx) overBudget(c *fsmpb.SubmitJob) *Refusal {
	n := &t.m.names
	if b := n.budget; b != nil {
		if r := b.budget.refuses(tally{n.total.jobs, n.total.bytes}, "the cluster", "`fanfold cluster budget`"); r != nil {
			return r
		}
	}
	if n.controlled == 0 {
		return nil
	}
	sum := sha256.Sum256(c.Graph)
	graph, err := t.graph(graphHash(sum[:16]), c.Graph)
	if err != nil {
		return nil // refused before
	}
	for i, name := range queuesOf(graph) {
		id, ok := n.queueIDs[[2]string{c.Namespace, name}]
		if !ok || n.queues[id].control == nil {
			continue
		}
		q := n.queues[id]
		if q.control.draining {
			return refuse(CodeQueueDraining, "queue %q is drained and takes no new jobs: use another queue, or `fanfold queue undrain %s`", name, name)
		}
		if i > 0 {
			continue
		}
		if r := q.control.budget.refuses(q.live, "queue "+name, "`fanfold queue set`"); r != nil {
			return r
		}
	}
	return nil
}

func (b *fsmBudget) refuses(n tally, who, how string) *Refusal {
	var r *Refusal
	switch {
	case b.jobs > 0 && n.jobs >= b.jobs:
		r = refuse(CodeOverBudget, "%s has %d unfinished jobs, and its budget is %d: submit again when some have ended, add workers, or raise the budget by %s", who, n.jobs, b.jobs, how)
	case b.bytes > 0 && n.bytes >= b.bytes:
		r = refuse(CodeOverBudget, "%s holds %d bytes of inputs and results, and its budget is %d: submit again when jobs have ended or were purged, or raise the budget by %s", who, n.bytes, b.bytes, how)
	default:
		return nil
	}
	r.RetryAfterMS = overBudgetRetryMS
	return r
}

// setBudget bounds what the whole cluster takes in. Proposed for Client.SetBudget.
//
// Refusals: INVALID.
// Again: changes nothing.
func setBudget(t *tx, c *fsmpb.SetBudget) Answer {
	b, r := budgetOf(c.Budget)
	if r != nil {
		return Answer{Refusal: r}
	}
	t.m.names.budget = &control{budget: b}
	t.set(keyControl(0), t.m.names.budget.encode())
	return Answer{}
}

// boundMax keeps sums of bounds far from the end of a number.
const boundMax = 1 << 60

func budgetOf(b *fsmpb.Budget) (fsmBudget, *Refusal) {
	if b.GetJobs() > boundMax || b.GetBytes() > boundMax {
		return fsmBudget{}, refuse(CodeInvalid, "a budget is at most 2^60 jobs and bytes; 0 is no bound")
	}
	return fsmBudget{b.GetJobs(), b.GetBytes()}, nil
}

func retentionOf(r *fsmpb.Retention) (keep, *Refusal) {
	if r.GetAgeMs() < 0 || r.GetAgeMs() > dag.MaxDurationMS || r.GetCount() > boundMax || r.GetBytes() > boundMax {
		return keep{}, refuse(CodeInvalid, "retention is an age of up to ten years, and at most 2^60 jobs and bytes; 0 is the default age and no bound")
	}
	return keep{ageMS: r.GetAgeMs(), count: r.GetCount(), bytes: r.GetBytes()}, nil
}

// checkBounds refuses what SetQueue cannot set.
func checkBounds(c *fsmpb.SetQueue) *Refusal {
	for _, p := range []*fsmpb.Retention{c.Success, c.Failure, c.Canceled} {
		if _, r := retentionOf(p); r != nil {
			return r
		}
	}
	_, r := budgetOf(c.Budget)
	return r
}

// setBounds sets what SetQueue names of retention and budget.
func (t *tx) setBounds(q *queue, c *fsmpb.SetQueue) {
	if c.Success == nil && c.Failure == nil && c.Canceled == nil && c.Budget == nil {
		return
	}
	k := t.control(q)
	for i, p := range []*fsmpb.Retention{c.Success, c.Failure, c.Canceled} {
		if p != nil {
			to, _ := retentionOf(p)
			t.setRetention(q, endedStates[i], to)
		}
	}
	if c.Budget != nil {
		k.budget, _ = budgetOf(c.Budget)
	}
	t.saveControl(q)
}
