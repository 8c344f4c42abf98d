package fsm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/cluster/zones"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// tickModel is a schedule the slow way: it goes over every second.
type tickModel struct {
	anchor, interval int64
	missed           fsmpb.Missed
	max              int
	late             int64
	overlap          fsmpb.Overlap
	last             int64
	paused           bool
	running          []int64 // ticks
	waiting          int64
	made             []int64
}

// entry is what a log entry at a time does.
func (m *tickModel) entry(now int64) {
	if m.waiting != 0 && len(m.running) == 0 {
		m.make(m.waiting)
		m.waiting = 0
	}
	if m.paused {
		return
	}
	var due []int64
	for at := m.anchor; at <= now; at += m.interval {
		if at > m.last {
			due = append(due, at)
		}
	}
	if len(due) == 0 {
		return
	}
	m.last = due[len(due)-1]
	keep := 1
	if m.missed == fsmpb.Missed_MISSED_FIRE_ALL {
		keep = m.max
	}
	for _, at := range due[max(0, len(due)-keep):] {
		if m.late > 0 && now-at > m.late {
			continue
		}
		switch busy := len(m.running) > 0 || m.waiting != 0; {
		case !busy || m.overlap == fsmpb.Overlap_OVERLAP_ALLOW:
			m.make(at)
		case m.overlap == fsmpb.Overlap_OVERLAP_CANCEL_OLD:
			m.running = nil
			m.make(at)
		case m.overlap == fsmpb.Overlap_OVERLAP_QUEUE_ONE && m.waiting == 0:
			m.waiting = at
		}
	}
}

func (m *tickModel) make(at int64) {
	m.running = append(m.running, at)
	m.made = append(m.made, at)
}

// TestSchedule_OneJobForEachTick holds schedules against a model that goes over every second: the jobs that
// are there are those of the model, each once, over restarts, gaps without an entry, pauses and jobs that
// end at random (law 8).
func TestSchedule_OneJobForEachTick(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(t, rt)
		h := s.h
		defer func() { s.h.m.Close() }()
		m := &tickModel{
			anchor: h.now, interval: rapid.SampledFrom([]int64{1000, 7000, 30_000}).Draw(rt, "every"),
			missed: fsmpb.Missed(rapid.IntRange(0, 2).Draw(rt, "missed")), max: rapid.IntRange(1, 5).Draw(rt, "max"),
			overlap: fsmpb.Overlap(rapid.IntRange(0, 3).Draw(rt, "overlap")), last: h.now,
		}
		if m.missed == fsmpb.Missed_MISSED_SKIP {
			m.late = rapid.SampledFrom([]int64{500, 3000}).Draw(rt, "late")
		}
		h.apply(every(t, "s", m.interval, func(c *fsmpb.SetSchedule) {
			c.Missed, c.MissedMax, c.Overlap, c.LateMs = m.missed, uint32(m.max), m.overlap, m.late
		}))
		entry := func(cmds ...*fsmpb.Command) {
			h.apply(cmds...)
			m.entry(h.now)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time": func(rt *rapid.T) {
				h.now += rapid.SampledFrom([]int64{1, 400, 999, 1000, 6500, 31_000, 200_000}).Draw(rt, "ms")
				entry()
			},
			"end": func(rt *rapid.T) {
				if len(m.running) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(m.running)-1).Draw(rt, "job")
				entry(cancel(tickJob("default", "s", m.running[i])))
				m.running = slices.Delete(m.running, i, i+1)
			},
			"pause": func(*rapid.T) {
				entry(pauseOf("s", false))
				m.paused, m.waiting = true, 0
			},
			"resume": func(*rapid.T) {
				entry(pauseOf("s", true))
				if m.paused {
					m.paused, m.last = false, h.now
				}
			},
			"reopen":   func(*rapid.T) { h.reopen() },
			"snapshot": s.snapshot,
			"": func(rt *rapid.T) {
				if diff := cmp.Diff(m.made, h.ticksMade("s")); diff != "" {
					rt.Fatalf("the jobs of ticks (-model +state), law 8:\n%s", diff)
				}
			},
		})
	})
}

// ticksMade are the ticks that a schedule's jobs are for, in order.
func (h *harness) ticksMade(name string) (ticks []int64) {
	v := h.m.View()
	defer v.Close()
	jobs, _, err := v.Jobs(JobFilter{}, JobID{}, 100_000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, j := range jobs {
		if j.Schedule == name {
			ticks = append(ticks, j.TickMS)
		}
	}
	slices.Sort(ticks)
	return ticks
}

// TestSchedule_TimeZonesAreInTheState: a daily tick in Berlin over both changes of the clocks, with the rules
// that the command brought, and the same after a restart and in a replay.
func TestSchedule_TimeZonesAreInTheState(t *testing.T) {
	rules, err := zones.Load("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocationFromTZData("Europe/Berlin", rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from time.Time
		want []string
	}{
		{time.Date(2026, 3, 28, 0, 0, 0, 0, berlin), []string{"03-28 02:30 CET", "03-29 03:00 CEST", "03-30 02:30 CEST"}},
		{time.Date(2026, 10, 24, 0, 0, 0, 0, berlin), []string{"10-24 02:30 CEST", "10-25 02:30 CEST", "10-26 02:30 CET"}},
	} {
		h := newHarness(t)
		h.now = test.from.UnixMilli()
		h.apply(every(t, "s", 0, func(c *fsmpb.SetSchedule) {
			c.Cron, c.Zone, c.ZoneData, c.Overlap = "30 2 * * *", "Europe/Berlin", rules, fsmpb.Overlap_OVERLAP_ALLOW
		}))
		for end := test.from.AddDate(0, 0, 3); h.now < end.UnixMilli(); h.now += 10 * 60_000 {
			h.apply()
			if h.index%100 == 0 {
				h.reopen()
			}
		}
		var got []string
		for _, at := range h.ticksMade("s") {
			got = append(got, time.UnixMilli(at).In(berlin).Format("01-02 15:04 MST"))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("ticks (-want +got):\n%s", diff)
		}
		h.replay(50)
	}
}

// TestSchedule_ABadTickDoesNotBlockTheNext: a job that fails, or is refused, keeps nothing from ticking.
func TestSchedule_ABadTickDoesNotBlockTheNext(t *testing.T) {
	h := newHarness(t)
	h.apply(every(t, "s", 1000, nil))
	h.apply(openWorker("w", 1, "t"))
	for n := range 3 {
		h.now += 1000
		r := h.apply()
		if len(r.Grants) != 1 {
			t.Fatalf("tick %d: %d grants", n, len(r.Grants))
		}
		h.apply(failure(r.Grants[0], "boom", true))
	}
	if s := h.schedule("s"); s.Fired != 3 || s.Running != 0 {
		t.Errorf("%d fired, %d running", s.Fired, s.Running)
	}
}

// TestSchedule_ManyDueAtOnceAreBoundedPerEntry: 10,000 schedules fall due together. Each entry makes a part of
// their jobs, oldest tick first, and carries commands of others meanwhile.
func TestSchedule_ManyDueAtOnceAreBoundedPerEntry(t *testing.T) {
	h := newHarness(t)
	h.m.opts.CheckInvariants = false
	const n = 10_000
	for i := 0; i < n; i += 1000 {
		var cmds []*fsmpb.Command
		for k := range 1000 {
			cmds = append(cmds, every(t, fmt.Sprint("s", i+k), 3_600_000, nil))
		}
		h.apply(cmds...)
	}
	h.now += 3_600_000
	for entries, left := 1, uint64(n); left > 0; entries++ {
		r := h.apply(submit(fmt.Sprint("other", entries), chain(t, 1), `1`))
		if r.Answers[0].Refusal != nil || entries > n/fireMax {
			t.Fatalf("entry %d: %v, %d ticks left", entries, r.Answers[0].Refusal, left)
		}
		fired := h.m.state.TicksFired
		if n-fired < left-fireMax || r.More != (fired < n) {
			t.Fatalf("entry %d: %d of %d fired, more %v", entries, fired, n, r.More)
		}
		left = n - fired
	}
	if err := h.m.Check(); err != nil {
		t.Error(err)
	}
}

// TestSchedule_ADrainedQueueRefusesTicks: and says so, and takes them again afterwards; what was refused can be
// backfilled.
func TestSchedule_ADrainedQueueRefusesTicks(t *testing.T) {
	h := newHarness(t)
	h.apply(every(t, "s", 1000, func(c *fsmpb.SetSchedule) { c.Overlap = fsmpb.Overlap_OVERLAP_ALLOW }))
	begin := h.now
	h.now += 1000
	h.apply(drainQ("default"))
	h.now += 1000
	h.apply(undrainQ("default"))
	h.now += 1000
	h.apply()
	if got := h.ticksMade("s"); !slices.Equal(got, []int64{begin + 1000, begin + 3000}) {
		t.Errorf("ticks with a job: %v from %d", got, begin)
	}
	if k := h.schedule("s").Recent[1]; k.Outcome != TickRefused || k.TickMS != begin+2000 || h.m.state.TicksRefused != 1 {
		t.Errorf("the second tick is %+v", k)
	}
	if a := h.apply(backfill("s", begin+1, h.now)).Answers[0]; a.Made != 1 || a.Present != 1 {
		t.Errorf("backfill: %+v", a)
	}
}
