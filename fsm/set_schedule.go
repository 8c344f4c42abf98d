package fsm

import (
	"bytes"
	"crypto/sha256"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// setSchedule makes a schedule, or changes the one of that name: Answer.Existing. Proposed for
// Client.SetSchedule. Its first tick is the first after now; past ones are BackfillSchedule's. A change of
// the times begins them anew from now; any other change leaves what is due as it is, and takes effect
// with the next tick. The jobs that run go on.
//
// Refusals: INVALID, TOO_LARGE (graph, input, the number of schedules), TYPE_MISMATCH.
// Again: changes nothing but the time of the change.
func setSchedule(t *tx, c *fsmpb.SetSchedule) Answer {
	s, r := newSchedule(c)
	if r == nil {
		r = t.checkScheduledJob(s, c)
	}
	if r != nil {
		return Answer{Refusal: r}
	}
	s.createdMS, s.updatedMS = t.now, t.now
	old := t.schedule(s.namespace, s.name)
	if old != nil {
		s.id, s.createdMS = old.id, old.createdMS
	} else {
		if n := t.m.state.SchedulesCreated - t.m.state.SchedulesDeleted; n >= schedulesMax {
			return no(CodeTooLarge, "the cluster has %d schedules, and at most %d: delete those that are not needed any more", n, schedulesMax)
		}
		cause := be.AppendUint64([]byte(s.namespace+"\x00"+s.name+"\x00"), t.index)
		sum := sha256.Sum256(be.AppendUint64(cause, t.m.state.SchedulesCreated)) // an entry may make two of a name
		s.id = scheduleID(sum[:16])
	}
	must(s.derive()) // newSchedule has tried it
	t.set(keySchedule(s.namespace, s.name), s.encode())
	t.m.schedules[[2]string{s.namespace, s.name}] = s
	if old == nil {
		a := t.hold(&agenda{id: s.id, namespace: s.namespace, name: s.name, paused: c.Paused, dirty: true})
		t.m.state.SchedulesCreated++
		t.begin(s, a)
		return Answer{}
	}
	a := t.agenda(s.id)
	if s.overlap != fsmpb.Overlap_OVERLAP_QUEUE_ONE && a.waiting != 0 {
		t.dropWaiting(a) // by the new policy none waits
	}
	if !s.sameTimes(old) {
		t.begin(s, a)
	}
	return Answer{Existing: true}
}

// begin starts a schedule's ticks from now on.
func (t *tx) begin(s *schedule, a *agenda) {
	a.last, a.until, a.next, a.dirty = t.now, 0, 0, true
	if !a.paused {
		a.next = s.after(t.now)
	}
	t.arm(s, a)
}

func (s *schedule) sameTimes(o *schedule) bool {
	return s.cron == o.cron && s.everyMS == o.everyMS && bytes.Equal(s.zoneData, o.zoneData) &&
		s.startMS == o.startMS && s.endMS == o.endMS && s.jitterMS == o.jitterMS
}

// newSchedule reads a command, and refuses what is wrong by itself.
func newSchedule(c *fsmpb.SetSchedule) (*schedule, *Refusal) {
	s := &schedule{
		namespace: c.Namespace, name: c.Name, cron: c.Cron, everyMS: c.EveryMs, zone: c.Zone, zoneData: c.ZoneData,
		graph: c.Graph, input: c.Input.GetInline(), retainMS: c.RetainMs, options: c.Options,
		missed: c.Missed, missedMax: c.MissedMax, overlap: c.Overlap,
		startMS: c.StartMs, endMS: c.EndMs, jitterMS: c.JitterMs, lateMS: c.LateMs,
	}
	if s.missedMax == 0 {
		s.missedMax = missedDefault
	}
	for _, check := range []struct {
		ok      bool
		message string
	}{
		{validName(c.Namespace), "the namespace is 1 to 255 bytes without control characters"},
		{validName(c.Name), "the schedule's name is 1 to 255 bytes without control characters"},
		{(c.Cron == "") != (c.EveryMs == 0), "a schedule has either cron or every: give one of them"},
		{c.EveryMs == 0 || c.EveryMs >= everyMinMS && c.EveryMs <= dag.MaxDurationMS, "every is at least one second"},
		{len(c.Cron) <= 1024 && len(c.Zone) <= 255 && len(c.ZoneData) <= zoneDataMax, "the cron expression, or the zone, is too long"},
		{c.Zone == "" || c.EveryMs == 0, "an interval goes by real time: leave the zone out"},
		{c.Missed >= 0 && c.Missed <= fsmpb.Missed_MISSED_SKIP, "the policy for missed ticks is not known"},
		{c.MissedMax <= missedLimit, "at most 1,000 missed ticks are caught up with"},
		{c.Overlap >= 0 && c.Overlap <= fsmpb.Overlap_OVERLAP_CANCEL_OLD, "the policy for overlaps is not known"},
		{c.StartMs >= 0 && c.StartMs <= timeMaxMS && c.EndMs >= 0 && c.EndMs <= timeMaxMS, "start and end are unix milliseconds up to the year 9999"},
		{c.EndMs == 0 || c.EndMs > c.StartMs, "the end is not after the start"},
		{c.JitterMs >= 0 && c.JitterMs <= jitterMaxMS, "the jitter is up to 7 days"},
		{c.LateMs >= 0 && c.LateMs <= dag.MaxDurationMS, "the lateness is not negative, and at most 100 years"},
		{c.RetainMs >= 0, "the retention is not negative"},
	} {
		if !check.ok {
			return nil, refuse(CodeInvalid, "%s", check.message)
		}
	}
	if err := s.derive(); err != nil {
		return nil, refuse(CodeInvalid, "%v", err)
	}
	return s, nil
}

// checkScheduledJob refuses a schedule whose jobs would all be refused.
func (t *tx) checkScheduledJob(s *schedule, c *fsmpb.SetSchedule) *Refusal {
	switch {
	case c.Input.GetBlob() != nil || len(s.input) > InlineMax:
		return refuse(CodeTooLarge, "the input of a schedule is at most %d bytes, because each tick has it anew: let a step of the job read the rest", InlineMax)
	case len(s.input) == 0:
		return refuse(CodeInvalid, "the input is empty: send a JSON document, null for nothing")
	case len(s.graph) > scheduleGraphMax:
		return refuse(CodeTooLarge, "the graph of a schedule has at most %d bytes, this one %d", scheduleGraphMax, len(s.graph))
	}
	if o, err := parseOptions(s.options); err != nil || o.Schedule != "" || o.TickMs != 0 || len(o.ScheduleId) > 0 {
		return refuse(CodeInvalid, "the options cannot be read (%v), or name a schedule", err)
	}
	sum := sha256.Sum256(s.graph)
	graph, err := t.graph(graphHash(sum[:16]), s.graph)
	if err != nil {
		return refuse(CodeInvalid, "the graph cannot be used: %v", err)
	}
	s.workflow = graph.Name
	if r := t.checkKinds(graph, s.namespace); r != nil {
		return r
	}
	return t.m.checkNames(s.namespace, queuesOf(graph), kindsOf(graph))
}
