package fsm

import (
	"bytes"
	"crypto/sha256"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

const (
	// InlineMax is the largest payload, in bytes, that a command carries itself.
	InlineMax = 256 << 10
	// ChunkBytes is the size of every chunk of a blob but the last.
	ChunkBytes = 256 << 10
	// BlobMax is the largest payload in bytes.
	BlobMax = 64 << 20
	// blobUnclaimedMS is how long an upload may stay unused: 1 h.
	blobUnclaimedMS = 3_600_000
)

// value is a stored payload: bytes, or a blob.
type value struct {
	inline []byte
	blob   *blobRef
}

type blobRef struct {
	id   blobID
	size uint64
	sum  [32]byte
}

func (e *enc) value(v value) {
	if v.blob == nil {
		e.byte(0)
		e.bytes(v.inline)
		return
	}
	e.byte(1)
	e.raw(v.blob.id[:])
	e.uint(v.blob.size)
	e.raw(v.blob.sum[:])
}

func (d *dec) value() value {
	if d.byte() == 0 {
		return value{inline: d.bytes()}
	}
	r := new(blobRef)
	copy(r.id[:], d.raw(16))
	r.size = d.uint()
	copy(r.sum[:], d.raw(32))
	return value{blob: r}
}

func (v value) equal(w value) bool {
	if v.blob == nil || w.blob == nil {
		return v.blob == nil && w.blob == nil && bytes.Equal(v.inline, w.inline)
	}
	return v.blob.size == w.blob.size && v.blob.sum == w.blob.sum
}

// isThat reports whether a message names this value. A blob need not be uploaded again for that.
func (v value) isThat(p *fsmpb.Value) bool {
	if b := p.GetBlob(); b != nil {
		return v.blob != nil && v.blob.size == b.Size && bytes.Equal(v.blob.sum[:], b.Sha256)
	}
	return v.blob == nil && bytes.Equal(v.inline, p.GetInline())
}

func encodeValue(v value) []byte {
	e := newEnc(len(v.inline) + 64)
	e.value(v)
	return e
}

func decodeValue(b []byte) value {
	d := newDec("value", b)
	v := d.value()
	d.end()
	return v
}

// result is what a task left: its value, or, in a settled map, its error.
type result struct {
	fence Fence // of the attempt whose result was accepted
	dead  bool  // value is {"error":{...}} of a dead item
	value value
	by    run // the attempt
}

func encodeResult(r result) []byte {
	e := newEnc(len(r.value.inline) + len(r.by.worker) + 100)
	e.fence(r.fence)
	e.bool(r.dead)
	e.value(r.value)
	e.run(r.by)
	return e
}

func decodeResult(b []byte) result {
	d := newDec("result", b)
	r := result{fence: d.fence(), dead: d.bool(), value: d.value(), by: d.run()}
	d.end()
	return r
}

// blob is an upload.
type blob struct {
	size    uint64
	chunks  uint32
	owner   JobID // zero: not claimed yet
	expires int64 // unix ms, while not claimed
	sums    []byte
}

func (b *blob) encode() []byte {
	e := newEnc(64 + len(b.sums))
	e.uint(b.size)
	e.uint(uint64(b.chunks))
	e.raw(b.owner[:])
	e.int(b.expires)
	e.bytes(b.sums)
	return e
}

func decodeBlob(raw []byte) *blob {
	d := newDec("blob", raw)
	b := &blob{size: d.uint(), chunks: d.u32()}
	copy(b.owner[:], d.raw(16))
	b.expires = d.int()
	b.sums = d.bytes()
	d.end()
	return b
}

// sum is the content hash: SHA-256 of the chunks' SHA-256 sums, one after another.
func (b *blob) sum() [32]byte { return sha256.Sum256(b.sums) }

// checkValue reads a message's value and refuses what cannot be stored. It changes nothing.
func (t *tx) checkValue(p *fsmpb.Value, claim JobID) (value, *Refusal) {
	ref := p.GetBlob()
	if ref == nil {
		if len(p.GetInline()) > InlineMax {
			return value{}, refuse(CodeTooLarge, "the payload has %d bytes: above %d it has to be uploaded in chunks first (PutChunk)", len(p.GetInline()), InlineMax)
		}
		if len(p.GetInline()) == 0 {
			return value{}, refuse(CodeInvalid, "the payload is empty: send a JSON document, null for nothing")
		}
		return value{inline: p.GetInline()}, nil
	}
	if len(ref.Id) != 16 || len(ref.Sha256) != 32 {
		return value{}, refuse(CodeInvalid, "a blob is named by 16 bytes and a SHA-256 of 32")
	}
	v := value{blob: &blobRef{id: blobID(ref.Id), size: ref.Size, sum: [32]byte(ref.Sha256)}}
	raw := t.get(keyBlob(v.blob.id))
	if raw == nil {
		return value{}, refuse(CodeNotFound, "blob %x is not here: upload it (again) with PutChunk; an unused upload is removed after an hour", ref.Id)
	}
	b := decodeBlob(raw)
	switch {
	case b.size != ref.Size || b.sum() != v.blob.sum:
		return value{}, refuse(CodeInvalid, "blob %x has %d bytes and another content than named: upload it again under a new id", ref.Id, b.size)
	case !b.owner.IsZero() && b.owner != claim:
		return value{}, refuse(CodeConflict, "blob %x belongs to another job: upload the payload under a new id", ref.Id)
	}
	return v, nil
}

// claim ties a checked value's blob to the job, which frees it in the end.
func (t *tx) claim(v value, j *job) {
	if v.blob == nil {
		return
	}
	owner := j.id
	b := decodeBlob(t.mustGet(keyBlob(v.blob.id)))
	if b.owner == owner {
		return
	}
	t.clearTimer(b.expires, dutyBlob, blobTimer(v.blob.id))
	b.owner, b.expires = owner, 0
	t.set(keyBlob(v.blob.id), b.encode())
	t.set(keyOwned(owner, v.blob.id), nil)
	j.blobs++
	j.dirty = true
}

// dropBlob removes a blob and its chunks.
func (t *tx) dropBlob(id blobID) {
	raw := t.get(keyBlob(id))
	if raw == nil {
		return
	}
	b := decodeBlob(raw)
	for n := uint32(0); n < b.chunks; n++ {
		t.del(keyChunk(id, n))
	}
	t.del(keyBlob(id))
}

func blobTimer(id blobID) TaskRef { return TaskRef{Job: JobID(id)} }
