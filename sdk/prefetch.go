package sdk

import (
	"slices"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// Tasks that take microseconds are done long before the next ones have come from the leader: slots stand idle,
// and each entry of the log holds the few results that were ready. So a worker whose tasks are short asks for
// some beyond its slots, which wait here. It asks by what it measures, for a queue at a time, and hands back at once
// what turns out to wait behind a task that is not short. RabbitMQ and Celery call it prefetch, and leave its
// number to the user.

const (
	// NoPrefetch is for WorkerConfig.Prefetch.
	NoPrefetch = -1

	prefetchDefault = 2048                  // of a queue: more gains nothing (docs/performance.md)
	prefetchAhead   = 10 * time.Millisecond // of work, as measured: so long may a task expect to wait here
	prefetchShort   = 5 * time.Millisecond  // a task: longer ones leave time for the next to come
	prefetchHold    = 50 * time.Millisecond // so long does a task wait here at most; then it is handed back
	prefetchPause   = time.Second           // without prefetch after that, twice as long each time ...
	prefetchPauseTo = time.Minute           // ... up to this
	prefetchCalm    = 10                    // pauses without a hand-back, after which the next is a first one again
	prefetchBytes   = 4 << 20               // of inputs that wait
	prefetchSample  = 16                    // tasks of a measurement, at least
)

// lane is a queue of which this worker takes tasks. Its fields are guarded by session.mu.
type lane struct {
	queue   string
	slots   int
	most    int // prefetch
	busy    int // attempts that have begun and are not reported yet
	waiting []*attempt
	timer   *time.Timer // at the head's time to be handed back; nil: none has ever waited

	asked int  // prefetch, as the leader was told
	say   bool // it is to be told
	said  bool // it was told something in this session
	pause time.Duration
	until time.Time // no prefetch before

	// The measurement: attempts that are over, their time and inputs, and whether there was work for all slots.
	n     int
	took  time.Duration
	bytes int
	full  bool
}

// place starts an attempt or lets it wait for a slot of its queue. Precondition: mu is held.
func (s *session) place(a *attempt) {
	s.running[a.fence] = a
	l := s.lanes[a.msg.Queue]
	if l == nil { // the queues share slots
		s.begin(a)
		return
	}
	a.lane = l
	if l.busy < l.slots {
		l.take(a)
		s.begin(a)
		return
	}
	a.since = time.Now()
	if l.waiting = append(l.waiting, a); len(l.waiting) == 1 {
		if l.timer == nil {
			l.timer = time.AfterFunc(prefetchHold, func() { s.overdue(l) })
		} else {
			l.timer.Reset(prefetchHold)
		}
	}
}

// take gives a slot to an attempt.
func (l *lane) take(a *attempt) {
	a.begun = true
	a.size = len(a.msg.Input)
	l.busy++
	l.full = l.full || l.busy == l.slots
}

// next frees the slot of an attempt that is over, and gives it to the one that has waited longest; nil if none
// does. Precondition: mu is held.
func (s *session) next(a *attempt, took time.Duration) *attempt {
	l := a.lane
	if l == nil || !a.begun {
		return nil
	}
	a.begun = false
	l.busy--
	l.n++
	l.took += took
	l.bytes += a.size
	if l.n >= max(prefetchSample, min(l.slots, l.most)) && l.adapt(time.Now()) {
		s.wakeUp()
	}
	return s.follow(l)
}

// vacate frees the slot of an attempt whose lease is over while its function still runs: for the leader the slot
// is free, and what it gives for it must not wait for a function that may never end. Precondition: mu is held.
func (s *session) vacate(a *attempt) {
	if a.lane == nil || !a.begun {
		return
	}
	a.begun = false
	a.lane.busy--
	s.vacant = append(s.vacant, a.lane)
}

// fill gives vacated slots to those who wait, once all revokes of a message are heard. Precondition: mu is held.
func (s *session) fill() {
	for _, l := range s.vacant {
		if b := s.follow(l); b != nil {
			s.begin(b)
		}
	}
	s.vacant = s.vacant[:0]
}

// follow gives a free slot to the attempt that has waited longest; nil if none does. Precondition: mu is held.
func (s *session) follow(l *lane) *attempt {
	if len(l.waiting) == 0 || l.busy >= l.slots {
		return nil
	}
	if !time.Now().Before(s.leaseUntil) { // this process was stopped: others may have them
		s.forget()
		s.hangUp()
		return nil
	}
	b := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.take(b)
	return b
}

// adapt ends a measurement: how many tasks beyond the slots would be welcome? true: the leader is to be told.
func (l *lane) adapt(now time.Time) bool {
	want, full := l.want(), l.full
	l.n, l.took, l.bytes, l.full = 0, 0, 0, false
	switch {
	case want > l.asked && (!full || now.Before(l.until)): // there is no backlog, or it went wrong lately
		return false
	case want > l.asked/2 && want < l.asked*2: // not worth an entry of the log
		return false
	case want == l.asked:
		return false
	}
	l.asked, l.say = want, true
	return true
}

// want is the prefetch for tasks like those that were measured.
func (l *lane) want() int {
	mean := max(l.took/time.Duration(l.n), time.Microsecond)
	if mean > prefetchShort {
		return 0
	}
	want := min(l.most, int(prefetchAhead/mean)*l.slots)
	if size := l.bytes / l.n; size > 0 {
		want = min(want, prefetchBytes/size)
	}
	if want < l.slots/4 {
		return 0
	}
	return want
}

// overdue hands back what waits behind tasks that are not short, and asks for no more for a while.
func (s *session) overdue(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(l.waiting) == 0 {
		return
	}
	now := time.Now()
	if left := l.waiting[0].since.Add(prefetchHold).Sub(now); left > 0 {
		l.timer.Reset(left)
		return
	}
	s.log.Debug("tasks that wait in this worker are handed back: those before them take long", "queue", l.queue, "tasks", len(l.waiting))
	s.giveBack(l)
	if now.Sub(l.until) > prefetchCalm*l.pause {
		l.pause = 0
	}
	l.pause = min(max(2*l.pause, prefetchPause), prefetchPauseTo)
	l.until = now.Add(l.pause)
	l.asked, l.say = 0, true
	s.checkQuiet()
}

// giveBack hands back all that waits in a lane. Precondition: mu is held.
func (s *session) giveBack(l *lane) {
	for _, a := range l.waiting {
		s.handBack(a)
	}
	l.waiting = nil
}

// handBack reports an attempt that has not begun. Precondition: mu is held.
func (s *session) handBack(a *attempt) {
	s.dismiss(a, nil)
	s.post(a.fence, released(a.msg.Fence, a.msg.Task))
}

// dismiss ends an attempt that has not begun, without a report. Precondition: mu is held.
func (s *session) dismiss(a *attempt, cause error) {
	a.over.Store(true)
	a.cancel(cause)
	delete(s.running, a.fence)
}

// forget drops all that waits without a word: the lease is over, or the leader will tell of it again.
// Precondition: mu is held.
func (s *session) forget() {
	for _, l := range s.lanes {
		for _, a := range l.waiting {
			s.dismiss(a, nil)
		}
		l.waiting = nil
	}
}

// withdraw takes an attempt that waits out of its lane, and reports whether it did. Precondition: mu is held.
func (s *session) withdraw(a *attempt) bool {
	if a.lane == nil || a.begun {
		return false
	}
	i := slices.Index(a.lane.waiting, a)
	if i < 0 {
		return false
	}
	a.lane.waiting = slices.Delete(a.lane.waiting, i, i+1)
	return true
}

// tellPrefetch adds to a message what has changed. Precondition: mu is held.
func (s *session) tellPrefetch(m *apiv1.WorkRequest) {
	for _, l := range s.lanes {
		if l.say && !s.draining {
			l.say, l.said = false, true
			m.Prefetch = append(m.Prefetch, &apiv1.QueueSlots{Queue: l.queue, Slots: uint32(l.asked)})
		}
	}
}

// recallPrefetch is for a new stream: a session that goes on is told again, for the message may have been lost
// with the last stream; one that is new knows of none. Precondition: mu is held.
func (s *session) recallPrefetch(resumed bool) {
	for _, l := range s.lanes {
		if resumed {
			l.say = l.say || l.said
		} else {
			l.asked, l.say, l.said = 0, false, false
		}
	}
}
