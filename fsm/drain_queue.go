package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// drainQueue makes a queue refuse new jobs (QUEUE_DRAINING); what waits in it, and what running jobs still
// send to it, runs out. Proposed for Client.DrainQueue.
//
// Refusals: NOT_FOUND.
// Again: changes nothing.
func drainQueue(t *tx, c *fsmpb.DrainQueue) Answer {
	return t.setDraining(c.Namespace, c.Queue, true)
}

// undrainQueue lets a queue take new jobs again. Proposed for Client.UndrainQueue.
//
// Refusals: NOT_FOUND.
// Again: changes nothing.
func undrainQueue(t *tx, c *fsmpb.UndrainQueue) Answer {
	return t.setDraining(c.Namespace, c.Queue, false)
}

func (t *tx) setDraining(namespace, name string, draining bool) Answer {
	q, r := t.knownQueue(namespace, name)
	if r != nil {
		return Answer{Refusal: r}
	}
	if was := q.control != nil && q.control.draining; was != draining {
		t.control(q).draining = draining
		t.saveControl(q)
	}
	return Answer{}
}
