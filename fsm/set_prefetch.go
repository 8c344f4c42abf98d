package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// setPrefetch says how many tasks of a queue a session may hold beyond its slots there. Proposed when a worker
// measures that its tasks are done in less time than the next ones take to come (or no longer are). Where it
// falls, what the session holds goes on: the worker hands back what it has not begun.
//
// Refusals: NOT_FOUND (the session has ended, or does not take from that queue), INVALID (its queues share slots,
// or it would have more than slotsMax with it).
// Again: the same number changes nothing.
func setPrefetch(t *tx, c *fsmpb.SetPrefetch) Answer {
	s := t.m.sessions[c.Session]
	if s == nil {
		return no(CodeNotFound, "session %d has ended: open a new one", c.Session)
	}
	var all uint64
	var of *slotGroup
	for _, g := range s.slots {
		if t.m.names.queues[g.queue].name == c.Queue {
			of = g
			all += uint64(c.Tasks)
		} else {
			all += uint64(g.prefetch)
		}
		all += uint64(g.slots)
	}
	switch {
	case of == nil:
		return no(CodeNotFound, "session %d does not take tasks from queue %q", c.Session, c.Queue)
	case s.shared > 0:
		return no(CodeInvalid, "the queues of session %d share its slots: tasks beyond them have no queue", c.Session)
	case all > slotsMax && c.Tasks > of.prefetch:
		return no(CodeInvalid, "%d slots and tasks beyond them are more than %d", all, slotsMax)
	case of.prefetch != c.Tasks:
		of.prefetch = c.Tasks
		t.m.check(t.m.names.queues[of.queue])
		t.set(keySession(s.id), s.encode())
	}
	return Answer{Session: s.id}
}
