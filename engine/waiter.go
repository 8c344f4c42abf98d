package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/fanfold/fanfold/fsm"
)

// Waiter hears of jobs: an awaiting one of each job's end, once; a watching one is woken by every change.
// The caller adds ids, then reads the state, then waits: what changes after Add is heard of, what
// changed before it is in the state.
type Waiter struct {
	e     *Engine
	watch bool
	ready chan struct{}          // capacity 1
	ids   map[fsm.JobID]struct{} // the loop's

	mu       sync.Mutex // guards what follows
	finished []fsm.Finished
	ended    error
}

// Await makes a waiter that hears once of each job that ends.
func (e *Engine) Await() *Waiter { return e.newWaiter(false) }

// Watch makes a waiter that is woken whenever one of its jobs changes.
func (e *Engine) Watch() *Waiter { return e.newWaiter(true) }

func (e *Engine) newWaiter(watch bool) *Waiter {
	return &Waiter{e: e, watch: watch, ready: make(chan struct{}, 1), ids: map[fsm.JobID]struct{}{}}
}

// waiterStep is how many ids the loop notes or forgets in one turn: a caller with a million of them
// must not keep it from everybody else's commands.
const waiterStep = 1000

// Add waits for these jobs too. It returns when the loop has noted them. All waiters together may
// wait for Config.Watched ids: over that the error is ErrOverloaded, and a part may have been noted.
func (w *Waiter) Add(ctx context.Context, ids ...fsm.JobID) error {
	for part := range slices.Chunk(ids, waiterStep) {
		m := &addIDs{w: w, ids: part, reply: make(chan error, 1)}
		w.e.inbox.post(m)
		select {
		case err := <-m.reply:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Ready is signalled when there may be something to take.
func (w *Waiter) Ready() <-chan struct{} { return w.ready }

// Take returns the jobs that have ended since the last call. The error is set once the term is over:
// ask the next leader.
func (w *Waiter) Take() ([]fsm.Finished, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.finished
	w.finished = nil
	if len(f) > 0 && w.ended != nil {
		w.ring()
		return f, nil
	}
	return f, w.ended
}

// Close forgets the waiter.
func (w *Waiter) Close() { w.e.inbox.post(&closeWaiter{w}) }

func (w *Waiter) ring() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

type addIDs struct {
	w     *Waiter
	ids   []fsm.JobID
	reply chan error // capacity 1
}

func (m *addIDs) deliver(e *Engine) { m.reply <- e.watched.add(m.w, m.ids) }
func (m *addIDs) refuse(err error)  { m.reply <- err }

type closeWaiter struct{ w *Waiter }

func (m *closeWaiter) deliver(e *Engine) {
	if e.watched.drop(m.w, waiterStep); len(m.w.ids) > 0 {
		e.inbox.post(m)
	}
}

func (m *closeWaiter) refuse(error) {}

// registry knows who waits for which job.
//
// Invariant: w is in jobs[id] exactly if id is in w.ids; held is the sum of all len(w.ids).
type registry struct {
	jobs     map[fsm.JobID]waiters
	watching int // ids held by watching waiters: without any, touched has nothing to do
	held     int
	max      int
}

// waiters are those of one job: nearly always one.
type waiters struct {
	first *Waiter
	more  []*Waiter
}

func newRegistry(max int) registry { return registry{jobs: map[fsm.JobID]waiters{}, max: max} }

func (g *registry) add(w *Waiter, ids []fsm.JobID) error {
	if g.held+len(ids) > g.max {
		return &OverloadedError{What: "table of awaited jobs", RetryAfter: overloadedWait}
	}
	for _, id := range ids {
		if _, ok := w.ids[id]; ok {
			continue
		}
		w.ids[id] = struct{}{}
		g.count(w, 1)
		if ws, ok := g.jobs[id]; ok {
			ws.more = append(ws.more, w)
			g.jobs[id] = ws
		} else {
			g.jobs[id] = waiters{first: w}
		}
	}
	return nil
}

func (g *registry) count(w *Waiter, n int) {
	g.held += n
	if w.watch {
		g.watching += n
	}
}

// drop forgets at most n ids of a waiter.
func (g *registry) drop(w *Waiter, n int) {
	for id := range w.ids {
		if n == 0 {
			return
		}
		n--
		g.remove(w, id)
	}
}

func (g *registry) remove(w *Waiter, id fsm.JobID) {
	delete(w.ids, id)
	g.count(w, -1)
	ws := g.jobs[id]
	if ws.first == w {
		if len(ws.more) == 0 {
			delete(g.jobs, id)
			return
		}
		last := len(ws.more) - 1
		ws.first, ws.more = ws.more[last], ws.more[:last]
	} else {
		for i, o := range ws.more {
			if o == w {
				ws.more = append(ws.more[:i], ws.more[i+1:]...)
				break
			}
		}
	}
	g.jobs[id] = ws
}

// finished tells the waiters of each job that has ended; the awaiting ones let go of it.
func (g *registry) finished(all []fsm.Finished) {
	if g.held == 0 {
		return
	}
	for _, f := range all {
		ws, ok := g.jobs[f.Job]
		if !ok {
			continue
		}
		for _, w := range append(ws.more[:len(ws.more):len(ws.more)], ws.first) {
			w.tell(f)
			if !w.watch {
				g.remove(w, f.Job)
			}
		}
	}
}

// touched wakes the watching waiters of each job that has changed.
func (g *registry) touched(ids []fsm.JobID) {
	if g.watching == 0 {
		return
	}
	for _, id := range ids {
		ws, ok := g.jobs[id]
		if !ok {
			continue
		}
		for _, w := range ws.more {
			w.wake()
		}
		ws.first.wake()
	}
}

func (w *Waiter) wake() {
	if w.watch {
		w.ring()
	}
}

func (w *Waiter) tell(f fsm.Finished) {
	w.mu.Lock()
	w.finished = append(w.finished, f)
	w.mu.Unlock()
	w.ring()
}

func (g *registry) end(err error) {
	for _, ws := range g.jobs {
		for _, w := range append(ws.more[:len(ws.more):len(ws.more)], ws.first) {
			w.mu.Lock()
			w.ended = err
			w.mu.Unlock()
			w.ring()
		}
	}
}
