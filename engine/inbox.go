package engine

import (
	"context"
	"sync"
	"time"
)

// inbox is the door to the loop: many callers put in, the loop takes everything that is there at
// once. A channel would do the same with one lock and one wake-up per element; here a thousand
// requests cost one wake-up. What it admits is bounded by commands and bytes per class, counted until
// the loop has put them into an entry.
type inbox struct {
	wake   chan struct{} // capacity 1: "there is something"
	limits [classes]load

	mu       sync.Mutex // guards what follows
	closed   error      // set when Run has ended
	waiting  [classes]load
	requests [classes][]*request
	messages []message
	room     chan struct{} // closed when urgent commands have left; nil: nobody waits
	rate     float64       // bulk commands proposed per second, lately
}

// load is an amount of queued work.
type load struct{ commands, bytes int }

func (l load) add(commands, bytes int) load { return load{l.commands + commands, l.bytes + bytes} }

// exceeds reports whether l is over max. A single request on an empty queue always fits.
func (l load) exceeds(max load) bool { return l.commands > max.commands || l.bytes > max.bytes }

// message is anything but a request: the loop calls deliver, which must not block.
type message interface {
	deliver(e *Engine)
	refuse(err error) // instead of deliver, when Run has ended
}

func newInbox(limits [classes]load) *inbox {
	return &inbox{wake: make(chan struct{}, 1), limits: limits}
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// push admits a request or refuses it at once.
func (b *inbox) push(c class, r *request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return b.closed
	}
	if w := b.waiting[c]; w.commands > 0 && w.add(len(r.ends), len(r.frames)).exceeds(b.limits[c]) {
		return &OverloadedError{What: c.String(), RetryAfter: b.retryAfter(w)}
	}
	b.admit(c, r)
	return nil
}

// pushWait is push for a worker's stream: at the limit it waits, so that the stream is read more
// slowly, and the worker, who has the slots that these reports free, is slowed down with it.
func (b *inbox) pushWait(ctx context.Context, r *request) error {
	for {
		b.mu.Lock()
		if b.closed != nil {
			b.mu.Unlock()
			return b.closed
		}
		if w := b.waiting[urgent]; w.commands == 0 || !w.add(len(r.ends), len(r.frames)).exceeds(b.limits[urgent]) {
			b.admit(urgent, r)
			b.mu.Unlock()
			return nil
		}
		if b.room == nil {
			b.room = make(chan struct{})
		}
		room := b.room
		b.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pushAlways admits a request of the engine itself: there is at most one for each session.
func (b *inbox) pushAlways(c class, r *request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed == nil {
		b.admit(c, r)
	}
}

func (b *inbox) admit(c class, r *request) {
	b.waiting[c] = b.waiting[c].add(len(r.ends), len(r.frames))
	b.requests[c] = append(b.requests[c], r)
	b.ring()
}

// post hands a message to the loop.
func (b *inbox) post(m message) {
	b.mu.Lock()
	err := b.closed
	if err == nil {
		b.messages = append(b.messages, m)
		b.ring()
	}
	b.mu.Unlock()
	if err != nil {
		m.refuse(err)
	}
}

// delivery is what the loop takes out of the inbox. The loop keeps it and gives the emptied slices
// back at the next take.
type delivery struct {
	requests [classes][]*request
	messages []message
}

func (b *inbox) take(d *delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range d.requests {
		clear(d.requests[c])
		d.requests[c], b.requests[c] = b.requests[c], d.requests[c][:0]
	}
	clear(d.messages)
	d.messages, b.messages = b.messages, d.messages[:0]
}

// proposed tells the inbox that commands have left the queues.
func (b *inbox) proposed(left [classes]load, rate float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c, l := range left {
		b.waiting[c] = b.waiting[c].add(-l.commands, -l.bytes)
	}
	b.rate = rate
	if b.room != nil && left[urgent].commands > 0 {
		close(b.room)
		b.room = nil
	}
}

// waitingNow is what is admitted and in no entry yet.
func (b *inbox) waitingNow() (w [classes]load) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting
}

// retryAfter is the time in which half of the queue is worked off at the present rate.
func (b *inbox) retryAfter(w load) time.Duration {
	const least, most = 20 * time.Millisecond, 2 * time.Second
	if b.rate <= 0 {
		return overloadedWait
	}
	return min(max(time.Duration(float64(w.commands)/2/b.rate*float64(time.Second)), least), most).Round(time.Millisecond)
}

// close refuses everything from now on and returns what nobody has taken.
func (b *inbox) close(err error) (left delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = err
	left.requests, left.messages = b.requests, b.messages
	b.requests, b.messages = [classes][]*request{}, nil
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
	return left
}
