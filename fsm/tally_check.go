package fsm

// The invariants of tallies, admission and retention (Check).

// tally counts a job as the state should have counted it.
func (c *checker) tally(j *job, home uint32) {
	n := decodeValue(c.m.disk.mustGet(keyInput(j.id))).size()
	prefix := keyData(j.id, partResult)
	c.m.disk.scan(prefix, prefixEnd(prefix), func(_, b []byte) bool {
		n += decodeResult(b).value.size()
		return true
	})
	if n != j.bytes {
		c.bad("job %s has %d bytes of input and results and says %d", j.id, n, j.bytes)
	}
	q := c.tallies[home]
	if q == nil {
		q = new(queue)
		c.tallies[home] = q
	}
	if !j.state.Ended() {
		q.live.add(j.bytes)
		return
	}
	q.endedTally(j.state).add(j.bytes)
	k := c.m.names.queues[home].keep(j.state)
	if k.bounded() {
		key := string(keyRetained(home, j.state, j.finishedMS, j.id))
		if k.listed || c.m.disk.get([]byte(key)) != nil { // during the walk a job may be in the index or not yet
			c.ended[key] = true
		}
	}
}

// controls compares the tallies, and adds the timers that retention and purges have.
func (c *checker) controls() {
	n := &c.m.names
	var total tally
	controlled := 0
	for _, q := range n.queues[1:] {
		want := c.tallies[q.id]
		if want == nil {
			want = new(queue)
		}
		if q.live != want.live || q.ended != want.ended {
			c.bad("queue %s has jobs %v, ended %v, and says %v, %v", q.name, want.live, want.ended, q.live, q.ended)
		}
		total.jobs += q.live.jobs
		total.bytes += q.stored()
		if q.control != nil {
			controlled++
			c.control(q)
		}
	}
	if total != n.total || controlled != n.controlled {
		c.bad("the cluster has jobs %v and %d controls, and says %v and %d", total, controlled, n.total, n.controlled)
	}
}

func (c *checker) control(q *queue) {
	for i := range q.control.keep {
		k, s := &q.control.keep[i], endedStates[i]
		if k.due != 0 {
			c.timers[string(keyTimer(k.due, dutyRetain, retainTimer(q, s)))] = true
		} else if k.bounded() && (!k.listed || k.exceeded(q.endedTally(s))) {
			c.bad("queue %s has %v jobs in %s above its bound, and no timer", q.name, *q.endedTally(s), s)
		}
	}
	if q.control.purgeDue != 0 {
		c.timers[string(keyTimer(q.control.purgeDue, dutyPurgeQueue, purgeTimer(q)))] = true
	}
	if b := c.m.disk.get(keyControl(q.id)); b == nil || string(b) != string(q.control.encode()) {
		c.bad("the control of queue %s is not what is stored", q.name)
	}
}
