package fsm

import (
	"maps"
	"slices"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	// defaultAgeingMS: a waiting task gains one level of priority a minute.
	defaultAgeingMS = 60_000
	// ageingOff stands for no ageing: a level takes 34 years.
	ageingOff = 1 << 40

	weightMax  = 1_000 // of a partition
	weightsMax = 1_000 // partitions of a queue that have a weight
)

// setQueue changes settings of a queue, and makes the queue when it is not there. What the command does
// not name stays. Proposed for Client.SetQueue.
//
// Refusals: INVALID, TOO_LARGE (too many queues, or weights).
func setQueue(t *tx, c *fsmpb.SetQueue) Answer {
	if !validName(c.Namespace) || !validName(c.Queue) {
		return no(CodeInvalid, "a namespace and a queue are named by 1 to 255 bytes without control characters")
	}
	if r := t.m.checkNames(c.Namespace, []string{c.Queue}, nil); r != nil {
		return Answer{Refusal: r}
	}
	if a := c.GetAgeingMs(); a < -1 || a >= ageingOff {
		return no(CodeInvalid, "ageing is the milliseconds of waiting that are worth one level of priority: more than 0, or 0 for the default (%d), or -1 for none", defaultAgeingMS)
	}
	var old map[string]uint32
	if id, ok := t.m.names.queueIDs[[2]string{c.Namespace, c.Queue}]; ok {
		old = t.m.names.queues[id].weights
	}
	weights, r := mergeWeights(old, c.Weights)
	if r != nil {
		return Answer{Refusal: r}
	}
	if r := checkBounds(c); r != nil {
		return Answer{Refusal: r}
	}
	q := t.m.names.queue(c.Namespace, c.Queue)
	t.setBounds(q, c)
	if c.AgeingMs != nil {
		q.ageingMS = c.GetAgeingMs()
	}
	q.weights = weights
	t.m.names.touchQueue(q)
	return Answer{}
}

// mergeWeights returns a new map, so that a refusal leaves the old one as it was.
func mergeWeights(old, change map[string]uint32) (map[string]uint32, *Refusal) {
	merged := maps.Clone(old)
	for _, name := range slices.Sorted(maps.Keys(change)) {
		w := change[name]
		switch {
		case !validPartition(name):
			return nil, refuse(CodeInvalid, "a partition is at most 255 bytes without control characters")
		case w > weightMax:
			return nil, refuse(CodeInvalid, "partition %q: a weight is from 1 to %d, or 0 to forget it", name, weightMax)
		case w == 0:
			delete(merged, name)
			continue
		}
		if merged == nil {
			merged = make(map[string]uint32)
		}
		merged[name] = w
	}
	if len(merged) > weightsMax {
		return nil, refuse(CodeTooLarge, "a queue has weights for at most %d partitions: give weights to the few that differ, all others have 1", weightsMax)
	}
	if len(merged) == 0 {
		return nil, nil
	}
	return merged, nil
}

// setPaused stops or starts the grants of a queue.
func (t *tx) setPaused(q *queue, paused bool) {
	q.paused = paused
	t.m.names.touchQueue(q)
	t.m.check(q)
}

// ageing is how long a task waits for one level of priority, in milliseconds.
func (q *queue) ageing() int64 {
	switch {
	case q.ageingMS < 0:
		return ageingOff
	case q.ageingMS == 0:
		return defaultAgeingMS
	}
	return q.ageingMS
}

// validPartition reports whether s can name a partition: "" is one like any other.
func validPartition(s string) bool { return s == "" || validName(s) }

func (q *queue) view() *QueueView {
	v := &QueueView{Namespace: q.namespace, Name: q.name, Pending: q.pending, Started: q.started, Paused: q.paused, AgeingMS: q.ageing(), Weights: q.weights}
	if q.ageingMS < 0 {
		v.AgeingMS = -1
	}
	return v
}
