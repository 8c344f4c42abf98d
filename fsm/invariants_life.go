package fsm

// attempts: of each task the first attempt and the last 31 that did not succeed are kept, and no other.
func (c *checker) attempts(ref TaskRef, tk *task) {
	want := uint32(0)
	for n := uint32(1); n <= tk.tries; n++ {
		if attemptKept(n, tk.tries) {
			want++
		}
	}
	c.m.disk.scan(keyAttempts(ref), prefixEnd(keyAttempts(ref)), func(k, _ []byte) bool {
		if _, n := parseAttempt(k); n != stepErrorNumber {
			if !attemptKept(n, tk.tries) {
				c.bad("attempt %d of task %s is kept, of %d", n, ref, tk.tries)
			}
			want--
		}
		return true
	})
	if want != 0 {
		c.bad("task %s lacks %d of its %d attempts", ref, int32(want), tk.tries)
	}
}

// times: the timers of a job's limits.
func (c *checker) times(j *job) {
	at := TaskRef{Job: j.id}
	if j.state.Ended() {
		if j.limitMS != 0 {
			c.bad("job %s has ended and is still limited to %d", j.id, j.limitMS)
		}
		return
	}
	if j.limitMS > 0 {
		c.timers[string(keyTimer(j.limitMS, dutyJobLimit, at))] = true
	}
	if by := j.startBy(); by > c.m.state.nowMS {
		c.timers[string(keyTimer(by, dutyStartBy, at))] = true
	} else if by > 0 {
		c.maybe[string(keyTimer(by, dutyStartBy, at))] = true // left over by fireMax
	}
}

// firstWait: the timer of a task that waits for its first attempt.
func (c *checker) firstWait(sp *stepPlan, ref TaskRef, tk *task) {
	if limited := sp.opts.QueueWaitMS > 0 && sp.plain() && tk.fence == (Fence{}); limited != (tk.due > 0) {
		c.bad("task %s is PENDING, its wait limited: %v, until %d", ref, limited, tk.due)
	}
	if tk.due > 0 {
		c.timers[string(keyTimer(tk.due, dutyQueueWait, ref))] = true
	}
}

// dead: the dead set is the jobs in FAILURE, each with its last error.
func (c *checker) dead(j *job) {
	if j.state != JobFailure {
		return
	}
	v := View{m: c.m, disk: c.m.disk}
	e := v.taskError(j.plan.graph, j.failedAt)
	if e == nil {
		c.bad("job %s has failed without an error", j.id)
		return
	}
	want := deadOf(j, e.Err, func(id uint32) string { return c.m.names.queues[id].name })
	c.deadSet[string(want.key())] = true
	if got := c.m.disk.get(want.key()); string(got) != string(want.encode()) {
		c.bad("job %s is in the dead set as %x, should be %x", j.id, got, want.encode())
	}
}

func (c *checker) redrives() {
	c.m.disk.scan([]byte{tagRedrive}, []byte{tagRedrive + 1}, func(k, b []byte) bool {
		d := decodeRedrive(redriveID(k[1:]), append([]byte(nil), b...))
		if d.state == RedriveRunning {
			c.timers[string(keyTimer(d.dueMS, dutyRedrive, TaskRef{Job: JobID(d.id)}))] = true
		}
		return true
	})
}
