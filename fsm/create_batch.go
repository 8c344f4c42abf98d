package fsm

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	// batchRetainMS is how long a batch is kept after its end, unless it says otherwise: 7 days.
	batchRetainMS = 7 * 24 * 3_600_000
	// callbackDataMax bounds what a submitter adds to the input of a callback, in bytes.
	callbackDataMax = 64 << 10
)

// createBatch makes an empty, open batch. Proposed for Client.NewBatch.
//
// Refusals: INVALID (id, names, times, a callback's graph or data), TOO_LARGE, TYPE_MISMATCH, CONFLICT (the
// id belongs to a batch that differs).
// Again: the same batch answers Existing and changes nothing.
func createBatch(t *tx, c *fsmpb.CreateBatch) Answer {
	id, ok := jobIDOf(c.Batch)
	switch {
	case !ok:
		return no(CodeInvalid, "a batch id has 16 bytes that are not all zero (a ULID)")
	case !validName(c.Namespace):
		return no(CodeInvalid, "the namespace is 1 to 255 bytes without control characters")
	case c.Name != "" && !validName(c.Name):
		return no(CodeInvalid, "the name of a batch is at most 255 bytes without control characters")
	case c.ExpiresMs < 0 || c.RetainMs < 0:
		return no(CodeInvalid, "a batch cannot expire or be removed before 1970")
	}
	all := [callbacks]*fsmpb.BatchCallback{onDeath: c.OnDeath, onComplete: c.OnComplete, onSuccess: c.OnSuccess}
	static := encodeCallbacks(c, all)
	if raw := t.get(keyBatch(id)); raw != nil {
		if !bytes.Equal(t.mustGet(keyBatchCallbacks(id)), static) || decodeBatch(id, raw).gone {
			return no(CodeConflict, "batch %s exists and differs: choose a new id", id)
		}
		return Answer{Job: id, Existing: true, Batch: t.batch(id).state}
	}
	for _, cb := range all {
		if r := t.checkCallback(c.Namespace, cb); r != nil {
			return Answer{Refusal: r}
		}
	}
	if c.ExpiresMs != 0 && c.ExpiresMs <= t.now {
		return no(CodeInvalid, "the batch would have expired before it begins: the time now is %d", t.now)
	}
	b := &batch{
		id: id, namespace: c.Namespace, name: c.Name, state: BatchOpen, createdMS: t.now, expiresMS: c.ExpiresMs,
		retainMS: min(cmp.Or(c.RetainMs, batchRetainMS), dag.MaxDurationMS),
	}
	for i, cb := range all {
		if cb != nil {
			b.has |= 1 << i
		}
	}
	t.set(keyBatchCallbacks(id), static)
	t.setBatch(b)
	t.m.state.BatchesCreated++
	return Answer{Job: id, Batch: b.state}
}

// checkCallback refuses a callback that could not be made.
func (t *tx) checkCallback(namespace string, cb *fsmpb.BatchCallback) *Refusal {
	if cb == nil {
		return nil
	}
	g, err := t.graph(graphHashOf(cb.Graph), cb.Graph)
	switch {
	case err != nil:
		return refuse(CodeInvalid, "the graph of a callback cannot be used: %v", err)
	case len(cb.Data) > callbackDataMax:
		return refuse(CodeTooLarge, "the data of a callback has %d bytes, and at most %d: keep it elsewhere and pass its name", len(cb.Data), callbackDataMax)
	case !json.Valid(cb.Data):
		return refuse(CodeInvalid, "the data of a callback is not JSON: null for nothing")
	case cb.RetainMs < 0:
		return refuse(CodeInvalid, "the retention of a callback is negative")
	}
	if r := t.checkKinds(g, namespace); r != nil {
		return r
	}
	return t.m.checkNames(namespace, queuesOf(g), kindsOf(g))
}

// encodeCallbacks is the part of a batch that never changes: all that it was created with.
func encodeCallbacks(c *fsmpb.CreateBatch, all [callbacks]*fsmpb.BatchCallback) []byte {
	e := newEnc(64)
	e.str(c.Namespace)
	e.str(c.Name)
	e.int(c.ExpiresMs)
	e.int(c.RetainMs)
	for _, cb := range all {
		e.bool(cb != nil)
		e.bytes(cb.GetGraph())
		e.bytes(cb.GetData())
		e.int(cb.GetRetainMs())
	}
	return e
}

func decodeCallbacks(raw []byte) (all [callbacks]*fsmpb.BatchCallback) {
	d := newDec("batch callbacks", raw)
	d.str()
	d.str()
	d.int()
	d.int()
	for i := range all {
		there := d.bool()
		cb := &fsmpb.BatchCallback{Graph: d.bytes(), Data: d.bytes(), RetainMs: d.int()}
		if there {
			all[i] = cb
		}
	}
	d.end()
	return all
}
