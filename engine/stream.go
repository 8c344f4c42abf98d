package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// Stream is one connection of one session: an outbox that the loop fills and the connection's
// goroutine empties, everything at once. It never blocks the loop. What it holds is bounded: grants by
// the session's slots and prefetch (a grant takes one until the worker has reported), revokes by its grants,
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

// prefetchMax bounds the queues of one Prefetch.
const prefetchMax = 1000

// Prefetch says how many tasks of each of these queues the session may hold beyond its slots there, and returns
// as soon as that is queued, like Report: what is reported later is behind it in the log. A refusal, as for a
// queue that the session does not take from, changes nothing. Queues over 1,000 are left out.
func (s *Stream) Prefetch(ctx context.Context, tasks []QueueTasks) error {
	if len(tasks) == 0 {
		return nil
	}
	tasks = tasks[:min(len(tasks), prefetchMax)]
	cmds := make([]*fsmpb.Command, len(tasks))
	for i, q := range tasks {
		cmds[i] = &fsmpb.Command{Kind: &fsmpb.Command_SetPrefetch{
			SetPrefetch: &fsmpb.SetPrefetch{Session: s.Session(), Queue: q.Queue, Tasks: q.Tasks}}}
	}
	r, err := newRequest(cmds, noReply{})
	if err != nil {
		return err
	}
	return s.e.inbox.pushWait(ctx, r)
}

// QueueTasks is a number of tasks of a queue.
type QueueTasks struct {
	Queue string
	Tasks uint32
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
