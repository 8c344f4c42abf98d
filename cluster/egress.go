package cluster

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fanfold/fanfold/cluster/webhook"
	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	// egressMax bounds the deliveries that are under way at once, of all endpoints.
	egressMax = 256
	// egressIdle is how long it may sleep when nothing is due: a bound for what no signal tells, such as a
	// wall clock that was set.
	egressIdle = time.Minute
	// deliveryErrorMax bounds the text of a failed attempt, in bytes.
	deliveryErrorMax = 512
)

// egress sends the deliveries that are due, for one term of leadership: it is made for the term, and what it
// remembers is only what is under way. Whatever it had not reported when it ended is sent again by the next.
type egress struct {
	engine  *engine.Engine
	machine *fsm.Machine
	sender  *webhook.Sender
	now     func() time.Time
	logger  *slog.Logger

	sends sync.WaitGroup
	done  chan fsm.DeliveryRef // capacity egressMax: an end never waits

	// What follows belongs to run.

	busy  map[uint64]map[uint64]bool // by endpoint: deliveries under way
	count int                        // of all busy
	// from is, by endpoint, a time before which nothing is pending. Reading from there spares the walk over
	// the tombstones of all that was sent.
	from map[uint64]int64
}

// startEgress begins sending beside the engine of a term; stop ends it and waits.
func (i *instance) startEgress(ctx context.Context, e *engine.Engine) (stop func()) {
	cfg := &i.node.cfg
	guard := &webhook.Guard{Allow: cfg.WebhookAllow, Resolve: cfg.WebhookResolve, Dial: cfg.WebhookDial}
	out := &egress{
		engine: e, machine: i.node.replica.machine(), sender: webhook.NewSender(guard, cfg.Now), now: cfg.Now, logger: i.node.logger,
		done: make(chan fsm.DeliveryRef, egressMax), busy: map[uint64]map[uint64]bool{}, from: map[uint64]int64{},
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out.run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// run sends until ctx is done, and returns when nothing of it runs any more.
func (e *egress) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer e.sender.Close()
	defer e.sends.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.engine.Webhooks():
		case r := <-e.done:
			delete(e.busy[r.Endpoint], r.Seq)
			e.count--
		case <-timer.C:
		}
		wait, err := e.launch(ctx)
		if err != nil { // the store is closing, or damaged: others stop the node for that
			e.logger.Warn("deliveries cannot be read", "error", err)
			wait = time.Second
		}
		timer.Reset(wait)
	}
}

// launch starts every attempt that is due and has room, and says how long to wait for the next one.
func (e *egress) launch(ctx context.Context) (wait time.Duration, err error) {
	v := e.machine.View()
	defer v.Close()
	all, err := v.Endpoints("")
	if err != nil {
		return 0, err
	}
	now := max(e.now().UnixMilli(), v.NowMS())
	next := now + egressIdle.Milliseconds()
	for _, p := range all {
		switch {
		case p.Pending == 0 || p.Paused || p.Disabled != "":
			continue
		case p.NotBeforeMS > now:
			next = min(next, p.NotBeforeMS)
			continue
		}
		due, err := e.launchOf(ctx, v, p, now)
		if err != nil {
			return 0, err
		}
		next = min(next, due)
	}
	return time.Duration(next-now) * time.Millisecond, nil
}

const never = int64(1) << 62

// launchOf is launch for one endpoint; due is when its next delivery that is not due yet is.
func (e *egress) launchOf(ctx context.Context, v *fsm.View, p *fsm.EndpointView, now int64) (due int64, err error) {
	busy := e.busy[p.ID]
	if busy == nil {
		busy = map[uint64]bool{}
		e.busy[p.ID] = busy
	}
	due, first := never, v.NowMS()
	seen := false
	err = v.DueDeliveries(p.ID, e.from[p.ID], func(d *fsm.DeliveryView) bool {
		if !seen {
			seen, first = true, min(d.DueMS, first)
		}
		switch {
		case d.DueMS > now:
			due = d.DueMS
			return false
		case len(busy) >= int(p.Parallel) || e.count >= egressMax:
			return false // the end of one that is under way brings us back
		case !busy[d.Ref.Seq]:
			busy[d.Ref.Seq] = true
			e.count++
			e.sends.Go(func() { e.attempt(ctx, p, d, fsm.DeliveryID(v.ClusterID(), d.Ref)) })
		}
		return true
	})
	e.from[p.ID] = first
	return due, err
}

// attempt sends a delivery once and reports how that ended.
func (e *egress) attempt(ctx context.Context, p *fsm.EndpointView, d *fsm.DeliveryView, id string) {
	defer func() { e.done <- d.Ref }()
	out := e.sender.Send(ctx, p.URL, p.Secrets, id, d.Body, time.Duration(p.TimeoutMS)*time.Millisecond)
	if ctx.Err() != nil {
		return // the term is over, and with it the attempt
	}
	report := &fsmpb.ReportDelivery{
		Delivery: d.Ref.Proto(), Attempt: d.Attempts + 1, Status: uint32(out.Status), Error: brief(out.Error), RetryAfterMs: out.RetryAfter.Milliseconds(),
	}
	e.logger.Debug("a webhook was sent", "endpoint", p.Name, "delivery", id, "event", d.Event, "attempt", report.Attempt, "status", out.Status, "error", report.Error)
	for {
		err := e.engine.ReportDelivery(ctx, report)
		var over *engine.OverloadedError
		if !errors.As(err, &over) {
			return // noted, or known to be over, or the term ends
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(over.RetryAfter):
		}
	}
}

// brief cuts a text to what is stored, as valid UTF-8.
func brief(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), deliveryErrorMax)], "")
}
