package checker

import (
	"bytes"
	"fmt"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
)

// leases folds the log over who holds what, and whose results were accepted.
func leases(all []event) []evidence.Verdict {
	one := evidence.Verdict{ID: "A1", Rule: "a task is leased to one session at a time, and its fences only grow"}
	stale := evidence.Verdict{ID: "A2", Rule: "results, failures, checkpoints and hand-backs are accepted only under the lease that the task has"}
	same := evidence.Verdict{ID: "A9", Rule: "a result that is reported again is acknowledged only under the fence, and with the bytes, of the accepted one"}
	only := evidence.Verdict{ID: "A10", Rule: "a task has at most one accepted result"}
	final := evidence.Verdict{ID: "A4", Rule: "a task whose result was accepted is not granted again"}
	held := map[fsm.TaskRef]event{}
	last := map[fsm.TaskRef]fsm.Fence{}
	done := map[fsm.TaskRef]event{}
	under := func(e event, verb string) {
		stale.Count++
		if g, ok := held[e.ref]; !ok || g.fence != e.fence || g.session != e.session {
			stale.Violate(fmt.Sprintf("index %d: %s task %s of session %d under %s was accepted; its lease is %s of session %d", e.index, verb, e.ref, e.session, e.fence, g.fence, g.session))
		}
	}
	for _, e := range all {
		switch e.what {
		case completed:
			under(e, "CompleteTask of")
			only.Count++
			if first, ok := done[e.ref]; ok {
				only.Violate(fmt.Sprintf("index %d: task %s has a second result; the first is of index %d", e.index, e.ref, first.index))
			} else {
				done[e.ref] = e
			}
			delete(held, e.ref)
		case repeated:
			same.Count++
			first, ok := done[e.ref]
			if !ok || first.fence != e.fence || !bytes.Equal(first.result.GetInline(), e.result.GetInline()) {
				same.Violate(fmt.Sprintf("index %d: task %s under %s was acknowledged as accepted before; what was accepted is of index %d under %s", e.index, e.ref, e.fence, first.index, first.fence))
			}
		case failed:
			under(e, "FailTask of")
			delete(held, e.ref)
		case released:
			under(e, "ReleaseTask of")
			delete(held, e.ref)
		case saved:
			under(e, "SaveTask of")
		case revoked:
			if held[e.ref].fence == e.fence {
				delete(held, e.ref)
			}
		case closed:
			for ref, g := range held {
				if g.session == e.session {
					delete(held, ref)
				}
			}
		case granted:
			one.Count++
			final.Count++
			if first, ok := done[e.ref]; ok {
				final.Violate(fmt.Sprintf("index %d: task %s was leased to session %d; its result was accepted at index %d", e.index, e.ref, e.session, first.index))
			}
			if was, ok := held[e.ref]; ok {
				one.Violate(fmt.Sprintf("index %d: task %s was leased to session %d, session %d has it under %s", e.index, e.ref, e.session, was.session, was.fence))
			}
			if e.fence.Compare(last[e.ref]) <= 0 {
				one.Violate(fmt.Sprintf("index %d: task %s has fence %s after %s", e.index, e.ref, e.fence, last[e.ref]))
			}
			held[e.ref], last[e.ref] = e, e.fence
		}
	}
	return []evidence.Verdict{one, stale, final, same, only}
}
