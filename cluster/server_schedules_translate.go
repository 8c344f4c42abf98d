package cluster

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/cluster/zones"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// scheduleOf translates a schedule, or says what is wrong with it. What is only about times is left to the
// state machine to judge.
func (s *server) scheduleOf(p *apiv1.Schedule) (*fsmpb.SetSchedule, error) {
	set, err := s.timesOf(p)
	if err != nil {
		return nil, err
	}
	if err := checkName("schedule", p.GetName()); err != nil {
		return nil, err
	}
	if err := s.graphs.check(p.GetGraph()); err != nil {
		return nil, err
	}
	if set.Input, err = valueOf("the input", p.GetInput()); err != nil {
		return nil, err
	}
	if p.GetRetainMs() < 0 || p.GetRetainMs() > durationMaxMS {
		return nil, invalid("retain_ms is %d: give milliseconds up to %d (100 years), 0 for the default", p.GetRetainMs(), int64(durationMaxMS))
	}
	set.Graph, set.RetainMs = p.GetGraph(), p.GetRetainMs()
	set.Options, err = optionsOf(p.GetOptions(), nil)
	return set, err
}

// timesOf translates what says when. A preview needs no more, not even a name.
func (s *server) timesOf(p *apiv1.Schedule) (*fsmpb.SetSchedule, error) {
	ns, err := namespaceOf(p.GetNamespace())
	if err != nil {
		return nil, err
	}
	set := &fsmpb.SetSchedule{
		Namespace: ns, Name: p.GetName(), Cron: p.GetCron(), EveryMs: p.GetEveryMs(), Zone: p.GetZone(),
		MissedMax: p.GetMissedMax(), StartMs: p.GetStartMs(), EndMs: p.GetEndMs(), JitterMs: p.GetJitterMs(), LateMs: p.GetLateMs(),
		Paused: p.GetPaused(),
	}
	if set.Name == "" {
		set.Name = "preview"
	}
	if set.Zone == "UTC" {
		set.Zone = ""
	}
	if set.Zone != "" {
		if set.ZoneData, err = zones.Load(set.Zone); err != nil {
			return nil, invalid("%v", err)
		}
	}
	missed, ok := fsmpb.Missed_value["MISSED_"+orDefault(p.GetMissed(), "FIRE_ONCE")]
	if !ok {
		return nil, invalid("missed %.32q: use FIRE_ONCE, FIRE_ALL or SKIP", p.GetMissed())
	}
	overlap, ok := fsmpb.Overlap_value["OVERLAP_"+orDefault(p.GetOverlap(), "SKIP")]
	if !ok {
		return nil, invalid("overlap %.32q: use SKIP, ALLOW, QUEUE_ONE or CANCEL_OLD", p.GetOverlap())
	}
	set.Missed, set.Overlap = fsmpb.Missed(missed), fsmpb.Overlap(overlap)
	return set, nil
}

func orDefault(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

// scheduleStatus translates a view. whole: with graph and input.
func scheduleStatus(v *fsm.ScheduleView, whole bool) *apiv1.ScheduleStatus {
	c := v.Set
	out := &apiv1.ScheduleStatus{
		Schedule: &apiv1.Schedule{
			Namespace: c.GetNamespace(), Name: c.GetName(), Cron: c.GetCron(), EveryMs: c.GetEveryMs(), Zone: c.GetZone(),
			RetainMs: c.GetRetainMs(), Missed: strings.TrimPrefix(c.GetMissed().String(), "MISSED_"), MissedMax: c.GetMissedMax(),
			Overlap: strings.TrimPrefix(c.GetOverlap().String(), "OVERLAP_"), StartMs: c.GetStartMs(), EndMs: c.GetEndMs(),
			JitterMs: c.GetJitterMs(), LateMs: c.GetLateMs(), Paused: c.GetPaused(),
		},
		Workflow: v.Workflow, CreatedMs: v.CreatedMS, UpdatedMs: v.UpdatedMS, Note: v.Note,
		NextTickMs: v.NextTickMS, NextDueMs: v.NextDueMS, LastTickMs: v.LastTickMS, WaitingTickMs: v.WaitingTickMS,
		Running: v.Running, Fired: v.Fired, Skipped: v.Skipped, Missed: v.Missed, Refused: v.Refused,
	}
	if whole {
		out.Schedule.Graph, out.Schedule.Input = c.GetGraph(), &apiv1.Value{Inline: c.GetInput().GetInline()}
		if len(c.GetOptions()) > 0 {
			out.Schedule.Options = new(apiv1.JobOptions) // the same fields under the same numbers
			if proto.Unmarshal(c.GetOptions(), out.Schedule.Options) != nil {
				out.Schedule.Options = nil
			}
		}
	}
	for _, t := range v.Recent {
		tick := &apiv1.Tick{TickMs: t.TickMS, AtMs: t.AtMS, Outcome: t.Outcome.String(), Reason: t.Reason}
		if !t.Job.IsZero() {
			tick.Job = t.Job.String()
		}
		out.Recent = append(out.Recent, tick)
	}
	return out
}
