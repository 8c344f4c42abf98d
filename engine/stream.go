package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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

// Stream is one connection of one session: an outbox that the loop fills and the connection's
// goroutine empties, everything at once. It never blocks the loop. What it holds is bounded: grants by
// the session's slots (a grant takes one until the worker has reported), revokes by its grants,
// acknowledgements by Report, which waits when the worker does not read them.
//
// A stream's end does not end the session. After Detach the session lives on for its TTL.
type Stream struct {
	e       *Engine
	ready   chan struct{} // capacity 1
	session atomic.Pointer[session]
	ttl     time.Duration // of the session to open
	slots   int
	dirty   bool // the loop's: something is new in this turn

	mu    sync.Mutex // guards what follows
	out   Outgoing
	input int           // bytes of out.Grants' inputs
	owed  int           // reports accepted whose acknowledgement nobody has taken yet
	room  chan struct{} // closed when owed falls; nil: nobody waits
	ended error
}

// Outgoing is what a worker is to be told.
type Outgoing struct {
	Grants  []fsm.Grant
	Acks    []Acks
	Revokes []fsm.Revoke
}

// Acks are the answers to the reports of one message: Answers[i] to Fences[i].
type Acks struct {
	Fences  []fsm.Fence
	Answers []fsm.Answer
}

func (o *Outgoing) empty() bool { return len(o.Grants)+len(o.Acks)+len(o.Revokes) == 0 }

func (o *Outgoing) reset() {
	clear(o.Grants)
	clear(o.Acks)
	clear(o.Revokes)
	o.Grants, o.Acks, o.Revokes = o.Grants[:0], o.Acks[:0], o.Revokes[:0]
}

// inputMax bounds the inputs that wait in an outbox: over it a grant goes without, and its input is
// read when it is sent.
const inputMax = 4 << 20

// grant puts a lease into the outbox.
func (s *Stream) grant(g *fsm.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Grants = append(s.out.Grants, *g)
	if s.input += len(g.Input); s.input > inputMax {
		s.input -= len(g.Input)
		s.out.Grants[len(s.out.Grants)-1].Input = nil
	}
}

// owedMin is how many acknowledgements may wait for any worker; one with many slots has more.
const owedMin = 1024

// OpenStream resumes the session of a Hello, or opens one, and connects to it. An older stream of the
// same session ends with ErrStreamReplaced. The caller reads the stream by Ready and Take, and must
// Detach it at the end.
func (e *Engine) OpenStream(ctx context.Context, h Hello) (*Stream, Welcome, error) {
	s := &Stream{e: e, ready: make(chan struct{}, 1), ttl: time.Duration(h.Open.GetTtlMs()) * time.Millisecond}
	for _, q := range h.Open.GetQueues() {
		s.slots += int(q.GetSlots())
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

// Session is the id of the session.
func (s *Stream) Session() uint64 { return s.session.Load().id }

// Heard notes that the worker is alive. Any message of the worker counts.
func (s *Stream) Heard() { s.session.Load().heard.Store(int64(s.e.mono())) }

// Ready is signalled when there may be something to take, and when the stream has ended.
func (s *Stream) Ready() <-chan struct{} { return s.ready }

// Take moves everything that waits into o, whose earlier content is overwritten. It returns an error
// once everything has been taken and the stream has ended: ErrSessionClosed, ErrStreamReplaced or
// ErrNotLeader.
func (s *Stream) Take(o *Outgoing) error {
	o.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out.empty() {
		return s.ended
	}
	*o, s.out, s.input = s.out, *o, 0
	for _, a := range o.Acks {
		s.owed -= len(a.Fences)
	}
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	if s.ended != nil {
		s.ring() // so that the next Take says so
	}
	return nil
}

// Drain stops grants to the session; what it holds goes on.
func (s *Stream) Drain(ctx context.Context) error {
	_, _, err := s.e.one(ctx, urgent, &fsmpb.Command{Kind: &fsmpb.Command_DrainSession{
		DrainSession: &fsmpb.DrainSession{Session: s.Session()}}})
	return err
}

// Goodbye closes the session: what it still holds is handed back, without a charge. Reports made
// before it come first. The stream then ends with ErrSessionClosed.
func (s *Stream) Goodbye(ctx context.Context) error {
	_, _, err := s.e.one(ctx, urgent, closeCommand(s.Session(), false))
	return err
}

// Detach disconnects the stream. The session stays for its TTL, counted from the last message.
func (s *Stream) Detach() { s.e.inbox.post(&detach{s}) }

type detach struct{ stream *Stream }

func (m *detach) deliver(*Engine) {
	if one := m.stream.session.Load(); one != nil && one.stream == m.stream {
		one.stream = nil
	}
}

func (m *detach) refuse(error) {}

func (s *Stream) ring() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// end makes Take return err after what is in the outbox.
func (s *Stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = err
	}
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	s.ring()
}
