package fsm

import (
	"cmp"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// DeadView is a job of the dead set as users see it.
type DeadView struct {
	ID                    JobID
	FinishedMS            int64
	Workflow, Step, Queue string
	ErrorType, Message    string // of the message at most 200 bytes
	Fingerprint           uint64
}

// DeadToken is a place in the dead set. Zero: its newest end.
type DeadToken struct {
	FinishedMS int64
	ID         JobID
}

// DeadGroup is the dead jobs of one error.
type DeadGroup struct {
	Fingerprint       uint64
	Jobs              uint64
	FirstMS, LastMS   int64
	Newest            DeadView
	Workflows, Queues []string // at most 10 of each
}

// deadLook bounds the entries that one call looks at.
const deadLook = 100_000

// Dead lists the dead jobs of a namespace that a filter selects, the newest first, from after a place on, at
// most limit of them. next is zero on the last page. A page may have fewer when a hundred thousand
// entries were looked at.
func (v *View) Dead(namespace string, f *fsmpb.DeadFilter, after DeadToken, limit int) (all []DeadView, next DeadToken, err error) {
	err = v.eachDead(namespace, after, func(e *deadJob, looked int) bool {
		if e.matches(f) {
			if len(all) == limit {
				next = all[limit-1].token()
				return false
			}
			all = append(all, e.view())
		}
		if looked == deadLook {
			next = DeadToken{e.finishedMS, e.id}
			return false
		}
		return e.finishedMS >= f.GetSinceMs()
	})
	return all, next, err
}

// DeadGroups groups the dead jobs of a namespace that a filter selects by their errors' fingerprints, the
// largest group first. partial: only the newest hundred thousand entries were looked at.
func (v *View) DeadGroups(namespace string, f *fsmpb.DeadFilter) (groups []DeadGroup, partial bool, err error) {
	index := make(map[uint64]int)
	err = v.eachDead(namespace, DeadToken{}, func(e *deadJob, looked int) bool {
		if e.matches(f) {
			i, ok := index[e.fingerprint]
			if !ok {
				i = len(groups)
				index[e.fingerprint] = i
				groups = append(groups, DeadGroup{Fingerprint: e.fingerprint, LastMS: e.finishedMS, Newest: e.view()})
			}
			g := &groups[i]
			g.Jobs++
			g.FirstMS = e.finishedMS
			g.Workflows, g.Queues = addName(g.Workflows, e.workflow), addName(g.Queues, e.queue)
		}
		partial = looked == deadLook
		return !partial && e.finishedMS >= f.GetSinceMs()
	})
	slices.SortStableFunc(groups, func(x, y DeadGroup) int { return cmp.Compare(y.Jobs, x.Jobs) })
	return groups, partial, err
}

func addName(names []string, name string) []string {
	if len(names) < 10 && !slices.Contains(names, name) {
		names = append(names, name)
	}
	return names
}

// eachDead calls f for the dead jobs of a namespace, the newest first, until f returns false.
func (v *View) eachDead(namespace string, after DeadToken, f func(e *deadJob, looked int) bool) (err error) {
	defer catch(&err)
	low := keyDeadOf(namespace)
	high := prefixEnd(low)
	if after != (DeadToken{}) {
		high = keyDead(namespace, after.FinishedMS, after.ID)
	}
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	must(err)
	defer func() { must(it.Close()) }()
	looked := 0
	for ok := it.Last(); ok; ok = it.Prev() {
		b, err := it.ValueAndErr()
		must(err)
		looked++
		if !f(decodeDead(it.Key(), b), looked) {
			return nil
		}
	}
	return nil
}

func (e *deadJob) view() DeadView {
	return DeadView{
		ID: e.id, FinishedMS: e.finishedMS, Workflow: e.workflow, Step: e.step, Queue: e.queue,
		ErrorType: e.errorType, Message: e.message, Fingerprint: e.fingerprint,
	}
}

func (d DeadView) token() DeadToken { return DeadToken{d.FinishedMS, d.ID} }
