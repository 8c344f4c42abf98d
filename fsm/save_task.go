package fsm

import (
	"bytes"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	// SaveMax is the largest checkpoint or sub-step, in bytes.
	SaveMax = 256 << 10
	// SavedMax bounds all that one task has saved, names included, in bytes.
	SavedMax = 1 << 20
	// SavedSlots bounds the sub-steps that one task records.
	SavedSlots = 1000
)

// saveTask keeps a checkpoint of a running task, so that its next attempt can go on from it, on whatever
// worker. Slot 0 holds the last checkpoint; the slots after it hold sub-steps by name, each written once.
// What is saved is dropped when the task succeeds, and kept when it is dead or canceled, for RetryJob.
// Proposed for sdk.Save and sdk.Once.
//
// The naive way, a key for each name, needs a scan of the store to remove them with the task, and tasks
// end a thousand to an entry. Numbered slots are removed by their count.
//
// Refusals: STALE, CANCELED, INVALID, as for completeTask; TOO_LARGE; CONFLICT (the slot holds another
// sub-step, or is not the next one: read what is recorded and go on from there).
// Again: the same sub-step, and a checkpoint that is not newer than the one stored under the same fence,
// are acknowledged as Duplicate.
func saveTask(t *tx, c *fsmpb.SaveTask) Answer {
	ref, fence, _, l, refusal := t.reported(c.Session, c.Fence, c.Task)
	switch {
	case refusal != nil:
		return Answer{Refusal: refusal}
	case l == nil:
		t.m.state.Stale++
		return no(CodeStale, "the lease %s of task %s is over: another attempt has the task, or had it; stop this one", fence, ref)
	case l.revoked && l.cause == causeTimeout:
		t.m.state.Stale++
		return no(CodeStale, "the attempt of task %s was out of time, and its lease %s is over: nothing of it is saved any more", ref, fence)
	case l.revoked:
		return no(CodeCanceled, "job %s has ended%s: nothing of it is saved any more", ref.Job, because(t.endReason(ref.Job)))
	case len(c.Data) == 0:
		return no(CodeInvalid, "the checkpoint is empty: send a JSON document, null for nothing")
	case len(c.Data) > SaveMax:
		return no(CodeTooLarge, "the checkpoint has %d bytes and may have %d: store the data elsewhere and save where it is", len(c.Data), SaveMax)
	case c.Slot == 0 != (c.Name == "") || c.Name != "" && !validName(c.Name):
		return no(CodeInvalid, "a sub-step has a slot from 1 and a name of 1 to 255 bytes without control characters, a checkpoint neither")
	}
	j := t.job(ref.Job)
	tk := t.task(j, ref)
	next := max(tk.saves, 1) // the first sub-step comes after slot 0, even when that is empty
	switch {
	case c.Slot > next:
		return no(CodeConflict, "sub-step %q is given slot %d and the next one is %d: read what is recorded first", c.Name, c.Slot, next)
	case c.Slot > SavedSlots:
		return no(CodeTooLarge, "a task records up to %d sub-steps: make more of them tasks of an Each", SavedSlots)
	}
	s := saved{fence: fence, seq: c.Seq, name: c.Name, data: c.Data}
	old, has := t.saved(ref, tk, c.Slot)
	switch {
	case has && c.Slot > 0 && old.name == s.name && bytes.Equal(old.data, s.data):
		return Answer{Job: j.id, Duplicate: true}
	case has && c.Slot > 0:
		return no(CodeConflict, "slot %d of task %s holds sub-step %q: read what is recorded first", c.Slot, ref, old.name)
	case has && old.fence == fence && old.seq >= s.seq:
		return Answer{Job: j.id, Duplicate: true}
	}
	size := tk.savedBytes - old.size() + s.size()
	if size > SavedMax {
		return no(CodeTooLarge, "task %s would have saved %d bytes and may have %d: store the data elsewhere and save where it is", ref, size, SavedMax)
	}
	tk.saves, tk.savedBytes = max(tk.saves, c.Slot+1), size
	t.set(keySaved(ref, c.Slot), s.encode())
	t.m.state.Saves++
	t.mark(j, ref, tk)
	return Answer{Job: j.id, State: j.state}
}

// saved is what a task keeps for its next attempt.
type saved struct {
	fence Fence // of the attempt that saved it
	seq   uint64
	name  string
	data  []byte
}

func (s saved) size() uint64 { return uint64(len(s.name) + len(s.data)) }

func (s saved) encode() []byte {
	e := newEnc(len(s.name) + len(s.data) + 24)
	e.fence(s.fence)
	e.uint(s.seq)
	e.str(s.name)
	e.bytes(s.data)
	return e
}

func decodeSaved(b []byte) saved {
	d := newDec("checkpoint", b)
	s := saved{fence: d.fence(), seq: d.uint(), name: d.str(), data: d.bytes()}
	d.end()
	return s
}

// saved reads a slot of a task.
func (t *tx) saved(ref TaskRef, tk *task, slot uint32) (s saved, ok bool) {
	if slot >= tk.saves {
		return s, false
	}
	b := t.get(keySaved(ref, slot))
	if b == nil {
		return s, false // only slot 0 may be empty
	}
	return decodeSaved(b), true
}

// dropSaved forgets what a task has saved: it is done.
func (t *tx) dropSaved(ref TaskRef, tk *task) {
	for n := range tk.saves {
		t.del(keySaved(ref, n))
	}
	tk.saves, tk.savedBytes = 0, 0
}
