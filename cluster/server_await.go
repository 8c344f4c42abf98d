package cluster

import (
	"context"
	"errors"
	"io"
	"sync"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// messageTarget is the size at which a message of results or assignments is sent.
const messageTarget = 1 << 20

type awaitStream = connect.BidiStream[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse]

// AwaitJobs answers each id once, when its job has ended. The stream ends when the client has no more
// ids to send and all are answered.
func (s *server) AwaitJobs(ctx context.Context, stream *awaitStream) error {
	eng, err := s.leading()
	if err != nil {
		return s.fail(err)
	}
	a := &awaiting{s: s, eng: eng, waiter: eng.Await(), added: make(chan struct{}, 1), open: map[fsm.JobID]string{}}
	defer a.waiter.Close()
	return s.fail(duplex(ctx,
		func(ctx context.Context) error { return a.receive(ctx, stream) },
		func(ctx context.Context) error { return a.send(ctx, stream) }))
}

// awaiting is one AwaitJobs stream.
type awaiting struct {
	s      *server
	eng    *engine.Engine
	waiter *engine.Waiter
	added  chan struct{} // capacity 1: fresh or last has changed

	mu    sync.Mutex           // guards what follows
	open  map[fsm.JobID]string // not answered yet, with the namespace asked for
	fresh []fsm.JobID          // not looked up yet
	wrong []*apiv1.JobResult   // refused at the edge
	last  bool                 // the client sends no more
}

func (a *awaiting) receive(ctx context.Context, stream *awaitStream) error {
	for {
		msg, err := stream.Receive()
		switch {
		case errors.Is(err, io.EOF):
			a.mu.Lock()
			a.last = true
			a.mu.Unlock()
			a.nudge()
			return nil
		case err != nil:
			return err
		}
		if err := a.add(ctx, msg); err != nil {
			return err
		}
	}
}

func (a *awaiting) nudge() {
	select {
	case a.added <- struct{}{}:
	default:
	}
}

// add notes ids. The waiter has them before the state is read: what ends in between is heard of.
func (a *awaiting) add(ctx context.Context, msg *apiv1.AwaitJobsRequest) error {
	ns, err := namespaceOf(msg.GetNamespace())
	if err != nil {
		return err
	}
	if len(msg.GetIds()) > awaitIDsMax {
		return tooLarge("%d ids in one message; send up to %d", len(msg.GetIds()), awaitIDsMax)
	}
	ids := make([]fsm.JobID, 0, len(msg.GetIds()))
	var wrong []*apiv1.JobResult
	for _, text := range msg.GetIds() {
		id, err := jobIDOf(text)
		if err != nil {
			wrong = append(wrong, &apiv1.JobResult{Id: text, Refused: a.s.info(err)})
			continue
		}
		ids = append(ids, id)
	}
	if err := a.waiter.Add(ctx, ids...); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.open[id] = ns
	}
	a.fresh = append(a.fresh, ids...)
	if a.wrong = append(a.wrong, wrong...); len(a.wrong) > awaitIDsMax {
		return tooLarge("%d wrong ids in a row, whose answers nobody reads", len(a.wrong))
	}
	a.nudge()
	return nil
}

func (a *awaiting) send(ctx context.Context, stream *awaitStream) error {
	for {
		if err := a.lookUp(ctx, stream); err != nil {
			return err
		}
		if a.done() {
			return nil
		}
		select {
		case <-a.added:
		case <-a.waiter.Ready():
			finished, err := a.waiter.Take()
			if err != nil {
				return err
			}
			ids := make([]fsm.JobID, len(finished))
			for i, f := range finished {
				ids[i] = f.Job
			}
			if err := a.answer(stream, ids); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// done reports whether everything that the client will ever ask is answered.
func (a *awaiting) done() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last && len(a.open) == 0 && len(a.wrong) == 0
}

// lookUp answers those fresh ids whose jobs had ended before, or do not exist.
func (a *awaiting) lookUp(ctx context.Context, stream *awaitStream) error {
	a.mu.Lock()
	fresh, wrong := a.fresh, a.wrong
	a.fresh, a.wrong = nil, nil
	a.mu.Unlock()
	if len(wrong) > 0 {
		if err := stream.Send(&apiv1.AwaitJobsResponse{Results: wrong}); err != nil {
			return err
		}
	}
	fresh, err := a.notRunning(fresh)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if _, err := a.eng.ReadIndex(ctx); err != nil {
		return err
	}
	return a.answer(stream, fresh)
}

// notRunning are those of ids whose jobs do not run, in the namespace asked for, as far as this node has applied the
// log. An answer about them has to be as new as the question, and needs a round to the other nodes; of a job that
// runs there is nothing to answer: the waiter hears of its end. Most who wait for a job have just submitted it.
func (a *awaiting) notRunning(ids []fsm.JobID) (rest []fsm.JobID, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	machine := a.s.h.Machine()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		ns, state, err := machine.JobHead(id)
		if err != nil && !errors.Is(err, fsm.ErrNotFound) {
			return nil, err
		}
		if err != nil || state.Ended() || ns != a.open[id] {
			rest = append(rest, id)
		}
	}
	return rest, nil
}

// answer sends the results of those that have ended, and refuses those that do not exist.
func (a *awaiting) answer(stream *awaitStream, ids []fsm.JobID) error {
	v := a.s.h.Machine().View()
	defer v.Close()
	msg, size := new(apiv1.AwaitJobsResponse), 0
	for _, id := range ids {
		r, err := a.resultOf(v, id)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		msg.Results = append(msg.Results, r)
		if size += len(r.GetResult()); size > messageTarget {
			if err := stream.Send(msg); err != nil {
				return err
			}
			msg, size = new(apiv1.AwaitJobsResponse), 0
		}
	}
	if len(msg.GetResults()) == 0 {
		return nil
	}
	return stream.Send(msg)
}

// resultOf is nil while the job runs and when it has been answered before.
func (a *awaiting) resultOf(v *fsm.View, id fsm.JobID) (*apiv1.JobResult, error) {
	a.mu.Lock()
	ns, open := a.open[id]
	a.mu.Unlock()
	if !open {
		return nil, nil
	}
	res, err := endOf(v, id, ns)
	var refusal *fsm.Refusal
	switch {
	case errors.Is(err, fsm.ErrNotFound) || errors.As(err, &refusal):
		res = &apiv1.JobResult{Id: id.String(), Refused: a.s.info(err)}
	case err != nil || res == nil:
		return nil, err
	}
	a.mu.Lock()
	delete(a.open, id)
	a.mu.Unlock()
	return res, nil
}

// endOf is how a job ended, nil while it runs. It reads no more than it has to: this is done once for
// every job that anybody awaits.
func endOf(v *fsm.View, id fsm.JobID, namespace string) (*apiv1.JobResult, error) {
	of, state, err := v.JobHead(id)
	switch {
	case err != nil:
		return nil, err
	case of != namespace:
		return nil, notIn(namespace, id)
	case !state.Ended():
		return nil, nil
	}
	j := &fsm.JobView{ID: id, State: state}
	if state != fsm.JobSuccess {
		if j, err = v.Job(id); err != nil {
			return nil, err
		}
	}
	return jobResult(v, j)
}
