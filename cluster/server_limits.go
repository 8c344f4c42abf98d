package cluster

import (
	"context"
	"strings"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (s *server) SetLimit(ctx context.Context, req *connect.Request[apiv1.SetLimitRequest]) (*connect.Response[apiv1.SetLimitResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.SetLimit,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.SetLimitRequest) (*apiv1.SetLimitResponse, error) {
			l, err := limitOf(q.GetLimit())
			if err != nil {
				return nil, err
			}
			index, err := eng.SetLimit(ctx, l)
			return &apiv1.SetLimitResponse{Index: index}, err
		})
}

func (s *server) DeleteLimit(ctx context.Context, req *connect.Request[apiv1.DeleteLimitRequest]) (*connect.Response[apiv1.DeleteLimitResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.DeleteLimit,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.DeleteLimitRequest) (*apiv1.DeleteLimitResponse, error) {
			l, err := limitOf(q.GetLimit())
			if err != nil {
				return nil, err
			}
			index, err := eng.DeleteLimit(ctx, l)
			return &apiv1.DeleteLimitResponse{Index: index}, err
		})
}

func (s *server) ListLimits(ctx context.Context, req *connect.Request[apiv1.ListLimitsRequest]) (*connect.Response[apiv1.ListLimitsResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListLimits,
		func(v *fsm.View, q *apiv1.ListLimitsRequest) (*apiv1.ListLimitsResponse, error) {
			namespace, err := namespaceOf(q.GetNamespace())
			if err != nil {
				return nil, err
			}
			all, err := v.Limits(namespace)
			if err != nil {
				return nil, err
			}
			res := &apiv1.ListLimitsResponse{Index: v.Index()}
			for i := range all {
				res.Limits = append(res.Limits, &apiv1.LimitStatus{
					Limit: limitTo(all[i].Limit), Held: all[i].Held, Partitions: all[i].Partitions, Full: all[i].Full, FreeMs: all[i].FreeMS,
				})
			}
			return res, nil
		})
}

const (
	scopePrefix = "LIMIT_SCOPE_"
	kindPrefix  = "LIMIT_KIND_"
)

// limitOf translates a limit. What its numbers may be the state machine says.
func limitOf(l *apiv1.Limit) (*fsmpb.Limit, error) {
	namespace, err := namespaceOf(l.GetNamespace())
	if err != nil {
		return nil, err
	}
	scope, ok := fsmpb.LimitScope_value[scopePrefix+l.GetScope()]
	if !ok || scope == 0 {
		return nil, invalid("a limit's scope is QUEUE or TASK, not %.32q", l.GetScope())
	}
	kind, ok := fsmpb.LimitKind_value[kindPrefix+l.GetKind()]
	if !ok || kind == 0 {
		return nil, invalid("a limit's kind is RATE, WINDOW or CONCURRENCY, not %.32q", l.GetKind())
	}
	if err := checkName(strings.ToLower(l.GetScope()), l.GetName()); err != nil {
		return nil, err
	}
	return &fsmpb.Limit{
		Namespace: namespace, Scope: fsmpb.LimitScope(scope), Name: l.GetName(), PerPartition: l.GetPerPartition(),
		Kind: fsmpb.LimitKind(kind), N: l.GetN(), PeriodMs: l.GetPeriodMs(), Burst: l.GetBurst(),
	}, nil
}

func limitTo(l *fsmpb.Limit) *apiv1.Limit {
	return &apiv1.Limit{
		Namespace: l.GetNamespace(), Scope: strings.TrimPrefix(l.GetScope().String(), scopePrefix), Name: l.GetName(), PerPartition: l.GetPerPartition(),
		Kind: strings.TrimPrefix(l.GetKind().String(), kindPrefix), N: l.GetN(), PeriodMs: l.GetPeriodMs(), Burst: l.GetBurst(),
	}
}
