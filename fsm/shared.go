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
	var open []*session
	for _, s := range t.m.sharing {
		if s.freeShared() > 0 && slices.ContainsFunc(s.slots, func(g *slotGroup) bool { return t.m.names.queues[g.queue].check }) {
			open = append(open, s)
		}
	}
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

// nextOf chooses what a session with shared slots takes next.
func (t *tx) nextOf(s *session) (*slotGroup, *lane, item) {
	groups := append(make([]*slotGroup, 0, len(s.slots)), s.slots...)
	slices.SortStableFunc(groups, func(x, y *slotGroup) int {
		if s.strict {
			return cmp.Compare(y.slots, x.slots)
		}
		return cmp.Compare(max(x.pass, s.pass), max(y.pass, s.pass))
	})
	for _, g := range groups {
		q := t.m.names.queues[g.queue]
		if !q.check {
			continue
		}
		if l, i, _ := t.best(q, []*slotGroup{g}); l != nil {
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

// freeSlot gives it back.
func (t *tx) freeSlot(g *slotGroup) {
	g.used--
	s := g.s
	if s.shared == 0 {
		t.m.check(t.m.names.queues[g.queue])
		return
	}
	s.used--
	for _, g := range s.slots {
		t.m.check(t.m.names.queues[g.queue])
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
