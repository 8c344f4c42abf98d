package fsm

import "github.com/fanfold/fanfold/fsm/fsmpb"

// replayDelivery delivers again, under the same id and from the start of the backoff: one delivery in
// whatever state it is, or all of an endpoint's that have failed (at most 1,000 are kept). Proposed for
// Client.ReplayDelivery.
//
// Refusals: NOT_FOUND, CONFLICT (the endpoint is disabled).
// Again: one that is pending is due at once.
func replayDelivery(t *tx, c *fsmpb.ReplayDelivery) Answer {
	p := t.m.hooks.byName[c.Namespace][c.Endpoint]
	if c.Delivery != nil {
		p = t.m.hooks.byID[c.Delivery.Endpoint]
	}
	switch {
	case p == nil || p.namespace != c.Namespace:
		return Answer{Refusal: noEndpoint(c.Namespace, c.Endpoint)}
	case p.disabled != "":
		return no(CodeConflict, "the endpoint %q is disabled (%s): resume it first", p.name, p.disabled)
	case c.Delivery == nil:
		return t.replayFailed(p, c.SinceMs)
	}
	d := t.delivery(deliveryRefOf(c.Delivery))
	if d == nil {
		return no(CodeNotFound, "there is no such delivery: `fanfold webhook delivery list ENDPOINT` shows those that are kept, the last %d that ended and all that are pending", endedMax)
	}
	t.replay(p, d)
	return Answer{Delivery: d.ref, Count: 1}
}

func (t *tx) replayFailed(p *hookEndpoint, since int64) Answer {
	var failed []*delivery
	t.ascend(keyEnded(p.id, p.head), keyEnded(p.id, p.tail), 0, func(_, b []byte) { // at most endedMax
		if d := t.delivery(DeliveryRef{p.id, be.Uint64(b)}); d.state == DeliveryFailed && d.createdMS >= since {
			failed = append(failed, d)
		}
	})
	for _, d := range failed {
		t.replay(p, d)
	}
	return Answer{Count: uint32(len(failed))}
}

func (t *tx) replay(p *hookEndpoint, d *delivery) {
	if d.state == DeliveryPending {
		t.leavePending(p, d)
	} else {
		t.leaveEnded(p, d)
	}
	d.base, d.startMS = d.attempts, t.now
	t.await(p, d, t.now)
}
