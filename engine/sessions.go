package engine

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// beatEvery is how often the loop looks for silent sessions. A session is closed up to this much late.
const beatEvery = 250 * time.Millisecond

// sessions are the sessions of the state with what only the leader knows of them: when they were
// last heard, and on which stream. Heartbeats are not replicated: a thousand workers would cost a
// thousand entries every few seconds to say that nothing has changed. The price is that a new leader
// knows nothing, and gives every session a full fresh TTL: leases may end late, never early.
type sessions struct {
	byID     map[uint64]*session
	lastBeat time.Duration
}

type session struct {
	id      uint64
	ttl     time.Duration
	slots   int
	heard   atomic.Int64 // mono of the last message: written by the stream's goroutine
	stream  *Stream      // nil: not connected
	closing bool         // CloseSession is on its way

	progress progressBoard
}

func (s *sessions) load(all []fsm.SessionView, now time.Duration) {
	s.byID = make(map[uint64]*session, len(all))
	s.lastBeat = now
	for _, v := range all {
		slots := 0
		for _, q := range v.Queues {
			slots += int(q.Slots)
		}
		one := s.add(v.ID, time.Duration(v.TTLMS)*time.Millisecond, slots, now)
		if planted.ExpireStale {
			one.heard.Store(int64(now - one.ttl))
		}
	}
}

func (s *sessions) add(id uint64, ttl time.Duration, slots int, now time.Duration) *session {
	one := &session{id: id, ttl: ttl, slots: slots}
	one.heard.Store(int64(now))
	if len(s.byID) == 0 {
		s.lastBeat = now
	}
	s.byID[id] = one
	return one
}

func (s *sessions) untilBeat(now time.Duration) time.Duration {
	return max(0, s.lastBeat+beatEvery-now)
}

// silent moves the beat on and returns the sessions whose TTL has passed since they were heard.
//
// A gap between two beats means that this process did not run: it was stopped, or starved. The
// heartbeats of that time lie unread in socket buffers, so a session whose TTL is under twice the
// gap is armed afresh instead of judged.
func (s *sessions) silent(now time.Duration) (lost []*session) {
	gap := now - s.lastBeat
	s.lastBeat = now
	for _, one := range s.byID {
		switch {
		case gap > one.ttl/2:
			one.heard.Store(int64(now))
		case !one.closing && now-time.Duration(one.heard.Load()) > one.ttl:
			lost = append(lost, one)
		}
	}
	slices.SortFunc(lost, func(a, b *session) int { return int(min(max(int64(a.id)-int64(b.id), -1), 1)) })
	return lost
}

func (s *sessions) end(err error) {
	for _, one := range s.byID {
		if one.stream != nil {
			one.stream.end(err)
		}
	}
}

// closeSilent proposes the end of the sessions that have fallen silent. Their leases return to the
// queue, and are granted elsewhere, in the apply of that very command.
func (e *Engine) closeSilent(now time.Duration) {
	for _, one := range e.sessions.silent(now) {
		e.cfg.Logger.Info("session lost", "session", one.id, "silent_for", now-time.Duration(one.heard.Load()))
		e.closeSession(one, true)
	}
}

func (e *Engine) closeSession(one *session, lost bool) {
	one.closing = true
	e.enqueue(closeCommand(one.id, lost))
}

func closeCommand(id uint64, lost bool) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_CloseSession{CloseSession: &fsmpb.CloseSession{Session: id, Lost: lost}}}
}

// enqueue adds a command of the engine itself, without an answer to anybody.
func (e *Engine) enqueue(cmd *fsmpb.Command) {
	r, err := newRequest([]*fsmpb.Command{cmd}, noReply{})
	if err != nil {
		e.cfg.Logger.Error("command not marshalled", "error", err)
		return
	}
	e.inbox.pushAlways(urgent, r)
}

// opened registers a session that the state has just opened, or has had under the same nonce.
func (e *Engine) opened(r *request) {
	a := r.answers[0]
	switch {
	case a.Refusal != nil:
	case r.gone.Load(): // nobody would read its grants: hand them back
		e.enqueue(closeCommand(a.Session, false))
	default:
		one, ok := e.sessions.byID[a.Session]
		if !ok {
			one = e.sessions.add(a.Session, r.opens.ttl, r.opens.slots, e.mono())
		}
		e.connect(one, r.opens)
	}
}

// connect makes a stream the session's only one.
func (e *Engine) connect(one *session, s *Stream) {
	if old := one.stream; old != nil && old != s {
		old.end(ErrStreamReplaced)
	}
	one.stream = s
	one.heard.Store(int64(e.mono()))
	s.session.Store(one)
}

// closed takes the end of sessions from a result.
func (e *Engine) closed(ids []uint64) {
	for _, id := range ids {
		if one := e.sessions.byID[id]; one != nil {
			delete(e.sessions.byID, id)
			if one.stream != nil {
				one.stream.end(ErrSessionClosed)
			}
		}
	}
}
