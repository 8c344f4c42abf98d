package engine

import (
	"errors"
	"slices"
	"time"

	"github.com/fanfold/fanfold/fsm"
)

// Group commit. With nothing in flight a command leaves at once; behind others it leaves when as much waits as is
// on its way, or when they are back. Without the second half the pipeline's other place goes to whatever came a
// moment later: at 20,000 tasks/s on three nodes that share two processors, many small entries cost so much that the
// median latency was 320 ms; with it, 10 ms. There is no timer to tune: it would cost a lone chain of steps
// its latency and gain a loaded leader nothing.

// queue is requests in order of arrival. Their commands may be split over entries.
type queue struct {
	requests []*request
	head     int
}

func (q *queue) push(r *request) { q.requests = append(q.requests, r) }

func (q *queue) empty() bool { return q.head == len(q.requests) }

func (q *queue) rest() []*request { return q.requests[q.head:] }

func (q *queue) pop() {
	q.requests[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.requests):
		q.requests, q.head = q.requests[:0], 0
	case q.head >= 1024 && q.head*2 >= len(q.requests):
		n := copy(q.requests, q.requests[q.head:])
		clear(q.requests[n:])
		q.requests, q.head = q.requests[:n], 0
	}
}

// entry is one log entry on its way, and whose commands it holds, in order.
type entry struct {
	data     []byte
	parts    []part
	commands int
	outcome  *outcome // what the log said, until the older ones are settled
}

type part struct {
	r *request
	n int
}

// outcome is what the log says about an entry.
type outcome struct {
	en  *entry
	res *fsm.Result
	err error
}

// proposeOpen proposes while there is something to propose and room in the pipeline.
func (e *Engine) proposeOpen() {
	for len(e.flight) < e.cfg.Depth {
		now := e.clock.nowMS()
		if e.queues[urgent].empty() && e.queues[bulk].empty() && !e.due.wantsTick(now, len(e.flight)) {
			return
		}
		if !e.enoughWaits() {
			return
		}
		en := e.fill(now)
		if en == nil {
			continue
		}
		e.flight = append(e.flight, en)
		e.proposed++
		e.due.stamped(now)
		e.stats.entries.Add(1)
		e.stats.commands.Add(uint64(en.commands))
		e.log.Propose(en.data, func(res *fsm.Result, err error) { e.doneC <- outcome{en, res, err} })
	}
}

// enoughWaits reports whether what waits is worth an entry of its own beside those that are in flight.
func (e *Engine) enoughWaits() bool {
	if len(e.flight) == 0 {
		return true
	}
	for c := range e.queues {
		if q := &e.queues[c]; !q.empty() && q.requests[q.head].next > 0 {
			return true // the rest of a request that is longer than an entry
		}
	}
	flying := 0
	for _, en := range e.flight {
		flying += en.commands
	}
	waiting := e.inbox.waitingNow()
	all := waiting[urgent].add(waiting[bulk].commands, waiting[bulk].bytes)
	return all.commands >= min(flying, e.cfg.EntryCommands) || all.bytes >= e.cfg.EntryBytes
}

// fill makes the next entry; nil if all that waited was abandoned. Urgent commands go first.
// Submissions always have an eighth of a full entry: with strict priority a cluster whose workers keep
// every entry full would not take a submission, nor a retry of one, for as long as the backlog lasts.
func (e *Engine) fill(nowMS int64) *entry {
	waiting := e.inbox.waitingNow()
	size := waiting[urgent].bytes + waiting[bulk].bytes
	full := load{e.cfg.EntryCommands, e.cfg.EntryBytes}
	en := &entry{data: make([]byte, 0, 16+min(size, full.bytes))}
	en.data = fsm.AppendHeader(en.data, nowMS)

	var left [classes]load
	first := full
	if !e.queues[bulk].empty() {
		first = load{full.commands - full.commands/8, full.bytes - full.bytes/8}
	}
	e.drain(urgent, en, first, &left)
	e.drain(bulk, en, full, &left)
	e.drain(urgent, en, full, &left)
	e.inbox.proposed(left, e.meter.count(left[bulk].commands, e.mono()))
	if en.commands == 0 && !e.due.wantsTick(nowMS, len(e.flight)) {
		return nil
	}
	return en
}

// drain moves commands from a queue into an entry up to max, which a first command may exceed.
func (e *Engine) drain(c class, en *entry, max load, left *[classes]load) {
	q := &e.queues[c]
	for !q.empty() {
		r := q.requests[q.head]
		if r.next == 0 && r.gone.Load() {
			left[c] = left[c].add(len(r.ends), len(r.frames))
			finish(r, ErrNotLeader)
			q.pop()
			continue
		}
		n, bytes := take(r, en, max)
		if n == 0 {
			return
		}
		left[c] = left[c].add(n, bytes)
		en.commands += n
		en.parts = append(en.parts, part{r, n})
		if r.next == len(r.ends) {
			q.pop()
		}
	}
}

// take copies as many of r's next commands as fit.
func take(r *request, en *entry, max load) (n, bytes int) {
	from := r.start()
	room := max.bytes - len(en.data)
	end := from
	for i := r.next; i < len(r.ends) && en.commands+n < max.commands; i++ {
		if r.ends[i]-from > room && en.commands+n > 0 {
			break
		}
		end = r.ends[i]
		n++
	}
	en.data = append(en.data, r.frames[from:end]...)
	r.next += n
	return n, end - from
}

// settle takes the outcome of an entry. Outcomes may arrive in any order (a log may use a goroutine
// for each); they are passed on in log order, so that nobody hears of a revoke before the grant.
func (e *Engine) settle(o outcome) error {
	if o.err == nil && o.res == nil {
		o.err = ErrOutcomeUnknown
	}
	if o.err != nil {
		e.flight = slices.DeleteFunc(e.flight, func(en *entry) bool { return en == o.en })
		return e.failed(o)
	}
	o.en.outcome = &o
	for len(e.flight) > 0 && e.flight[0].outcome != nil {
		en := e.flight[0]
		e.flight = slices.Delete(e.flight, 0, 1)
		e.settled++
		e.applied(en, en.outcome.res)
	}
	e.answerReads()
	return nil
}

// applied passes a result on: first sessions that were opened, so that grants find them, then what
// goes to streams and waiters, then the answers.
func (e *Engine) applied(en *entry, res *fsm.Result) {
	at := 0
	for _, p := range en.parts {
		p.r.answer(res.Index, res.Answers[at:at+p.n])
		at += p.n
		if p.r.opens != nil && p.r.left == 0 {
			e.opened(p.r)
		}
	}
	e.distribute(res)
	for _, p := range en.parts {
		if p.r.left == 0 {
			finish(p.r, nil)
		}
	}
	e.closed(res.ClosedSessions) // last: a stream that ends has everything in its outbox
	e.due.set(res.NextDueMS, res.More)
}

// failed answers those whose commands were in an entry that did not come back. An entry that was
// certainly not appended leaves its requests untouched by the log, unless an earlier part was.
func (e *Engine) failed(o outcome) error {
	certain := errors.Is(o.err, ErrNotLeader)
	for _, p := range o.en.parts {
		if certain && p.r.answers == nil && p.r.next == p.n {
			finish(p.r, ErrNotLeader)
		} else {
			finish(p.r, ErrOutcomeUnknown)
		}
	}
	if certain {
		return ErrNotLeader
	}
	return ErrOutcomeUnknown
}

// finish settles a request once.
func finish(r *request, err error) {
	if to := r.reply; to != nil {
		r.reply = nil
		to.settle(r, err)
	}
}

// meter measures how fast submissions leave the queue.
type meter struct {
	since time.Duration
	n     int
	rate  float64
}

func (m *meter) count(n int, now time.Duration) float64 {
	const window = 250 * time.Millisecond
	m.n += n
	if d := now - m.since; d >= window {
		m.rate = float64(m.n) / d.Seconds()
		m.since, m.n = now, 0
	}
	return m.rate
}
