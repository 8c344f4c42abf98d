package cluster

import (
	"context"
	"time"

	"connectrpc.com/connect"

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
