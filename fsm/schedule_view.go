package fsm

import (
	"time"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// ScheduleView is a schedule as users see it.
type ScheduleView struct {
	Set                  *fsmpb.SetSchedule // what the user has said; Paused is as it is now
	Workflow             string
	CreatedMS, UpdatedMS int64
	Note                 string // why it is paused
	NextTickMS           int64  // 0: paused, or no tick is left
	NextDueMS            int64  // NextTickMS with its jitter
	LastTickMS           int64  // 0: none was decided on yet
	WaitingTickMS        int64  // QUEUE_ONE: the tick that waits for the running jobs
	Running              uint64 // jobs that have not ended
	Fired, Skipped       uint64
	Missed, Refused      uint64
	Recent               []TickView // newest first, at most ten
}

// TickView is a tick that was decided on, or, in a preview, one that will be.
type TickView struct {
	TickMS  int64
	DueMS   int64 // preview: with its jitter
	AtMS    int64 // when it was decided on
	Outcome Outcome
	Job     JobID  // zero: none was made
	Reason  string // why it was refused; how many more were missed
	Local   time.Time
}

// Schedule returns a schedule, or ErrNotFound.
func (v *View) Schedule(namespace, name string) (s *ScheduleView, err error) {
	defer catch(&err)
	if s = v.schedule(namespace, name); s == nil {
		return nil, ErrNotFound
	}
	return s, nil
}

// Schedules lists the schedules of a namespace by name, from after the given one on ("": from the start),
// at most limit of them. next is where the following page begins, "" when this is the last one.
func (v *View) Schedules(namespace, after string, limit int) (all []*ScheduleView, next string, err error) {
	defer catch(&err)
	low := keySchedule(namespace, after)
	if after != "" {
		low = append(low, 0)
	}
	v.disk.scan(low, prefixEnd(keySchedule(namespace, "")), func(k, _ []byte) bool {
		if len(all) == limit {
			next = all[limit-1].Set.Name
			return false
		}
		_, name := parseSchedule(k)
		all = append(all, v.schedule(namespace, name))
		return true
	})
	return all, next, nil
}

func (v *View) storedSchedule(namespace, name string) *schedule {
	b := v.disk.get(keySchedule(namespace, name))
	if b == nil {
		return nil
	}
	return decodeSchedule(namespace, name, append([]byte(nil), b...))
}

func (v *View) schedule(namespace, name string) *ScheduleView {
	s := v.storedSchedule(namespace, name)
	if s == nil {
		return nil
	}
	a := decodeAgenda(s.id, v.disk.mustGet(keyAgenda(s.id)))
	view := &ScheduleView{
		Set: &fsmpb.SetSchedule{
			Namespace: namespace, Name: name, Cron: s.cron, EveryMs: s.everyMS, Zone: s.zone, ZoneData: s.zoneData, Graph: s.graph,
			Input: &fsmpb.Value{Inline: s.input}, RetainMs: s.retainMS, Options: s.options, Missed: s.missed, MissedMax: s.missedMax,
			Overlap: s.overlap, StartMs: s.startMS, EndMs: s.endMS, JitterMs: s.jitterMS, LateMs: s.late(), Paused: a.paused,
		},
		Workflow: s.workflow, LastTickMS: a.decided, CreatedMS: s.createdMS, UpdatedMS: s.updatedMS, Note: a.note,
		NextTickMS: a.next, NextDueMS: a.due, WaitingTickMS: a.waiting, Running: a.running,
		Fired: a.fired, Skipped: a.skipped, Missed: a.missed, Refused: a.refused,
	}
	for _, k := range a.recent {
		view.Recent = append(view.Recent, TickView{TickMS: k.tick, AtMS: k.at, Outcome: k.outcome, Job: k.job, Reason: k.reason})
	}
	return view
}

// PreviewSchedule lists the first n ticks of a schedule after a time, or ErrNotFound.
func (v *View) PreviewSchedule(namespace, name string, afterMS int64, n int) (ticks []TickView, err error) {
	defer catch(&err)
	s := v.storedSchedule(namespace, name)
	if s == nil {
		return nil, ErrNotFound
	}
	return s.preview(afterMS, n), nil
}

// PreviewSchedule lists the first n ticks after a time of a schedule that is not stored. The error is a
// *Refusal that says what is wrong with its times; its job is not looked at.
func PreviewSchedule(c *fsmpb.SetSchedule, afterMS int64, n int) ([]TickView, error) {
	s, r := newSchedule(c)
	if r != nil {
		return nil, r
	}
	if s.createdMS = afterMS; s.derive() != nil {
		return nil, refuse(CodeInvalid, "the schedule cannot be read")
	}
	return s.preview(afterMS, n), nil
}

func (s *schedule) preview(afterMS int64, n int) (ticks []TickView) {
	for at := s.after(afterMS); at != 0 && len(ticks) < n; at = s.after(at) {
		ticks = append(ticks, TickView{TickMS: at, DueMS: s.dueAt(at), Local: time.UnixMilli(at).In(s.loc)})
	}
	return ticks
}
