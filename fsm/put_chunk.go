package fsm

import (
	"crypto/sha256"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// putChunk stores a part of a payload that is too large for one command. Chunks come in order; every
// one but the last has 256 KiB. An upload that no job claims within an hour is removed.
//
// Refusals: INVALID (id, size, out of order), TOO_LARGE (over 64 MiB in all), CONFLICT (claimed already).
// Again: the same chunk is accepted and changes nothing.
func putChunk(t *tx, c *fsmpb.PutChunk) Answer {
	if len(c.Blob) != 16 {
		return no(CodeInvalid, "a blob is named by 16 random bytes")
	}
	if len(c.Data) == 0 || len(c.Data) > ChunkBytes {
		return no(CodeInvalid, "a chunk has 1 to %d bytes, this one %d", ChunkBytes, len(c.Data))
	}
	id := blobID(c.Blob)
	b := new(blob)
	if raw := t.get(keyBlob(id)); raw != nil {
		b = decodeBlob(raw)
	}
	sum := sha256.Sum256(c.Data)
	if c.Index < b.chunks && [32]byte(b.sums[c.Index*32:]) == sum {
		return Answer{}
	}
	switch {
	case !b.owner.IsZero():
		return no(CodeConflict, "blob %x is in use: upload under a new id", c.Blob)
	case c.Index != b.chunks || b.size != uint64(b.chunks)*ChunkBytes:
		return no(CodeInvalid, "blob %x has %d chunks and %d bytes: send chunk %d next, and only the last one shorter than %d bytes", c.Blob, b.chunks, b.size, b.chunks, ChunkBytes)
	case b.size+uint64(len(c.Data)) > BlobMax:
		return no(CodeTooLarge, "a payload has at most %d bytes: store it elsewhere and pass a reference, or split it", BlobMax)
	}
	if b.expires != 0 {
		t.clearTimer(b.expires, dutyBlob, blobTimer(id))
	}
	b.expires = t.now + blobUnclaimedMS
	t.setTimer(b.expires, dutyBlob, blobTimer(id))
	t.set(keyChunk(id, c.Index), c.Data)
	b.chunks++
	b.size += uint64(len(c.Data))
	b.sums = append(b.sums[:len(b.sums):len(b.sums)], sum[:]...)
	t.set(keyBlob(id), b.encode())
	return Answer{}
}
