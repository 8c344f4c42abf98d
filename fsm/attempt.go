package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// End says why an attempt is over. The numbers are on disk: append only.
type End uint8

const (
	EndSuccess    End = 1
	EndError      End = 2 // the function returned an error, or panicked
	EndTimeout    End = 3 // it ran longer than its limit
	EndSilent     End = 4 // it gave no sign of life for its heartbeat limit, while its worker lived
	EndWorkerLost End = 5 // its worker fell silent
	EndReleased   End = 6 // its worker handed it back unfinished: nothing was charged
	EndCanceled   End = 7 // its job ended meanwhile
	EndDiscarded  End = 8 // the function said that the task is not wanted any more
)

var endNames = map[End]string{
	EndSuccess: "SUCCESS", EndError: "ERROR", EndTimeout: "TIMEOUT", EndSilent: "SILENT", EndWorkerLost: "WORKER_LOST",
	EndReleased: "RELEASED", EndCanceled: "CANCELED", EndDiscarded: "DISCARDED",
}

// String returns the name that users see; "" for an attempt that runs.
func (e End) String() string { return endNames[e] }

// run is what is known of an attempt beside its fence and its outcome.
type run struct {
	number  uint32 // from 1 in each round; a handed back or crashed attempt's number is used again
	round   uint32 // how often RetryJob had run before it
	session uint64
	worker  string
	began   int64 // unix ms, the log's time of the lease
	ended   int64
}

func (e *enc) run(r run) {
	e.uint(uint64(r.number) | uint64(r.round)<<32) // the round came later: records without one are of round 0
	e.uint(r.session)
	e.str(r.worker)
	e.int(r.began)
	e.uint(uint64(r.ended - r.began))
}

func (d *dec) run() run {
	n := d.uint()
	r := run{number: uint32(n), round: uint32(n >> 32), session: d.uint(), worker: d.str(), began: d.int()}
	r.ended = r.began + int64(d.uint())
	return r
}

// attempt is the record of an attempt that did not succeed. One that did is part of its task's result,
// so that a task which works at once costs no key more.
type attempt struct {
	run
	fence Fence
	why   End
	err   *fsmpb.Error // nil: there is nothing to say beyond why
}

func (a *attempt) encode() []byte {
	e := newEnc(64 + len(a.worker) + len(a.err.GetMessage()) + len(a.err.GetStack()))
	e.byte(byte(a.why))
	e.fence(a.fence)
	e.run(a.run)
	e.bool(a.err != nil)
	if a.err != nil {
		e.str(a.err.GetType())
		e.str(a.err.GetMessage())
		e.str(a.err.GetStack())
	}
	return e
}

func decodeAttempt(b []byte) *attempt {
	d := newDec("attempt", b)
	a := &attempt{why: End(d.byte()), fence: d.fence(), run: d.run()}
	if d.bool() {
		a.err = &fsmpb.Error{Type: d.str(), Message: d.str(), Stack: d.str()}
	}
	d.end()
	return a
}

const (
	// attemptsKept is how many attempts of a task are kept: the first, and the last 31. A task may have
	// 10,000 attempts with 20 KiB of error each; what began the trouble and what it is now says enough.
	attemptsKept = 32
	// stepErrorNumber is the place of an error that no attempt has: the list of a map is damaged, or the
	// job was out of time. It comes after all attempts.
	stepErrorNumber = ^uint32(0)
)

// attemptKept reports whether attempt n of so many is kept.
func attemptKept(n, tries uint32) bool {
	return n >= 1 && n <= tries && (n == 1 || n > tries-min(tries, attemptsKept-1))
}

// runOf describes the attempt under a lease that ends now.
func (t *tx) runOf(tk *task, s *session, l *lease) run {
	return run{number: tk.attempts + 1, round: t.job(l.ref.Job).round, session: s.id, worker: s.worker, began: l.grantedMS, ended: t.now}
}

// keepAttempt records how the attempt under a lease ended. Precondition: the attempt is not charged yet.
// A snooze, and an answer that it is too early, are not recorded: they are no failures, may repeat without end, and would push the failures out.
func (t *tx) keepAttempt(ref TaskRef, tk *task, s *session, f Fence, l *lease, why End, e *fsmpb.Error) {
	tk.tries++
	tk.dirty = true
	a := attempt{run: t.runOf(tk, s, l), fence: f, why: why, err: e}
	t.set(keyAttempt(ref, tk.tries), a.encode())
	if tk.tries > attemptsKept {
		t.del(keyAttempt(ref, tk.tries-attemptsKept+1))
	}
}

// stepError records an error that no attempt has.
func (t *tx) stepError(ref TaskRef, e *fsmpb.Error) {
	a := attempt{run: run{began: t.now, ended: t.now}, fence: Fence{Index: t.index}, why: EndError, err: e}
	t.set(keyAttempt(ref, stepErrorNumber), a.encode())
}

// dropAttempts removes the attempts of a plain step.
func (t *tx) dropAttempts(ref TaskRef, tk *task) {
	for n := uint32(1); n <= tk.tries; n++ {
		if attemptKept(n, tk.tries) {
			t.del(keyAttempt(ref, n))
		} else {
			n = tk.tries - attemptsKept + 1
		}
	}
}
