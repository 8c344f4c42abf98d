package workload

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// registerTimeout bounds the search for an order, for each key.
const registerTimeout = time.Minute

func checkRegister(e *evidence.Evidence) []evidence.Verdict {
	ops := slices.DeleteFunc(slices.Clone(e.Ops), func(op history.Op) bool { return op.Node == "" })
	return judgeRegister(ops, versions(e.Ledger.Entries), e.Dir)
}

// judgeRegister judges operations by the versions that the log has.
func judgeRegister(ops []history.Op, log map[string][]version, dir string) []evidence.Verdict {
	order := evidence.Verdict{ID: "C1", Rule: "the operations on a register are linearizable"}
	untrue := evidence.Verdict{ID: "S6", Rule: "a change of a register that was refused was not made"}
	keys := map[string][]history.Op{}
	last := time.Duration(0)
	for _, op := range ops {
		keys[op.Key] = append(keys[op.Key], op)
		last = max(last, op.End)
	}
	s := seenOf(ops)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		known, phantoms := resolved(keys[key], log[key], s, last)
		order.Count++
		if text := linearizable(key, known, registerTimeout, dir); text != "" {
			order.Violate(text)
		}
		for _, op := range keys[key] {
			if op.Outcome == history.Fail {
				untrue.Count++
			}
		}
		for _, v := range phantoms {
			untrue.Violate(fmt.Sprintf("index %d: %s of key %s (%s) is in the log; no client has done it, or heard that it may have been done", v.index, v.kind, key, v.token))
		}
	}
	return append([]evidence.Verdict{order, untrue}, indexes(ops, log)...)
}

// indexes holds what answers say of their place in the log against the log, and against what was said before.
func indexes(ops []history.Op, log map[string][]version) []evidence.Verdict {
	fresh := evidence.Verdict{ID: "C1", Rule: "a linearizable answer holds at an index that nobody had heard of a later one of when it was asked for"}
	forward := evidence.Verdict{ID: "C2", Rule: "no client sees the cluster go back"}
	exact := evidence.Verdict{ID: "C3", Rule: "every answer, a stale one too, says its index, and is what the log says at it"}
	heard := heardOf(ops)
	newest := map[string]history.Op{} // of each client
	for _, op := range ops {
		if op.Outcome != history.OK || op.Index == 0 && op.Answer == absent {
			continue
		}
		exact.Count++
		if text := disagrees(op, log[op.Key]); text != "" {
			exact.Violate(fmt.Sprintf("index %d: %s of key %s by %s at %v, answered by %s: %s", op.Index, op.Kind, op.Key, op.Client, op.Begin, op.Node, text))
		}
		if op.Kind == opStale {
			continue
		}
		fresh.Count++
		if before, ok := heard.before(op.Begin); ok && before.Index > op.Index {
			fresh.Violate(fmt.Sprintf("index %d: %s of key %s by %s began at %v and was answered by %s; at %v %s had been answered with index %d",
				op.Index, op.Kind, op.Key, op.Client, op.Begin, op.Node, before.End, before.Client, before.Index))
		}
		forward.Count++
		if was, ok := newest[op.Client]; ok && was.Index > op.Index && was.End <= op.Begin {
			forward.Violate(fmt.Sprintf("index %d: %s of key %s at %v; %s had seen index %d at %v", op.Index, op.Kind, op.Key, op.Begin, op.Client, was.Index, was.End))
		}
		if newest[op.Client].Index <= op.Index {
			newest[op.Client] = op
		}
	}
	return []evidence.Verdict{fresh, forward, exact}
}

// disagrees says where an answer differs from the log; "": nowhere.
func disagrees(op history.Op, log []version) string {
	has := func(kind, token string) bool {
		return slices.ContainsFunc(log, func(v version) bool { return v.index == op.Index && v.kind == kind && v.token == token })
	}
	switch {
	case op.Index == 0:
		return "the answer does not say its index"
	case op.Kind == opRead || op.Kind == opStale:
		if holds := valueAt(log, op.Index); holds != op.Answer {
			return fmt.Sprintf("the answer is %s, and the log says %s", op.Answer, holds)
		}
	case op.Kind == opWrite && !has(opWrite, op.Value), op.Kind == opCreate && op.Answer == created && !has(opCreate, ""), op.Kind == opRetry && !has(opRetry, ""):
		return "the log does not have it"
	}
	return ""
}

// heard is, at each time at which somebody had an answer, the answer of the highest index so far.
type heard []struct {
	at  time.Duration
	top history.Op
}

func heardOf(ops []history.Op) (h heard) {
	byEnd := slices.DeleteFunc(slices.Clone(ops), func(op history.Op) bool { return op.Index == 0 })
	slices.SortFunc(byEnd, func(a, b history.Op) int { return cmp.Compare(a.End, b.End) })
	h = make(heard, len(byEnd))
	for i, op := range byEnd {
		h[i].at, h[i].top = op.End, op
		if i > 0 && h[i-1].top.Index > op.Index {
			h[i].top = h[i-1].top
		}
	}
	return h
}

// before is the answer of the highest index that had come before a time.
func (h heard) before(t time.Duration) (top history.Op, ok bool) {
	n := sort.Search(len(h), func(i int) bool { return h[i].at >= t })
	if n == 0 {
		return top, false
	}
	return h[n-1].top, true
}
