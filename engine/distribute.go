package engine

import "github.com/fanfold/fanfold/fsm"

// distribute passes the events of a result on to streams and waiters.
func (e *Engine) distribute(res *fsm.Result) {
	e.pulses(res)
	for i := range res.Grants {
		if s := e.streamOf(res.Grants[i].Session); s != nil {
			s.grant(&res.Grants[i])
		}
	}
	for i := range res.Revokes {
		if s := e.streamOf(res.Revokes[i].Session); s != nil {
			s.mu.Lock()
			s.out.Revokes = append(s.out.Revokes, res.Revokes[i])
			s.mu.Unlock()
		}
	}
	if res.Webhooks {
		select {
		case e.webhooks <- struct{}{}:
		default:
		}
	}
	e.watched.finished(res.Finished)
	e.watched.touched(res.Touched)
}

// streamOf returns the stream of a session and marks it for a wake-up at the end of the turn; nil if
// the session is not connected: what it was granted stays in the state, and is sent when it comes back.
func (e *Engine) streamOf(id uint64) *Stream {
	one := e.sessions.byID[id]
	if one == nil || one.stream == nil {
		return nil
	}
	e.mark(one.stream)
	return one.stream
}

func (e *Engine) mark(s *Stream) {
	if !s.dirty {
		s.dirty = true
		e.dirty = append(e.dirty, s)
	}
}

// wakeStreams rings each stream once for all that a turn has brought it.
func (e *Engine) wakeStreams() {
	for i, s := range e.dirty {
		s.dirty = false
		s.ring()
		e.dirty[i] = nil
	}
	e.dirty = e.dirty[:0]
}
