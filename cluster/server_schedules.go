package cluster

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	previewDefault = 10
	previewMax     = 1000
)

// scheduleIn reads the namespace and name of a request.
func scheduleIn(namespace, name string) (string, error) {
	ns, err := namespaceOf(namespace)
	if err != nil {
		return "", err
	}
	return ns, checkName("schedule", name)
}

// SetSchedule gives the schedule the rules of its time zone as this node has them.
func (s *server) SetSchedule(ctx context.Context, req *connect.Request[apiv1.SetScheduleRequest]) (*connect.Response[apiv1.SetScheduleResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.SetSchedule,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.SetScheduleRequest) (*apiv1.SetScheduleResponse, error) {
			set, err := s.scheduleOf(q.GetSchedule())
			if err != nil {
				return nil, err
			}
			existing, index, err := eng.SetSchedule(ctx, set)
			return &apiv1.SetScheduleResponse{Existing: existing, Index: index}, err
		})
}

func (s *server) DeleteSchedule(ctx context.Context, req *connect.Request[apiv1.DeleteScheduleRequest]) (*connect.Response[apiv1.DeleteScheduleResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.DeleteSchedule,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.DeleteScheduleRequest) (*apiv1.DeleteScheduleResponse, error) {
			ns, err := scheduleIn(q.GetNamespace(), q.GetName())
			if err != nil {
				return nil, err
			}
			index, err := eng.DeleteSchedule(ctx, ns, q.GetName())
			return &apiv1.DeleteScheduleResponse{Index: index}, err
		})
}

func (s *server) PauseSchedule(ctx context.Context, req *connect.Request[apiv1.PauseScheduleRequest]) (*connect.Response[apiv1.PauseScheduleResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.PauseSchedule,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.PauseScheduleRequest) (*apiv1.PauseScheduleResponse, error) {
			ns, err := scheduleIn(q.GetNamespace(), q.GetName())
			if err != nil {
				return nil, err
			}
			if len(q.GetNote()) > reasonMax {
				return nil, tooLarge("the note has %d bytes; it may have %d", len(q.GetNote()), reasonMax)
			}
			index, err := eng.PauseSchedule(ctx, ns, q.GetName(), q.GetNote())
			return &apiv1.PauseScheduleResponse{Index: index}, err
		})
}

func (s *server) ResumeSchedule(ctx context.Context, req *connect.Request[apiv1.ResumeScheduleRequest]) (*connect.Response[apiv1.ResumeScheduleResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.ResumeSchedule,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.ResumeScheduleRequest) (*apiv1.ResumeScheduleResponse, error) {
			ns, err := scheduleIn(q.GetNamespace(), q.GetName())
			if err != nil {
				return nil, err
			}
			index, err := eng.ResumeSchedule(ctx, ns, q.GetName())
			return &apiv1.ResumeScheduleResponse{Index: index}, err
		})
}

func (s *server) TriggerSchedule(ctx context.Context, req *connect.Request[apiv1.TriggerScheduleRequest]) (*connect.Response[apiv1.TriggerScheduleResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.TriggerSchedule,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.TriggerScheduleRequest) (*apiv1.TriggerScheduleResponse, error) {
			ns, err := scheduleIn(q.GetNamespace(), q.GetName())
			if err != nil {
				return nil, err
			}
			id := fsm.JobID(ulid.Make())
			if q.GetId() != "" {
				if id, err = jobIDOf(q.GetId()); err != nil {
					return nil, err
				}
			}
			existing, index, err := eng.TriggerSchedule(ctx, ns, q.GetName(), id, q.GetTickMs())
			return &apiv1.TriggerScheduleResponse{Id: id.String(), Existing: existing, Index: index}, err
		})
}

func (s *server) BackfillSchedule(ctx context.Context, req *connect.Request[apiv1.BackfillScheduleRequest]) (*connect.Response[apiv1.BackfillScheduleResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.BackfillSchedule,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.BackfillScheduleRequest) (*apiv1.BackfillScheduleResponse, error) {
			ns, err := scheduleIn(q.GetNamespace(), q.GetName())
			if err != nil {
				return nil, err
			}
			made, present, next, index, err := eng.BackfillSchedule(ctx, ns, q.GetName(), q.GetFromMs(), q.GetToMs())
			return &apiv1.BackfillScheduleResponse{Created: made, Existing: present, NextMs: next, Index: index}, err
		})
}

// PreviewSchedule of a schedule that is not stored needs no leader: it is a computation.
func (s *server) PreviewSchedule(ctx context.Context, req *connect.Request[apiv1.PreviewScheduleRequest]) (*connect.Response[apiv1.PreviewScheduleResponse], error) {
	if req.Msg.GetSchedule() == nil {
		return reading(ctx, s, req, false, apiv1connect.FanfoldClient.PreviewSchedule, previewStored)
	}
	after, n, err := previewSpan(req.Msg)
	if err != nil {
		return nil, s.fail(err)
	}
	set, err := s.timesOf(req.Msg.GetSchedule())
	if err != nil {
		return nil, s.fail(err)
	}
	ticks, err := fsm.PreviewSchedule(set, after, n)
	if err != nil {
		return nil, s.fail(err)
	}
	return connect.NewResponse(previewAnswer(ticks)), nil
}

func previewStored(v *fsm.View, q *apiv1.PreviewScheduleRequest) (*apiv1.PreviewScheduleResponse, error) {
	ns, err := scheduleIn(q.GetNamespace(), q.GetName())
	if err != nil {
		return nil, err
	}
	after, n, err := previewSpan(q)
	if err != nil {
		return nil, err
	}
	ticks, err := v.PreviewSchedule(ns, q.GetName(), after, n)
	if err != nil {
		return nil, noSchedule(err, ns, q.GetName())
	}
	return previewAnswer(ticks), nil
}

func previewSpan(q *apiv1.PreviewScheduleRequest) (afterMS int64, n int, err error) {
	from := q.GetFromMs()
	if from == 0 {
		from = time.Now().UnixMilli()
	}
	n = int(q.GetCount())
	if n == 0 {
		n = previewDefault
	}
	if from < 0 || from > timeMaxMS || n > previewMax {
		return 0, 0, invalid("a preview is of up to %d ticks from a time in unix milliseconds", previewMax)
	}
	return from - 1, n, nil
}

func previewAnswer(ticks []fsm.TickView) *apiv1.PreviewScheduleResponse {
	res := new(apiv1.PreviewScheduleResponse)
	for _, t := range ticks {
		res.Ticks = append(res.Ticks, &apiv1.PreviewTick{TickMs: t.TickMS, DueMs: t.DueMS, Local: t.Local.Format(time.RFC3339)})
	}
	return res
}

func noSchedule(err error, namespace, name string) error {
	if errors.Is(err, fsm.ErrNotFound) {
		return refuse(fsm.CodeNotFound, "no schedule "+name+" in namespace "+namespace+"; `fanfold schedule list` shows those there are")
	}
	return err
}

func (s *server) GetSchedule(ctx context.Context, req *connect.Request[apiv1.GetScheduleRequest]) (*connect.Response[apiv1.GetScheduleResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.GetSchedule,
		func(v *fsm.View, q *apiv1.GetScheduleRequest) (*apiv1.GetScheduleResponse, error) {
			ns, err := scheduleIn(q.GetNamespace(), q.GetName())
			if err != nil {
				return nil, err
			}
			view, err := v.Schedule(ns, q.GetName())
			if err != nil {
				return nil, noSchedule(err, ns, q.GetName())
			}
			return &apiv1.GetScheduleResponse{Schedule: scheduleStatus(view, true), Index: v.Index()}, nil
		})
}

func (s *server) ListSchedules(ctx context.Context, req *connect.Request[apiv1.ListSchedulesRequest]) (*connect.Response[apiv1.ListSchedulesResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListSchedules,
		func(v *fsm.View, q *apiv1.ListSchedulesRequest) (*apiv1.ListSchedulesResponse, error) {
			ns, size, after, err := pageOf(q, func(name string) (string, error) { return name, nil })
			if err != nil {
				return nil, err
			}
			all, next, err := v.Schedules(ns, after, size)
			if err != nil {
				return nil, err
			}
			res := &apiv1.ListSchedulesResponse{NextPageToken: next, Index: v.Index()}
			for _, view := range all {
				res.Schedules = append(res.Schedules, scheduleStatus(view, false))
			}
			return res, nil
		})
}
