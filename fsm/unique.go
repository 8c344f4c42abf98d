package fsm

import (
	"slices"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// A unique key says that of several submissions one job is enough. Four modes (fsmpb.Unique_Mode) share
// one record, which names the job that holds the key. The record is changed only by the entries that
// change the job, in the same batch: a lock that outlives its job, or a job that outlives its lock, has
// nowhere to come from.
//
// The rivals' way, a lock in a store beside the queue with a time to live, fails both ways: a worker that
// dies leaves the lock behind and new work is dropped silently, or the time is over before the work is
// (research: task-queues.md, pains 12 and 23). The price of ours: one small key for a job that asks.

// mergedMax bounds the submissions that a debounced job remembers, to recognise their repetitions.
const mergedMax = 32

// uniqueKey is the record of a key in use.
//
// Invariant: holder lives, but for a throttle's, whose window may outlive it; until is not 0 exactly while
// the key has a timer.
type uniqueKey struct {
	holder  JobID
	next    JobID // KEEP_LATEST: waits for the holder's end
	started bool  // KEEP_LATEST: a task of the holder was leased
	until   int64 // unix ms: the key is free then
	since   int64 // DEBOUNCE: unix ms of the first submission
	merged  []JobID
}

func (k *uniqueKey) encode() []byte {
	e := newEnc(48 + 16*len(k.merged))
	e.raw(k.holder[:])
	e.raw(k.next[:])
	e.bool(k.started)
	e.int(k.until)
	e.int(k.since)
	e.uint(uint64(len(k.merged)))
	for _, id := range k.merged {
		e.raw(id[:])
	}
	return e
}

func decodeUniqueKey(b []byte) *uniqueKey {
	d := newDec("unique key", b)
	k := new(uniqueKey)
	copy(k.holder[:], d.raw(16))
	copy(k.next[:], d.raw(16))
	k.started = d.bool()
	k.until = d.int()
	k.since = d.int()
	n := d.uint()
	if n > mergedMax {
		d.bad = true
		n = 0
	}
	for range n {
		var id JobID
		copy(id[:], d.raw(16))
		k.merged = append(k.merged, id)
	}
	d.end()
	return k
}

// uniqueHash names a key: it belongs to a namespace, a workflow and a mode, so that equal keys of
// different tasks never meet.
func uniqueHash(namespace, workflow string, u *fsmpb.Unique) keyHash {
	kind := string([]byte{byte(u.Mode), 0})
	if u.Derived {
		kind = string([]byte{byte(u.Mode), 1})
	}
	return keyHashOf(namespace, workflow, kind, u.Key)
}

// uniqueOf names the key that a job was submitted with.
func (t *tx) uniqueOf(j *job) keyHash {
	return uniqueHash(j.namespace, j.plan.graph.Name, j.opts.Unique)
}

func (t *tx) unique(h keyHash) *uniqueKey {
	if b := t.get(keyUnique(h)); b != nil {
		return decodeUniqueKey(b)
	}
	return nil
}

func (t *tx) setUnique(h keyHash, k *uniqueKey) { t.set(keyUnique(h), k.encode()) }

// dropUnique frees a key.
func (t *tx) dropUnique(h keyHash, k *uniqueKey) {
	if k.until != 0 {
		t.clearTimer(k.until, dutyUnique, TaskRef{Job: JobID(h)})
	}
	t.del(keyUnique(h))
}

// checkUnique refuses what makes no sense.
func checkUnique(u *fsmpb.Unique, c *fsmpb.SubmitJob) *Refusal {
	needs := u.Mode == fsmpb.Unique_THROTTLE || u.Mode == fsmpb.Unique_DEBOUNCE
	switch {
	case !validName(u.Key):
		return refuse(CodeInvalid, "a unique key has 1 to 255 bytes without control characters: use a hash of a longer one")
	case u.Mode < fsmpb.Unique_UNIQUE || u.Mode > fsmpb.Unique_KEEP_LATEST ||
		u.Scope < fsmpb.Unique_UNTIL_DONE || u.Scope > fsmpb.Unique_UNTIL_START ||
		u.OnConflict < fsmpb.Unique_EXISTING || u.OnConflict > fsmpb.Unique_REJECT:
		return refuse(CodeInvalid, "mode, scope or conflict policy of the unique key are not known here")
	case u.PeriodMs < 0 || u.MaxMs < 0 || u.PeriodMs > dag.MaxDurationMS || u.MaxMs > dag.MaxDurationMS:
		return refuse(CodeInvalid, "the periods of a unique key are from 0 to %d ms", int64(dag.MaxDurationMS))
	case needs && u.PeriodMs == 0:
		return refuse(CodeInvalid, "throttle and debounce need a period above 0")
	case u.Mode == fsmpb.Unique_KEEP_LATEST && u.PeriodMs != 0, u.Mode != fsmpb.Unique_DEBOUNCE && u.MaxMs != 0:
		return refuse(CodeInvalid, "keep-latest has no period, and a maximum goes with debounce alone")
	case u.Mode == fsmpb.Unique_THROTTLE && u.OnConflict == fsmpb.Unique_REPLACE:
		return refuse(CodeInvalid, "a throttled submission cannot replace the job before it: use debounce for the last of several")
	case u.Mode == fsmpb.Unique_DEBOUNCE && c.NotBeforeMs != 0:
		return refuse(CodeInvalid, "debounce decides when the job starts: leave the start time out")
	}
	return nil
}

// admitUnique decides on a submission with a unique key: nil lets it become a job. It is the last to be
// asked, for it may cancel the holder.
func (t *tx) admitUnique(id JobID, c *fsmpb.SubmitJob, u *fsmpb.Unique) (Answer, bool) {
	graph := t.m.graphHash(c.Graph)
	g, err := t.graph(graph, c.Graph)
	must(err) // it was decoded before
	h := uniqueHash(c.Namespace, g.Name, u)
	k := t.unique(h)
	if k == nil {
		return Answer{}, false
	}
	switch u.Mode {
	case fsmpb.Unique_DEBOUNCE:
		return t.debounce(id, c, u, h, k)
	case fsmpb.Unique_KEEP_LATEST:
		if !k.started {
			t.replace(k.holder, id)
		} else if !k.next.IsZero() {
			t.replace(k.next, id)
		}
		return Answer{}, false
	}
	switch u.OnConflict {
	case fsmpb.Unique_REJECT:
		return no(CodeExists, "job %s has the unique key %q: wait for its end, or cancel it", k.holder, u.Key), true
	case fsmpb.Unique_REPLACE:
		t.replace(k.holder, id)
		return Answer{}, false
	}
	return t.deduplicated(c, graph, k.holder), true
}

// deduplicated answers a submission with the job that stands for it.
func (t *tx) deduplicated(c *fsmpb.SubmitJob, graph graphHash, id JobID) Answer {
	t.m.state.Deduplicated++
	t.rememberKey(c, graph, id)
	return t.existing(id)
}

// replace cancels a job in favour of a later one.
func (t *tx) replace(old, by JobID) {
	j := t.job(old)
	t.m.state.Replaced++
	j.reason = "replaced by job " + by.String()
	t.cancelLive(j, "JOB_CANCELED")
	t.end(j, JobCanceled)
}

// debounce merges a submission into the job that waits: the last input counts, and the wait begins
// anew. A submission that differs in more than its input takes the job's place instead.
func (t *tx) debounce(id JobID, c *fsmpb.SubmitJob, u *fsmpb.Unique, h keyHash, k *uniqueKey) (Answer, bool) {
	graph := t.m.graphHash(c.Graph)
	if slices.Contains(k.merged, id) { // a repetition must not bring an old input back
		return t.existing(k.holder), true
	}
	j := t.job(k.holder)
	if j.graph != graph || string(j.raw) != string(c.Options) || j.retainMS != c.RetainMs {
		t.replace(k.holder, id)
		t.setUnique(h, &uniqueKey{since: k.since}) // for uniqueCreated, in this entry
		return Answer{}, false
	}
	input, r := t.checkValue(c.Input, id)
	if r != nil {
		return Answer{Refusal: r}, true
	}
	t.replaceInput(j, input)
	if due := debounceDue(t.now, k.since, u); due > t.now && j.notBefore != due {
		t.clearTimer(j.notBefore, dutyStart, TaskRef{Job: j.id})
		t.unwatchTime(j)
		t.postpone(j, due)
		t.watchTime(j)
		t.setTimer(due, dutyStart, TaskRef{Job: j.id})
	}
	if len(k.merged) == mergedMax {
		k.merged = k.merged[1:]
	}
	k.merged = append(k.merged, id)
	t.setUnique(h, k)
	t.saw(j.id)
	return t.deduplicated(c, graph, j.id), true
}

// debounceDue is when a debounced job starts: a period after the last submission, but not later than
// max after the first.
func debounceDue(now, since int64, u *fsmpb.Unique) int64 {
	due := now + u.PeriodMs
	if u.MaxMs > 0 {
		due = min(due, since+u.MaxMs)
	}
	return due
}

// postpone moves the start of a job that waits for its time. The timer is the caller's.
func (t *tx) postpone(j *job, due int64) {
	j.notBefore = due
	j.dirty = true
	for i := range j.steps {
		if s := &j.steps[i]; s.state == TaskScheduled {
			s.due = due
			j.touch(uint32(i))
		}
	}
}

// replaceInput gives a job that has not begun another input.
func (t *tx) replaceInput(j *job, input value) {
	old := decodeValue(t.mustGet(keyInput(j.id)))
	if old.blob != nil && (input.blob == nil || input.blob.id != old.blob.id) {
		t.dropBlob(old.blob.id)
		t.del(keyOwned(j.id, old.blob.id))
		j.blobs--
		j.dirty = true
	}
	t.tallyOut(j)
	j.bytes += input.size() - old.size()
	j.dirty = true
	t.tallyIn(j)
	t.set(keyInput(j.id), encodeValue(input))
	t.claim(input, j)
}

// uniqueCreated gives a new job its key. Precondition: admitUnique let it pass.
func (t *tx) uniqueCreated(j *job) {
	u := j.opts.Unique
	h := t.uniqueOf(j)
	k := t.unique(h)
	if k != nil && u.Mode == fsmpb.Unique_KEEP_LATEST {
		k.next = j.id
		t.setUnique(h, k)
		return
	}
	if k == nil {
		k = &uniqueKey{since: t.now}
	}
	k.holder = j.id
	switch u.Mode {
	case fsmpb.Unique_DEBOUNCE:
		j.notBefore = max(debounceDue(t.now, k.since, u), t.now+1)
	default:
		k.since = 0
		t.bound(h, k, u)
	}
	t.setUnique(h, k)
}

// bound sets the timer of a key that has a period.
func (t *tx) bound(h keyHash, k *uniqueKey, u *fsmpb.Unique) {
	if u.PeriodMs > 0 {
		k.until = t.now + u.PeriodMs
		t.setTimer(k.until, dutyUnique, TaskRef{Job: JobID(h)})
	}
}

// uniqueDue is asked when a job's time has come. held: it has to wait for the holder of its key.
func (t *tx) uniqueDue(j *job) (held bool) {
	u := j.opts.Unique
	if u == nil || u.Mode != fsmpb.Unique_DEBOUNCE && u.Mode != fsmpb.Unique_KEEP_LATEST {
		return false
	}
	h := t.uniqueOf(j)
	k := t.unique(h)
	if k == nil {
		return false
	}
	if u.Mode == fsmpb.Unique_DEBOUNCE && k.holder == j.id {
		t.dropUnique(h, k)
	}
	return u.Mode == fsmpb.Unique_KEEP_LATEST && k.next == j.id
}

// waitsForKey reports whether a job waits for the end of the one that has its key.
func (t *tx) waitsForKey(j *job) bool {
	if u := j.opts.Unique; u != nil && u.Mode == fsmpb.Unique_KEEP_LATEST {
		k := t.unique(t.uniqueOf(j))
		return k != nil && k.next == j.id
	}
	return false
}

// uniqueStarted is called when a task of a job with a key is leased.
func (t *tx) uniqueStarted(j *job) {
	if j.begun {
		return
	}
	j.begun = true
	u := j.opts.Unique
	until := u.Mode == fsmpb.Unique_UNIQUE && (u.Scope == fsmpb.Unique_UNTIL_START || planted.UniqueFree)
	if !until && u.Mode != fsmpb.Unique_KEEP_LATEST {
		return
	}
	h := t.uniqueOf(j)
	k := t.unique(h)
	switch {
	case k == nil || k.holder != j.id:
	case until:
		t.dropUnique(h, k)
	case !k.started:
		k.started = true
		t.setUnique(h, k)
	}
}

// uniqueEnded frees the key of a job that has ended, or hands it on to the one that waits.
func (t *tx) uniqueEnded(j *job) {
	u := j.opts.Unique
	h := t.uniqueOf(j)
	k := t.unique(h)
	switch {
	case k == nil || u.Mode == fsmpb.Unique_THROTTLE && !planted.ThrottleEnds:
	case k.next == j.id:
		k.next = JobID{}
		t.setUnique(h, k)
	case k.holder != j.id:
	case k.next.IsZero():
		t.dropUnique(h, k)
	default:
		k.holder, k.next, k.started = k.next, JobID{}, false
		t.setUnique(h, k)
		next := t.job(k.holder)
		t.limitTime(next) // its wait was the other job's time
		if next.notBefore <= t.now {
			t.start(next)
		}
	}
}

// mayReopenUnique refuses to run a job again while another holds its key.
func (t *tx) mayReopenUnique(j *job) *Refusal {
	u := j.opts.Unique
	if u.Mode == fsmpb.Unique_THROTTLE || u.Mode == fsmpb.Unique_DEBOUNCE {
		return nil
	}
	if k := t.unique(t.uniqueOf(j)); k != nil {
		return refuse(CodeExists, "job %s has the unique key %q by now: let it end, or cancel it, before this one runs again", k.holder, u.Key)
	}
	return nil
}

// uniqueReopened takes the key again. Precondition: mayReopenUnique found it free.
func (t *tx) uniqueReopened(j *job) {
	j.begun = false
	u := j.opts.Unique
	if u.Mode == fsmpb.Unique_THROTTLE || u.Mode == fsmpb.Unique_DEBOUNCE {
		return
	}
	h := t.uniqueOf(j)
	k := &uniqueKey{holder: j.id}
	t.bound(h, k, u)
	t.setUnique(h, k)
}

// fireUnique frees a key whose period is over; the job goes on without it.
func (t *tx) fireUnique(h keyHash) { t.del(keyUnique(h)) }
