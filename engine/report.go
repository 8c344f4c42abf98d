package engine

import (
	"context"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// Report sends the reports of one message (each a CompleteTask, FailTask or ReleaseTask of this
// stream's session, fences[i] being that of cmds[i]) through the log and returns as soon as they are
// queued. Their answers come together, as one Acks, by Take. It waits while the report queue is full
// or the worker owes the reading of too many acknowledgements.
//
// One handle for a message: the engine does nothing per report but copy its bytes into an entry.
func (s *Stream) Report(ctx context.Context, cmds []*fsmpb.Command, fences []fsm.Fence) error {
	if len(cmds) == 0 {
		return nil
	}
	r, err := newRequest(cmds, &reportReply{s, fences})
	if err != nil {
		return err
	}
	s.session.Load().progress.forget(fences)
	if err := s.owe(ctx, len(cmds)); err != nil {
		return err
	}
	return s.e.inbox.pushWait(ctx, r)
}

// Answer puts answers into the outbox that were found without the log, for reports that are wrong in
// themselves.
func (s *Stream) Answer(a Acks) {
	if len(a.Fences) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed += len(a.Fences)
	s.out.Acks = append(s.out.Acks, a)
	s.ring()
}

// owe waits until the worker may have n more reports on their way.
func (s *Stream) owe(ctx context.Context, n int) error {
	limit := max(owedMin, 4*s.session.Load().slots)
	for {
		s.mu.Lock()
		if s.ended != nil {
			s.mu.Unlock()
			return s.ended
		}
		if s.owed == 0 || s.owed+n <= limit {
			s.owed += n
			s.mu.Unlock()
			return nil
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reportReply puts the answers of a message into its stream's outbox.
type reportReply struct {
	stream *Stream
	fences []fsm.Fence
}

func (p *reportReply) settle(r *request, err error) {
	if err != nil {
		return // the term is over, and with it the stream: the worker reports again to the next leader
	}
	s := p.stream
	s.mu.Lock()
	s.out.Acks = append(s.out.Acks, Acks{p.fences, r.answers})
	s.mu.Unlock()
	s.e.mark(s)
}

func releaseCommand(session uint64, f fsm.Fence, t fsm.TaskRef) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_ReleaseTask{
		ReleaseTask: &fsmpb.ReleaseTask{Session: session, Fence: f.Proto(), Task: t.Proto()}}}
}

// release hands attempts back on behalf of a worker that never got them.
func (e *Engine) release(cmds []*fsmpb.Command) {
	r, err := newRequest(cmds, noReply{})
	if err != nil {
		e.cfg.Logger.Error("command not marshalled", "error", err)
		return
	}
	e.inbox.pushAlways(urgent, r)
}

// Release hands an attempt back that cannot be given to the worker, for instance because its input
// cannot be read. Nobody waits for the answer.
func (s *Stream) Release(g fsm.Grant) {
	s.e.release([]*fsmpb.Command{releaseCommand(g.Session, g.Fence, g.Task)})
}
