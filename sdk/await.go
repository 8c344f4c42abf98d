package sdk

import (
	"context"
	"fmt"
	"sync"
	"unicode/utf8"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// awaiter shares one stream among all Awaits of a client. When it breaks, it is opened again, and all
// ids that still have waiters are asked again; so a result that was lost with a connection, or with a
// leader, comes all the same.
type awaiter struct {
	client *Client

	mu      sync.Mutex // guards what follows
	waiting map[string][]*waiter
	fresh   []string // ids that the open stream has not been asked yet
	running bool     // run is alive
	wake    chan struct{}
}

// waiter is one Await. result is set before done is closed.
type waiter struct {
	done   chan struct{}
	result *apiv1.JobResult
}

const askBatch = 1000 // ids of one message

// await waits for the end of a job, until ctx ends.
func (a *awaiter) await(ctx context.Context, id string) (*apiv1.JobResult, error) {
	ctx, cancel := a.client.alive(ctx)
	defer cancel()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !utf8.ValidString(id) { // it would break the stream for all others
		return nil, fmt.Errorf("%w: the job id %q is no ULID", ErrInvalid, id)
	}
	w := &waiter{done: make(chan struct{})}
	a.add(id, w)
	select {
	case <-w.done:
		return w.result, nil
	case <-ctx.Done():
		a.drop(id, w)
		return nil, context.Cause(ctx)
	}
}

func (a *awaiter) add(id string, w *waiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting[id]) == 0 {
		a.fresh = append(a.fresh, id)
	}
	a.waiting[id] = append(a.waiting[id], w)
	if !a.running {
		a.running = true
		a.wake = make(chan struct{}, 1)
		go a.run()
	}
	a.wakeUp()
}

// wakeUp makes the sender look. Precondition: mu is held.
func (a *awaiter) wakeUp() {
	select {
	case a.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// drop forgets a waiter that has left. The server still answers, which nobody minds.
func (a *awaiter) drop(id string, w *waiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ws := a.waiting[id]
	for i := range ws {
		if ws[i] == w {
			ws = append(ws[:i:i], ws[i+1:]...)
			break
		}
	}
	if len(ws) == 0 {
		delete(a.waiting, id)
		return
	}
	a.waiting[id] = ws
}

// run keeps a stream open while the client lives. A stream that breaks while nobody waits is opened by the
// next Await.
func (a *awaiter) run() {
	c := a.client
	var pause backoff
	for {
		base, api := c.route.pick(c.life)
		answered, err := a.stream(c.life, api)
		if a.stop(c.life.Err() != nil) {
			return
		}
		if answered {
			pause.reset()
		}
		v := c.judge(base, err)
		c.log.Debug("the stream of awaited jobs is opened again", "node", base, "error", err)
		pause.wait(c.life, v)
	}
}

// stop ends run when there is nothing to do.
func (a *awaiter) stop(closed bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if closed || len(a.waiting) == 0 {
		a.running = false
		return true
	}
	return false
}

// stream asks one node until the stream breaks. answered: it has worked.
func (a *awaiter) stream(ctx context.Context, api apiv1connect.FanfoldClient) (answered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	stream := api.AwaitJobs(ctx)
	a.restart()
	var sender sync.WaitGroup
	sender.Go(func() {
		for a.next(ctx) {
			for ids := a.take(); len(ids) > 0; ids = a.take() {
				if stream.Send(&apiv1.AwaitJobsRequest{Ids: ids, Namespace: a.client.cfg.Namespace}) != nil {
					return // Receive says why
				}
			}
		}
	})
	defer sender.Wait()
	defer cancel()
	for {
		res, err := stream.Receive()
		if err != nil {
			return answered, err
		}
		answered = true
		a.deliver(res.Results)
	}
}

// restart makes every awaited id one that is to be asked.
func (a *awaiter) restart() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fresh = a.fresh[:0]
	for id := range a.waiting {
		a.fresh = append(a.fresh, id)
	}
	a.wakeUp()
}

// next waits for something to ask. false: the stream is over.
func (a *awaiter) next(ctx context.Context) bool {
	select {
	case <-a.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// take returns the ids of the next message.
func (a *awaiter) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.fresh), askBatch)
	ids := a.fresh[:n:n]
	a.fresh = a.fresh[n:]
	return ids
}

func (a *awaiter) deliver(results []*apiv1.JobResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range results {
		for _, w := range a.waiting[r.Id] {
			w.result = r
			close(w.done)
		}
		delete(a.waiting, r.Id)
	}
}
