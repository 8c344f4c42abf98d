package fsm

import (
	"crypto/sha256"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	// receiptKeepMS is how long a sender's delivery id is remembered: 7 days, longer than any of the
	// three schemes' senders repeat a message.
	receiptKeepMS = 7 * 24 * 3_600_000
	// receiptsMax bounds the ids that are remembered of one source; above it messages are refused.
	receiptsMax = 10_000_000
)

// receiveWebhook makes a job of a message that a node has verified. Proposed for POST /hooks/{namespace}/{source}.
//
// Refusals: NOT_FOUND, WEBHOOK_PAUSED, INVALID, TOO_LARGE, and those of submitJob: it comes from outside, and
// budgets and drained queues hold for it.
// Again: the same delivery id within 7 days answers Existing with the first one's job, and changes nothing
// but the count of duplicates.
func receiveWebhook(t *tx, c *fsmpb.ReceiveWebhook) Answer {
	s := t.source(c.Namespace, c.Source)
	switch {
	case s == nil:
		return Answer{Refusal: noSource(c.Namespace, c.Source)}
	case s.paused:
		return no(CodeWebhookPaused, "the webhook source %q is paused: send again later", s.name)
	case !validName(c.Delivery):
		return no(CodeInvalid, "a delivery id is 1 to 255 bytes without control characters")
	}
	hash := receiptHash(c)
	if b := t.get(keyReceipt(hash)); b != nil {
		s.duplicates++
		t.setSource(s)
		return Answer{Job: decodeReceipt(b).job, Existing: true}
	}
	if s.receipts >= receiptsMax {
		return no(CodeTooLarge, "the webhook source %q remembers %d messages, and at most that many: send again later", s.name, receiptsMax)
	}
	a := submitJob(t, &fsmpb.SubmitJob{
		Job: c.Job, Namespace: s.namespace, Graph: t.mustGet(keyGraph(s.graph)), Input: c.Input,
		RetainMs: s.retainMS, Options: s.options,
	})
	if a.Refusal != nil {
		return a
	}
	r := receipt{job: a.Job, expires: t.now + receiptKeepMS, source: s.id, namespace: s.namespace, name: s.name}
	t.set(keyReceipt(hash), r.encode())
	t.setTimer(r.expires, dutyReceipt, TaskRef{Job: hash})
	s.received++
	s.receipts++
	s.lastMS = t.now
	t.setSource(s)
	return a
}

// receiptHash names a message for ever: a source that is deleted and made again still knows it.
func receiptHash(c *fsmpb.ReceiveWebhook) JobID {
	sum := sha256.Sum256([]byte(c.Namespace + "\x00" + c.Source + "\x00" + c.Delivery))
	return JobID(sum[:16])
}

// receipt remembers a message that became a job.
type receipt struct {
	job             JobID
	expires         int64
	source          uint64 // number of the source that counts it
	namespace, name string
}

func (r receipt) encode() []byte {
	e := newEnc(64)
	e.raw(r.job[:])
	e.int(r.expires)
	e.uint(r.source)
	e.str(r.namespace)
	e.str(r.name)
	return e
}

func decodeReceipt(b []byte) receipt {
	d := newDec("webhook receipt", b)
	var r receipt
	copy(r.job[:], d.raw(len(r.job)))
	r.expires, r.source, r.namespace, r.name = d.int(), d.uint(), d.str(), d.str()
	d.end()
	return r
}

// fireReceipt forgets a message.
func (t *tx) fireReceipt(hash JobID) {
	r := decodeReceipt(t.mustGet(keyReceipt(hash)))
	t.del(keyReceipt(hash))
	if s := t.source(r.namespace, r.name); s != nil && s.id == r.source {
		s.receipts--
		t.setSource(s)
	}
}
