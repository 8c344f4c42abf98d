package fsm

import (
	"bytes"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/btree"
)

// reader reads single keys. A value must not be modified, and stays valid.
type reader interface {
	get(key []byte) []byte     // nil: there is none
	mustGet(key []byte) []byte // missing is a fault
}

// tx is the state during one Machine.Apply: what Pebble has, under what this apply has changed. All
// entries of the call share it and are written by one Pebble batch.
//
// The naive way, Pebble's indexed batch, costs 30 % more than a map over a plain batch when an apply
// reads its own writes (performance-spike.md section 4.1). The map also lets a key that is made and
// removed by the same call, as the runnable key of a task that is granted at once, never reach Pebble.
type tx struct {
	joining BatchID // a job is being submitted to it

	m        *Machine
	changes  map[string]*change
	order    []*change // insertion order: the batch is the same on every replica that applies the same entries
	room     []change  // for changes to come
	keys     strings.Builder
	refs     map[graphHash]*graphRefs // counts that this call has read; nil: none yet
	heldRefs []*graphRefs             // the same, in the order of reading
	scans    int                      // of order, by ascend
	work     int                      // of the timers that this entry has fired, see fireWork
	sorted   *btree.BTreeG[*change]
	inSorted int    // of order, how many are in sorted
	jobs     []*job // touched
	loaded   []*job // of these, new in the machine's cache
	tasks    map[TaskRef]*heldTask
	held     []*heldTask
	ranges   [][2][]byte    // removed whole: what purges left
	dropped  map[JobID]bool // whose data is; nil: none
	touched  map[JobID]bool
	parts    []*partition // changed in this entry
	sessions []*session   // whose turns have moved in this entry

	agendas     map[scheduleID]*agenda // of schedules that this call has read; nil: none yet
	heldAgendas []*agenda              // the same, in the order of reading

	index uint64
	now   int64
	pos   uint32 // of the next fence in this entry
	res   *Result

	asked   bool // a submission comes from outside: admission applies
	retired int  // jobs that retention has purged or listed in this entry
}

type change struct {
	key   string
	value []byte
	del   bool
	fresh bool // the key was not in Pebble before: removing it needs no tombstone
}

// heldTask is a task record that this call has read or made.
type heldTask struct {
	*task
	ref   TaskRef
	fresh bool // there is no record in Pebble
	gone  bool // the record is to be removed
}

func (t *tx) get(key []byte) []byte {
	if c, ok := t.changes[string(key)]; ok {
		if c.del {
			return nil
		}
		return c.value
	}
	if t.isDropped(key) {
		return nil
	}
	return t.m.disk.get(key)
}

// isDropped reports whether a key, or all with a prefix, belongs to the data of a job that was removed by a range
// in this entry. A job of the same id may come in the same entry, and must not find it.
func (t *tx) isDropped(key []byte) bool {
	return t.dropped != nil && key[0] == tagData && t.dropped[JobID(key[1:17])]
}

func (t *tx) mustGet(key []byte) []byte { return present(t.get(key), key) }

func (t *tx) set(key, val []byte) { t.put(key, val, false) }

// setNew writes a key that was never written before, or not since it was deleted by setNew's
// counterpart del: a sequence number or a fence is part of it.
func (t *tx) setNew(key, val []byte) { t.put(key, val, true) }

func (t *tx) put(key, val []byte, fresh bool) {
	if val == nil {
		val = []byte{}
	}
	if c, ok := t.changes[string(key)]; ok {
		c.value, c.del = val, false
		return
	}
	c := t.change(key)
	c.value, c.fresh = val, fresh
}

func (t *tx) del(key []byte) {
	if c, ok := t.changes[string(key)]; ok {
		c.value, c.del = nil, true
		return
	}
	t.change(key).del = true
}

// change makes the record of a key's first change. Records and keys are cut from larger pieces: one by one they
// were a fifth of all allocations.
func (t *tx) change(key []byte) *change {
	if len(t.room) == 0 {
		t.room = make([]change, min(4+len(t.order), 256))
	}
	c := &t.room[0]
	t.room = t.room[1:]
	if t.keys.Len()+len(key) > t.keys.Cap() {
		t.keys = strings.Builder{} // the keys that were cut from it keep the old one
		t.keys.Grow(max(len(key), min(256+32*len(t.order), 8<<10)))
	}
	t.keys.Write(key)
	c.key = t.keys.String()[t.keys.Len()-len(key):]
	t.changes[c.key] = c
	t.order = append(t.order, c)
	return c
}

// scan calls f for every key with the prefix, in order, this call's changes included, until f
// returns false. f may change what it is called for. It is for rare commands (cancel, purge).
func (t *tx) scan(prefix []byte, f func(key, val []byte) bool) {
	type pair struct{ k, v []byte }
	var all []pair
	t.ascend(prefix, prefixEnd(prefix), 0, func(k, v []byte) {
		all = append(all, pair{bytes.Clone(k), bytes.Clone(v)})
	})
	for _, p := range all {
		if !f(p.k, p.v) {
			return
		}
	}
}

// ascend calls f for the keys in [low, high) in order, at most limit of them (0 = all), this call's
// changes included; it looks at all of them. Key and value are valid only during the call.
func (t *tx) ascend(low, high []byte, limit int, f func(key, val []byte)) {
	own := t.own(low, high, limit)
	n := 0
	emit := func(k, v []byte) bool {
		f(k, v)
		n++
		return limit == 0 || n < limit
	}
	more := true
	t.scanDisk(low, high, func(k, v []byte) bool {
		for more && len(own) > 0 && own[0].key < string(k) {
			more = emit([]byte(own[0].key), own[0].value)
			own = own[1:]
		}
		if _, changed := t.changes[string(k)]; more && !changed {
			more = emit(k, v)
		}
		return more
	})
	for _, c := range own {
		if !more {
			return
		}
		more = emit([]byte(c.key), c.value)
	}
}

// scanDisk calls f for the keys in [low, high) that Pebble has, but for those that a range removes. Data of jobs is
// scanned job by job.
func (t *tx) scanDisk(low, high []byte, f func(key, val []byte) bool) {
	if !t.isDropped(low) {
		t.m.disk.scan(low, high, f)
	}
}

// scansMax is how often a call looks through its changes one by one before it sorts them.
const scansMax = 32

// own lists this call's changes in [low, high) that are not deletions, in order, and at least limit of them
// if there are as many (0 = all).
//
// Most calls ask a few times, and looking through the changes is cheaper than to keep them sorted. But the
// lanes of thousands of partitions can run dry in one call: each looks here, so from then on the changes are
// sorted, each once.
func (t *tx) own(low, high []byte, limit int) (all []*change) {
	if t.scans++; t.scans <= scansMax {
		for _, c := range t.order {
			if !c.del && c.key >= string(low) && c.key < string(high) {
				all = append(all, c)
			}
		}
		slices.SortFunc(all, func(a, b *change) int { return strings.Compare(a.key, b.key) })
		return all
	}
	if t.sorted == nil {
		t.sorted = btree.NewG(32, func(a, b *change) bool { return a.key < b.key })
	}
	for _, c := range t.order[t.inSorted:] {
		t.sorted.ReplaceOrInsert(c)
	}
	t.inSorted = len(t.order)
	t.sorted.AscendRange(&change{key: string(low)}, &change{key: string(high)}, func(c *change) bool {
		if !c.del {
			all = append(all, c)
		}
		return limit == 0 || len(all) < limit
	})
	return all
}

// flush writes everything that was changed into the batch.
func (t *tx) flush(b *pebble.Batch) {
	for _, r := range t.ranges {
		must(b.DeleteRange(r[0], r[1], nil))
	}
	for _, j := range t.jobs {
		t.flushJob(j)
	}
	for _, h := range t.held {
		switch {
		case !h.gone && h.dirty:
			t.set(keyTask(h.ref), encodeTask(h.task))
		case h.gone && !h.fresh:
			t.del(keyTask(h.ref))
		}
	}
	t.flushRefs()
	t.flushAgendas()
	t.m.flushNames(t)
	t.m.flushHooks(t)
	for _, c := range t.byTag() {
		switch {
		case c.del && c.fresh:
		case c.del:
			must(b.Delete([]byte(c.key), nil))
		default:
			must(b.Set([]byte(c.key), c.value, nil))
		}
	}
}

// byTag is the changes with those of one kind together, else in their order. Each change of one kind lies next to the
// one before it as a rule, and Pebble's memtable finds its place from there.
func (t *tx) byTag() []*change {
	var at [256]int // where the next change with this tag goes
	for _, c := range t.order {
		at[c.key[0]]++
	}
	next := 0
	for tag, n := range at {
		at[tag] = next
		next += n
	}
	sorted := make([]*change, len(t.order))
	for _, c := range t.order {
		tag := c.key[0]
		sorted[at[tag]] = c
		at[tag]++
	}
	return sorted
}

func (t *tx) flushJob(j *job) {
	j.listed = false
	if j.purged {
		return // PurgeJob removed the keys
	}
	if j.dirty {
		t.set(keyJob(j.id), j.encode())
		j.dirty = false
	}
	for n := uint32(1); n < j.blocks(); n++ {
		if j.far[n] {
			t.set(keyBlock(j.id, n), encodeBlock(j.block(n)))
		}
	}
	j.far = nil
	for i := range j.groups {
		if g := j.groups[i]; g != nil && g.dirty {
			t.set(keyGroup(j.id, uint32(i)), g.encode())
			g.dirty = false
		}
	}
}

func must(err error) {
	if err != nil {
		panic(fault{err})
	}
}

// job loads a job for reading and writing, or returns nil.
func (t *tx) job(id JobID) *job {
	j := t.m.jobs[id]
	if j == nil {
		if j = readJob(t, id); j == nil {
			return nil
		}
		t.m.jobs[id] = j
		t.loaded = append(t.loaded, j)
	}
	if j.purged {
		return nil
	}
	if j.plan == nil {
		j.plan = t.m.planOf(t, j.graph, j.namespace)
	}
	if !j.listed {
		j.listed = true
		t.jobs = append(t.jobs, j)
	}
	return j
}

// group loads a map or fold step's group, or returns nil before the step has begun.
func (t *tx) group(j *job, step uint32) *group {
	if j.groups == nil {
		j.groups = make([]*group, len(j.steps))
	}
	if j.groups[step] == nil {
		if b := t.get(keyGroup(j.id, step)); b != nil {
			j.groups[step] = decodeGroup(b)
		}
	}
	return j.groups[step]
}

// task finds a task: in its job's record, or in one of its own. It returns nil when the task has
// none: it was not made yet, or it is done.
func (t *tx) task(j *job, ref TaskRef) *task {
	if int(ref.Step) >= len(j.steps) {
		return nil
	}
	if j.plan.steps[ref.Step].plain() {
		if ref.Shard != 0 {
			return nil
		}
		return &j.steps[ref.Step].task
	}
	if h := t.taskRecord(ref); h != nil {
		return h.task
	}
	return nil
}

func (t *tx) taskRecord(ref TaskRef) *heldTask {
	h, ok := t.tasks[ref]
	if !ok {
		b := t.get(keyTask(ref))
		if b == nil {
			return nil
		}
		h = &heldTask{task: decodeTask(b), ref: ref}
		t.tasks[ref] = h
		t.held = append(t.held, h)
	}
	if h.gone {
		return nil
	}
	return h
}

// taskRefs lists the task records with a key prefix, this call's included, in order.
func (t *tx) taskRefs(prefix []byte) []TaskRef {
	seen := make(map[TaskRef]bool)
	var refs []TaskRef
	t.scanDisk(prefix, prefixEnd(prefix), func(k, _ []byte) bool {
		ref := parseTaskPart(k)
		seen[ref] = true
		refs = append(refs, ref)
		return true
	})
	for _, h := range t.held {
		if !h.gone && !seen[h.ref] && bytes.HasPrefix(keyTask(h.ref), prefix) {
			refs = append(refs, h.ref)
		}
	}
	slices.SortFunc(refs, TaskRef.compare)
	return refs
}

// newTask makes a task record. Precondition: there is none.
func (t *tx) newTask(ref TaskRef, tk *task) *task {
	if h, ok := t.tasks[ref]; ok {
		h.task, h.gone = tk, false
		return tk
	}
	h := &heldTask{task: tk, ref: ref, fresh: true}
	t.tasks[ref] = h
	t.held = append(t.held, h)
	return tk
}

// dropTask removes a task's record: the task is done.
func (t *tx) dropTask(ref TaskRef) {
	if h := t.taskRecord(ref); h != nil {
		h.gone = true
	}
}

// saw marks a job's status as changed.
func (t *tx) saw(id JobID) {
	if !t.touched[id] {
		t.touched[id] = true
		t.res.Touched = append(t.res.Touched, id)
	}
}

// mark says that a task, and so its step's record, has changed.
func (t *tx) mark(j *job, ref TaskRef, tk *task) {
	tk.dirty = true
	if j.plan.steps[ref.Step].plain() {
		j.touch(ref.Step)
	}
	t.saw(j.id)
}
