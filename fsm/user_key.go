package fsm

import (
	"crypto/sha256"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// The user's idempotency key makes a submission that is repeated, by another process or under another
// id, the same job: for 24 h from the submission, and for as long as the job runs. After that the key is
// as good as new.
//
// The naive way, the key's life being the job's, breaks both ways: a job that is purged after a minute
// forgets its key in that minute, and one that is kept for a year blocks it for a year. So the key has a
// record and a timer of its own, and a sum of what was submitted, for the job may be gone before it.

// userKeyMS is how long an idempotency key is remembered, from its submission on: 24 h.
const userKeyMS = 24 * 3_600_000

// userKey is the record of an idempotency key.
//
// Invariant: until is not 0 while the key has its timer; when that has fired, the record stays only
// while the job runs.
type userKey struct {
	job   JobID
	sum   [16]byte // of graph and input
	until int64    // unix ms
}

func (k *userKey) encode() []byte {
	e := newEnc(48)
	e.raw(k.job[:])
	e.raw(k.sum[:])
	e.int(k.until)
	return e
}

func decodeUserKey(b []byte) *userKey {
	d := newDec("idempotency key", b)
	k := new(userKey)
	copy(k.job[:], d.raw(16))
	copy(k.sum[:], d.raw(16))
	k.until = d.int()
	d.end()
	return k
}

// keyHash names a key of the user's, of any length, where 16 bytes are needed: in a key and in a timer.
type keyHash [16]byte

// keyHashOf keeps its parts apart by their lengths.
func keyHashOf(parts ...string) (h keyHash) {
	e := newEnc(64)
	for _, p := range parts {
		e.str(p)
	}
	sum := sha256.Sum256(e)
	copy(h[:], sum[:])
	return h
}

func userKeyHash(namespace, key string) keyHash { return keyHashOf(namespace, key) }

// submissionSum tells two submissions apart that use the same key.
func submissionSum(graph graphHash, input *fsmpb.Value) (sum [16]byte) {
	e := newEnc(64 + len(input.GetInline()))
	e.raw(graph[:])
	if b := input.GetBlob(); b != nil {
		e.byte(1)
		e.uint(b.Size)
		e.bytes(b.Sha256)
	} else {
		e.byte(0)
		e.raw(input.GetInline())
	}
	whole := sha256.Sum256(e)
	copy(sum[:], whole[:])
	return sum
}

func (t *tx) userKey(h keyHash) *userKey {
	if b := t.get(keyUserKey(h)); b != nil {
		return decodeUserKey(b)
	}
	return nil
}

// submittedByKey answers a submission whose idempotency key is known.
func (t *tx) submittedByKey(graph graphHash, c *fsmpb.SubmitJob) (Answer, bool) {
	if c.Key == "" {
		return Answer{}, false
	}
	k := t.userKey(userKeyHash(c.Namespace, c.Key))
	if k == nil {
		return Answer{}, false
	}
	if k.sum != submissionSum(graph, c.Input) {
		return no(CodeConflict, "the idempotency key %q was used within 24 hours for job %s, with another graph or input: choose a new one", c.Key, k.job), true
	}
	return t.existing(k.job), true
}

// existing answers a submission with a job that was there before. The job may have been purged since.
func (t *tx) existing(id JobID) Answer {
	a := Answer{Job: id, Existing: true}
	if j := t.job(id); j != nil {
		a.State = j.state
	}
	return a
}

// rememberKey ties a submission's idempotency key to the job that answered it. Precondition: the key is
// free.
func (t *tx) rememberKey(c *fsmpb.SubmitJob, graph graphHash, id JobID) {
	if c.Key == "" {
		return
	}
	h := userKeyHash(c.Namespace, c.Key)
	k := &userKey{job: id, sum: submissionSum(graph, c.Input), until: t.now + userKeyMS}
	t.set(keyUserKey(h), k.encode())
	t.setTimer(k.until, dutyUserKey, TaskRef{Job: JobID(h)})
}

// fireUserKey ends a key's 24 h.
func (t *tx) fireUserKey(h keyHash) {
	k := t.userKey(h)
	j := t.job(k.job)
	if j == nil || j.state.Ended() || userKeyHash(j.namespace, j.key) != h {
		t.del(keyUserKey(h))
		return
	}
	k.until = 0
	t.set(keyUserKey(h), k.encode())
}

// userKeyEnded frees the key of a job that ran for longer than the key's 24 h.
func (t *tx) userKeyEnded(j *job) {
	if j.key == "" {
		return
	}
	h := userKeyHash(j.namespace, j.key)
	if k := t.userKey(h); k != nil && k.job == j.id && k.until == 0 {
		t.del(keyUserKey(h))
	}
}
