package sdk

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Explanation says why a task is not done.
type Explanation = apiv1.ExplainTaskResponse

// ExplainOption says what Explain is about. Without one it is the step of the job that says most.
type ExplainOption func(*apiv1.ExplainTaskRequest)

// OfStep explains this step; of an Each or a Fold, as a whole.
func OfStep(name string) ExplainOption {
	return func(q *apiv1.ExplainTaskRequest) { q.Step = name }
}

// OfItem explains one item of an Each.
func OfItem(step string, shard uint64) ExplainOption {
	return func(q *apiv1.ExplainTaskRequest) { q.Step, q.Shard = step, &shard }
}

// Explain says why a task is not done: paused, due at, held by its unique key, blocked by, behind a limit and at which place, without
// a worker that offers it, without a free slot, running where and since when. A cluster without a leader
// answers too: from one node's state, with Stale set and NO_QUORUM as the first reason.
func (c *Client) Explain(ctx context.Context, id string, opts ...ExplainOption) (*Explanation, error) {
	q := &apiv1.ExplainTaskRequest{Id: id, Namespace: c.cfg.Namespace}
	for _, o := range opts {
		o(q)
	}
	var e *Explanation
	err := c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ExplainTask(ctx, connect.NewRequest(q))
		if err == nil {
			e = res.Msg
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sdk: explain job %s: %w", id, err)
	}
	return e, nil
}
