package cluster

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (s *server) ListAttempts(ctx context.Context, req *connect.Request[apiv1.ListAttemptsRequest]) (*connect.Response[apiv1.ListAttemptsResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListAttempts, listAttempts)
}

func listAttempts(v *fsm.View, q *apiv1.ListAttemptsRequest) (*apiv1.ListAttemptsResponse, error) {
	id, err := jobIDOf(q.GetId())
	if err != nil {
		return nil, err
	}
	ns, size, after, err := pageOf(q, attemptToken)
	if err != nil {
		return nil, err
	}
	if q.Shard != nil && q.GetStep() == "" {
		return nil, invalid("shard is given without a step: name the step whose item it is")
	}
	if q.GetPageToken() != "" {
		after.Ref.Job = id
	}
	if of, _, err := v.JobHead(id); err != nil {
		return nil, err
	} else if of != ns {
		return nil, notIn(ns, id)
	}
	if step := q.GetStep(); step != "" {
		if _, err := v.Step(id, step); err != nil {
			return nil, refuse(fsm.CodeNotFound, "the job has no step of that name; `fanfold job show` lists its steps")
		}
	}
	all, next, err := v.Attempts(id, fsm.AttemptFilter{Step: q.GetStep(), Shard: q.Shard}, after, size)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListAttemptsResponse{Index: v.Index()}
	for i := range all {
		res.Attempts = append(res.Attempts, attemptTo(&all[i]))
	}
	if !next.Ref.Job.IsZero() {
		res.NextPageToken = fmt.Sprintf("%d.%d.%d", next.Ref.Step, next.Ref.Shard, next.Order)
	}
	return res, nil
}

func attemptToken(token string) (after fsm.AttemptToken, err error) {
	_, err = fmt.Sscanf(token, "%d.%d.%d", &after.Ref.Step, &after.Ref.Shard, &after.Order)
	return after, err
}

func attemptTo(a *fsm.AttemptView) *apiv1.Attempt {
	state := a.Why.String()
	if a.Why == 0 {
		state = fsm.TaskStarted.String()
	}
	return &apiv1.Attempt{
		Step: a.Step, Shard: a.Ref.Shard, Number: a.Number, Round: a.Round, State: state, Worker: a.Worker, Session: a.Session,
		FenceIndex: a.Fence.Index, FencePos: a.Fence.Pos, BeganMs: a.BeganMS, EndedMs: a.EndedMS,
		ErrorType: a.Error.GetType(), ErrorMessage: a.Error.GetMessage(), ErrorStack: a.Error.GetStack(),
	}
}
