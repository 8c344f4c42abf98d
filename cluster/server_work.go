package cluster

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// heartbeatsPerTTL is how many heartbeats a worker sends in its TTL: two may be lost.
const heartbeatsPerTTL = 3

type workStream = connect.BidiStream[apiv1.WorkRequest, apiv1.WorkResponse]

// Work is a worker's connection. One goroutine receives: a message of reports becomes one call of the
// engine. The other sends: whatever has gathered in the outbox becomes one message.
func (s *server) Work(ctx context.Context, stream *workStream) error {
	return s.fail(s.work(ctx, stream))
}

func (s *server) work(ctx context.Context, stream *workStream) error {
	eng, err := s.leading()
	if err != nil {
		return err
	}
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return invalid("the first message of a worker's stream is a hello")
	}
	open, err := openOf(hello)
	if err != nil {
		return err
	}
	out, welcome, err := eng.OpenStream(ctx, engine.Hello{Session: hello.GetSession(), Held: fencesOf(hello.GetHeld()), Open: open})
	if err != nil {
		return err
	}
	defer out.Detach()
	err = stream.Send(&apiv1.WorkResponse{Welcome: &apiv1.Welcome{
		Session: welcome.Session, TtlMs: welcome.TTL.Milliseconds(), HeartbeatMs: welcome.TTL.Milliseconds() / heartbeatsPerTTL,
		Resumed: welcome.Resumed, Drop: fencesTo(welcome.Drop),
	}})
	if err != nil {
		return err
	}
	w := &working{s: s, out: out, beat: make(chan struct{}, 1)}
	return duplex(ctx,
		func(ctx context.Context) error { return w.receive(ctx, stream, first) },
		func(ctx context.Context) error { return w.send(ctx, stream) })
}

// working is one Work stream after its welcome.
type working struct {
	s       *server
	out     *engine.Stream
	beat    chan struct{} // capacity 1: a heartbeat is to be answered
	goodbye atomic.Bool   // the worker closed its session: its end is no error
}

var errDisconnected = errors.New("cluster: the worker closed the stream")

func (w *working) receive(ctx context.Context, stream *workStream, msg *apiv1.WorkRequest) error {
	for {
		w.out.Heard()
		if err := w.handle(ctx, msg); err != nil {
			return err
		}
		var err error
		if msg, err = stream.Receive(); errors.Is(err, io.EOF) {
			if w.goodbye.Load() {
				return nil // the sending side still has acknowledgements, and ends with the session
			}
			return errDisconnected
		} else if err != nil {
			return err
		}
	}
}

func (w *working) handle(ctx context.Context, msg *apiv1.WorkRequest) error {
	w.out.LogTask(linesOf(msg.GetLogs())) // before the reports that end their tasks
	var prefetch []engine.QueueTasks
	for _, q := range msg.GetPrefetch() {
		prefetch = append(prefetch, engine.QueueTasks{Queue: q.GetQueue(), Tasks: q.GetSlots()})
	}
	if err := w.out.Prefetch(ctx, prefetch); err != nil { // before the reports that make room for it
		return err
	}
	if err := w.report(ctx, msg.GetReports()); err != nil {
		return err
	}
	for _, p := range msg.GetProgress() {
		w.out.Progress(fenceOf(p.GetFence()), engine.Progress{Done: p.GetDone(), Total: p.GetTotal(), Note: cut(p.GetNote(), noteMax)})
	}
	if msg.GetHeartbeat() {
		select {
		case w.beat <- struct{}{}:
		default:
		}
	}
	if msg.GetDrain() {
		if err := w.out.Drain(ctx); err != nil {
			return err
		}
	}
	if msg.GetGoodbye() {
		w.goodbye.Store(true)
		return w.out.Goodbye(ctx)
	}
	return nil
}

// report passes the reports of a message on. Those that are wrong in themselves are answered here.
func (w *working) report(ctx context.Context, reports []*apiv1.Report) error {
	if len(reports) == 0 {
		return nil
	}
	cmds, fences, wrong := commandsOf(w.out.Session(), reports)
	w.out.Answer(wrong)
	return w.out.Report(ctx, cmds, fences)
}

func (w *working) send(ctx context.Context, stream *workStream) error {
	var o engine.Outgoing
	for {
		beat := false
		select {
		case <-w.out.Ready():
		case <-w.beat:
			beat = true
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errDisconnected) {
				return nil
			}
			return context.Cause(ctx)
		}
		err := w.out.Take(&o)
		if errors.Is(err, engine.ErrSessionClosed) && w.goodbye.Load() {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.sendAll(stream, &o, beat); err != nil {
			return err
		}
	}
}

// sendAll sends what was taken, as one message unless the inputs are large. Acknowledgements go first:
// the worker frees its memory by them.
func (w *working) sendAll(stream *workStream, o *engine.Outgoing, beat bool) error {
	msg := &apiv1.WorkResponse{Heartbeat: beat, Acks: acksTo(o.Acks)}
	for _, r := range o.Revokes {
		msg.Revokes = append(msg.Revokes, &apiv1.Revoke{Fence: &apiv1.Fence{Index: r.Fence.Index, Pos: r.Fence.Pos}, Cause: r.Cause, Reason: r.Reason})
	}
	machine := w.s.h.Machine()
	if err := machine.LoadInputs(o.Grants, inlineMax); err != nil {
		w.s.logger.Error("inputs of granted tasks not readable", "error", err) // each is tried by itself below
	}
	slab := make([]assignment, len(o.Grants))
	size := 0
	for i := range o.Grants {
		g := &o.Grants[i]
		input, large, err := machine.GrantInput(g, inlineMax)
		if err != nil {
			w.s.logger.Error("input of a granted task not readable, handing it back", "task", g.Task, "fence", g.Fence, "error", err)
			w.out.Release(*g)
			continue
		}
		msg.Assignments = append(msg.Assignments, slab[i].fill(g, input, large))
		if size += len(input); size > messageTarget {
			if err := stream.Send(msg); err != nil {
				return err
			}
			msg, size = new(apiv1.WorkResponse), 0
		}
	}
	if len(msg.Assignments) == 0 && len(msg.Acks) == 0 && len(msg.Revokes) == 0 && !msg.Heartbeat {
		return nil
	}
	return stream.Send(msg)
}

// assignment is the messages of one assignment in one allocation.
type assignment struct {
	msg   apiv1.Assignment
	fence apiv1.Fence
	task  apiv1.Task
}

func (a *assignment) fill(g *fsm.Grant, input []byte, large bool) *apiv1.Assignment {
	a.fence.Index, a.fence.Pos = g.Fence.Index, g.Fence.Pos
	a.task.Job, a.task.Step, a.task.Shard = g.Task.Job[:], g.Task.Step, g.Task.Shard
	m := &a.msg
	m.Fence, m.Task = &a.fence, &a.task
	m.Kind, m.Step, m.Job, m.Workflow, m.Queue = g.Kind, g.Step, g.Task.Job.String(), g.Workflow, g.Queue
	m.Schedule, m.TickMs = g.Schedule, g.TickMS
	m.Attempt, m.Crashes, m.TimeoutMs, m.HeartbeatMs = g.Attempt, g.Crashes, g.TimeoutMS, g.HeartbeatMS
	m.Input, m.Large, m.Saved, m.Headers = input, large, g.Saved, g.Headers
	return m
}
