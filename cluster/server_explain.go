package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// explainPatience is how long an explanation waits for a quorum, or for the leader that it is passed on to:
// that there is none is the explanation.
const explainPatience = 2 * time.Second

// ExplainTask says why a task is not done. It is the one read that never fails for want of a leader.
func (s *server) ExplainTask(ctx context.Context, req *connect.Request[apiv1.ExplainTaskRequest]) (*connect.Response[apiv1.ExplainTaskResponse], error) {
	short, cancel := context.WithTimeout(ctx, explainPatience)
	defer cancel()
	res, err := onLeader(short, s, req, apiv1connect.FanfoldClient.ExplainTask, s.explainTask)
	if err == nil || req.Header().Get(forwardedHeader) != "" || ctx.Err() != nil || !noQuorum(err) {
		return res, err
	}
	stale, viewErr := viewing(s, req.Msg, explainTask)
	var refusal *fsm.Refusal
	switch {
	case errors.Is(viewErr, fsm.ErrNotFound), errors.As(viewErr, &refusal) && refusal.Code == fsm.CodeNotFound:
		return nil, err // a node that has just started knows little: what it does not know may well exist
	case viewErr != nil:
		return nil, s.fail(viewErr)
	}
	stale.Stale = true
	stale.Reasons = append([]*apiv1.Reason{{Code: "NO_QUORUM", Text: fmt.Sprintf(
		"node %s finds no leader with a majority: nothing begins or ends until there is one. What follows is what this node knew last", s.h.Status().NodeID)}},
		stale.Reasons...)
	return connect.NewResponse(stale), nil
}

// noQuorum reports whether an error says that there is no leader, or that it was not reached in time.
func noQuorum(err error) bool {
	var ce *connect.Error
	return errors.As(err, &ce) && (ce.Code() == connect.CodeUnavailable || ce.Code() == connect.CodeAborted || ce.Code() == connect.CodeDeadlineExceeded || ce.Code() == connect.CodeCanceled)
}

func (s *server) explainTask(ctx context.Context, eng *engine.Engine, q *apiv1.ExplainTaskRequest) (*apiv1.ExplainTaskResponse, error) {
	if _, err := eng.ReadIndex(ctx); err != nil {
		return nil, err
	}
	res, err := viewing(s, q, explainTask)
	if err != nil {
		return nil, err
	}
	return res, addReasonProgress(ctx, eng, res.GetReasons())
}

func explainTask(v *fsm.View, q *apiv1.ExplainTaskRequest) (*apiv1.ExplainTaskResponse, error) {
	id, err := jobIn(v, q.GetId(), q.GetNamespace())
	if err != nil {
		return nil, err
	}
	e, err := v.Explain(id, q.GetStep(), q.Shard)
	if errors.Is(err, fsm.ErrNotFound) {
		return nil, refuse(fsm.CodeNotFound, "the job has no such step or item; `fanfold job show` lists its steps")
	} else if err != nil {
		return nil, err
	}
	res := &apiv1.ExplainTaskResponse{
		Id: id.String(), JobState: e.JobState.String(), Step: e.Step, Shard: e.Shard, State: e.State.String(),
		Index: v.Index(), NowMs: v.NowMS(),
	}
	for i := range e.Reasons {
		res.Reasons = append(res.Reasons, reason(&e.Reasons[i]))
	}
	return res, nil
}

func reason(r *fsm.Reason) *apiv1.Reason {
	out := &apiv1.Reason{
		Code: string(r.Why), Text: r.Text, UntilMs: r.UntilMS, SinceMs: r.SinceMS, Queue: r.Queue, Position: r.Position,
		Worker: r.Worker, Session: r.Session, Steps: r.Steps,
	}
	if !r.Job.IsZero() {
		out.Job = r.Job.String()
	}
	if r.Why == fsm.WhyRunning && r.Session != 0 {
		out.Fence = fenceTo(r.Fence)
	}
	return out
}
