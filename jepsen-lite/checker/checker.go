// Package checker judges what has to be true of every run, whatever the work was: folds over the committed
// log, and comparisons between replicas.
package checker

import (
	"fmt"
	"slices"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// Check judges a run.
func Check(e *evidence.Evidence) []evidence.Verdict {
	return slices.Concat([]evidence.Verdict{sameLogs(e), sameHashes(e), invariants(e), exits(e)}, leases(e))
}

func sameLogs(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "X1", Rule: "the committed logs of all nodes are the same", Count: len(e.Ledger.Entries)}
	for _, d := range e.Ledger.Disagreements {
		v.Violate(d)
	}
	return v
}

// sameHashes compares each node's state with the replay's.
func sameHashes(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "X2", Rule: "each node's state has the hash that a replay from nothing has", Count: len(e.Final)}
	want := e.Ledger.Hashes[e.FinalIndex]
	for id, hash := range e.Final {
		if hash != want {
			v.Violate(fmt.Sprintf("at index %d node %s has %s, the replay %s", e.FinalIndex, id, hash, want))
		}
	}
	return v
}

// invariants recomputes what the state machine keeps derived.
func invariants(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "X3", Rule: "every derived number of the last state is what a recount gives", Count: 1}
	if err := e.Ledger.Machine.Check(); err != nil {
		v.Violate(err.Error())
	}
	return v
}

func exits(e *evidence.Evidence) evidence.Verdict {
	v := evidence.Verdict{ID: "H1", Rule: "no process ended that nobody had killed", Count: 1}
	for _, x := range e.Exits {
		v.Violate(x)
	}
	return v
}

// leases folds the log over what is held by whom.
func leases(e *evidence.Evidence) []evidence.Verdict {
	one := evidence.Verdict{ID: "A1", Rule: "a task is leased to one session at a time"}
	grow := evidence.Verdict{ID: "A2", Rule: "the fences of a task only grow"}
	stale := evidence.Verdict{ID: "A3", Rule: "a result is accepted only under the lease that the task has"}
	final := evidence.Verdict{ID: "A4", Rule: "a task has one accepted result, and a job one end"}
	held := map[fsm.TaskRef]fsm.Grant{}
	last := map[fsm.TaskRef]fsm.Fence{}
	done := map[fsm.TaskRef]uint64{}
	ended := map[fsm.JobID]uint64{}
	for _, entry := range e.Ledger.Entries {
		if entry.Result == nil {
			continue
		}
		for i, c := range entry.Commands {
			a := entry.Result.Answers[i]
			switch k := c.Kind.(type) {
			case *fsmpb.Command_CompleteTask:
				ref, fence := refOf(k.CompleteTask.GetTask()), fenceOf(k.CompleteTask.GetFence())
				if a.Refusal != nil || a.Duplicate {
					continue
				}
				stale.Count++
				final.Count++
				if g, ok := held[ref]; !ok || g.Fence != fence {
					stale.Violate(fmt.Sprintf("index %d: the result of task %s under %s was accepted, its lease is %v", entry.Index, ref, fence, g.Fence))
				}
				if at, ok := done[ref]; ok {
					final.Violate(fmt.Sprintf("index %d: task %s has a second result; the first is of index %d", entry.Index, ref, at))
				}
				done[ref] = entry.Index
				delete(held, ref)
			case *fsmpb.Command_FailTask:
				release(held, k.FailTask.GetTask(), k.FailTask.GetFence(), a)
			case *fsmpb.Command_ReleaseTask:
				release(held, k.ReleaseTask.GetTask(), k.ReleaseTask.GetFence(), a)
			case *fsmpb.Command_CloseSession:
				for ref, g := range held {
					if g.Session == k.CloseSession.GetSession() {
						delete(held, ref)
					}
				}
			case *fsmpb.Command_RetryJob, *fsmpb.Command_PurgeJob:
				if a.Refusal == nil {
					delete(ended, a.Job)
				}
			}
		}
		for _, r := range entry.Result.Revokes {
			delete(held, r.Task)
		}
		for _, g := range entry.Result.Grants {
			one.Count++
			grow.Count++
			if was, ok := held[g.Task]; ok {
				one.Violate(fmt.Sprintf("index %d: task %s was leased to session %d, session %d has it under %s", entry.Index, g.Task, g.Session, was.Session, was.Fence))
			}
			if g.Fence.Compare(last[g.Task]) <= 0 {
				grow.Violate(fmt.Sprintf("index %d: task %s has fence %s after %s", entry.Index, g.Task, g.Fence, last[g.Task]))
			}
			held[g.Task], last[g.Task] = g, g.Fence
		}
		for _, f := range entry.Result.Finished {
			final.Count++
			if at, ok := ended[f.Job]; ok {
				final.Violate(fmt.Sprintf("index %d: job %s ended a second time; the first was at index %d", entry.Index, f.Job, at))
			}
			ended[f.Job] = entry.Index
		}
	}
	return []evidence.Verdict{one, grow, stale, final}
}

func release(held map[fsm.TaskRef]fsm.Grant, task *fsmpb.TaskRef, f *fsmpb.Fence, a fsm.Answer) {
	ref := refOf(task)
	if g, ok := held[ref]; ok && a.Refusal == nil && !a.Duplicate && g.Fence == fenceOf(f) {
		delete(held, ref)
	}
}

func refOf(t *fsmpb.TaskRef) fsm.TaskRef {
	var id fsm.JobID
	copy(id[:], t.GetJob())
	return fsm.TaskRef{Job: id, Step: t.GetStep(), Shard: t.GetShard()}
}

func fenceOf(f *fsmpb.Fence) fsm.Fence { return fsm.Fence{Index: f.GetIndex(), Pos: f.GetPos()} }
