package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// pauseQueue stops the grants of a queue: what runs goes on, what waits keeps its place and waits. Proposed
// for Client.PauseQueue.
//
// Refusals: NOT_FOUND.
// Again: changes nothing.
func pauseQueue(t *tx, c *fsmpb.PauseQueue) Answer {
	return t.pauseOrResume(c.Namespace, c.Queue, true)
}

// resumeQueue lets a queue grant again, in this entry. Proposed for Client.ResumeQueue.
//
// Refusals: NOT_FOUND.
// Again: changes nothing.
func resumeQueue(t *tx, c *fsmpb.ResumeQueue) Answer {
	return t.pauseOrResume(c.Namespace, c.Queue, false)
}

func (t *tx) pauseOrResume(namespace, name string, paused bool) Answer {
	q, r := t.knownQueue(namespace, name)
	if r != nil {
		return Answer{Refusal: r}
	}
	if q.paused != paused {
		t.setPaused(q, paused)
	}
	return Answer{}
}
