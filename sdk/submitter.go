package sdk

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// submitter sends what concurrent callers submit in common messages. The naive way, a call each, spends
// most of both processes' time on HTTP and gives the leader one command at a time. Waiting a moment for
// company would slow down whoever is alone. So there is no timer: what comes while messages are on their way
// goes into the next one, which leaves when as much waits as is on its way, or when one of them is answered.
// That keeps two halves in the air whatever the number of callers; without it they fall apart into ever
// smaller messages.
type submitter struct {
	client *Client
	timers sync.Pool // stopped ones: most submissions are answered long before their time is over

	mu      sync.Mutex // guards what follows
	queue   []*submission
	flights int // messages on their way, at most maxFlights
	flying  int // submissions in them
}

const (
	maxFlights = 4
	maxBatch   = 1000
	maxBytes   = 1 << 20 // of a message; a larger job goes alone
)

// submission is one job on its way. Its caller waits, so there are no more of them than callers.
type submission struct {
	job    *apiv1.Job
	size   int
	group  *group
	until  time.Time               // the caller's deadline
	flight atomic.Pointer[outlook] // of the message that it is in; nil: it waits for one
	result *apiv1.SubmitResult     // one of result and err, once group has counted it
	err    error
}

// group is one caller's submissions.
type group struct {
	left atomic.Int64
	done chan struct{} // closed when left is zero
}

func (p *submission) finish(result *apiv1.SubmitResult, err error) {
	p.result, p.err = result, err
	if p.group.left.Add(-1) == 0 {
		close(p.group.done)
	}
}

// run sends all and waits for them. An error means that ctx has ended before: then the submissions must
// not be touched.
func (s *submitter) run(ctx context.Context, all []*submission) error {
	if len(all) == 0 {
		return nil
	}
	until, has := ctx.Deadline()
	var timeout <-chan time.Time
	if !has {
		until = time.Now().Add(defaultTimeout)
		t, _ := s.timers.Get().(*time.Timer)
		if t == nil {
			t = time.NewTimer(defaultTimeout)
		} else {
			t.Reset(defaultTimeout)
		}
		defer func() {
			t.Stop()
			s.timers.Put(t)
		}()
		timeout = t.C
	}
	g := &group{done: make(chan struct{})}
	g.left.Store(int64(len(all)))
	for _, p := range all {
		p.group, p.until = g, until
	}
	s.add(all)
	// A context of its own for each submission would cost more than the rest of this.
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
	case <-timeout:
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	case <-s.client.life.Done():
		ctx = s.client.life
	}
	select {
	case <-g.done: // both at once
		return nil
	default:
	}
	if o := s.leave(all); o != nil {
		return o.giveUp(ctx)
	}
	return deadlineError(ctx, errInFlight, false)
}

// leave takes out of the queue what no message has taken: it never leaves, which is what its caller is told. It
// returns the outlook of the rest; nil: there is none.
func (s *submitter) leave(all []*submission) (o *outlook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waits := false
	for _, p := range all {
		if f := p.flight.Load(); f != nil {
			o = f
		} else {
			waits = true
		}
	}
	if waits {
		g := all[0].group
		s.queue = slices.DeleteFunc(s.queue, func(p *submission) bool { return p.group == g })
	}
	return o
}

// add queues submissions, and starts a flight where there is room.
func (s *submitter) add(all []*submission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, all...)
	s.start()
}

// start begins flights for what waits. Precondition: mu is held.
func (s *submitter) start() {
	for waiting := len(s.queue); waiting > 0 && waiting >= min(s.flying, maxBatch) && s.flights < maxFlights; waiting -= maxBatch {
		s.flights++
		go s.fly()
	}
}

// fly sends messages until nothing waits.
func (s *submitter) fly() {
	for {
		// Callers whose submissions were answered together tend to come back together: let those that can run
		// now submit first. Without this, a message of one is followed by a message of all others.
		runtime.Gosched()
		o := &outlook{}
		batch := s.take(o)
		if batch == nil {
			return
		}
		var until time.Time
		for _, p := range batch {
			if p.until.After(until) {
				until = p.until
			}
		}
		// The message lives as long as its most patient caller: the others leave by themselves.
		ctx, cancel := context.WithDeadline(s.client.life, until)
		n := len(batch)
		s.send(ctx, batch, o, func() { // what waits for its next try is not on its way: it holds nobody back
			s.landed(n, true)
			n = 0
		})
		cancel()
		s.landed(n, false)
	}
}

// landed: n submissions are not on their way any more. putOff: their flight goes on, with other things to do.
func (s *submitter) landed(n int, putOff bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying -= n
	if putOff {
		s.start()
	}
}

// take removes the next message from the queue; nil ends the flight, for others will land.
func (s *submitter) take(o *outlook) []*submission {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for n < len(s.queue) && n < maxBatch && (n == 0 || size+s.queue[n].size <= maxBytes) {
		size += s.queue[n].size
		n++
	}
	if n == 0 || len(s.queue) < min(s.flying, maxBatch) {
		s.flights--
		if n == 0 {
			s.queue = nil // do not keep the memory of a burst
		}
		return nil
	}
	s.flying += n
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	for _, p := range batch {
		p.flight.Store(o)
	}
	return batch
}
