package fsm

import (
	"cmp"
	"slices"
)

// A session may have slots that all its queues share. Its queues have weights then: in turn, so that in
// the long run each queue that has tasks gets slots by its weight (stride scheduling), or strictly, the
// queue of the greatest weight first as long as it has a task.

// matchShared fills shared slots. The session with the most free slots goes first, then the oldest; it
// takes from its queues by its policy. It returns false at the bound.
func (t *tx) matchShared() bool {
	open := t.openSessions()
	for len(open) > 0 {
		s := open[0]
		for _, o := range open[1:] {
			if o.freeShared() > s.freeShared() {
				s = o
			}
		}
		g, l, i := t.nextOf(s)
		switch {
		case g == nil:
		case len(t.res.Grants) >= grantMax:
			return false
		default:
			t.grant(t.m.names.queues[g.queue], l, i, g)
			if s.freeShared() > 0 {
				continue
			}
		}
		open = slices.DeleteFunc(open, func(o *session) bool { return o == s })
	}
	return true
}

// openSessions are the sessions with a free shared slot that serve a queue to be looked at, by id. Looking
// through the queues of all sessions instead costs 10,000 looks for each entry with 40 workers of 250
// queues.
func (t *tx) openSessions() []*session {
	if len(t.m.sharing) == 0 {
		return nil
	}
	var open []*session
	for _, id := range t.m.checks {
		for _, g := range t.m.names.queues[id].slots {
			if g.s.freeShared() > 0 && !g.s.open {
				g.s.open = true
				open = append(open, g.s)
			}
		}
	}
	for _, s := range open {
		s.open = false
	}
	slices.SortFunc(open, func(x, y *session) int { return cmp.Compare(x.id, y.id) })
	return open
}

// nextOf chooses what a session with shared slots takes next.
func (t *tx) nextOf(s *session) (*slotGroup, *lane, item) {
	groups := t.m.groups[:0]
	for _, g := range s.slots {
		if q := t.m.names.queues[g.queue]; q.check && q.pending > 0 {
			groups = append(groups, g)
		}
	}
	t.m.groups = groups
	slices.SortStableFunc(groups, func(x, y *slotGroup) int {
		if s.strict {
			return cmp.Compare(y.slots, x.slots)
		}
		return cmp.Compare(max(x.pass, s.pass), max(y.pass, s.pass))
	})
	for _, g := range groups {
		if l, i, _ := t.best(t.m.names.queues[g.queue], []*slotGroup{g}); l != nil {
			return g, l, i
		}
	}
	return nil, nil, item{}
}

// useSlot takes a slot for a lease.
func (t *tx) useSlot(g *slotGroup) {
	g.used++
	s := g.s
	if s.shared == 0 {
		return
	}
	s.used++
	if !s.strict {
		s.pass = max(g.pass, s.pass)
		g.pass = s.pass + share/uint64(g.slots)
		t.touchSession(s)
	}
}

// freeSlot gives it back. A shared slot may now go to any queue of the session that has a task; one that
// gets its task later is looked at then.
func (t *tx) freeSlot(g *slotGroup) {
	g.used--
	s := g.s
	if s.shared == 0 {
		t.m.check(t.m.names.queues[g.queue])
		return
	}
	s.used--
	for _, g := range s.slots {
		if q := t.m.names.queues[g.queue]; q.pending > 0 {
			t.m.check(q)
		}
	}
}

func (s *session) freeShared() uint32 {
	if s.draining || s.used >= s.shared {
		return 0
	}
	return s.shared - s.used
}

// touchSession marks a session's record for the end of the entry.
func (t *tx) touchSession(s *session) {
	if !s.dirty {
		s.dirty = true
		t.sessions = append(t.sessions, s)
	}
}

// flushSessions writes the sessions whose turns have moved.
func (t *tx) flushSessions() {
	for _, s := range t.sessions {
		s.dirty = false
		if t.m.sessions[s.id] == s {
			t.set(keySession(s.id), s.encode())
		}
	}
	t.sessions = t.sessions[:0]
}
