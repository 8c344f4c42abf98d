package cluster

import (
	"context"
	"fmt"
	"strconv"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// deadGroupsMax bounds the groups of one answer.
const deadGroupsMax = 1000

// fillTimes translates a job's limits of time. The state machine judges them.
func fillTimes(out *fsmpb.JobOptions, o *apiv1.JobOptions) error {
	for name, ms := range map[string]int64{"start_by_ms": o.GetStartByMs(), "start_within_ms": o.GetStartWithinMs(), "timeout_ms": o.GetTimeoutMs()} {
		if ms < 0 || ms > timeMaxMS {
			return invalid("%s is %d: give milliseconds, 0 for no limit", name, ms)
		}
	}
	out.StartByMs, out.StartWithinMs, out.TimeoutMs = o.GetStartByMs(), o.GetStartWithinMs(), o.GetTimeoutMs()
	return nil
}

// filterOf translates a filter of dead jobs.
func filterOf(f *apiv1.DeadFilter) (*fsmpb.DeadFilter, error) {
	out := &fsmpb.DeadFilter{Workflow: f.GetWorkflow(), Queue: f.GetQueue(), ErrorType: f.GetErrorType(), SinceMs: f.GetSinceMs(), UntilMs: f.GetUntilMs()}
	if f.GetFingerprint() != "" {
		n, err := strconv.ParseUint(f.GetFingerprint(), 16, 64)
		if err != nil || n == 0 {
			return nil, invalid("fingerprint %.32q: use the 16 hex digits that a list shows", f.GetFingerprint())
		}
		out.Fingerprint = n
	}
	if f.GetSinceMs() < 0 || f.GetUntilMs() < 0 || f.GetSinceMs() > timeMaxMS || f.GetUntilMs() > timeMaxMS {
		return nil, invalid("since_ms and until_ms are unix milliseconds, 0 for no bound")
	}
	return out, nil
}

func filterTo(f *fsmpb.DeadFilter) *apiv1.DeadFilter {
	out := &apiv1.DeadFilter{Workflow: f.GetWorkflow(), Queue: f.GetQueue(), ErrorType: f.GetErrorType(), SinceMs: f.GetSinceMs(), UntilMs: f.GetUntilMs()}
	if f.GetFingerprint() != 0 {
		out.Fingerprint = fingerprintTo(f.GetFingerprint())
	}
	return out
}

func fingerprintTo(n uint64) string { return fmt.Sprintf("%016x", n) }

func deadTo(d *fsm.DeadView) *apiv1.DeadJob {
	return &apiv1.DeadJob{Id: d.ID.String(), FinishedMs: d.FinishedMS, Workflow: d.Workflow, Step: d.Step, Queue: d.Queue,
		ErrorType: d.ErrorType, Message: cut(d.Message, len(d.Message)), Fingerprint: fingerprintTo(d.Fingerprint)}
}

func (s *server) ListDead(ctx context.Context, req *connect.Request[apiv1.ListDeadRequest]) (*connect.Response[apiv1.ListDeadResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListDead, listDead)
}

func listDead(v *fsm.View, q *apiv1.ListDeadRequest) (*apiv1.ListDeadResponse, error) {
	ns, size, after, err := pageOf(q, deadToken)
	if err != nil {
		return nil, err
	}
	filter, err := filterOf(q.GetFilter())
	if err != nil {
		return nil, err
	}
	all, next, err := v.Dead(ns, filter, after, size)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListDeadResponse{Index: v.Index()}
	for i := range all {
		res.Jobs = append(res.Jobs, deadTo(&all[i]))
	}
	if next != (fsm.DeadToken{}) {
		res.NextPageToken = fmt.Sprintf("%d.%s", next.FinishedMS, next.ID)
	}
	return res, nil
}

func deadToken(token string) (after fsm.DeadToken, err error) {
	var id string
	if _, err = fmt.Sscanf(token, "%d.%s", &after.FinishedMS, &id); err == nil {
		after.ID, err = jobIDOf(id)
	}
	return after, err
}

func (s *server) ListDeadGroups(ctx context.Context, req *connect.Request[apiv1.ListDeadGroupsRequest]) (*connect.Response[apiv1.ListDeadGroupsResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListDeadGroups, listDeadGroups)
}

func listDeadGroups(v *fsm.View, q *apiv1.ListDeadGroupsRequest) (*apiv1.ListDeadGroupsResponse, error) {
	ns, err := namespaceOf(q.GetNamespace())
	if err != nil {
		return nil, err
	}
	filter, err := filterOf(q.GetFilter())
	if err != nil {
		return nil, err
	}
	groups, partial, err := v.DeadGroups(ns, filter)
	if err != nil {
		return nil, err
	}
	if len(groups) > deadGroupsMax {
		groups, partial = groups[:deadGroupsMax], true
	}
	res := &apiv1.ListDeadGroupsResponse{Partial: partial, Index: v.Index()}
	for i := range groups {
		g := &groups[i]
		res.Groups = append(res.Groups, &apiv1.DeadGroup{Fingerprint: fingerprintTo(g.Fingerprint), Jobs: g.Jobs, FirstMs: g.FirstMS, LastMs: g.LastMS,
			Newest: deadTo(&g.Newest), Workflows: g.Workflows, Queues: g.Queues})
	}
	return res, nil
}

func (s *server) StartRedrive(ctx context.Context, req *connect.Request[apiv1.StartRedriveRequest]) (*connect.Response[apiv1.StartRedriveResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.StartRedrive,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.StartRedriveRequest) (*apiv1.StartRedriveResponse, error) {
			id := fsm.JobID(ulid.Make())
			var err error
			if q.GetId() != "" {
				if id, err = jobIDOf(q.GetId()); err != nil {
					return nil, err
				}
			}
			ns, err := namespaceOf(q.GetNamespace())
			if err != nil {
				return nil, err
			}
			filter, err := filterOf(q.GetFilter())
			if err != nil {
				return nil, err
			}
			existing, index, err := eng.StartRedrive(ctx, &fsmpb.StartRedrive{Id: id[:], Namespace: ns, Filter: filter,
				Jobs: q.GetJobs(), PeriodMs: q.GetPeriodMs(), Discard: q.GetDiscard(), Reason: q.GetReason()})
			return &apiv1.StartRedriveResponse{Id: id.String(), Existing: existing, Index: index}, err
		})
}

func (s *server) StopRedrive(ctx context.Context, req *connect.Request[apiv1.StopRedriveRequest]) (*connect.Response[apiv1.StopRedriveResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.StopRedrive,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.StopRedriveRequest) (*apiv1.StopRedriveResponse, error) {
			id, err := jobIDOf(q.GetId())
			if err != nil {
				return nil, err
			}
			ns, err := namespaceOf(q.GetNamespace())
			if err != nil {
				return nil, err
			}
			ended, index, err := eng.StopRedrive(ctx, ns, id)
			return &apiv1.StopRedriveResponse{Index: index, Ended: ended}, err
		})
}

func (s *server) ListRedrives(ctx context.Context, req *connect.Request[apiv1.ListRedrivesRequest]) (*connect.Response[apiv1.ListRedrivesResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListRedrives, listRedrives)
}

func listRedrives(v *fsm.View, q *apiv1.ListRedrivesRequest) (*apiv1.ListRedrivesResponse, error) {
	ns, err := namespaceOf(q.GetNamespace())
	if err != nil {
		return nil, err
	}
	all, err := v.Redrives(ns)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListRedrivesResponse{Index: v.Index()}
	for _, r := range all {
		res.Redrives = append(res.Redrives, &apiv1.Redrive{Id: r.ID.String(), State: r.State.String(), Filter: filterTo(r.Start.GetFilter()),
			Jobs: r.Start.GetJobs(), PeriodMs: r.Start.GetPeriodMs(), Discard: r.Start.GetDiscard(), Reason: r.Start.GetReason(),
			StartedMs: r.StartedMS, EndedMs: r.EndedMS, Done: r.Done, Refused: r.Refused, Refusal: r.Refusal})
	}
	return res, nil
}

func (s *server) DiscardJob(ctx context.Context, req *connect.Request[apiv1.DiscardJobRequest]) (*connect.Response[apiv1.DiscardJobResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.DiscardJob,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.DiscardJobRequest) (*apiv1.DiscardJobResponse, error) {
			id, err := s.jobIn(q.GetId(), q.GetNamespace())
			if err != nil {
				return nil, err
			}
			index, err := eng.DiscardJob(ctx, id, q.GetReason())
			return &apiv1.DiscardJobResponse{Index: index}, err
		})
}
