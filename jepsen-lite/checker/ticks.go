package checker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// ticks holds the jobs of schedules against a model that decides on every tick by itself, entry by entry, from the
// log's times and the ends of jobs. jobs are those of the last state that a schedule has made. Schedules that were deleted,
// or that a person has triggered or had make up for the past, are left out.
func ticks(entries []ledger.Entry, jobs []*fsm.JobView) evidence.Verdict {
	v := evidence.Verdict{ID: "T2", Rule: "each tick of a schedule makes exactly the job that its policies say, at its time"}
	ticked := map[fsm.JobID]*fsm.JobView{}
	byName := map[string][]*fsm.JobView{}
	for _, j := range jobs {
		ticked[j.ID] = j
		byName[j.Schedule] = append(byName[j.Schedule], j)
	}
	models := map[string]*schedule{}
	now := int64(0)
	for _, e := range entries {
		if e.Result == nil {
			continue
		}
		now = max(now, e.NowMS)
		for _, m := range models {
			m.entry(e.Index, now, e.Result.More)
		}
		for i, c := range e.Commands {
			if e.Result.Answers[i].Refusal == nil {
				scheduled(models, c, now)
			}
		}
		for _, f := range e.Result.Finished {
			if j := ticked[f.Job]; j != nil && models[j.Schedule] != nil {
				delete(models[j.Schedule].running, j.TickMS)
			}
		}
	}
	var left []string
	for _, name := range slices.Sorted(maps.Keys(models)) {
		models[name].compare(&v, byName[name])
		if why := models[name].lost; why != "" {
			left = append(left, name+" ("+why+")")
		}
	}
	if len(left) > 0 {
		v.Rule += "; not judged: " + strings.Join(left, ", ")
	}
	return v
}

// schedule is one schedule, modelled.
type schedule struct {
	when
	created int64
	last    int64 // the newest tick that was decided on, or when it began
	next    int64 // the tick after it; 0 = none
	due     int64 // when next is
	paused  bool
	running map[int64]bool // ticks
	waiting int64          // QUEUE_ONE: the tick that waits
	made    map[int64]made
	lost    string // why it is not judged
}

// made is a job that a tick has to have made.
type made struct {
	index uint64
	at    int64
}

func newSchedule(c *fsmpb.SetSchedule, now int64) *schedule {
	s := &schedule{created: now, paused: c.Paused, running: map[int64]bool{}, made: map[int64]made{}}
	s.change(c, now)
	return s
}

// change gives a schedule other settings. Other times begin anew from now.
func (s *schedule) change(c *fsmpb.SetSchedule, now int64) {
	w, err := newWhen(c, s.created)
	if err != nil {
		s.lost = err.Error()
		return
	}
	anew := s.set == nil || !w.same(&s.when)
	if s.when = w; anew {
		s.from(now)
	}
	if w.set.Overlap != fsmpb.Overlap_OVERLAP_QUEUE_ONE {
		s.waiting = 0
	}
}

// from looks for the first tick after a time.
func (s *schedule) from(ms int64) {
	s.last, s.next = ms, s.after(ms)
	s.due = s.dueAt(s.next)
}

// scheduled is what an accepted command does to the schedules.
func scheduled(models map[string]*schedule, c *fsmpb.Command, now int64) {
	switch k := c.Kind.(type) {
	case *fsmpb.Command_SetSchedule:
		if s := models[k.SetSchedule.Name]; s != nil {
			s.change(k.SetSchedule, now)
		} else {
			models[k.SetSchedule.Name] = newSchedule(k.SetSchedule, now)
		}
	case *fsmpb.Command_PauseSchedule:
		switch s := models[k.PauseSchedule.Name]; {
		case s == nil:
		case !k.PauseSchedule.Resume:
			s.paused, s.waiting = true, 0
		case s.paused:
			s.paused = false
			s.from(now)
		}
	case *fsmpb.Command_DeleteSchedule:
		lose(models[k.DeleteSchedule.Name], "it was deleted")
	case *fsmpb.Command_TriggerSchedule:
		lose(models[k.TriggerSchedule.Name], "it was triggered")
	case *fsmpb.Command_BackfillSchedule:
		lose(models[k.BackfillSchedule.Name], "it was backfilled")
	}
}

func lose(s *schedule, why string) {
	if s != nil {
		s.lost = why
	}
}

// late is the bound of a tick's lateness in ms; 0: none.
func (s *schedule) late() int64 {
	if s.set.LateMs == 0 && s.set.Missed == fsmpb.Missed_MISSED_SKIP {
		return 60_000
	}
	return s.set.LateMs
}

// entry decides on what is due at an entry's time. more says that the entry has left something over: then nobody can
// tell what, and the schedule is not judged.
func (s *schedule) entry(index uint64, now int64, more bool) {
	if s.lost != "" {
		return
	}
	if more {
		s.lost = fmt.Sprintf("the entry at index %d was full", index)
		return
	}
	if s.waiting != 0 && len(s.running) == 0 {
		s.make(s.waiting, index, now)
		s.waiting = 0
	}
	if s.paused {
		return
	}
	var due []int64
	for s.next != 0 && s.due <= now {
		due = append(due, s.next)
		s.from(s.next)
	}
	if len(due) == 0 {
		return
	}
	keep := 1
	if s.set.Missed == fsmpb.Missed_MISSED_FIRE_ALL {
		if keep = int(s.set.MissedMax); keep == 0 {
			keep = 100
		}
	}
	for _, at := range due[max(0, len(due)-keep):] {
		if late := s.late(); late > 0 && now-s.dueAt(at) > late {
			continue
		}
		switch busy := len(s.running) > 0 || s.waiting != 0; {
		case !busy || s.set.Overlap == fsmpb.Overlap_OVERLAP_ALLOW:
			s.make(at, index, now)
		case s.set.Overlap == fsmpb.Overlap_OVERLAP_CANCEL_OLD:
			clear(s.running)
			s.make(at, index, now)
		case s.set.Overlap == fsmpb.Overlap_OVERLAP_QUEUE_ONE && s.waiting == 0:
			s.waiting = at
		}
	}
}

func (s *schedule) make(at int64, index uint64, now int64) {
	s.running[at] = true
	s.made[at] = made{index, now}
}

// compare holds the jobs that there are against those that there have to be.
func (s *schedule) compare(v *evidence.Verdict, jobs []*fsm.JobView) {
	if s.lost != "" {
		return
	}
	there := map[int64]*fsm.JobView{}
	for _, j := range jobs {
		if was := there[j.TickMS]; was != nil {
			v.Violate(fmt.Sprintf("schedule %s: tick %s has made the jobs %s and %s", s.set.Name, clockText(j.TickMS), was.ID, j.ID))
		}
		there[j.TickMS] = j
		if _, ok := s.made[j.TickMS]; !ok {
			v.Violate(fmt.Sprintf("schedule %s: tick %s has made job %s; by its policies it makes none", s.set.Name, clockText(j.TickMS), j.ID))
		}
	}
	for at, m := range s.made {
		v.Count++
		switch j := there[at]; {
		case j == nil:
			v.Violate(fmt.Sprintf("index %d: schedule %s: tick %s has no job", m.index, s.set.Name, clockText(at)))
		case j.CreatedMS != m.at:
			v.Violate(fmt.Sprintf("index %d: schedule %s: tick %s makes its job at %s; it was made at %s", m.index, s.set.Name, clockText(at), clockText(m.at), clockText(j.CreatedMS)))
		}
	}
}

func clockText(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04:05.000") }
