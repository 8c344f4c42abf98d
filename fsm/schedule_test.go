package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// every makes the command of a schedule by interval. change may set the rest.
func every(t testing.TB, name string, ms int64, change func(*fsmpb.SetSchedule)) *fsmpb.Command {
	c := &fsmpb.SetSchedule{Namespace: "default", Name: name, EveryMs: ms, Graph: dag.Encode(chain(t, 1)), Input: inline(`1`)}
	if change != nil {
		change(c)
	}
	return &fsmpb.Command{Kind: &fsmpb.Command_SetSchedule{SetSchedule: c}}
}

func pauseOf(name string, resume bool) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_PauseSchedule{PauseSchedule: &fsmpb.PauseSchedule{Namespace: "default", Name: name, Resume: resume, Note: "test"}}}
}

func unschedule(name string) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_DeleteSchedule{DeleteSchedule: &fsmpb.DeleteSchedule{Namespace: "default", Name: name}}}
}

func trigger(name, job string) *fsmpb.Command {
	id := jobID(job)
	return &fsmpb.Command{Kind: &fsmpb.Command_TriggerSchedule{TriggerSchedule: &fsmpb.TriggerSchedule{Namespace: "default", Name: name, Job: id[:]}}}
}

func backfill(name string, from, to int64) *fsmpb.Command {
	return &fsmpb.Command{Kind: &fsmpb.Command_BackfillSchedule{BackfillSchedule: &fsmpb.BackfillSchedule{Namespace: "default", Name: name, FromMs: from, ToMs: to}}}
}

func (h *harness) schedule(name string) *ScheduleView {
	h.t.Helper()
	v := h.m.View()
	defer v.Close()
	s, err := v.Schedule("default", name)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// schedule makes the commands of schedules from a script's directive.
func (r *runner) schedule(t *testing.T, d *datadriven.TestData, who string) *fsmpb.Command {
	at := func(name string) int64 {
		if n := number(d, name); n != 0 {
			return r.h.now + n
		}
		return 0
	}
	switch d.Cmd {
	case "unschedule":
		return unschedule(who)
	case "pause", "resume":
		return pauseOf(who, d.Cmd == "resume")
	case "trigger":
		id := jobID(arg(d, "job"))
		r.names[id.String()] = arg(d, "job")
		return trigger(who, arg(d, "job"))
	case "backfill":
		return backfill(who, at("from"), r.h.now+number(d, "to"))
	}
	return every(t, who, number(d, "every"), func(c *fsmpb.SetSchedule) {
		c.Graph = dag.Encode(r.graphs[arg(d, "graph")])
		c.Cron = strings.ReplaceAll(arg(d, "cron"), "_", " ")
		c.Zone = arg(d, "zone")
		c.Missed = fsmpb.Missed(fsmpb.Missed_value["MISSED_"+arg(d, "missed")])
		c.Overlap = fsmpb.Overlap(fsmpb.Overlap_value["OVERLAP_"+arg(d, "overlap")])
		c.MissedMax = uint32(number(d, "max"))
		c.StartMs, c.EndMs = at("start"), at("end")
		c.JitterMs, c.LateMs, c.Paused = number(d, "jitter"), number(d, "late"), arg(d, "paused") != ""
		if in := strings.TrimSpace(d.Input); in != "" {
			c.Input = inline(in)
		}
	})
}

// nameTicks names the jobs of schedules by schedule and tick.
func (r *runner) nameTicks(res *Result) {
	v := r.h.m.View()
	defer v.Close()
	for _, id := range res.Touched {
		if j, err := v.Job(id); err == nil && j.Schedule != "" && r.names[id.String()] == "" {
			r.names[id.String()] = fmt.Sprintf("%s@%d", j.Schedule, j.TickMS)
		}
	}
}

// ticks prints what a schedule has decided, times from the beginning of the script.
func (r *runner) ticks(name string) string {
	s := r.h.schedule(name)
	var b strings.Builder
	const begin = 1_000_000
	rel := func(ms int64) string {
		if ms == 0 {
			return "-"
		}
		return fmt.Sprint(ms - begin)
	}
	fmt.Fprintf(&b, "next %s due %s last %s waiting %s running %d\n", rel(s.NextTickMS), rel(s.NextDueMS), rel(s.LastTickMS), rel(s.WaitingTickMS), s.Running)
	for _, k := range s.Recent {
		fmt.Fprintf(&b, "tick %s at %s %s %s\n", rel(k.TickMS), rel(k.AtMS), k.Outcome, k.Reason)
	}
	return b.String()
}

// schedule makes, changes and uses schedules at random.
func (s *script) schedule(t *rapid.T) {
	name := rapid.SampledFrom([]string{"s1", "s2", "s3"}).Draw(t, "name")
	switch rapid.IntRange(0, 6).Draw(t, "verb") {
	case 0:
		s.apply(pauseOf(name, rapid.Bool().Draw(t, "resume")))
	case 1:
		s.n++
		s.apply(trigger(name, fmt.Sprint("job", s.n)))
	case 2:
		s.apply(backfill(name, max(1, s.h.now-5000), s.h.now))
	case 3:
		s.apply(unschedule(name))
	default:
		s.schedules = append(s.schedules, name)
		s.apply(every(s.h.t, name, rapid.SampledFrom([]int64{1000, 3000, 20_000}).Draw(t, "every"), func(c *fsmpb.SetSchedule) {
			c.Overlap = fsmpb.Overlap(rapid.IntRange(0, 3).Draw(t, "overlap"))
			c.Missed = fsmpb.Missed(rapid.IntRange(0, 2).Draw(t, "missed"))
			c.MissedMax = uint32(rapid.IntRange(1, 4).Draw(t, "max"))
			c.JitterMs = rapid.SampledFrom([]int64{0, 400, 5000}).Draw(t, "jitter")
			c.LateMs = rapid.SampledFrom([]int64{0, 0, 500}).Draw(t, "late")
			c.Paused = rapid.IntRange(0, 5).Draw(t, "paused") == 0
			if rapid.Bool().Draw(t, "cron") {
				c.EveryMs, c.Cron = 0, "*/7 * * * * *"
			}
			if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
				c.EndMs = s.h.now + 5000
			}
		}))
	}
}

// goldenSchedules are the commands of schedules, with every field set.
func goldenSchedules() []*fsmpb.Command {
	id := jobID("golden")
	return []*fsmpb.Command{
		{Kind: &fsmpb.Command_SetSchedule{SetSchedule: &fsmpb.SetSchedule{
			Namespace: "ns", Name: "n", Cron: "c", EveryMs: 1, Zone: "z", ZoneData: []byte("d"), Graph: []byte("{}"), Input: inline("1"), RetainMs: 2,
			Options: []byte("o"), Missed: fsmpb.Missed_MISSED_SKIP, MissedMax: 3, Overlap: fsmpb.Overlap_OVERLAP_CANCEL_OLD,
			StartMs: 4, EndMs: 5, JitterMs: 6, LateMs: 7, Paused: true,
		}}},
		{Kind: &fsmpb.Command_DeleteSchedule{DeleteSchedule: &fsmpb.DeleteSchedule{Namespace: "ns", Name: "n"}}},
		{Kind: &fsmpb.Command_PauseSchedule{PauseSchedule: &fsmpb.PauseSchedule{Namespace: "ns", Name: "n", Resume: true, Note: "x"}}},
		{Kind: &fsmpb.Command_TriggerSchedule{TriggerSchedule: &fsmpb.TriggerSchedule{Namespace: "ns", Name: "n", Job: id[:], TickMs: 1}}},
		{Kind: &fsmpb.Command_BackfillSchedule{BackfillSchedule: &fsmpb.BackfillSchedule{Namespace: "ns", Name: "n", FromMs: 1, ToMs: 2}}},
	}
}

// goldenSchedule is one of each record.
func goldenSchedule() (*schedule, *agenda) {
	id := jobID("golden")
	sch := &schedule{
		id: scheduleID(id), namespace: "ns", name: "n", createdMS: 1, updatedMS: 2, everyMS: 3000, zone: "", zoneData: []byte{}, graph: []byte("{}"), workflow: "w",
		input: []byte("1"), retainMS: 4, options: []byte("o"), missed: fsmpb.Missed_MISSED_SKIP, missedMax: 5, overlap: fsmpb.Overlap_OVERLAP_CANCEL_OLD,
		startMS: 6, endMS: 7, jitterMS: 8, lateMS: 9,
	}
	must(sch.derive())
	ag := &agenda{
		id: scheduleID(id), namespace: "ns", name: "n", paused: true, note: "x", decided: 1, last: 2, next: 3, due: 4, until: 5, waiting: 6, release: 7,
		running: 8, fired: 9, skipped: 10, missed: 11, refused: 12, recent: []tick{{tick: 1, at: 2, outcome: TickRefused, job: id, reason: "r"}},
	}
	return sch, ag
}

// TestSchedule_AnEntryIsBounded: many schedules that were held up for long, and large jobs, are fired by more than one.
func TestSchedule_AnEntryIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		schedules, steps int
		first            uint64 // that the first entry fires
	}{
		"ticks to step over": {schedules: 510, steps: 1, first: 500}, // of 100 each that is counted
		"steps of jobs":      {schedules: 6, steps: 10_000, first: 5},
	} {
		h := newHarness(t)
		var cmds []*fsmpb.Command
		for i := range c.schedules {
			cmds = append(cmds, every(t, fmt.Sprint(i), 1000, func(s *fsmpb.SetSchedule) {
				s.Graph = dag.Encode(chain(t, c.steps))
				if c.steps == 1 {
					s.Missed, s.LateMs = fsmpb.Missed_MISSED_SKIP, 1
				}
			}))
		}
		h.apply(cmds...)
		h.now += 1000
		if c.steps == 1 {
			h.now += 3_600_002
		}
		before := h.m.state.TimersFired
		if r := h.apply(); h.m.state.TimersFired-before != c.first || !r.More {
			t.Errorf("%s: the first entry fires %d, more %v; want %d", name, h.m.state.TimersFired-before, r.More, c.first)
		}
		if r := h.apply(); h.m.state.TimersFired-before != uint64(c.schedules) || r.More {
			t.Errorf("%s: after the second entry %d are fired, more %v", name, h.m.state.TimersFired-before, r.More)
		}
	}
}
