package fsm

import (
	"fmt"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// statusGone is the answer by which a receiver says that it wants no more.
const statusGone = 410

// reportDelivery takes note of an attempt to deliver: the delivery is over, or waits for its next attempt,
// or is given up. A 410 disables the endpoint; what was pending stays. Proposed by the leader that sent it.
//
// Refusals: STALE (the attempt was reported before, or the delivery is over or gone).
func reportDelivery(t *tx, c *fsmpb.ReportDelivery) Answer {
	p := t.m.hooks.byID[c.GetDelivery().GetEndpoint()]
	d := t.delivery(deliveryRefOf(c.Delivery))
	if p == nil || d == nil || d.state != DeliveryPending || c.Attempt != d.attempts+1 {
		return no(CodeStale, "this attempt was reported before, or the delivery is over")
	}
	t.leavePending(p, d)
	d.attempts++
	d.status, d.err = c.Status, truncate(c.Error, deliveryErrorMax)
	p.lastStatus, p.lastError, p.lastMS = d.status, d.err, t.now
	if c.Status >= 200 && c.Status < 300 {
		d.err, p.lastError = "", ""
		p.delivered++
		p.notBefore = 0
		t.m.state.Deliveries++
		t.conclude(p, d, DeliveryDelivered)
		return Answer{}
	}
	t.m.state.DeliveryFailures++
	if c.Status == statusGone {
		p.disabled = fmt.Sprintf("it answered 410 Gone at %s", stamp(t.now))
		p.failed++
		t.conclude(p, d, DeliveryFailed)
		return Answer{}
	}
	if after := min(c.RetryAfterMs, retryAfterMaxMS); after > 0 {
		p.notBefore = max(p.notBefore, t.now+after)
	}
	if next := d.retryMS(t.now, c.RetryAfterMs); next > 0 {
		t.await(p, d, next)
		return Answer{}
	}
	p.failed++
	t.conclude(p, d, DeliveryFailed)
	return Answer{}
}
