package fsm

import (
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	slotsMax      = 10_000 // of a session, in all its queues
	queuesMax     = 1_000  // of a session
	kindsMax      = 10_000 // of a session
	labelsMax     = 64
	sessionMinTTL = 1_000     // ms
	sessionMaxTTL = 3_600_000 // ms
)

// openSession registers a worker and leases waiting tasks to it in the same entry. Proposed when a
// worker connects.
//
// Refusals: INVALID, TOO_LARGE (too many names), TYPE_MISMATCH (a task of that name is in use with other types).
// Again: the same nonce answers the living session.
func openSession(t *tx, c *fsmpb.OpenSession) Answer {
	if r := t.checkSession(c); r != nil {
		return Answer{Refusal: r}
	}
	if id, ok := t.m.nonces[string(c.Nonce)]; ok {
		return Answer{Session: id}
	}
	var queues, kinds []string
	for _, q := range c.Queues {
		queues = append(queues, q.Queue)
	}
	for _, k := range c.Kinds {
		kinds = append(kinds, k.Name)
	}
	if r := t.m.checkNames(c.Namespace, queues, kinds); r != nil {
		return Answer{Refusal: r}
	}
	t.m.state.nextSession++
	s := &session{
		id: t.m.state.nextSession, namespace: c.Namespace, worker: c.Worker, kinds: c.Kinds, labels: c.Labels,
		openedMS: t.now, ttlMS: c.TtlMs, nonce: c.Nonce, shared: c.Slots, strict: c.Strict && c.Slots > 0,
	}
	for _, q := range c.Queues {
		s.slots = append(s.slots, &slotGroup{s: s, queue: t.m.names.queue(c.Namespace, q.Queue).id, slots: q.Slots})
	}
	t.m.attach(s)
	for _, k := range c.Kinds {
		t.m.useTypes(t.m.names.kind(c.Namespace, k.Name), k.Types)
	}
	t.set(keySession(s.id), s.encode())
	t.m.state.SessionsOpened++
	return Answer{Session: s.id}
}

func (t *tx) checkSession(c *fsmpb.OpenSession) *Refusal {
	switch {
	case !validName(c.Namespace):
		return refuse(CodeInvalid, "the namespace is 1 to 255 bytes without control characters")
	case len(c.Worker) > 255:
		return refuse(CodeInvalid, "a worker's name has at most 255 bytes")
	case len(c.Nonce) != 16:
		return refuse(CodeInvalid, "a session's nonce has 16 bytes")
	case len(c.Queues) == 0 || len(c.Queues) > queuesMax:
		return refuse(CodeInvalid, "a worker takes from 1 to %d queues", queuesMax)
	case len(c.Kinds) == 0 || len(c.Kinds) > kindsMax:
		return refuse(CodeInvalid, "a worker offers 1 to %d tasks: register them before Run", kindsMax)
	case len(c.Labels) > labelsMax:
		return refuse(CodeInvalid, "a worker has at most %d labels", labelsMax)
	case c.TtlMs < sessionMinTTL || c.TtlMs > sessionMaxTTL:
		return refuse(CodeInvalid, "the lease TTL is from %d to %d ms", sessionMinTTL, sessionMaxTTL)
	}
	var slots uint64
	seen := make(map[string]bool)
	for _, q := range c.Queues {
		if !validName(q.Queue) || q.Slots == 0 || seen["q"+q.Queue] {
			return refuse(CodeInvalid, "queue %q: a queue is named once, with at least one slot", q.Queue)
		}
		if c.Slots > 0 && q.Slots > weightMax {
			return refuse(CodeInvalid, "queue %q: where queues share slots, each has a weight from 1 to %d", q.Queue, weightMax)
		}
		seen["q"+q.Queue] = true
		slots += uint64(q.Slots)
	}
	if c.Slots > 0 {
		slots = uint64(c.Slots)
	}
	if slots > slotsMax {
		return refuse(CodeInvalid, "a worker has at most %d slots: start more workers", slotsMax)
	}
	for _, k := range c.Kinds {
		if !validName(k.Name) || seen["k"+k.Name] {
			return refuse(CodeInvalid, "task %q: a task is offered once, under a name of 1 to 255 bytes", k.Name)
		}
		seen["k"+k.Name] = true
		if r := t.m.checkTypes(c.Namespace, k.Name, k.Types); r != nil {
			return r
		}
	}
	return nil
}
