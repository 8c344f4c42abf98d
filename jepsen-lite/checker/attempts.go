package checker

import (
	"fmt"
	"slices"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// tries is what a task has been charged with.
type tries struct {
	held              event // its lease
	leased            bool
	attempts, crashes uint32
	dueMS             int64 // no attempt before
	done              bool
}

// attempts folds the log over what tasks are charged with, and when they may run again.
func attempts(all []event) []evidence.Verdict {
	charge := evidence.Verdict{ID: "A3", Rule: "attempts and crashes charged are those that were, and never reach the limit and go on"}
	early := evidence.Verdict{ID: "A8", Rule: "an attempt never begins before the delay after a failure is over"}
	graph := graphs(all)
	tasks := map[fsm.TaskRef]*tries{}
	task := func(ref fsm.TaskRef) *tries {
		if tasks[ref] == nil {
			tasks[ref] = &tries{}
		}
		return tasks[ref]
	}
	redrives := false
	slots := map[uint64]map[string]uint32{} // by session and queue; nil: shared
	for _, e := range all {
		switch e.what {
		case completed:
			k := task(e.ref)
			k.leased, k.done = false, true
			k.attempts++
		case failed:
			k := task(e.ref)
			k.leased = false
			after := min(e.fail.RetryAfterMs, dag.MaxDurationMS)
			switch {
			case e.fail.Snooze:
				k.dueMS = e.nowMS + max(after, 1)
			case e.fail.RateLimitedMs > 0:
			case discarded(graph[e.job], e):
			default:
				k.fail(e, graph[e.job], after)
			}
		case released:
			task(e.ref).leased = false
		case revoked:
			k := task(e.ref)
			if k.leased && k.held.fence == e.fence {
				k.leased = false
				if e.cause == "TIMEOUT" {
					k.fail(e, graph[e.job], 0)
				}
			}
		case opened:
			slots[e.session] = slotsOf(e.open)
		case closed:
			var held []*tries
			for _, k := range tasks {
				if k.leased && k.held.session == e.session {
					k.leased = false
					held = append(held, k)
				}
			}
			if e.lost {
				crash(held, slots[e.session])
			}
		case retried:
			for ref, k := range tasks {
				if ref.Job == e.job && !k.done {
					delete(tasks, ref)
				}
			}
		case redriven:
			redrives = true
		case granted:
			k := task(e.ref)
			k.held, k.leased = e, true
			if redrives {
				continue // a redrive runs jobs again without a command that says so
			}
			charge.Count++
			early.Count++
			if e.grant.Attempt != k.attempts+1 || e.grant.Crashes != k.crashes {
				charge.Violate(fmt.Sprintf("index %d: task %s begins attempt %d after %d crashes; %d attempts and %d crashes were charged", e.index, e.ref, e.grant.Attempt, e.grant.Crashes, k.attempts, k.crashes))
			}
			if g := graph[e.job]; g != nil {
				r := g.Step(dag.StepID(e.ref.Step)).Options.Retry.WithDefaults()
				if k.attempts >= r.MaxAttempts || k.crashes >= r.CrashLimit {
					charge.Violate(fmt.Sprintf("index %d: task %s is granted after %d attempts and %d crashes; its limits are %d and %d", e.index, e.ref, k.attempts, k.crashes, r.MaxAttempts, r.CrashLimit))
				}
			}
			if e.nowMS < k.dueMS {
				early.Violate(fmt.Sprintf("index %d: task %s is granted %d ms before its delay is over", e.index, e.ref, k.dueMS-e.nowMS))
			}
		}
	}
	return []evidence.Verdict{charge, early}
}

// slotsOf is a session's slots by queue; nil when the queues share them.
func slotsOf(o *fsmpb.OpenSession) map[string]uint32 {
	if o.GetSlots() > 0 {
		return nil
	}
	slots := map[string]uint32{}
	for _, q := range o.GetQueues() {
		slots[q.GetQueue()] = q.GetSlots()
	}
	return slots
}

// crash charges what a lost worker held: the oldest leases of each queue, as many as it had slots. The rest waited in
// the worker and had not begun.
func crash(held []*tries, slots map[string]uint32) {
	slices.SortFunc(held, func(x, y *tries) int { return x.held.fence.Compare(y.held.fence) })
	begun := map[string]uint32{}
	for _, k := range held {
		q := k.held.grant.Queue
		if begun[q]++; slots == nil || begun[q] <= slots[q] {
			k.crashes++
		}
	}
}

// fail charges a failed attempt, and sets when the next may begin. after is what the function asked for, in ms.
func (k *tries) fail(e event, g *dag.Graph, after int64) {
	k.attempts++
	k.dueMS = e.nowMS + after
	if after <= 0 && g != nil {
		k.dueMS = e.nowMS + leastDelay(g.Step(dag.StepID(e.ref.Step)).Options.Retry.WithDefaults(), k.attempts)
	}
}

// leastDelay is the policy's delay when the jitter takes away as much as it may.
func leastDelay(r dag.Retry, failures uint32) int64 {
	percent := min(max(r.JitterPercent, 0), 100)
	r.JitterPercent = -1
	delay := r.DelayMS(failures, 0)
	return delay - (delay/100*int64(percent) + delay%100*int64(percent)/100)
}

// discarded reports whether a failure says that its task is not wanted any more: nothing is charged.
func discarded(g *dag.Graph, e event) bool {
	return e.fail.Discard || g != nil && slices.Contains(g.Step(dag.StepID(e.ref.Step)).Options.Retry.DiscardOn, e.fail.GetError().GetType())
}
