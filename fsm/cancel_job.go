package fsm

import (
	"unicode/utf8"

	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/fsm/planted"
)

// cancelJob ends a job: nothing of it starts any more, and the workers that run parts of it are told.
// Proposed for Client.Cancel.
//
// Refusals: NOT_FOUND.
// Again, or on an ended job: answers the job's state and changes nothing.
func cancelJob(t *tx, c *fsmpb.CancelJob) Answer {
	j := t.lookup(c.Job)
	if j == nil {
		return unknownJob(c.Job)
	}
	if !j.state.Ended() {
		j.reason = truncate(c.Reason, 1024)
		if !planted.CancelGrants {
			t.cancelLive(j, causeCanceled)
		}
		t.end(j, JobCanceled)
	}
	return Answer{Job: j.id, State: j.state}
}

// lookup finds the job that a command names.
func (t *tx) lookup(id []byte) *job {
	if j, ok := jobIDOf(id); ok {
		return t.job(j)
	}
	return nil
}

func unknownJob(id []byte) Answer {
	if j, ok := jobIDOf(id); ok {
		return no(CodeNotFound, "there is no job %s: it was never submitted, or was purged when its retention ended", j)
	}
	return no(CodeInvalid, "a job id has 16 bytes that are not all zero (a ULID)")
}

// truncate cuts a string to n bytes at most, between two characters: what is no UTF-8 cannot be sent.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
