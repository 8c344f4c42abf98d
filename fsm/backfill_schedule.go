package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

const (
	backfillTicks = 1000
	backfillSteps = 50_000 // of the jobs that are made
)

// backfillSchedule makes the jobs of past ticks, oldest first, whatever the pause and the overlap policy
// say. The job of a tick has the id that it always has: one that is there, because the tick was fired or
// backfilled before, is left alone. Proposed for Client.BackfillSchedule.
//
// It stops after 1,000 ticks, or 50,000 steps of jobs; Answer.NextMS says where to go on. It stops, too,
// before a tick whose job is refused.
//
// Refusals: NOT_FOUND, INVALID, and what SubmitJob refuses, if it is the job of the first tick.
func backfillSchedule(t *tx, c *fsmpb.BackfillSchedule) Answer {
	s := t.schedule(c.Namespace, c.Name)
	switch {
	case s == nil:
		return unknownSchedule(c.Namespace, c.Name)
	case c.FromMs <= 0 || c.ToMs <= c.FromMs:
		return no(CodeInvalid, "a backfill goes from a time, in unix milliseconds, to a later one")
	case c.ToMs > t.now:
		return no(CodeInvalid, "a backfill is of the past: let it end at %d, which is now", t.now)
	}
	a, ans := t.agenda(s.id), Answer{}
	steps := 0
	for at := s.after(c.FromMs - 1); at != 0 && at < c.ToMs; at = s.after(at) {
		if ans.Made+ans.Present == backfillTicks || steps >= backfillSteps {
			ans.NextMS = at
			break
		}
		made := t.makeJob(s, a, at, tickJob(s.namespace, s.name, at), TickBackfilled)
		switch {
		case made.Refusal != nil && ans.Made+ans.Present == 0:
			return made
		case made.Refusal != nil:
			ans.NextMS = at
			return ans
		case made.Existing:
			ans.Present++
		default:
			ans.Made++
			steps += len(t.job(made.Job).steps)
		}
	}
	return ans
}
