package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// pauseSchedule stops a schedule's ticks, or lets them go on from now: what would have ticked meanwhile
// was never due, and is not missed. A tick that waited for a running job is left out. Proposed for
// Client.PauseSchedule and Client.ResumeSchedule.
//
// Refusals: NOT_FOUND.
// Again: a pause keeps the newer note; resuming what is not paused changes nothing.
func pauseSchedule(t *tx, c *fsmpb.PauseSchedule) Answer {
	s := t.schedule(c.Namespace, c.Name)
	if s == nil {
		return unknownSchedule(c.Namespace, c.Name)
	}
	a := t.agenda(s.id)
	switch {
	case !c.Resume:
		a.paused, a.note, a.next, a.until, a.dirty = true, truncate(c.Note, noteMax), 0, 0, true
		t.disarm(a)
		t.dropWaiting(a)
	case a.paused:
		a.paused, a.note = false, ""
		t.begin(s, a)
	}
	return Answer{}
}
