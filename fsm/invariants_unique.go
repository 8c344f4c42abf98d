package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// What unique keys, idempotency keys and batches say twice.

// uniqueJob notes a living job under its key, and reports whether the key alone keeps it waiting.
func (c *checker) uniqueJob(j *job, workflow string) (held bool) {
	u := j.opts.Unique
	if u == nil || j.state.Ended() {
		return false
	}
	h := uniqueHash(j.namespace, workflow, u)
	if c.living == nil {
		c.living = make(map[keyHash][]*job)
	}
	c.living[h] = append(c.living[h], j)
	b := c.m.disk.get(keyUnique(h))
	return b != nil && decodeUniqueKey(b).next == j.id
}

// uniqueKeys holds law 9 against the jobs, and the keys' records against both.
func (c *checker) uniqueKeys() {
	for h, jobs := range c.living {
		u := jobs[0].opts.Unique
		bounded := u.Mode == fsmpb.Unique_UNIQUE
		for _, j := range jobs {
			bounded = bounded && j.opts.Unique.PeriodMs == 0 && j.opts.Unique.Scope != fsmpb.Unique_UNTIL_START
		}
		if bounded && len(jobs) > 1 || u.Mode == fsmpb.Unique_KEEP_LATEST && len(jobs) > 2 {
			c.bad("%d jobs live with the unique key %q (law 9)", len(jobs), u.Key)
		}
		if c.m.disk.get(keyUnique(h)) == nil && (bounded || u.Mode == fsmpb.Unique_KEEP_LATEST) {
			c.bad("job %s lives and its unique key %q is free (law 9)", jobs[0].id, u.Key)
		}
	}
	c.m.disk.scan([]byte{tagUnique}, []byte{tagUnique + 1}, func(key, b []byte) bool {
		h, k := keyHash(key[1:]), decodeUniqueKey(b)
		holds, waits, throttle := false, k.next.IsZero(), false
		for _, j := range c.living[h] {
			holds = holds || j.id == k.holder
			waits = waits || j.id == k.next
		}
		if k.until != 0 {
			c.timers[string(keyTimer(k.until, dutyUnique, TaskRef{Job: JobID(h)}))] = true
			throttle = len(c.living[h]) == 0 || c.living[h][0].opts.Unique.Mode == fsmpb.Unique_THROTTLE
		}
		if !holds && !throttle || !waits {
			c.bad("unique key %x is held by %s and waited for by %s, which do not live (law 9)", h, k.holder, k.next)
		}
		return true
	})
	c.m.disk.scan([]byte{tagUserKey}, []byte{tagUserKey + 1}, func(key, b []byte) bool {
		k := decodeUserKey(b)
		if k.until != 0 {
			c.timers[string(keyTimer(k.until, dutyUserKey, TaskRef{Job: JobID(key[1:])}))] = true
		} else if _, s, err := c.m.disk.jobHead(k.job); err != nil || s.Ended() {
			c.bad("idempotency key %x is over and its job %s does not run", key[1:], k.job)
		}
		return true
	})
}

// batches counts the members again.
func (c *checker) batches() {
	type counts struct{ total, live, succeeded, failed, canceled uint64 }
	of := make(map[BatchID]*counts)
	c.m.disk.scan([]byte{tagMember}, []byte{tagMember + 1}, func(key, b []byte) bool {
		if key[17] != partMember {
			return true
		}
		id, member := parseMemberKey(key)
		n := of[id]
		if n == nil {
			n = new(counts)
			of[id] = n
		}
		n.total++
		s := decodeMember(b)
		_, now, err := c.m.disk.jobHead(member)
		switch s {
		case JobRunning:
			n.live++
			if err != nil || now.Ended() {
				c.bad("job %s of batch %s counts as living, and is %s", member, id, now)
			}
		case JobSuccess:
			n.succeeded++
		case JobFailure:
			n.failed++
		case JobCanceled:
			n.canceled++
		}
		if err == nil && now.Ended() != s.Ended() && c.m.jobInBatch(member, id) {
			c.bad("job %s of batch %s is %s and counts as %s", member, id, now, s)
		}
		return true
	})
	c.m.disk.scan([]byte{tagBatch}, []byte{tagBatch + 1}, func(key, raw []byte) bool {
		b := decodeBatch(BatchID(key[1:]), append([]byte(nil), raw...))
		if b.due != 0 {
			c.timers[string(keyTimer(b.due, dutyBatch, TaskRef{Job: b.id}))] = true
		}
		n := of[b.id]
		if n == nil {
			n = new(counts)
		}
		delete(of, b.id)
		if got := (counts{b.total, b.live, b.succeeded, b.failed, b.canceled}); got != *n && !b.gone {
			c.bad("batch %s has %+v and says %+v", b.id, *n, got)
		}
		if b.state == BatchClosed && b.live == 0 || b.state == BatchSuccess && b.succeeded != b.total {
			c.bad("batch %s is %s with %+v", b.id, b.state, *n)
		}
		for i := range callbacks {
			if !b.made[i].IsZero() && (b.has&(1<<i) == 0 || b.owed&(1<<i) != 0) {
				c.bad("batch %s has made callback %s, and owes it", b.id, callbackNames[i])
			}
		}
		return true
	})
	for id := range of {
		c.bad("batch %s has members and no record", id)
	}
}

// jobInBatch: a purged job's id may come again outside its batch.
func (m *Machine) jobInBatch(id JobID, batch BatchID) bool {
	j := readJob(m.disk, id)
	return j != nil && string(j.opts.Batch) == string(batch[:])
}
