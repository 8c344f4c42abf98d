package fsm

import (
	"fmt"

	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

const (
	// countMax bounds how many ticks of a gap are counted as missed: a schedule by the second that was
	// down for a year has 31 million.
	countMax = 100
	// cancelMax bounds the jobs that CANCEL_OLD cancels at a time.
	cancelMax = 100
)

// arm sets the timer of a schedule's next tick.
func (t *tx) arm(s *schedule, a *agenda) {
	t.disarm(a)
	if a.next != 0 && !a.paused {
		t.armAt(a, s.dueAt(a.next))
	}
}

func (t *tx) armAt(a *agenda, due int64) {
	a.due, a.dirty = due, true
	t.setTimer(due, dutyTick, a.id.ref())
}

func (t *tx) disarm(a *agenda) {
	if a.due != 0 {
		t.clearTimer(a.due, dutyTick, a.id.ref())
		a.due, a.dirty = 0, true
	}
}

// fireTick decides on a schedule's next tick, and on those that were missed. One firing makes one job at
// most: what is to be caught up with fires again, under the bound of an entry, and the oldest tick of all
// schedules goes first.
func (t *tx) fireTick(id scheduleID) {
	a := t.agenda(id)
	s := t.schedule(a.namespace, a.name)
	a.due, a.dirty = 0, true
	at := t.catchUp(s, a)
	late := s.late()
	switch {
	case late > 0 && t.now-s.dueAt(at) > late:
		t.missedTicks(a, at, 1)
	case !t.overlaps(a), s.overlap == fsmpb.Overlap_OVERLAP_ALLOW:
		t.makeJob(s, a, at, tickJob(s.namespace, s.name, at), TickFired)
	case s.overlap == fsmpb.Overlap_OVERLAP_CANCEL_OLD:
		if !t.cancelOld(s, a) {
			t.armAt(a, t.now+1) // the same tick again, when more of them are canceled
			return
		}
		t.makeJob(s, a, at, tickJob(s.namespace, s.name, at), TickFired)
	case s.overlap == fsmpb.Overlap_OVERLAP_QUEUE_ONE && a.waiting == 0:
		a.waiting = at
		a.remember(tick{tick: at, at: t.now, outcome: TickWaiting})
	default:
		t.skippedTick(a, at)
	}
	if planted.TwoCmdCron {
		t.makeJob(s, a, at, tickJob(s.namespace, s.name, at+1), TickFired)
	}
	a.last, a.decided = at, at
	a.next = s.after(at)
	t.arm(s, a)
}

// catchUp returns the tick to decide on: the next one, unless later ones are due too. Then it was missed,
// and the policy chooses.
func (t *tx) catchUp(s *schedule, a *agenda) int64 {
	if a.next <= a.until {
		return a.next
	}
	newest := s.newest(t.now)
	if newest <= a.next {
		return a.next
	}
	oldest := newest
	if s.missed == fsmpb.Missed_MISSED_FIRE_ALL {
		for n := uint32(1); n < s.missedMax; n++ {
			t.work++
			b := s.before(oldest)
			if b < a.next {
				break
			}
			oldest = b
		}
		a.until = newest
	}
	n := uint64(0)
	for at := a.next; at != 0 && at < oldest && n < countMax; at = s.after(at) {
		t.work++
		n++
	}
	if n > 0 {
		t.missedTicks(a, s.before(oldest), n)
	}
	return oldest
}

func (t *tx) overlaps(a *agenda) bool { return a.running > 0 || a.waiting != 0 }

// makeJob makes the job of a tick, unless it is there. A refusal is noted when the clock asked for the job,
// and is the answer when a person did.
func (t *tx) makeJob(s *schedule, a *agenda, at int64, id JobID, outcome Outcome) Answer {
	answer := Answer{Job: id, Existing: true}
	if j := t.job(id); j != nil {
		answer.State = j.state
	} else {
		t.asked = true // a queue that is drained, or over its budget, takes nothing from a schedule either
		answer = submitJob(t, &fsmpb.SubmitJob{
			Job: id[:], Namespace: s.namespace, Graph: s.graph, Input: &fsmpb.Value{Inline: s.input},
			RetainMs: s.retainMS, Options: s.jobOptions(at),
		})
		t.asked = false
	}
	k := tick{tick: at, at: t.now, outcome: outcome, job: answer.Job}
	switch {
	case answer.Refusal != nil && outcome != TickFired:
		return answer
	case answer.Refusal != nil:
		k.outcome, k.reason = TickRefused, truncate(string(answer.Refusal.Code)+": "+answer.Refusal.Message, 512)
		a.refused++
		t.m.state.TicksRefused++
	case answer.Existing:
		k.outcome = TickExisting
	case outcome == TickFired:
		t.work += len(t.job(answer.Job).steps)
		a.fired++
		t.m.state.TicksFired++
	}
	a.remember(k)
	return answer
}

// cancelOld cancels the running jobs of a schedule, oldest tick first, and reports whether that were all.
func (t *tx) cancelOld(s *schedule, a *agenda) bool {
	prefix := keyRunning(a.id, JobID{})[:17]
	var old []JobID
	t.ascend(prefix, prefixEnd(prefix), cancelMax, func(k, _ []byte) {
		_, id := parseRunning(k)
		old = append(old, id)
	})
	for _, id := range old {
		j := t.job(id)
		j.reason = fmt.Sprintf("the next tick of schedule %s is due", s.name)
		t.cancelLive(j, "JOB_CANCELED")
		t.end(j, JobCanceled)
	}
	return a.running == 0
}

func (t *tx) skippedTick(a *agenda, at int64) {
	a.remember(tick{tick: at, at: t.now, outcome: TickSkipped})
	a.skipped++
	t.m.state.TicksSkipped++
}

func (t *tx) missedTicks(a *agenda, newest int64, n uint64) {
	k := tick{tick: newest, at: t.now, outcome: TickMissed}
	if n > 1 {
		k.reason = fmt.Sprintf("and %d before it", n-1)
	}
	if n == countMax {
		k.reason = fmt.Sprintf("and at least %d before it", n-1)
	}
	a.remember(k)
	a.missed += n
	t.m.state.TicksMissed += n
}

// remember keeps a tick among the last ten.
func (a *agenda) remember(k tick) {
	a.recent = append([]tick{k}, a.recent[:min(len(a.recent), recentTicks-1)]...)
	a.dirty = true
}

// fireRelease makes the job of the tick that waited for the running ones. If others have begun meanwhile,
// by a trigger, it waits for those too.
func (t *tx) fireRelease(id scheduleID) {
	a := t.agenda(id)
	a.release, a.dirty = 0, true
	if a.running > 0 {
		return
	}
	at := a.waiting
	a.waiting = 0
	s := t.schedule(a.namespace, a.name)
	t.makeJob(s, a, at, tickJob(s.namespace, s.name, at), TickFired)
}

// scheduledRuns notes a job of a schedule that begins, or begins again.
func (t *tx) scheduledRuns(j *job) {
	id := j.opts.GetScheduleId()
	if len(id) != 16 {
		return
	}
	t.set(keyRunning(scheduleID(id), j.id), nil)
	if a := t.agenda(scheduleID(id)); a != nil {
		a.running++
		a.dirty = true
	}
}

// scheduledEnds notes the end of a job of a schedule. The tick that waited for it makes its job in the next
// entry: here the entry is in the middle of another job's end.
func (t *tx) scheduledEnds(j *job) {
	id := j.opts.GetScheduleId()
	if len(id) != 16 {
		return
	}
	t.del(keyRunning(scheduleID(id), j.id))
	a := t.agenda(scheduleID(id))
	if a == nil {
		return
	}
	a.running--
	a.dirty = true
	if a.running == 0 && a.waiting != 0 && a.release == 0 {
		a.release = t.now
		t.setTimer(a.release, dutyRelease, a.id.ref())
	}
}

// dropWaiting gives up the tick that waits for the running jobs.
func (t *tx) dropWaiting(a *agenda) {
	if a.waiting == 0 {
		return
	}
	t.skippedTick(a, a.waiting)
	a.waiting = 0
	if a.release != 0 {
		t.clearTimer(a.release, dutyRelease, a.id.ref())
		a.release = 0
	}
}
