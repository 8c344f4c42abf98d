package checker

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// submitUnique submits a job with a unique key; the answer is another job when told is one.
func (f *forged) submitUnique(t *testing.T, id, told fsm.JobID) {
	t.Helper()
	options, err := proto.Marshal(&fsmpb.JobOptions{Unique: &fsmpb.Unique{Mode: fsmpb.Unique_UNIQUE, Key: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &fsmpb.SubmitJob{Job: id[:], Graph: dag.Encode(chain(t)), Options: options}
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: c}}, fsm.Answer{Job: told, Existing: told != id}, fsm.Result{})
}

func TestUnique_ASecondHolderAndAnAnswerThatIsNotTheHolderAreFound(t *testing.T) {
	a, b, c := fsm.JobID{1}, fsm.JobID{2}, fsm.JobID{3}
	for _, test := range []struct {
		name string
		log  func(f *forged)
		held bool
	}{
		{"one after the other", func(f *forged) {
			f.submitUnique(t, a, a)
			f.submitUnique(t, b, a)
			f.end(a, fsm.JobFailure)
			f.submitUnique(t, b, b)
		}, true},
		{"a second holder", func(f *forged) { f.submitUnique(t, a, a); f.submitUnique(t, b, b) }, false},
		{"a second holder, by a retry", func(f *forged) {
			f.submitUnique(t, a, a)
			f.end(a, fsm.JobFailure)
			f.retry(a)
			f.submitUnique(t, b, b)
		}, false},
		{"an answer that has ended", func(f *forged) {
			f.submitUnique(t, a, a)
			f.end(a, fsm.JobSuccess)
			f.submitUnique(t, b, b)
			f.submitUnique(t, c, a)
		}, false},
		{"the entry that ends the holder makes the next", func(f *forged) {
			f.submitUnique(t, a, a)
			f.submitUnique(t, b, b)
			f.entries[1].Result.Finished = []fsm.Finished{{Job: a, State: fsm.JobSuccess}}
		}, true},
	} {
		f := &forged{nowMS: 1000}
		test.log(f)
		if v := unique(events(f.entries)); v.Held() != test.held {
			t.Errorf("%s: %+v", test.name, v)
		}
	}
}

func TestExpiries_ASessionHasItsWholeTimeToLiveInEveryTerm(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(e ledger.Entry, term uint64, after time.Duration) ledger.Entry {
		e.Term, e.AppendedAt = term, start.Add(after)
		return e
	}
	open := &fsmpb.Command{Kind: &fsmpb.Command_OpenSession{OpenSession: &fsmpb.OpenSession{TtlMs: 3000}}}
	for _, c := range []struct {
		name         string
		opened       time.Duration
		term2, close time.Duration
		lost, held   bool
	}{
		{"in time", time.Second, 10 * time.Second, 13 * time.Second, true, true},
		{"early in the term", time.Second, 10 * time.Second, 12999 * time.Millisecond, true, false},
		{"early, and said goodbye", time.Second, 10 * time.Second, 11 * time.Second, false, true},
		{"early after its begin", 2 * time.Second, time.Second, 4 * time.Second, true, false},
	} {
		f := &forged{}
		f.entry(open, fsm.Answer{Session: 7}, fsm.Result{})
		f.closeSession(7, c.lost)
		noop := ledger.Entry{}
		log := []ledger.Entry{at(f.entries[0], 1, c.opened), at(noop, 2, c.term2), at(f.entries[1], 2, c.close)}
		if c.opened > c.term2 {
			log = []ledger.Entry{at(noop, 2, c.term2), at(f.entries[0], 2, c.opened), at(f.entries[1], 2, c.close)}
		}
		if v := expiries(log); v.Held() != c.held {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}
