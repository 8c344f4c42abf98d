package sdk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// tryTimeout bounds one try of a call, so that a node that hangs does not eat the caller's deadline.
// The change may still happen there; that is why every call can be repeated.
const tryTimeout = 5 * time.Second

// Call runs f against the leader, or a node that passes the call on, and again after errors that pass,
// within ctx's deadline (30 s when it has none). f may run several times and must be safe to repeat. It
// is how the methods of this client work, and open to programs that need the API itself.
func (c *Client) Call(ctx context.Context, f func(context.Context, apiv1connect.FanfoldClient) error) error {
	return c.retry(ctx, plan{bound: tryTimeout, changes: true}, f)
}

// At is the API of one node, without any retries, for programs that ask each node about itself.
func (c *Client) At(address string) (apiv1connect.FanfoldClient, error) {
	base, err := baseURL(address)
	if err != nil {
		return nil, err
	}
	c.route.mu.Lock()
	defer c.route.mu.Unlock()
	return c.route.of(base), nil
}

// plan says how a call is tried.
type plan struct {
	bound   time.Duration // of one try; 0 = none
	changes bool          // a try that broke may have had an effect
	done    error         // what a second try is refused with when the first has worked; nil: nothing says so
	watch   *outlook      // kept up to date; nil: nobody looks
}

// outlook is how a call that is still being tried stands, for those who leave it early.
type outlook struct {
	mu      sync.Mutex // guards what follows
	last    error      // of the last try that was answered
	unknown bool       // some try may have had its effect
	trying  bool       // a try is on its way
}

func (o *outlook) set(last error, unknown, trying bool) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last, o.unknown, o.trying = last, unknown, trying
}

// giveUp is the error of a caller who leaves.
func (o *outlook) giveUp(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		return deadlineError(ctx, errInFlight, o.trying)
	}
	return deadlineError(ctx, o.last, o.trying || o.unknown)
}

var (
	reading  = plan{bound: tryTimeout}
	changing = plan{bound: tryTimeout, changes: true}
)

func (c *Client) retry(ctx context.Context, p plan, f func(context.Context, apiv1connect.FanfoldClient) error) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	var pause backoff
	var last error
	unknown := false // some try may have had its effect
	for ctx.Err() == nil {
		base, api := c.route.pick(ctx)
		p.watch.set(last, unknown, true)
		err := try(ctx, p.bound, api, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil { // says nothing about the node
			unknown = true
			break
		}
		v := c.judge(base, err)
		switch {
		case v.final && unknown && p.done != nil && errors.Is(v.err, p.done):
			return nil // after tries that were certainly refused it would be news
		case v.final:
			return ownEffect(v.err, unknown && p.changes)
		}
		last = v.err
		unknown = unknown || v.unknown
		p.watch.set(last, unknown, false)
		c.log.Debug("call is tried again", "node", base, "error", err)
		pause.wait(ctx, v)
	}
	return deadlineError(ctx, last, unknown && p.changes)
}

// ownEffect adds ErrOutcomeUnknown to a refusal that an earlier try of the same call may be the cause of: what
// was retried runs, what was deleted is gone.
func ownEffect(err error, mayHaveHappened bool) error {
	if !mayHaveHappened {
		return err
	}
	for _, kind := range []error{ErrNotEnded, ErrNotFound, ErrConflict, ErrExists} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w: an earlier try may have done it, and this be why the last was refused: %w", ErrOutcomeUnknown, err)
		}
	}
	return err
}

// try runs f once.
func try(ctx context.Context, bound time.Duration, api apiv1connect.FanfoldClient, f func(context.Context, apiv1connect.FanfoldClient) error) error {
	if bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	return f(ctx, api)
}

// bounded gives ctx a deadline if it has none, and ends it with the client.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := c.alive(ctx)
	if _, has := ctx.Deadline(); has {
		return ctx, cancel
	}
	ctx, stop := context.WithTimeout(ctx, defaultTimeout)
	return ctx, func() { stop(); cancel() }
}

// alive ends ctx with the client.
func (c *Client) alive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.life, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// verdict is what an error means for the next try.
type verdict struct {
	err     error
	final   bool          // no other try would do better
	atOnce  bool          // another node was named: go there without a pause
	unknown bool          // the try may have had its effect
	after   time.Duration // the least pause that the node asks for
}

// judge reads an error of a try at node base, and corrects the route.
func (c *Client) judge(base string, err error) verdict {
	err = wireError(err)
	var api *APIError
	if errors.As(err, &api) {
		switch api.Code {
		case "NOT_LEADER":
			c.route.forget(base, false)
			return verdict{err: err, atOnce: api.Leader != "" && c.route.learn(api.Leader)}
		case "NO_LEADER":
			c.route.forget(base, false)
			return verdict{err: err, after: api.RetryAfter}
		case "OVERLOADED":
			return verdict{err: err, after: api.RetryAfter}
		case "OUTCOME_UNKNOWN":
			c.route.forget(base, false)
			return verdict{err: err, unknown: true}
		}
		return verdict{err: err, final: true}
	}
	if errors.Is(err, ErrClosed) {
		return verdict{err: err, final: true}
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnimplemented, connect.CodePermissionDenied, connect.CodeUnauthenticated:
		return verdict{err: err, final: true}
	}
	if strings.Contains(err.Error(), "invalid UTF-8") { // of our own message: it cannot be written
		return verdict{err: &APIError{Code: "INVALID", Message: err.Error(), kind: ErrInvalid}, final: true}
	}
	// The transport. What was sent may have arrived, unless there was no connection to send it on.
	var op *net.OpError
	unreachable := errors.As(err, &op) && op.Op == "dial"
	c.route.forget(base, unreachable)
	return verdict{err: err, unknown: !unreachable}
}

// backoff spreads retries: after the n-th failure it waits a random part of 25 ms * 2^n, at most 400 ms,
// so that the clients of a leader that died do not all come back at the same moment, and soon enough
// to find the next one.
type backoff struct{ n int }

const (
	backoffFirst = 25 * time.Millisecond
	backoffMax   = 400 * time.Millisecond
)

func (b *backoff) reset() { b.n = 0 }

// wait sleeps before the next try, until ctx ends. To a node that was named it goes at once, but for
// nodes that name each other in a circle.
func (b *backoff) wait(ctx context.Context, v verdict) {
	b.n++
	if v.atOnce && b.n <= 3 {
		return
	}
	t := time.NewTimer(v.after + time.Millisecond + rand.N(min(backoffFirst<<min(b.n, 10), backoffMax)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
