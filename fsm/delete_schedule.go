package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// deleteSchedule removes a schedule. Its jobs go on. Proposed for Client.DeleteSchedule.
//
// Refusals: NOT_FOUND.
func deleteSchedule(t *tx, c *fsmpb.DeleteSchedule) Answer {
	s := t.schedule(c.Namespace, c.Name)
	if s == nil {
		return unknownSchedule(c.Namespace, c.Name)
	}
	a := t.agenda(s.id)
	t.disarm(a)
	if a.release != 0 {
		t.clearTimer(a.release, dutyRelease, a.id.ref())
	}
	a.gone = true
	t.del(keySchedule(s.namespace, s.name))
	delete(t.m.schedules, [2]string{s.namespace, s.name})
	t.m.state.SchedulesDeleted++
	return Answer{}
}

func unknownSchedule(namespace, name string) Answer {
	return no(CodeNotFound, "there is no schedule %q in namespace %q: `fanfold schedule list` shows those there are", truncate(name, 255), truncate(namespace, 255))
}
