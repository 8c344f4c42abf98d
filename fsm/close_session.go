package fsm

import (
	"fmt"

	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// closeSession ends a session: its leases return to PENDING in this entry and are granted elsewhere
// at once. Proposed by the engine when a worker has fallen silent for its TTL (lost: each lease counts
// as a crash), or when a worker says goodbye (its leases are handed back). What a lost worker held beyond its slots
// had not begun there, for it begins tasks in the order of their leases: it is handed back. Else a task that kills its
// workers would take hundreds with it.
//
// Again: a session that is not there has been closed; nothing changes.
func closeSession(t *tx, c *fsmpb.CloseSession) Answer {
	s := t.m.sessions[c.Session]
	if s == nil {
		return Answer{Session: c.Session}
	}
	held := make(map[uint32]uint32) // by queue: looked up only
	for _, f := range s.fences() {
		l := s.leases[f]
		t.dropLease(s, f, l)
		if l.revoked {
			continue
		}
		j := t.job(l.ref.Job)
		tk := t.task(j, l.ref)
		held[l.queue]++
		begun := s.shared > 0 || held[l.queue] <= s.group(l.queue).slots
		if c.Lost && begun {
			t.crashed(j, l.ref, tk, s, f, l)
		} else {
			t.handBack(j, l.ref, tk, s, f, l)
		}
	}
	if planted.Rescue && c.Lost {
		t.rescue(s)
	}
	t.del(keySession(s.id))
	t.m.detach(s)
	if c.Lost {
		t.m.state.SessionsLost++
	}
	t.res.ClosedSessions = append(t.res.ClosedSessions, s.id)
	return Answer{Session: s.id}
}

// crashed returns a task whose worker was lost to its place in the queue, or declares it dead: a task
// that kills its workers must not wander through the fleet.
func (t *tx) crashed(j *job, ref TaskRef, tk *task, s *session, f Fence, l *lease) {
	t.m.state.Crashes++
	e := &fsmpb.Error{Type: "fanfold.WorkerLost", Message: fmt.Sprintf("the worker %q was lost", s.worker)}
	if tk.crashes+1 >= j.plan.steps[ref.Step].retry.CrashLimit {
		e.Message = fmt.Sprintf("the task lost its worker %d times, its crash limit (the last one was %q); see that worker's log", tk.crashes+1, s.worker)
	}
	t.keepAttempt(ref, tk, s, f, l, EndWorkerLost, e)
	if !planted.FreeAttempt {
		tk.crashes++
	}
	if g := t.groupOf(j, ref); g != nil {
		g.crash++
	}
	if limit := j.plan.steps[ref.Step].retry.CrashLimit; tk.crashes >= limit {
		t.dead(j, ref, tk, e)
		return
	}
	t.unhold(j, ref)
	t.runnable(j, ref, tk)
}

// handBack returns an unfinished task to its place; no attempt is charged.
func (t *tx) handBack(j *job, ref TaskRef, tk *task, s *session, f Fence, l *lease) {
	t.m.state.Releases++
	t.keepAttempt(ref, tk, s, f, l, EndReleased, nil)
	t.unhold(j, ref)
	t.runnable(j, ref, tk)
}

// unhold counts a task out of its group's leased ones.
func (t *tx) unhold(j *job, ref TaskRef) {
	if g := t.groupOf(j, ref); g != nil {
		g.held--
		g.dirty = true
	}
}

// drainSession stops grants to a session; what it holds goes on. Proposed when a worker shuts down.
func drainSession(t *tx, c *fsmpb.DrainSession) Answer {
	s := t.m.sessions[c.Session]
	if s == nil {
		return no(CodeNotFound, "session %d has ended: open a new one", c.Session)
	}
	s.draining = true
	t.set(keySession(s.id), s.encode())
	return Answer{Session: s.id}
}
