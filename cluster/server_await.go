package cluster

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	waitMax       = time.Minute
	watchMin      = 50 * time.Millisecond
	watchDefault  = time.Second
	messageTarget = 1 << 20 // a message of results or assignments is sent when it has about this many bytes
)

// GetJob reads a job. With wait_ms the call stays until the job has ended or the wait is over.
func (s *server) GetJob(ctx context.Context, req *connect.Request[apiv1.GetJobRequest]) (*connect.Response[apiv1.GetJobResponse], error) {
	if stale(req.Msg.GetConsistency()) {
		return reading(ctx, s, req, true, apiv1connect.FanfoldClient.GetJob, readJob)
	}
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.GetJob, s.getJob)
}

func (s *server) getJob(ctx context.Context, eng *engine.Engine, q *apiv1.GetJobRequest) (*apiv1.GetJobResponse, error) {
	id, err := jobIDOf(q.GetId())
	if err != nil {
		return nil, err
	}
	wait := min(time.Duration(max(0, q.GetWaitMs()))*time.Millisecond, waitMax)
	var waiter *engine.Waiter
	if wait > 0 {
		waiter = eng.Await()
		defer waiter.Close()
		if err := waiter.Add(ctx, id); err != nil {
			return nil, err
		}
	}
	if _, err := eng.ReadIndex(ctx); err != nil {
		return nil, err
	}
	res, err := viewing(s, q, readJob)
	if err != nil || wait == 0 || ended(res) {
		return res, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-waiter.Ready(): // the end was committed within the call: the view has it, a check adds nothing
		if _, err := waiter.Take(); err != nil {
			return nil, err
		}
	case <-timer.C:
		if _, err := eng.ReadIndex(ctx); err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return viewing(s, q, readJob)
}

func ended(res *apiv1.GetJobResponse) bool {
	state, _ := fsm.ParseJobState(res.GetJob().GetState())
	return state.Ended()
}

func readJob(v *fsm.View, q *apiv1.GetJobRequest) (*apiv1.GetJobResponse, error) {
	id, err := jobIDOf(q.GetId())
	if err != nil {
		return nil, err
	}
	ns, err := namespaceOf(q.GetNamespace())
	if err != nil {
		return nil, err
	}
	j, err := jobView(v, id, ns)
	if err != nil {
		return nil, err
	}
	res := &apiv1.GetJobResponse{Job: jobStatus(j), Index: v.Index()}
	if q.GetWithResult() && j.State.Ended() {
		res.Result, err = jobResult(v, j)
	}
	return res, err
}

// jobResult is how a job ended, with its result if that is small.
func jobResult(v *fsm.View, j *fsm.JobView) (*apiv1.JobResult, error) {
	res := &apiv1.JobResult{Id: j.ID.String(), State: j.State.String(), Error: taskError(j.Error)}
	switch j.State {
	case fsm.JobSuccess:
		doc, large, err := resultBytes(v, j.ID)
		if err != nil {
			return nil, err
		}
		res.Result, res.Large = doc, large
	case fsm.JobCanceled:
		if res.Error == nil {
			res.Error = &apiv1.TaskError{Type: "canceled", Message: j.CancelReason}
		}
	}
	return res, nil
}

// resultBytes renders a result up to the inline limit.
func resultBytes(v *fsm.View, id fsm.JobID) (doc []byte, large bool, err error) {
	w := &capped{max: inlineMax}
	err = v.JobResult(w, id)
	if errors.Is(err, errCapped) {
		return nil, true, nil
	}
	return w.buf, false, err
}

// capped takes so much and no more. (It embeds no buffer: io.Copy would find its ReadFrom and pass
// Write by.)
type capped struct {
	buf []byte
	max int
}

var errCapped = errors.New("cluster: value over the inline limit")

func (c *capped) Write(p []byte) (int, error) {
	if len(c.buf)+len(p) > c.max {
		return 0, errCapped
	}
	c.buf = append(c.buf, p...)
	return len(p), nil
}

// AwaitJobs answers each id once, when its job has ended. The stream ends when the client has no more
// ids to send and all are answered.
func (s *server) AwaitJobs(ctx context.Context, stream *connect.BidiStream[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse]) error {
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

func (a *awaiting) receive(ctx context.Context, stream *connect.BidiStream[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse]) error {
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

func (a *awaiting) send(ctx context.Context, stream *connect.BidiStream[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse]) error {
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
func (a *awaiting) lookUp(ctx context.Context, stream *connect.BidiStream[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse]) error {
	a.mu.Lock()
	fresh, wrong := a.fresh, a.wrong
	a.fresh, a.wrong = nil, nil
	a.mu.Unlock()
	if len(wrong) > 0 {
		if err := stream.Send(&apiv1.AwaitJobsResponse{Results: wrong}); err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if _, err := a.eng.ReadIndex(ctx); err != nil {
		return err
	}
	return a.answer(stream, fresh)
}

// answer sends the results of those that have ended, and refuses those that do not exist.
func (a *awaiting) answer(stream *connect.BidiStream[apiv1.AwaitJobsRequest, apiv1.AwaitJobsResponse], ids []fsm.JobID) error {
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

// WatchJob sends a job's status at once and after changes, at most every interval, until it ends.
func (s *server) WatchJob(ctx context.Context, req *connect.Request[apiv1.WatchJobRequest], stream *connect.ServerStream[apiv1.WatchJobResponse]) error {
	return s.fail(s.watchJob(ctx, req.Msg, stream))
}

func (s *server) watchJob(ctx context.Context, q *apiv1.WatchJobRequest, stream *connect.ServerStream[apiv1.WatchJobResponse]) error {
	eng, err := s.leading()
	if err != nil {
		return err
	}
	id, err := jobIDOf(q.GetId())
	if err != nil {
		return err
	}
	interval := watchDefault
	if q.GetIntervalMs() > 0 {
		interval = max(watchMin, time.Duration(q.GetIntervalMs())*time.Millisecond)
	}
	w := eng.Watch()
	defer w.Close()
	if err := w.Add(ctx, id); err != nil {
		return err
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	get := &apiv1.GetJobRequest{Id: q.GetId(), Namespace: q.GetNamespace()}
	for {
		if _, err := eng.ReadIndex(ctx); err != nil {
			return err
		}
		res, err := viewing(s, get, readJob)
		if err != nil {
			return err
		}
		if err := stream.Send(&apiv1.WatchJobResponse{Job: res.GetJob(), Index: res.GetIndex()}); err != nil || ended(res) {
			return err
		}
		timer.Reset(interval)
		if err := untilChanged(ctx, w, timer); err != nil {
			return err
		}
	}
}

// untilChanged waits for a change, and for the interval if the job goes on.
func untilChanged(ctx context.Context, w *engine.Waiter, interval *time.Timer) error {
	var due <-chan time.Time
	for {
		select {
		case <-w.Ready():
			finished, err := w.Take()
			if err != nil || len(finished) > 0 {
				return err
			}
			due = interval.C
		case <-due:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
