package cluster

import (
	"context"
	"math"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// linesOf translates what tasks have logged. Texts are cut to what the log takes.
func linesOf(logs []*apiv1.TaskLog) []*fsmpb.TaskLines {
	out := make([]*fsmpb.TaskLines, 0, len(logs))
	for _, l := range logs {
		one := &fsmpb.TaskLines{
			Fence:   &fsmpb.Fence{Index: l.GetFence().GetIndex(), Pos: l.GetFence().GetPos()},
			Task:    &fsmpb.TaskRef{Job: l.GetTask().GetJob(), Step: l.GetTask().GetStep(), Shard: l.GetTask().GetShard()},
			Dropped: l.GetDropped(),
		}
		size := 0
		for _, line := range l.GetLines() {
			text := cut(line.GetText(), fsm.LogTextMax)
			if size += len(text); size > fsm.LogTaskMax {
				one.Dropped++ // more than is kept of a task in one message: no worker of ours sends that
				continue
			}
			one.Lines = append(one.Lines, &fsmpb.LogLine{TimeMs: line.GetTimeMs(), Level: line.GetLevel(), Text: text})
		}
		out = append(out, one)
	}
	return out
}

// ListLogs reads a job's log. With wait_ms the call stays until there is something, the job has ended or
// the wait is over.
func (s *server) ListLogs(ctx context.Context, req *connect.Request[apiv1.ListLogsRequest]) (*connect.Response[apiv1.ListLogsResponse], error) {
	if req.Msg.GetStale() {
		return reading(ctx, s, req, true, apiv1connect.FanfoldClient.ListLogs, listLogs)
	}
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.ListLogs, s.listLogs)
}

func (s *server) listLogs(ctx context.Context, eng *engine.Engine, q *apiv1.ListLogsRequest) (*apiv1.ListLogsResponse, error) {
	id, err := jobIDOf(q.GetId())
	if err != nil {
		return nil, err
	}
	wait := min(time.Duration(max(0, q.GetWaitMs()))*time.Millisecond, waitMax)
	w := eng.Watch()
	defer w.Close()
	if wait > 0 {
		if err := w.Add(ctx, id); err != nil {
			return nil, err
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if _, err := eng.ReadIndex(ctx); err != nil {
			return nil, err
		}
		res, err := viewing(s, q, listLogs)
		if err != nil || wait == 0 || len(res.GetEntries()) > 0 || res.GetMore() || res.GetEnded() {
			return res, err
		}
		select {
		case <-w.Ready():
			if _, err := w.Take(); err != nil {
				return nil, err
			}
		case <-timer.C:
			return res, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func listLogs(v *fsm.View, q *apiv1.ListLogsRequest) (*apiv1.ListLogsResponse, error) {
	id, err := jobIn(v, q.GetId(), q.GetNamespace())
	if err != nil {
		return nil, err
	}
	if q.GetStep() != "" {
		if _, err := taskOf(v, q.GetId(), q.GetNamespace(), q.GetStep(), q.GetShard()); err != nil {
			return nil, err
		}
	}
	size, err := pageSize(q.GetPageSize())
	if err != nil {
		return nil, err
	}
	f := fsm.LogFilter{Step: q.GetStep(), Shard: q.Shard, MinLevel: math.MinInt32}
	if q.MinLevel != nil {
		f.MinLevel = q.GetMinLevel()
	}
	p, err := v.Logs(id, f, q.GetAfter(), size)
	if err != nil {
		return nil, err
	}
	res := &apiv1.ListLogsResponse{Next: p.Next, More: p.More, Ended: p.Ended, Dropped: p.Dropped, Index: v.Index()}
	for i := range p.Lines {
		l := &p.Lines[i]
		res.Entries = append(res.Entries, &apiv1.TaskLogEntry{Step: l.Step, Shard: l.Shard, Attempt: l.Attempt,
			Line: &apiv1.LogLine{TimeMs: l.TimeMS, Level: l.Level, Text: l.Text}})
	}
	return res, nil
}
