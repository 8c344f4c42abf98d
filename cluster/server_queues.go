package cluster

import (
	"context"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func queueNameOf(n *apiv1.QueueName) (namespace, queue string, err error) {
	if namespace, err = namespaceOf(n.GetNamespace()); err != nil {
		return "", "", err
	}
	return namespace, n.GetQueue(), checkName("queue", n.GetQueue())
}

// onQueue runs a verb of the engine on the queue that a request names.
func onQueue(ctx context.Context, n *apiv1.QueueName, verb func(ctx context.Context, namespace, queue string) (uint64, error)) (uint64, error) {
	namespace, queue, err := queueNameOf(n)
	if err != nil {
		return 0, err
	}
	return verb(ctx, namespace, queue)
}

func (s *server) PauseQueue(ctx context.Context, req *connect.Request[apiv1.PauseQueueRequest]) (*connect.Response[apiv1.PauseQueueResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.PauseQueue,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.PauseQueueRequest) (*apiv1.PauseQueueResponse, error) {
			index, err := onQueue(ctx, q.GetName(), eng.PauseQueue)
			return &apiv1.PauseQueueResponse{Index: index}, err
		})
}

func (s *server) ResumeQueue(ctx context.Context, req *connect.Request[apiv1.ResumeQueueRequest]) (*connect.Response[apiv1.ResumeQueueResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.ResumeQueue,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.ResumeQueueRequest) (*apiv1.ResumeQueueResponse, error) {
			index, err := onQueue(ctx, q.GetName(), eng.ResumeQueue)
			return &apiv1.ResumeQueueResponse{Index: index}, err
		})
}

func (s *server) DrainQueue(ctx context.Context, req *connect.Request[apiv1.DrainQueueRequest]) (*connect.Response[apiv1.DrainQueueResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.DrainQueue,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.DrainQueueRequest) (*apiv1.DrainQueueResponse, error) {
			index, err := onQueue(ctx, q.GetName(), eng.DrainQueue)
			return &apiv1.DrainQueueResponse{Index: index}, err
		})
}

func (s *server) UndrainQueue(ctx context.Context, req *connect.Request[apiv1.UndrainQueueRequest]) (*connect.Response[apiv1.UndrainQueueResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.UndrainQueue,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.UndrainQueueRequest) (*apiv1.UndrainQueueResponse, error) {
			index, err := onQueue(ctx, q.GetName(), eng.UndrainQueue)
			return &apiv1.UndrainQueueResponse{Index: index}, err
		})
}

func (s *server) PurgeQueue(ctx context.Context, req *connect.Request[apiv1.PurgeQueueRequest]) (*connect.Response[apiv1.PurgeQueueResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.PurgeQueue,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.PurgeQueueRequest) (*apiv1.PurgeQueueResponse, error) {
			index, err := onQueue(ctx, q.GetName(), eng.PurgeQueue)
			return &apiv1.PurgeQueueResponse{Index: index}, err
		})
}

func (s *server) SetQueue(ctx context.Context, req *connect.Request[apiv1.SetQueueRequest]) (*connect.Response[apiv1.SetQueueResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.SetQueue,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.SetQueueRequest) (*apiv1.SetQueueResponse, error) {
			namespace, queue, err := queueNameOf(q.GetName())
			if err != nil {
				return nil, err
			}
			set := q.GetSettings()
			c := &fsmpb.SetQueue{
				Namespace: namespace, Queue: queue, Weights: set.GetWeights(), Budget: budgetOf(set.GetBudget()),
				Success: retentionOf(set.GetSuccess()), Failure: retentionOf(set.GetFailure()), Canceled: retentionOf(set.GetCanceled()),
			}
			if set != nil {
				c.AgeingMs = set.AgeingMs
			}
			index, err := eng.SetQueue(ctx, c)
			return &apiv1.SetQueueResponse{Index: index}, err
		})
}

func (s *server) GetQueue(ctx context.Context, req *connect.Request[apiv1.GetQueueRequest]) (*connect.Response[apiv1.GetQueueResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.GetQueue,
		func(v *fsm.View, q *apiv1.GetQueueRequest) (*apiv1.GetQueueResponse, error) {
			namespace, name, err := queueNameOf(q.GetName())
			if err != nil {
				return nil, err
			}
			one, err := v.Queue(namespace, name)
			if err != nil {
				return nil, refuse(fsm.CodeNotFound, "no queue "+name+" in namespace "+namespace+"; `fanfold queue list` shows those there are")
			}
			return &apiv1.GetQueueResponse{Queue: queue(&one), Index: v.Index()}, nil
		})
}

func (s *server) SetBudget(ctx context.Context, req *connect.Request[apiv1.SetBudgetRequest]) (*connect.Response[apiv1.SetBudgetResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.SetBudget,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.SetBudgetRequest) (*apiv1.SetBudgetResponse, error) {
			index, err := eng.SetBudget(ctx, budgetOf(q.GetBudget()))
			return &apiv1.SetBudgetResponse{Index: index}, err
		})
}

func (s *server) GetBudget(ctx context.Context, req *connect.Request[apiv1.GetBudgetRequest]) (*connect.Response[apiv1.GetBudgetResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.GetBudget,
		func(v *fsm.View, _ *apiv1.GetBudgetRequest) (*apiv1.GetBudgetResponse, error) {
			b, used, err := v.Budget()
			return &apiv1.GetBudgetResponse{Budget: &apiv1.Budget{Jobs: b.Jobs, Bytes: b.Bytes}, Used: tally(used), Index: v.Index()}, err
		})
}

func budgetOf(b *apiv1.Budget) *fsmpb.Budget {
	if b == nil {
		return nil
	}
	return &fsmpb.Budget{Jobs: b.GetJobs(), Bytes: b.GetBytes()}
}

func retentionOf(r *apiv1.Retention) *fsmpb.Retention {
	if r == nil {
		return nil
	}
	return &fsmpb.Retention{AgeMs: r.GetAgeMs(), Count: r.GetCount(), Bytes: r.GetBytes()}
}

func queueSettings(q *fsm.QueueView) *apiv1.QueueSettings {
	keep := func(r fsm.Retention) *apiv1.Retention {
		return &apiv1.Retention{AgeMs: r.AgeMS, Count: r.Count, Bytes: r.Bytes}
	}
	return &apiv1.QueueSettings{
		AgeingMs: &q.AgeingMS, Weights: q.Weights, Budget: &apiv1.Budget{Jobs: q.Jobs.Budget.Jobs, Bytes: q.Jobs.Budget.Bytes},
		Success: keep(q.Jobs.KeepSuccess), Failure: keep(q.Jobs.KeepFailure), Canceled: keep(q.Jobs.KeepCanceled),
	}
}

func queueJobs(j *fsm.QueueJobs) *apiv1.QueueJobs {
	return &apiv1.QueueJobs{
		Unfinished: tally(j.Unfinished), Success: tally(j.Success), Failure: tally(j.Failure), Canceled: tally(j.Canceled),
		Purging: j.Purging, Purged: j.Purged,
	}
}

func tally(t fsm.Tally) *apiv1.JobTally { return &apiv1.JobTally{Jobs: t.Jobs, Bytes: t.Bytes} }

// fillFlow translates the options of queues, keys and limits.
func fillFlow(out *fsmpb.JobOptions, o *apiv1.JobOptions) error {
	if len(o.GetPartition()) > nameMax {
		return invalid("the partition has %d bytes; it may have %d: use a hash of it", len(o.GetPartition()), nameMax)
	}
	for _, r := range o.GetPartition() {
		if r < ' ' || r == 0x7f {
			return invalid("the partition %.64q has a control character", o.GetPartition())
		}
	}
	if o.GetPriority() > 10 {
		return invalid("priority is %d: give 1 (first) to 10 (last), 0 for the graph's own", o.GetPriority())
	}
	out.Partition, out.Priority = o.GetPartition(), o.GetPriority()
	return nil
}
