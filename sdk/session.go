package sdk

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// session is a worker's state over all its streams: what it runs, what it has to report, and until when
// it may believe in its leases. The streams (stream.go) come and go.
type session struct {
	worker *Worker
	log    *slog.Logger
	base   context.Context // of the tasks: Run's values, not its end
	slots  int
	work   chan *attempt // to a goroutine that has finished an attempt and waits for another
	idlers atomic.Int32
	over   chan struct{} // closed when Run returns
	wake   chan struct{} // to the sender, capacity 1: there is something to send
	// quiet, capacity 1, tells drain that nothing runs and nothing is left to report.
	quiet chan struct{}

	mu      sync.Mutex // guards what follows
	id      uint64
	nonce   []byte // of the next session to open
	running map[fence]*attempt
	lanes   map[string]*lane // by queue; none when the queues share slots
	vacant  []*lane          // have a free slot for those who wait, since this message
	// reports have no answer yet. Those in waiting have not been sent on the present stream; those in
	// later were put off by the leader, and are sent again with the next heartbeat.
	reports        map[fence]*apiv1.Report
	waiting, later []*apiv1.Report
	progress       map[fence]*apiv1.Progress
	out            outLog                   // lines of tasks (log.go)
	last           map[fence]*apiv1.TaskLog // of tasks that have ended, sent with their reports until these are answered
	draining       bool                     // take no more
	drained        bool                     // the present stream has been told so
	leaving        bool                     // say goodbye once nothing waits
	gone           bool                     // goodbye is on its way
	stale          int                      // reports that were refused, because their lease was over

	ttl, beat time.Duration
	beatSent  time.Time // of the heartbeat that is not answered yet; zero: none
	// leaseUntil is when the leader may give this session's tasks to others, at the earliest: the time
	// before the sending of the last heartbeat that was answered, and the TTL.
	leaseUntil time.Time
	lease      *time.Timer        // fires at leaseUntil
	hangUp     context.CancelFunc // ends the present stream
}

func newSession(ctx context.Context, w *Worker) *session {
	s := &session{
		worker: w, log: w.cfg.Logger.With("worker", w.cfg.Name),
		base:    context.WithoutCancel(ctx),
		work:    make(chan *attempt),
		over:    make(chan struct{}),
		wake:    make(chan struct{}, 1),
		quiet:   make(chan struct{}, 1),
		nonce:   newNonce(),
		running: map[fence]*attempt{}, reports: map[fence]*apiv1.Report{}, progress: map[fence]*apiv1.Progress{},
		hangUp: func() {},
	}
	for _, n := range w.cfg.Queues {
		s.slots += n
	}
	if w.cfg.Slots > 0 {
		s.slots = w.cfg.Slots // shared: the queues have weights
		return s
	}
	s.lanes = make(map[string]*lane, len(w.cfg.Queues))
	for q, n := range w.cfg.Queues {
		s.lanes[q] = &lane{queue: q, slots: n, most: max(0, min(w.cfg.Prefetch, (slotsMax-s.slots)/len(w.cfg.Queues)))}
	}
	return s
}

func newNonce() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

// run is Worker.Run.
func (s *session) run(ctx context.Context) error {
	life, end := context.WithCancel(s.base)
	var streams sync.WaitGroup
	failed := make(chan error, 1)
	streams.Go(func() { failed <- s.keepConnected(life) })
	defer close(s.over)
	defer s.stopLease()
	defer streams.Wait()
	defer end()
	select {
	case err := <-failed:
		s.cancelAll(ErrDraining)
		return err
	case <-ctx.Done():
		return s.drain(failed)
	}
}

// leaveTime bounds the goodbye: without an answer, the session ends by its TTL.
const leaveTime = 2 * time.Second

// drain lets the tasks finish, and says goodbye.
func (s *session) drain(failed <-chan error) error {
	limit := s.worker.cfg.DrainTimeout
	s.log.Info("worker drains", "running", s.startDrain(), "timeout", limit)
	half, full := time.NewTimer(limit/2), time.NewTimer(limit)
	defer half.Stop()
	defer full.Stop()
	for waiting := true; waiting; {
		select {
		case <-s.quiet:
			waiting = false
		case <-half.C:
			s.cancelAll(ErrDraining)
		case <-full.C:
			s.log.Warn("worker hands back tasks that did not finish", "tasks", s.releaseAll())
			waiting = false
		case err := <-failed:
			return err
		}
	}
	s.leave()
	bye := time.NewTimer(leaveTime)
	defer bye.Stop()
	select {
	case <-failed: // the stream has ended in good order
	case <-bye.C:
	}
	s.log.Info("worker has stopped")
	return nil
}

func (s *session) startDrain() (running int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for _, l := range s.lanes {
		s.giveBack(l)
	}
	s.wakeUp()
	s.checkQuiet()
	return len(s.running)
}

func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	s.wakeUp()
}

// checkQuiet tells drain when all is done. Precondition: mu is held.
func (s *session) checkQuiet() {
	if s.draining && len(s.running) == 0 && len(s.reports) == 0 {
		select {
		case s.quiet <- struct{}{}:
		default:
		}
	}
}

// wakeUp makes the sender look. Precondition: mu is held.
func (s *session) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// cancelAll ends what runs. What waits is dropped.
func (s *session) cancelAll(cause error) {
	s.mu.Lock()
	s.forget()
	s.mu.Unlock()
	for _, a := range s.attempts() {
		a.cancel(cause)
	}
}

// releaseAll hands back what is running, without its functions' consent.
func (s *session) releaseAll() (n int) {
	for _, a := range s.attempts() {
		a.cancel(ErrDraining)
		a.handOver(released(a.msg.Fence, a.msg.Task), 0)
		n++
	}
	return n
}

func (s *session) attempts() []*attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*attempt, 0, len(s.running))
	for _, a := range s.running {
		all = append(all, a)
	}
	return all
}

// assign starts the attempts that the leader has granted. Those that are known are repeated by the
// leader after a reconnect. Precondition: mu is held.
func (s *session) assign(assignments []*apiv1.Assignment) {
	if len(assignments) > 0 && time.Now().After(s.leaseUntil) {
		// This process was stopped, and the message is from before. What of it still holds comes again.
		s.hangUp()
		return
	}
	for _, m := range assignments {
		f := fenceOf(m.Fence)
		switch {
		case s.running[f] != nil, s.reports[f] != nil:
		case s.draining:
			s.post(f, released(m.Fence, m.Task))
		default:
			a := &attempt{session: s, msg: m, fence: f}
			a.ctx, a.cancel = context.WithCancelCause(context.WithValue(s.base, attemptKey{}, a))
			s.place(a)
		}
	}
}

// post queues a report. Precondition: mu is held.
func (s *session) post(f fence, r *apiv1.Report) {
	s.reports[f] = r
	s.waiting = append(s.waiting, r)
	s.wakeUp()
}

// begin runs an attempt in a goroutine that has just finished another, if there is one: its stack has
// grown to what tasks need.
func (s *session) begin(a *attempt) {
	select {
	case s.work <- a:
	default:
		go s.workOn(a)
	}
}

// workOn runs a, and then what comes, as long as there are not more idle goroutines than slots.
func (s *session) workOn(a *attempt) {
	for {
		a.run()
		if a.then != nil {
			a, a.then = a.then, nil // not even a goroutine that keeps a's context keeps those after it
			continue
		}
		if int(s.idlers.Add(1)) > s.slots {
			s.idlers.Add(-1)
			return
		}
		select {
		case a = <-s.work:
			s.idlers.Add(-1)
		case <-s.over:
			return
		}
	}
}

// finish takes an attempt's report. nil: there is none. It returns the attempt that gets the slot, which the caller
// has to run; nil if there is none.
func (s *session) finish(a *attempt, r *apiv1.Report, took time.Duration) (next *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, a.fence)
	delete(s.progress, a.fence)
	if r != nil {
		s.post(a.fence, r)
	}
	next = s.next(a, took)
	s.checkQuiet()
	return next
}

func (s *session) progressed(a *attempt, p *apiv1.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[a.fence] != nil {
		s.progress[a.fence], a.said = p, p
		s.soon()
	}
}

// renew takes the time before a message that was answered. Precondition: mu is held.
func (s *session) renew(sent time.Time) {
	s.leaseUntil = sent.Add(s.ttl)
	left := time.Until(s.leaseUntil)
	if s.lease == nil {
		s.lease = time.AfterFunc(left, s.expire)
		return
	}
	s.lease.Reset(left)
}

func (s *session) stopLease() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease != nil {
		s.lease.Stop()
	}
	if s.out.timer != nil {
		s.out.timer.Stop()
	}
	for _, l := range s.lanes {
		if l.timer != nil {
			l.timer.Stop()
		}
	}
}

// expire cancels everything: another worker may be running it from now on.
func (s *session) expire() {
	s.mu.Lock()
	expired := !time.Now().Before(s.leaseUntil)
	if expired {
		s.forget()
		s.hangUp() // a stream that brings no answers is no good
	}
	s.mu.Unlock()
	if !expired {
		return
	}
	if all := s.attempts(); len(all) > 0 {
		s.log.Warn("no answer from the cluster for the time of a lease: running tasks are cancelled", "tasks", len(all))
		for _, a := range all {
			a.cancel(ErrLeaseLost)
		}
	}
}
