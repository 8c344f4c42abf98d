package fsm

// state is the machine's own record: how far it is, its clock, and numbers that only grow.
type state struct {
	index, term uint64
	nowMS       int64 // never goes back
	nextSeq     uint64
	nextSession uint64
	cluster     [16]byte
	Counters
}

// counters lists the fields of c in their stored order: append only.
func counters(c *Counters) []*uint64 {
	return []*uint64{
		&c.JobsSubmitted, &c.JobsSucceeded, &c.JobsFailed, &c.JobsCanceled,
		&c.Deduplicated, &c.Replaced, &c.BatchesCreated, &c.BatchCallbacks,
		&c.Grants, &c.Completions, &c.Duplicates, &c.Stale,
		&c.Failures, &c.Crashes, &c.Releases, &c.Dead,
		&c.SessionsOpened, &c.SessionsLost, &c.TimersFired, &c.JobsPurged, &c.Snoozes,
		&c.Saves, &c.LogLines, &c.LogLinesDropped,
		&c.Deliveries, &c.DeliveryFailures,
		&c.SchedulesCreated, &c.SchedulesDeleted, &c.TicksFired, &c.TicksSkipped, &c.TicksMissed, &c.TicksRefused,
		&c.RateLimited,
		&c.Discards, &c.JobsExpired, &c.JobsDiscarded,
	}
}

func (s *state) encode() []byte {
	e := newEnc(128)
	e.uint(s.index)
	e.uint(s.term)
	e.int(s.nowMS)
	e.uint(s.nextSeq)
	e.uint(s.nextSession)
	e.raw(s.cluster[:])
	c := counters(&s.Counters)
	e.uint(uint64(len(c)))
	for _, n := range c {
		e.uint(*n)
	}
	return e
}

func decodeState(b []byte) state {
	d := newDec("state", b)
	s := state{index: d.uint(), term: d.uint(), nowMS: d.int(), nextSeq: d.uint(), nextSession: d.uint()}
	copy(s.cluster[:], d.raw(16))
	c := counters(&s.Counters)
	if n := d.uint(); n > uint64(len(c)) {
		d.bad = true
	} else {
		for _, p := range c[:n] {
			*p = d.uint()
		}
	}
	d.end()
	return s
}
