package fsm

import "github.com/fanfold/fanfold/dag"

// pauseKey names a kind of task in one partition.
type pauseKey struct {
	kind      uint32
	partition string
}

// pauseMaxMS bounds how long a handler can hold back its kind.
const pauseMaxMS = 24 * 3_600_000

// rateLimited hands an attempt back because something that it needs is at its own limit (an answer 429):
// the task keeps its place, nothing is charged, and its kind grants nothing in its partition for a while.
// Of several such answers the latest end counts.
func (t *tx) rateLimited(j *job, ref TaskRef, tk *task, l *lease, ms int64) {
	t.m.state.RateLimited++
	key := pauseKey{l.kind, t.m.partName(l.part)}
	until := t.now + min(ms, pauseMaxMS, dag.MaxDurationMS)
	if old := t.m.pauses[key]; until > old {
		t.m.setPause(key, old, until)
		t.set(keyPause(key.kind, key.partition), encodePause(until))
	}
	t.unhold(j, ref)
	t.runnable(j, ref, tk)
}

// setPause replaces the end of a pause; old is 0 when there is none.
func (m *Machine) setPause(key pauseKey, old, until int64) {
	if old > 0 {
		m.expiries.Delete(expiry{at: old, kind: key.kind, name: key.partition})
	}
	m.pauses[key] = until
	m.expiries.ReplaceOrInsert(expiry{at: until, kind: key.kind, name: key.partition})
}
