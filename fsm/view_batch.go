package fsm

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// UniqueView is a job's key as it stands.
type UniqueView struct {
	Unique   *fsmpb.Unique
	Holds    bool  // the key is the job's now
	WaitsFor JobID // KEEP_LATEST: the job that has to end first
}

// BatchView is a batch as users see it.
type BatchView struct {
	ID                                       BatchID
	Namespace, Name                          string
	State                                    BatchState
	Total, Live, Succeeded, Failed, Canceled uint64
	CreatedMS                                int64
	ExpiresMS                                int64 // 0 = never
	FinishedMS                               int64 // 0 while a job lives or may come
	CancelReason                             string
	SuccessJob, CompleteJob, DeathJob        JobID  // the callbacks that were made
	CallbackError                            string // why one could not be made yet
}

// BatchJobView is a job of a batch.
type BatchJobView struct {
	ID    JobID
	State JobState // RUNNING until it has ended; known also after the job was purged
}

func (v *View) unique(j *job, workflow string) *UniqueView {
	u := j.opts.Unique
	if u == nil {
		return nil
	}
	view := &UniqueView{Unique: u}
	if b := v.disk.get(keyUnique(uniqueHash(j.namespace, workflow, u))); b != nil {
		k := decodeUniqueKey(b)
		view.Holds = k.holder == j.id
		if k.next == j.id {
			view.WaitsFor = k.holder
		}
	}
	return view
}

// Batch returns a batch, or ErrNotFound.
func (v *View) Batch(id BatchID) (view *BatchView, err error) {
	defer catch(&err)
	raw := v.disk.get(keyBatch(id))
	if raw == nil {
		return nil, ErrNotFound
	}
	b := decodeBatch(id, raw)
	if b.gone {
		return nil, ErrNotFound
	}
	return batchView(b), nil
}

func batchView(b *batch) *BatchView {
	return &BatchView{
		ID: b.id, Namespace: b.namespace, Name: b.name, State: b.state, Total: b.total, Live: b.live,
		Succeeded: b.succeeded, Failed: b.failed, Canceled: b.canceled, CreatedMS: b.createdMS, ExpiresMS: b.expiresMS,
		FinishedMS: b.finishedMS, CancelReason: b.reason,
		SuccessJob: b.made[onSuccess], CompleteJob: b.made[onComplete], DeathJob: b.made[onDeath], CallbackError: b.error,
	}
}

// Batches lists the batches of a namespace, the youngest ids first, from after the given id on (zero: from the
// start), at most limit of them, in one state (0: in all). next is where the following page begins; zero when
// this is the last one.
func (v *View) Batches(namespace string, state BatchState, after BatchID, limit int) (all []*BatchView, next BatchID, err error) {
	defer catch(&err)
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{tagBatch}, UpperBound: []byte{tagBatch + 1}})
	must(err)
	defer func() { must(it.Close()) }()
	ok := it.Last()
	if !after.IsZero() {
		ok = it.SeekLT(keyBatch(after))
	}
	for ; ok; ok = it.Prev() {
		b := decodeBatch(BatchID(it.Key()[1:]), bytes.Clone(it.Value()))
		if b.gone || b.namespace != namespace || state != 0 && state != b.state {
			continue
		}
		if len(all) == limit {
			return all, all[limit-1].ID, nil
		}
		all = append(all, batchView(b))
	}
	return all, BatchID{}, nil
}

// BatchJobs lists the jobs of a batch by their ids, the oldest first, as Batches lists batches.
func (v *View) BatchJobs(id BatchID, state JobState, after JobID, limit int) (all []BatchJobView, next JobID, err error) {
	defer catch(&err)
	low := keyMembers(id)
	if !after.IsZero() {
		low = append(keyMember(id, after), 0)
	}
	v.disk.scan(low, prefixEnd(keyMembers(id)), func(k, raw []byte) bool {
		m := BatchJobView{ID: parseMember(k), State: decodeMember(raw)}
		if state != 0 && state != m.State {
			return true
		}
		if len(all) == limit {
			next = all[limit-1].ID
			return false
		}
		all = append(all, m)
		return true
	})
	return all, next, nil
}
