package cluster

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/planted"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// waitMax bounds the wait of one call; the caller asks again.
const waitMax = time.Minute

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
	res, err := s.jobNow(ctx, eng, q)
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
	return s.jobNow(ctx, eng, q)
}

// jobNow reads a job from this node's state, with the progress that its workers have told the leader.
func (s *server) jobNow(ctx context.Context, eng *engine.Engine, q *apiv1.GetJobRequest) (*apiv1.GetJobResponse, error) {
	res, err := viewing(s, q, readJob)
	if err != nil {
		return nil, err
	}
	return res, addStepProgress(ctx, eng, res.GetJob().GetSteps())
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
	if planted.UnknownPending && errors.Is(err, fsm.ErrNotFound) {
		return &apiv1.GetJobResponse{Job: &apiv1.JobStatus{Id: id.String(), State: fsm.JobRunning.String()}}, nil
	}
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
