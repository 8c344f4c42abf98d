package sdk

import (
	"context"
	"fmt"
	"iter"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Schedule says when the cluster makes jobs by itself. Each tick makes one job, whoever leads the cluster and
// how often that changes. Exactly one of Cron and Every is given; the zero value of the rest is its default.
type Schedule struct {
	// Name of the schedule in the client's namespace. Setting it again changes it.
	Name string
	// Cron is minute, hour, day of month, month, day of week; with six fields the second comes first; or
	// @hourly, @daily, @weekly, @monthly, @yearly.
	Cron string
	// Every is an interval, at least 1 s: at Start, or else when the schedule was made, and every so often after.
	Every time.Duration
	// Zone is the time zone of Cron, such as Europe/Berlin. Default UTC. A fixed hour ticks once for each
	// date, also when the clocks change; a wildcard hour goes by real time.
	Zone string
	// Missed says what becomes of ticks that could not be fired in time. Default MissedFireOnce.
	Missed MissedPolicy
	// MissedMax bounds what MissedFireAll catches up with, the newest ticks. Default 100, limit 1,000.
	MissedMax int
	// Overlap says what becomes of a tick while a job of the schedule runs. Default OverlapSkip.
	Overlap OverlapPolicy
	// Start and End bound the ticks: none before Start, none at End or after. Default: no bounds.
	Start, End time.Time
	// Jitter fires a tick up to so much later, by a hash of the tick, and always before the next one.
	// Default 0, limit 7 days.
	Jitter time.Duration
	// MaxLateness makes a tick that could not be fired for so long a missed one that is left out. Default: no
	// bound; with MissedSkip 1 min.
	MaxLateness time.Duration
	// Paused makes a new schedule begin paused. One that exists stays as it is.
	Paused bool
}

// MissedPolicy says what becomes of ticks that were not fired in time: the cluster had no majority.
type MissedPolicy string

const (
	MissedFireOnce MissedPolicy = "FIRE_ONCE" // one job for all of them, for the newest
	MissedFireAll  MissedPolicy = "FIRE_ALL"  // a job for each, up to MissedMax
	MissedSkip     MissedPolicy = "SKIP"      // none, but for one that is less than MaxLateness late
)

// OverlapPolicy says what becomes of a tick while a job of the schedule runs.
type OverlapPolicy string

const (
	OverlapSkip      OverlapPolicy = "SKIP"       // it is left out
	OverlapAllow     OverlapPolicy = "ALLOW"      // it makes its job
	OverlapQueueOne  OverlapPolicy = "QUEUE_ONE"  // it waits for the running jobs; while one waits, others are left out
	OverlapCancelOld OverlapPolicy = "CANCEL_OLD" // the running jobs are canceled
)

// ScheduleStatus is a schedule as it is now.
type ScheduleStatus = apiv1.ScheduleStatus

// Schedule makes a schedule of jobs of this task, or changes the one of that name. Each job has the same
// input; Info says for which tick it is. See Workflow.Schedule.
func (t *Task[In, Out]) Schedule(ctx context.Context, c *Client, in In, s Schedule, opts ...SubmitOption) error {
	graph, err := t.encodedGraph()
	if err != nil {
		return err
	}
	return schedule(ctx, c, graph, in, s, append(t.submitDefaults(), opts...))
}

// Schedule makes a schedule of jobs of this workflow, or changes the one of that name. It is safe to call
// at each start of a program: the same schedule again changes nothing, other times begin from now, and a
// pause stays. The options are those of each job, after the workflow's own (JobTimeout); JobID, JobKey, StartAt,
// RunIn and StartBy make no sense there (ErrInvalid), StartWithin counts from the tick. The input is at most 256 KiB.
func (w *Workflow[In, Out]) Schedule(ctx context.Context, c *Client, in In, s Schedule, opts ...SubmitOption) error {
	return schedule(ctx, c, w.encoded, in, s, append(w.submitDefaults(), opts...))
}

func schedule[In any](ctx context.Context, c *Client, graph []byte, in In, s Schedule, opts []SubmitOption) error {
	input, err := encoder[In]()(in)
	if err != nil {
		return fmt.Errorf("sdk: set schedule %s: %w: input: %w", s.Name, ErrInvalid, err)
	}
	return c.SetSchedule(ctx, s, RawJob{Graph: graph, Input: input}, opts...)
}

// SetSchedule is Schedule without types.
func (c *Client) SetSchedule(ctx context.Context, s Schedule, job RawJob, opts ...SubmitOption) error {
	message, err := s.message(c.cfg.Namespace)
	if err == nil {
		err = c.scheduled(ctx, message, job, opts)
	}
	if err != nil {
		return fmt.Errorf("sdk: set schedule %s: %w", s.Name, err)
	}
	return c.change(ctx, "set schedule "+s.Name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.SetSchedule(ctx, connect.NewRequest(&apiv1.SetScheduleRequest{Schedule: message}))
		return err
	}, nil)
}

// message checks what the API would read otherwise than it was meant.
func (s *Schedule) message(namespace string) (*apiv1.Schedule, error) {
	if s.Every < 0 || s.Jitter < 0 || s.MaxLateness < 0 || s.MissedMax < 0 {
		return nil, fmt.Errorf("%w: a negative Every, Jitter, MaxLateness or MissedMax", ErrInvalid)
	}
	m := &apiv1.Schedule{
		Namespace: namespace, Name: s.Name, Cron: s.Cron, EveryMs: milliseconds(s.Every), Zone: s.Zone,
		Missed: string(s.Missed), MissedMax: uint32(s.MissedMax), Overlap: string(s.Overlap),
		JitterMs: milliseconds(s.Jitter), LateMs: milliseconds(s.MaxLateness), Paused: s.Paused,
	}
	if !s.Start.IsZero() {
		m.StartMs = s.Start.UnixMilli()
	}
	if !s.End.IsZero() {
		m.EndMs = s.End.UnixMilli()
	}
	return m, nil
}

// scheduled puts the job into the message.
func (c *Client) scheduled(ctx context.Context, m *apiv1.Schedule, job RawJob, opts []SubmitOption) error {
	var own submitSettings
	for _, o := range opts {
		o.submitOption(&own)
	}
	if own.job.Id != "" || own.job.Key != "" || own.job.NotBeforeMs != 0 || own.job.GetOptions().GetStartByMs() != 0 {
		return fmt.Errorf("%w: JobID, JobKey, StartAt, RunIn and StartBy are for a single job", ErrInvalid)
	}
	large := fmt.Errorf("%w: the input of a schedule has at most %d bytes, because each tick has it anew: let a step of the job read the rest", ErrTooLarge, maxInline)
	if len(job.Input) > maxInline {
		return large
	}
	p, err := c.prepare(ctx, job, opts)
	if err != nil {
		return err
	}
	if p.job.Input.GetBlob() != nil { // the codec has made it larger
		return large
	}
	m.Graph, m.Input, m.RetainMs, m.Options = p.job.Graph, p.job.Input, p.job.RetainMs, p.job.Options
	return nil
}

// DeleteSchedule removes a schedule. Its jobs go on.
func (c *Client) DeleteSchedule(ctx context.Context, name string) error {
	return c.change(ctx, "delete schedule "+name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.DeleteSchedule(ctx, connect.NewRequest(&apiv1.DeleteScheduleRequest{Namespace: c.cfg.Namespace, Name: name}))
		return err
	}, ErrNotFound)
}

// PauseSchedule stops the ticks of a schedule until ResumeSchedule. What would have ticked meanwhile is not
// missed: it never was due. The note is for people.
func (c *Client) PauseSchedule(ctx context.Context, name, note string) error {
	return c.change(ctx, "pause schedule "+name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.PauseSchedule(ctx, connect.NewRequest(&apiv1.PauseScheduleRequest{Namespace: c.cfg.Namespace, Name: name, Note: note}))
		return err
	}, nil)
}

// ResumeSchedule lets the ticks of a paused schedule go on from now.
func (c *Client) ResumeSchedule(ctx context.Context, name string) error {
	return c.change(ctx, "resume schedule "+name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.ResumeSchedule(ctx, connect.NewRequest(&apiv1.ResumeScheduleRequest{Namespace: c.cfg.Namespace, Name: name}))
		return err
	}, nil)
}

// TriggerSchedule makes a job of a schedule at once, whatever its times, pause and overlap policy say, and
// returns its id. tick is what the job is told as its tick; the zero time is now.
func (c *Client) TriggerSchedule(ctx context.Context, name string, tick time.Time) (id string, err error) {
	q := &apiv1.TriggerScheduleRequest{Namespace: c.cfg.Namespace, Name: name, Id: NewJobID()}
	if !tick.IsZero() {
		q.TickMs = tick.UnixMilli()
	}
	err = c.change(ctx, "trigger schedule "+name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.TriggerSchedule(ctx, connect.NewRequest(q))
		return err
	}, nil)
	return q.Id, err
}

// Backfill counts what BackfillSchedule did.
type Backfill struct {
	Created  int // jobs made
	Existing int // ticks whose job was there already
}

// BackfillSchedule makes the jobs of all ticks from a time up to, and without, another, which is not in the
// future. A tick whose job is there, because it was fired or backfilled before, is left alone, so that a
// call that was broken off can be repeated. Overlap policy and pause do not matter.
func (c *Client) BackfillSchedule(ctx context.Context, name string, from, to time.Time) (done Backfill, err error) {
	q := &apiv1.BackfillScheduleRequest{Namespace: c.cfg.Namespace, Name: name, FromMs: from.UnixMilli(), ToMs: to.UnixMilli()}
	for {
		var res *apiv1.BackfillScheduleResponse
		err := c.change(ctx, "backfill schedule "+name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
			answer, err := api.BackfillSchedule(ctx, connect.NewRequest(q))
			if err == nil {
				res = answer.Msg
			}
			return err
		}, nil)
		if err != nil {
			return done, err
		}
		done.Created += int(res.Created)
		done.Existing += int(res.Existing)
		if res.NextMs == 0 {
			return done, nil
		}
		q.FromMs = res.NextMs
	}
}

// PreviewTick is a tick that will be.
type PreviewTick struct {
	Tick  time.Time // in the schedule's zone
	Fired time.Time // with its jitter
}

// PreviewSchedule lists the next n ticks (up to 1,000) from a time on, the zero time being now. With neither
// Cron nor Every in s it asks for the stored schedule of that name.
func (c *Client) PreviewSchedule(ctx context.Context, s Schedule, from time.Time, n int) (ticks []PreviewTick, err error) {
	q := &apiv1.PreviewScheduleRequest{Namespace: c.cfg.Namespace, Count: uint32(max(n, 1)), What: &apiv1.PreviewScheduleRequest_Name{Name: s.Name}}
	if !from.IsZero() {
		q.FromMs = from.UnixMilli()
	}
	if s.Cron != "" || s.Every != 0 {
		m, err := s.message(c.cfg.Namespace)
		if err != nil {
			return nil, fmt.Errorf("sdk: preview schedule: %w", err)
		}
		q.What = &apiv1.PreviewScheduleRequest_Schedule{Schedule: m}
	}
	err = c.change(ctx, "preview schedule "+s.Name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.PreviewSchedule(ctx, connect.NewRequest(q))
		if err != nil {
			return err
		}
		ticks = nil
		for _, t := range res.Msg.Ticks {
			at, err := time.Parse(time.RFC3339, t.Local)
			if err != nil {
				return err
			}
			ticks = append(ticks, PreviewTick{Tick: at.Add(time.Duration(t.TickMs%1000) * time.Millisecond), Fired: time.UnixMilli(t.DueMs).In(at.Location())})
		}
		return nil
	}, nil)
	return ticks, err
}

// GetSchedule is a schedule as it is now, by a linearizable read.
func (c *Client) GetSchedule(ctx context.Context, name string) (status *ScheduleStatus, err error) {
	err = c.change(ctx, "get schedule "+name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.GetSchedule(ctx, connect.NewRequest(&apiv1.GetScheduleRequest{Namespace: c.cfg.Namespace, Name: name}))
		if err == nil {
			status = res.Msg.Schedule
		}
		return err
	}, nil)
	return status, err
}

// Schedules yields the schedules of the client's namespace by name, without graphs and inputs.
func (c *Client) Schedules(ctx context.Context) iter.Seq2[*ScheduleStatus, error] {
	return pages(ctx, c, "list schedules",
		func(ctx context.Context, api apiv1connect.FanfoldClient, token string) ([]*ScheduleStatus, string, error) {
			res, err := api.ListSchedules(ctx, connect.NewRequest(&apiv1.ListSchedulesRequest{Namespace: c.cfg.Namespace, PageToken: token}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Schedules, res.Msg.NextPageToken, nil
		})
}
