package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// triggerSchedule makes a job of a schedule at once. It asks neither for the times nor for a pause nor for
// the overlap policy: a person wants it. The job counts as one of the schedule's, so that a tick under SKIP
// is left out while it runs. Proposed for Client.TriggerSchedule.
//
// Refusals: NOT_FOUND, INVALID, CONFLICT (the id is another job's), and what SubmitJob refuses.
// Again: the same job id answers Existing and changes nothing.
func triggerSchedule(t *tx, c *fsmpb.TriggerSchedule) Answer {
	s := t.schedule(c.Namespace, c.Name)
	if s == nil {
		return unknownSchedule(c.Namespace, c.Name)
	}
	id, ok := jobIDOf(c.Job)
	switch {
	case !ok:
		return no(CodeInvalid, "a job id has 16 bytes that are not all zero (a ULID)")
	case c.TickMs < 0 || c.TickMs > timeMaxMS:
		return no(CodeInvalid, "the tick is unix milliseconds up to the year 9999")
	}
	if j := t.job(id); j != nil {
		if j.namespace != s.namespace || j.opts.GetSchedule() != s.name {
			return no(CodeConflict, "job %s exists and is not of this schedule: choose a new id", id)
		}
		return Answer{Job: id, Existing: true, State: j.state}
	}
	at := c.TickMs
	if at == 0 {
		at = t.now
	}
	return t.makeJob(s, t.agenda(s.id), at, id, TickTriggered)
}
