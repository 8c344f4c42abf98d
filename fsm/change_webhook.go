package fsm

import (
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// changeWebhook pauses, resumes, tests or deletes a webhook source or endpoint. A paused source takes
// nothing; the deliveries of a paused endpoint wait. A deleted endpoint's deliveries are deleted with it.
// Proposed for Client.PauseWebhookSource and its like.
//
// Refusals: NOT_FOUND, INVALID.
// Again: a pause or a resume changes nothing; a test is one more; a deletion is NOT_FOUND.
func changeWebhook(t *tx, c *fsmpb.ChangeWebhook) Answer {
	ns := c.GetName().GetNamespace()
	switch k := c.GetName().GetKind().(type) {
	case *fsmpb.WebhookName_Source:
		s := t.source(ns, k.Source)
		if s == nil {
			return Answer{Refusal: noSource(ns, k.Source)}
		}
		return t.changeSource(s, c.Change)
	case *fsmpb.WebhookName_Endpoint:
		p := t.m.hooks.byName[ns][k.Endpoint]
		if p == nil {
			return Answer{Refusal: noEndpoint(ns, k.Endpoint)}
		}
		return t.changeEndpoint(p, c.Change)
	}
	return no(CodeInvalid, "a webhook is a source or an endpoint: name one")
}

func (t *tx) changeSource(s *hookSource, change fsmpb.WebhookChange) Answer {
	switch change {
	case fsmpb.WebhookChange_WEBHOOK_CHANGE_DELETE:
		t.del(keySource(s.namespace, s.name))
		t.unrefer(s.graph)
		t.m.hooks.sources--
		return Answer{}
	case fsmpb.WebhookChange_WEBHOOK_CHANGE_PAUSE:
		s.paused = true
	case fsmpb.WebhookChange_WEBHOOK_CHANGE_RESUME:
		s.paused = false
	default:
		return no(CodeInvalid, "a webhook source can be paused, resumed and deleted")
	}
	t.setSource(s)
	return Answer{}
}

func (t *tx) changeEndpoint(p *hookEndpoint, change fsmpb.WebhookChange) Answer {
	switch change {
	case fsmpb.WebhookChange_WEBHOOK_CHANGE_DELETE:
		t.m.hooks.remove(p)
		t.del(keyEndpoint(p.namespace, p.name))
		t.dropPrefix(keyDeliveries(p.id))
		t.res.Webhooks = true
		return Answer{}
	case fsmpb.WebhookChange_WEBHOOK_CHANGE_PAUSE:
		p.paused = true
	case fsmpb.WebhookChange_WEBHOOK_CHANGE_RESUME:
		p.paused, p.disabled, p.notBefore = false, "", 0
		t.res.Webhooks = true
	case fsmpb.WebhookChange_WEBHOOK_CHANGE_TEST:
		if p.disabled != "" {
			return no(CodeConflict, "the endpoint is disabled (%s): resume it first", p.disabled)
		}
		ref := t.deliver(p, EventTest, JobID{}, eventBody(EventTest, t.now, eventData{Namespace: p.namespace, Endpoint: p.name}))
		if ref == (DeliveryRef{}) {
			return no(CodeTooLarge, "the endpoint has %d deliveries that are not over: no more are made", pendingMax)
		}
		return Answer{Delivery: ref}
	default:
		return no(CodeInvalid, "a webhook endpoint can be paused, resumed, tested and deleted")
	}
	t.m.hooks.touch(p)
	return Answer{}
}

// dropPrefix removes all keys with a prefix by one range tombstone, and what this call has written of them.
// The entry ends the batch (Apply), so that nothing reads below the tombstone.
func (t *tx) dropPrefix(low []byte) {
	for _, c := range t.own(low, prefixEnd(low), 0) { // not all changes: one call may purge a thousand jobs
		c.value, c.del = nil, true
	}
	t.ranges = append(t.ranges, [2][]byte{low, prefixEnd(low)})
}
