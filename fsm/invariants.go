package fsm

import (
	"errors"
	"fmt"

	"github.com/fanfold/fanfold/dag"
)

// Check recomputes everything that the state says twice, and compares: indexes with their records,
// counts with what they count, memory with the store. It returns every difference. Tests run it after
// each entry; only the goroutine that calls Apply may.
func (m *Machine) Check() (err error) {
	defer catch(&err)
	c := &checker{
		m: m, runnable: make(map[string]bool), timers: make(map[string]bool), leases: make(map[string]bool),
		tallies: make(map[uint32]*queue), ended: make(map[string]bool),
		maybe: make(map[string]bool), deadSet: make(map[string]bool),
		pending: make(map[uint32]uint64), started: make(map[uint32]uint64), live: make(map[uint32]uint64), refs: make(map[graphHash]uint64),
		saved: make(map[TaskRef]savedCount), running: make(map[string]bool),
		waiting: make(map[uint64]uint64), leased: make(map[uint64]uint64),
	}
	m.disk.scan([]byte{tagJob}, []byte{tagJob + 1}, func(k, _ []byte) bool {
		c.job(readJob(m.disk, parseJobKey(k)))
		return true
	})
	c.schedules()
	c.uniqueKeys()
	c.batches()
	c.sessions()
	c.hooks()
	c.controls()
	c.redrives()
	c.index("dead job", tagDead, c.deadSet)
	c.index("runnable key", tagRunnable, c.runnable)
	c.index("timer", tagTimer, c.timers)
	c.index("ended key", tagEnded, c.ended)
	c.names()
	c.graphs()
	c.workConserving()
	c.lanes()
	c.limits()
	return errors.Join(c.errs...)
}

type checker struct {
	m    *Machine
	errs []error

	living map[keyHash][]*job // by unique key; nil until the first

	// What the records imply.

	runnable map[string]bool
	timers   map[string]bool
	leases   map[string]bool // by task ref: a STARTED task
	running  map[string]bool // jobs of schedules
	maybe    map[string]bool // timers that may be there
	deadSet  map[string]bool
	pending  map[uint32]uint64
	started  map[uint32]uint64
	live     map[uint32]uint64
	waiting  map[uint64]uint64 // by partition: runnable keys
	leased   map[uint64]uint64
	refs     map[graphHash]uint64
	saved    map[TaskRef]savedCount // of one job
	tallies  map[uint32]*queue      // counts of jobs, by their queue
	ended    map[string]bool
}

func (c *checker) bad(format string, args ...any) {
	if len(c.errs) < 20 {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

func (c *checker) job(j *job) {
	m := c.m
	g := m.graphs.get(m.disk, j.graph)
	p := m.plans[planKey{j.graph, j.namespace}]
	if p == nil {
		p = m.newPlan(planKey{j.graph, j.namespace}, g)
	}
	j.plan = p
	c.refs[j.graph]++
	c.tally(j, p.steps[0].queue)
	c.times(j)
	c.dead(j)
	if j.state.Ended() {
		c.timers[string(keyTimer(j.purgeMS, dutyPurge, TaskRef{Job: j.id}))] = true
	} else {
		kinds(g, func(name, _ string) { c.live[m.names.kindIDs[[2]string{j.namespace, name}]]++ })
		if j.notBefore > m.state.nowMS {
			c.timers[string(keyTimer(j.notBefore, dutyStart, TaskRef{Job: j.id}))] = true
		}
	}
	if id := j.opts.GetScheduleId(); len(id) == 16 && !j.state.Ended() {
		c.running[string(keyRunning(scheduleID(id), j.id))] = true
	}
	left, moving := uint32(0), j.notBefore > m.state.nowMS
	moving = c.uniqueJob(j, g.Name) || moving
	for i := range j.steps {
		s, sp, ref := &j.steps[i], &p.steps[i], j.ref(uint32(i))
		if s.state != TaskSuccess {
			left++
		}
		var waits uint32
		for _, d := range g.Dependencies(dag.StepID(i)) {
			if j.steps[d].state != TaskSuccess {
				waits++
			}
		}
		if !j.state.Ended() && waits != s.waiting {
			c.bad("step %s waits for %d steps and says %d", ref, waits, s.waiting)
		}
		if j.state.Ended() && !s.state.Ended() {
			c.bad("job %s is %s and its step %d %s", j.id, j.state, i, s.state)
		}
		if sp.plain() {
			moving = c.task(j, sp, ref, &s.task, s.seq) || moving
		} else {
			moving = c.group(j, sp, ref, s) || moving
		}
	}
	c.savedOf(j)
	c.logOf(j)
	if left != j.left {
		c.bad("job %s has %d steps left and says %d", j.id, left, j.left)
	}
	if !j.state.Ended() && (!moving || left == 0) {
		c.bad("job %s is %s with nothing runnable, leased or due (law 7)", j.id, j.state)
	}
}

// task checks one task and reports whether it moves its job.
func (c *checker) task(j *job, sp *stepPlan, ref TaskRef, tk *task, seq uint64) (moving bool) {
	c.attempts(ref, tk)
	if tk.saves > 0 {
		c.saved[ref] = savedCount{tk.saves, tk.savedBytes}
	}
	switch tk.state {
	case TaskPending:
		c.waits(j, sp, sp.kindOf(ref), ref, seq, tk.part)
		c.pending[sp.queue]++
		c.firstWait(sp, ref, tk)
	case TaskRetry:
		c.timers[string(keyTimer(tk.due, dutyTask, ref))] = true
		if tk.attempts >= sp.retry.MaxAttempts {
			c.bad("task %s is in RETRY with %d of %d attempts (law 6)", ref, tk.attempts, sp.retry.MaxAttempts)
		}
	case TaskStarted:
		s := c.m.sessions[tk.session]
		if s == nil || s.leases[tk.fence] == nil || s.leases[tk.fence].ref != ref || s.leases[tk.fence].revoked {
			c.bad("task %s is STARTED without a lease %s of session %d", ref, tk.fence, tk.session)
		}
		c.leases[ref.String()] = true
	default:
		if tk.session != 0 {
			c.bad("task %s is %s and has session %d", ref, tk.state, tk.session)
		}
		return false
	}
	return true
}

func (c *checker) group(j *job, sp *stepPlan, ref TaskRef, s *step) (moving bool) {
	b := c.m.disk.get(keyGroup(j.id, ref.Step))
	if b == nil {
		return false
	}
	g := decodeGroup(b)
	var live, held, retry uint32
	var dead uint64
	prefix := be.AppendUint32(keyData(j.id, partTask), ref.Step)
	c.m.disk.scan(prefix, prefixEnd(prefix), func(k, b []byte) bool {
		r, tk := parseTaskPart(k), decodeTask(append([]byte(nil), b...))
		if c.m.disk.get(keyResult(r)) != nil {
			c.bad("task %s is done and has a record", r)
		}
		switch tk.state {
		case TaskStarted:
			held++
		case TaskRetry:
			retry++
		case TaskDead:
			dead++
		}
		if !tk.state.Ended() {
			live++
		}
		moving = c.task(j, sp, r, tk, g.seq) || moving
		return true
	})
	if live != g.live || held != g.held || retry != g.retry {
		c.bad("group %s has %d live, %d leased, %d retrying and says %d, %d, %d", ref, live, held, retry, g.live, g.held, g.retry)
	}
	if active := s.state == TaskPending || s.state == TaskStarted; active {
		c.pending[sp.queue] += g.waiting()
		if g.queued {
			moving = true
			r := ref
			r.Shard = groupShard
			c.waits(j, sp, sp.kind, r, g.seq, g.part)
		}
		if want := g.waiting() > 0 && g.live < sp.opts.MaxParallel; want != g.queued {
			c.bad("group %s queued: %v, should be %v", ref, g.queued, want)
		}
	} else if g.queued {
		c.bad("group %s is queued and its step %s", ref, s.state)
	}
	if s.state == TaskSuccess && sp.step.Kind == dag.StepMap && g.ok+g.dead != g.total {
		c.bad("map %s is done with %d and %d of %d items (law 5)", ref, g.ok, g.dead, g.total)
	}
	return moving
}

func (c *checker) sessions() {
	m := c.m
	count := 0
	m.disk.scan([]byte{tagLease}, []byte{tagLease + 1}, func(k, b []byte) bool {
		id, f := parseLease(k)
		l := decodeLease(b)
		count++
		c.started[l.queue]++
		c.leased[l.part]++
		s := m.sessions[id]
		if s == nil || s.leases[f] == nil || *s.leases[f] != *l {
			c.bad("lease %s of session %d is stored and not in memory", f, id)
			return true
		}
		if l.limitMS > 0 && !l.revoked {
			c.timers[string(keyTimer(l.limitMS, dutyAttempt, l.ref))] = true
		}
		if !l.revoked {
			if !c.leases[l.ref.String()] {
				c.bad("lease %s of session %d is for task %s, which is not STARTED", f, id, l.ref)
			}
			delete(c.leases, l.ref.String()) // law 2: a second lease of the same task finds none
		}
		return true
	})
	inMemory := 0
	for _, s := range m.sessions {
		inMemory += len(s.leases)
		used := make(map[uint32]uint32)
		for _, l := range s.leases {
			used[l.queue]++
		}
		for _, g := range s.slots {
			if used[g.queue] != g.used || s.shared == 0 && g.used > slotsMax || s.shared > 0 && g.prefetch > 0 || s.shared > 0 && int(s.used) != len(s.leases) || s.shared > 0 && s.used > s.shared {
				c.bad("session %d uses %d slots of queue %d, has %d, and says %d", s.id, used[g.queue], g.queue, g.slots, g.used)
			}
		}
		if m.disk.get(keySession(s.id)) == nil {
			c.bad("session %d is in memory and not stored", s.id)
		}
	}
	if count != inMemory {
		c.bad("%d leases are stored and %d in memory", count, inMemory)
	}
}

// index compares an index with what the records imply. The timers of uploads derive from blobs.
func (c *checker) index(what string, tag byte, want map[string]bool) {
	if tag == tagTimer {
		c.m.disk.scan([]byte{tagBlob}, []byte{tagBlob + 1}, func(k, b []byte) bool {
			if bl := decodeBlob(b); bl.owner.IsZero() {
				want[string(keyTimer(bl.expires, dutyBlob, blobTimer(blobID(k[1:]))))] = true
			}
			return true
		})
	}
	c.m.disk.scan([]byte{tag}, []byte{tag + 1}, func(k, _ []byte) bool {
		if !want[string(k)] && !c.maybe[string(k)] {
			c.bad("%s %x has no record", what, k)
		}
		delete(want, string(k))
		return true
	})
	for k := range want {
		c.bad("%s %x is missing", what, k)
	}
}

func (c *checker) names() {
	for _, q := range c.m.names.queues[1:] {
		if q.pending != c.pending[q.id] || q.started != c.started[q.id] {
			c.bad("queue %s has %d pending and %d leased tasks and says %d and %d", q.name, c.pending[q.id], c.started[q.id], q.pending, q.started)
		}
	}
	for _, k := range c.m.names.kinds[1:] {
		if k.live != c.live[k.id] {
			c.bad("task %s is in %d unfinished steps and says %d", k.name, c.live[k.id], k.live)
		}
	}
}

func (c *checker) graphs() {
	c.m.disk.scan([]byte{tagRefs}, []byte{tagRefs + 1}, func(k, b []byte) bool {
		d := newDec("graph references", b)
		h := graphHash(k[1:])
		if n := d.uint(); n != c.refs[h] {
			c.bad("graph %x has %d jobs and says %d", h, c.refs[h], n)
		}
		delete(c.refs, h)
		return true
	})
	for h := range c.refs {
		c.bad("graph %x has no count", h)
	}
}

// workConserving: no task waits that a free slot could run, but for what grantMax left to the next entry.
func (c *checker) workConserving() {
	if len(c.m.checks) > 0 {
		return
	}
	c.m.disk.scan([]byte{tagRunnable}, []byte{tagRunnable + 1}, func(k, _ []byte) bool {
		p := parseRunnable(k)
		q, kd := c.m.names.queues[p.queue], c.m.names.kinds[p.kind]
		if q.paused || c.m.whole(q, kd).yes || c.m.narrow(q, kd, c.m.partName(p.part)).yes {
			return true
		}
		limited := c.m.limited(q, p.kind)
		for _, g := range q.slots {
			if (g.s.shared == 0 && g.free() > 0 && (!limited || g.idle() > 0) || g.s.freeShared() > 0) && g.s.kindID[p.kind] {
				c.bad("session %d has a free slot and %x waits", g.s.id, k)
			}
		}
		return true
	})
}
