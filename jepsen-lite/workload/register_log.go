package workload

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// version is a value of a register, and what made it.
type version struct {
	index uint64
	kind  string
	token string
	value string
}

// versions are the values that the log gives each register, in order.
func versions(entries []ledger.Entry) map[string][]version {
	all := map[string][]version{}
	for _, e := range entries {
		if e.Result == nil {
			continue
		}
		for i, c := range e.Commands {
			a := e.Result.Answers[i]
			if a.Refusal != nil {
				continue
			}
			key, v := change(c, a)
			held := all[key]
			switch {
			case v.kind == "", v.kind == opCancel && (len(held) == 0 || held[len(held)-1].value != running):
				continue // canceled before: nothing changes
			}
			v.index = e.Index
			all[key] = append(held, v)
		}
	}
	return all
}

// change is what an accepted command makes of a register; kind "": nothing.
func change(c *fsmpb.Command, a fsm.Answer) (key string, v version) {
	switch k := c.Kind.(type) {
	case *fsmpb.Command_SubmitJob:
		if !a.Existing {
			return a.Job.String(), version{kind: opCreate, value: running}
		}
	case *fsmpb.Command_CancelJob:
		return a.Job.String(), version{kind: opCancel, token: k.CancelJob.Reason, value: canceled + ":" + k.CancelJob.Reason}
	case *fsmpb.Command_RetryJob:
		return a.Job.String(), version{kind: opRetry, value: running}
	case *fsmpb.Command_SetQueue:
		if k.SetQueue.AgeingMs != nil {
			ms := strconv.FormatInt(k.SetQueue.GetAgeingMs(), 10)
			return queuePrefix + k.SetQueue.Queue, version{kind: opWrite, token: ms, value: ms}
		}
	}
	return "", version{}
}

// valueAt is what a register holds at an index.
func valueAt(all []version, index uint64) string {
	n, _ := slices.BinarySearchFunc(all, index+1, func(v version, index uint64) int { return cmp.Compare(v.index, index) })
	if n == 0 {
		return absent
	}
	return all[n-1].value
}

// seen says by when the log had come to an index: when the first client had an answer that holds at it.
type seen struct {
	index []uint64        // ascending
	end   []time.Duration // the first end of an operation that names this index or a later one
}

func seenOf(ops []history.Op) (s seen) {
	var named []history.Op
	for _, op := range ops {
		if op.Index > 0 {
			named = append(named, op)
		}
	}
	slices.SortFunc(named, func(a, b history.Op) int { return cmp.Compare(a.Index, b.Index) })
	s.index, s.end = make([]uint64, len(named)), make([]time.Duration, len(named))
	for i := len(named) - 1; i >= 0; i-- {
		s.index[i], s.end[i] = named[i].Index, named[i].End
		if i+1 < len(named) {
			s.end[i] = min(s.end[i], s.end[i+1])
		}
	}
	return s
}

// by is when somebody had seen an index; last when nobody had.
func (s seen) by(index uint64, last time.Duration) time.Duration {
	i, _ := slices.BinarySearch(s.index, index)
	if i == len(s.index) {
		return last
	}
	return s.end[i]
}

// resolved are the operations on one register without those whose outcome is unknown: what of them is in the log
// has happened, by the time that somebody saw so, and has an answer that nobody heard; what is not never happens.
// Creations and retries carry nothing that tells one from another. What the log has of them beyond those that were
// acknowledged is one of the unknown ones, and may have begun with the first of these: a wider interval is a weaker
// check, and never a wrong one.
//
// untrue are the effects that nobody can have had: their operations were refused, or there was none.
func resolved(ops []history.Op, log []version, s seen, last time.Duration) (all []history.Op, untrue []version) {
	left := map[string][]version{}
	for _, v := range log {
		left[v.kind+v.token] = append(left[v.kind+v.token], v)
	}
	unknown := map[string][]history.Op{}
	for _, op := range ops {
		id := op.Kind + op.Value
		if op.Kind == opCreate || op.Kind == opRetry {
			id = op.Kind
		}
		switch {
		case op.Outcome == history.Unknown:
			unknown[id] = append(unknown[id], op)
			continue
		case op.Outcome == history.OK && op.Kind != opRead && op.Kind != opStale:
			left[id] = slices.DeleteFunc(left[id], func(v version) bool { return v.index == op.Index })
		}
		if op.Kind != opStale && (op.Outcome == history.OK || op.Answer == notFound || op.Answer == notEnded) {
			all = append(all, op)
		}
	}
	for id, vs := range left {
		for i, v := range vs {
			if i >= len(unknown[id]) {
				untrue = append(untrue, v)
				continue
			}
			op := unknown[id][0]
			for _, other := range unknown[id] {
				op.Begin = min(op.Begin, other.Begin)
			}
			op.Client = unknown[id][i].Client
			op.Outcome, op.Index, op.Answer, op.End = history.OK, v.index, "", max(op.Begin, s.by(v.index, last))
			all = append(all, op)
		}
	}
	return all, untrue
}
