package cluster

import (
	"context"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (s *server) GetBatch(ctx context.Context, req *connect.Request[apiv1.GetBatchRequest]) (*connect.Response[apiv1.GetBatchResponse], error) {
	return reading(ctx, s, req, req.Msg.GetStale(), apiv1connect.FanfoldClient.GetBatch,
		func(v *fsm.View, q *apiv1.GetBatchRequest) (*apiv1.GetBatchResponse, error) {
			b, err := batchOf(v, q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, noBatch(q.GetId(), err)
			}
			return &apiv1.GetBatchResponse{Batch: batchStatus(b), Index: v.Index()}, nil
		})
}

func (s *server) ListBatches(ctx context.Context, req *connect.Request[apiv1.ListBatchesRequest]) (*connect.Response[apiv1.ListBatchesResponse], error) {
	return reading(ctx, s, req, req.Msg.GetStale(), apiv1connect.FanfoldClient.ListBatches, listBatches)
}

func listBatches(v *fsm.View, q *apiv1.ListBatchesRequest) (*apiv1.ListBatchesResponse, error) {
	ns, size, after, err := pageOf(q, jobIDOf)
	if err != nil {
		return nil, err
	}
	var state fsm.BatchState
	if q.GetState() != "" {
		var ok bool
		if state, ok = fsm.ParseBatchState(q.GetState()); !ok {
			return nil, invalid("state %.32q: use OPEN, CLOSED, COMPLETE, SUCCESS, CANCELED or EXPIRED", q.GetState())
		}
	}
	all, next, err := v.Batches(ns, state, after, size)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListBatchesResponse{Index: v.Index()}
	for _, b := range all {
		res.Batches = append(res.Batches, batchStatus(b))
	}
	if !next.IsZero() {
		res.NextPageToken = next.String()
	}
	return res, nil
}

func (s *server) ListBatchJobs(ctx context.Context, req *connect.Request[apiv1.ListBatchJobsRequest]) (*connect.Response[apiv1.ListBatchJobsResponse], error) {
	return reading(ctx, s, req, req.Msg.GetStale(), apiv1connect.FanfoldClient.ListBatchJobs, listBatchJobs)
}

func listBatchJobs(v *fsm.View, q *apiv1.ListBatchJobsRequest) (*apiv1.ListBatchJobsResponse, error) {
	b, err := batchOf(v, q.GetId(), q.GetNamespace())
	if err != nil {
		return nil, noBatch(q.GetId(), err)
	}
	var state fsm.JobState
	if q.GetState() != "" {
		var ok bool
		if state, ok = fsm.ParseJobState(q.GetState()); !ok {
			return nil, invalid("state %.32q: use RUNNING, SUCCESS, FAILURE or CANCELED", q.GetState())
		}
	}
	_, size, after, err := pageOf(q, jobIDOf)
	if err != nil {
		return nil, err
	}
	jobs, next, err := v.BatchJobs(b.ID, state, after, size)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListBatchJobsResponse{Index: v.Index()}
	for _, j := range jobs {
		res.Jobs = append(res.Jobs, &apiv1.BatchJob{Id: j.ID.String(), State: j.State.String()})
	}
	if !next.IsZero() {
		res.NextPageToken = next.String()
	}
	return res, nil
}

func batchStatus(b *fsm.BatchView) *apiv1.Batch {
	out := &apiv1.Batch{
		Id: b.ID.String(), Namespace: b.Namespace, Name: b.Name, State: b.State.String(), Total: b.Total, Live: b.Live,
		Succeeded: b.Succeeded, Failed: b.Failed, Canceled: b.Canceled, CreatedMs: b.CreatedMS, ExpiresMs: b.ExpiresMS,
		FinishedMs: b.FinishedMS, CancelReason: b.CancelReason, CallbackError: b.CallbackError,
	}
	for _, made := range []struct {
		id fsm.JobID
		to *string
	}{{b.SuccessJob, &out.SuccessJob}, {b.CompleteJob, &out.CompleteJob}, {b.DeathJob, &out.DeathJob}} {
		if !made.id.IsZero() {
			*made.to = made.id.String()
		}
	}
	return out
}
