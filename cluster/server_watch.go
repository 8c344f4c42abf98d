package cluster

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/engine"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

const (
	watchMin     = 50 * time.Millisecond
	watchDefault = time.Second
)

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
	var sent *apiv1.JobStatus
	for {
		if _, err := eng.ReadIndex(ctx); err != nil {
			return err
		}
		res, err := s.jobNow(ctx, eng, get)
		if err != nil {
			return err
		}
		// A job is touched by more than its status shows, lines of its log for one; and what was said of it before
		// the view was opened is in the status already.
		if !proto.Equal(sent, res.GetJob()) {
			sent = res.GetJob()
			if err := stream.Send(&apiv1.WatchJobResponse{Job: sent, Index: res.GetIndex()}); err != nil || ended(res) {
				return err
			}
		}
		for changed := false; !changed; {
			timer.Reset(interval)
			if changed, err = untilChanged(ctx, w, timer, anyRuns(res.GetJob())); err != nil {
				return err
			}
			if !changed {
				if changed, err = s.progressed(ctx, eng, res.GetJob()); err != nil {
					return err
				}
			}
		}
	}
}

// anyRuns reports whether a plain step of the job runs: what its worker says of it is no change of the
// state, and has to be looked for.
func anyRuns(j *apiv1.JobStatus) bool {
	return slices.ContainsFunc(j.GetSteps(), func(s *apiv1.StepStatus) bool { return s.GetFence() != nil })
}

// progressed reports whether the workers have said something new since the status was sent.
func (s *server) progressed(ctx context.Context, eng *engine.Engine, sent *apiv1.JobStatus) (bool, error) {
	now := make([]*apiv1.StepStatus, len(sent.GetSteps()))
	for i, step := range sent.GetSteps() {
		now[i] = &apiv1.StepStatus{Session: step.GetSession(), Fence: step.GetFence()}
	}
	if err := addStepProgress(ctx, eng, now); err != nil {
		return false, err
	}
	for i, step := range sent.GetSteps() {
		if !proto.Equal(step.GetProgress(), now[i].GetProgress()) {
			return true, nil
		}
	}
	return false, nil
}

// untilChanged waits for a change, and for the interval if the job goes on. With look, it comes back after
// the interval without a change, too.
func untilChanged(ctx context.Context, w *engine.Waiter, interval *time.Timer, look bool) (changed bool, err error) {
	var due <-chan time.Time
	if look {
		due = interval.C
	}
	for {
		select {
		case <-w.Ready():
			finished, err := w.Take()
			if err != nil || len(finished) > 0 {
				return true, err
			}
			changed, due = true, interval.C
		case <-due:
			return changed, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}
