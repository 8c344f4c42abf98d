package engine

import (
	"context"
	"errors"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// Hello is what a worker's stream begins with.
type Hello struct {
	Session uint64      // resume this session if the state still has it; 0 = open one
	Held    []fsm.Fence // attempts that the worker is running
	Open    *fsmpb.OpenSession
}

// Welcome is the answer to a Hello.
type Welcome struct {
	Session uint64
	TTL     time.Duration // silence after which the session is lost
	Resumed bool
	Drop    []fsm.Fence // held attempts that are not the session's leases (any more): stop them
}

// OpenStream resumes the session of a Hello, or opens one, and connects to it. An older stream of the
// same session ends with ErrStreamReplaced. The caller reads the stream by Ready and Take, and must
// Detach it at the end.
func (e *Engine) OpenStream(ctx context.Context, h Hello) (*Stream, Welcome, error) {
	s := &Stream{e: e, ready: make(chan struct{}, 1), ttl: time.Duration(h.Open.GetTtlMs()) * time.Millisecond}
	for _, q := range h.Open.GetQueues() {
		s.slots += int(q.GetSlots())
	}
	if n := h.Open.GetSlots(); n > 0 {
		s.slots = int(n) // shared: those of the queues are weights
	}
	resumed := false
	if h.Session != 0 {
		err := e.resume(ctx, h.Session, s)
		if err != nil && !errors.Is(err, ErrSessionUnknown) {
			return nil, Welcome{}, err
		}
		resumed = err == nil
	}
	if !resumed {
		if err := e.open(ctx, h.Open, s); err != nil {
			return nil, Welcome{}, err
		}
	}
	drop, err := s.catchUp(h.Held)
	if err != nil {
		s.Detach()
		return nil, Welcome{}, err
	}
	one := s.session.Load()
	return s, Welcome{Session: one.id, TTL: one.ttl, Resumed: resumed, Drop: drop}, nil
}

func (e *Engine) open(ctx context.Context, cmd *fsmpb.OpenSession, s *Stream) error {
	reply := make(callerReply, 1)
	r, err := newRequest([]*fsmpb.Command{{Kind: &fsmpb.Command_OpenSession{OpenSession: cmd}}}, reply)
	if err != nil {
		return err
	}
	r.opens = s
	if err := e.send(ctx, urgent, r, reply); err != nil {
		e.inbox.post(&abandon{s})
		return err
	}
	if no := r.answers[0].Refusal; no != nil {
		return no
	}
	return nil
}

func (e *Engine) resume(ctx context.Context, id uint64, s *Stream) error {
	m := &attach{id: id, stream: s, reply: make(chan error, 1)}
	e.inbox.post(m)
	select {
	case err := <-m.reply:
		return err
	case <-ctx.Done():
		s.Detach()
		return context.Cause(ctx)
	}
}

// attach connects a stream to a session that the state still has.
type attach struct {
	id     uint64
	stream *Stream
	reply  chan error // capacity 1
}

func (m *attach) deliver(e *Engine) {
	one := e.sessions.byID[m.id]
	if one == nil || one.closing {
		m.reply <- ErrSessionUnknown
		return
	}
	e.connect(one, m.stream)
	m.reply <- nil
}

func (m *attach) refuse(err error) { m.reply <- err }

// abandon closes the session that a caller opened and did not wait for.
type abandon struct{ stream *Stream }

func (m *abandon) deliver(e *Engine) {
	if one := m.stream.session.Load(); one != nil && one.stream == m.stream && !one.closing {
		e.closeSession(one, false)
	}
}

func (m *abandon) refuse(error) {}

// catchUp compares what the worker runs with the session's leases in the state. It runs after the
// stream was connected, so every grant is either in the view or comes through the outbox; what came
// through it and is in the view as well is taken out again.
func (s *Stream) catchUp(held []fsm.Fence) (drop []fsm.Fence, err error) {
	v := s.e.cfg.Machine.View()
	defer v.Close()
	leases, revokes, err := v.Leases(s.session.Load().id)
	if err != nil {
		return nil, err
	}
	runs := make(map[fsm.Fence]bool, len(held)) // whether the state agrees
	for _, f := range held {
		runs[f] = false
	}
	var missing []fsm.Grant
	for _, g := range leases {
		if _, has := runs[g.Fence]; has {
			runs[g.Fence] = true
		} else {
			missing = append(missing, g)
		}
	}
	var tell []fsm.Revoke
	var release []*fsmpb.Command
	for _, r := range revokes {
		if _, has := runs[r.Fence]; has {
			runs[r.Fence] = true
			tell = append(tell, r)
		} else { // nobody runs it and nobody should: give the slot back
			release = append(release, releaseCommand(r.Session, r.Fence, r.Task))
		}
	}
	for _, f := range held {
		if !runs[f] {
			drop = append(drop, f)
		}
	}
	s.prime(v.Index(), missing, tell)
	if len(release) > 0 {
		s.e.release(release)
	}
	return drop, nil
}

// prime puts what the view had in front of what has come since.
func (s *Stream) prime(index uint64, missing []fsm.Grant, revokes []fsm.Revoke) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.out.Grants {
		if g.Fence.Index > index {
			missing = append(missing, g)
		}
	}
	s.out.Grants = missing
	s.out.Revokes = append(revokes, s.out.Revokes...) // hearing of one twice does no harm
	if !s.out.empty() {
		s.ring()
	}
}
