package checker

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// submitUnique submits a job with a unique key; the answer is another job when told is one, and EXISTS when it is none.
func (f *forged) submitUnique(t *testing.T, id, told fsm.JobID) {
	t.Helper()
	f.submitMode(t, id, told, &fsmpb.Unique{Mode: fsmpb.Unique_UNIQUE})
}

// submitMode is submitUnique for any mode.
func (f *forged) submitMode(t *testing.T, id, told fsm.JobID, u *fsmpb.Unique) {
	t.Helper()
	u = proto.CloneOf(u)
	u.Key = "k"
	options, err := proto.Marshal(&fsmpb.JobOptions{Unique: u})
	if err != nil {
		t.Fatal(err)
	}
	c := &fsmpb.SubmitJob{Job: id[:], Graph: dag.Encode(chain(t)), Options: options}
	a := fsm.Answer{Job: told, Existing: told != id}
	if told.IsZero() {
		a = fsm.Answer{Refusal: &fsm.Refusal{Code: fsm.CodeExists}}
	}
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: c}}, a, fsm.Result{})
}

// ended says that the last entry has ended jobs, too.
func (f *forged) ended(jobs ...fsm.JobID) {
	for _, id := range jobs {
		r := f.entries[len(f.entries)-1].Result
		r.Finished = append(r.Finished, fsm.Finished{Job: id, State: fsm.JobCanceled})
	}
}

func TestUnique_OtherModesAreHeldToTheirRules(t *testing.T) {
	a, b, c := fsm.JobID{1}, fsm.JobID{2}, fsm.JobID{3}
	none := fsm.JobID{}
	replace := &fsmpb.Unique{OnConflict: fsmpb.Unique_REPLACE}
	reject := &fsmpb.Unique{OnConflict: fsmpb.Unique_REJECT}
	bounded := &fsmpb.Unique{PeriodMs: 100}
	start := &fsmpb.Unique{Scope: fsmpb.Unique_UNTIL_START}
	throttle := &fsmpb.Unique{Mode: fsmpb.Unique_THROTTLE, PeriodMs: 100}
	debounce := &fsmpb.Unique{Mode: fsmpb.Unique_DEBOUNCE, PeriodMs: 100, MaxMs: 250}
	latest := &fsmpb.Unique{Mode: fsmpb.Unique_KEEP_LATEST}
	type step func(f *forged)
	sub := func(id, told fsm.JobID, u *fsmpb.Unique, over ...fsm.JobID) step {
		return func(f *forged) { f.submitMode(t, id, told, u); f.ended(over...) }
	}
	end := func(id fsm.JobID) step { return func(f *forged) { f.end(id, fsm.JobSuccess) } }
	run := func(id fsm.JobID) step { return func(f *forged) { f.grant(fsm.TaskRef{Job: id}, 1, 1, 0) } }
	at := func(ms int64) step { return func(f *forged) { f.nowMS = ms } }
	for _, test := range []struct {
		name  string
		steps []step
		held  bool
	}{
		{"replaced", []step{sub(a, a, replace), sub(b, b, replace, a), end(b), sub(c, c, replace)}, true},
		{"replaced, and not canceled", []step{sub(a, a, replace), sub(b, b, replace)}, false},
		{"not replaced", []step{sub(a, a, replace), sub(b, a, replace)}, false},
		{"rejected", []step{sub(a, a, reject), sub(b, none, reject), end(a), sub(c, c, reject)}, true},
		{"rejected, and nobody has it", []step{sub(a, a, reject), end(a), sub(b, none, reject)}, false},
		{"not rejected", []step{sub(a, a, reject), sub(b, b, reject)}, false},
		{"rejected as another mode would not be", []step{sub(a, a, replace), sub(b, none, replace)}, false},
		{"free after its time", []step{at(1000), sub(a, a, bounded), at(1099), sub(b, a, bounded), at(1100), sub(b, b, bounded), end(a), sub(c, b, bounded)}, true},
		{"free before its time", []step{at(1000), sub(a, a, bounded), at(1099), sub(b, b, bounded)}, false},
		{"held after its time", []step{at(1000), sub(a, a, bounded), at(1100), sub(b, a, bounded)}, false},
		{"free from the start on", []step{sub(a, a, start), sub(b, a, start), run(a), sub(c, c, start)}, true},
		{"free before the start", []step{sub(a, a, start), sub(b, b, start)}, false},
		{"held after the start", []step{sub(a, a, start), run(a), sub(b, a, start)}, false},
		{"throttled, whatever becomes of it", []step{at(1000), sub(a, a, throttle), end(a), at(1099), sub(b, a, throttle), at(1100), sub(c, c, throttle)}, true},
		{"throttled, and made again at its end", []step{at(1000), sub(a, a, throttle), end(a), sub(b, b, throttle)}, false},
		{"throttled, and ended in the very entry", []step{at(1000), sub(a, a, throttle), sub(b, b, throttle, a)}, false},
		{"throttled for too long", []step{at(1000), sub(a, a, throttle), at(1100), sub(b, a, throttle)}, false},
		{"debounced", []step{at(1000), sub(a, a, debounce), at(1090), sub(b, a, debounce), at(1190), run(a), sub(c, c, debounce)}, true},
		{"debounced, but not for more than its most", []step{at(1000), sub(a, a, debounce), at(1090), sub(b, a, debounce), at(1180), sub(c, a, debounce), at(1250), run(a)}, true},
		{"debounced, and repeated", []step{at(1000), sub(a, a, debounce), at(1050), sub(b, a, debounce), at(1060), sub(b, a, debounce), at(1150), run(a)}, true},
		{"debounced, and early", []step{at(1000), sub(a, a, debounce), at(1090), sub(b, a, debounce), at(1189), run(a)}, false},
		{"debounced, and two wait", []step{at(1000), sub(a, a, debounce), at(1090), sub(b, b, debounce)}, false},
		{"debounced, and another takes its place", []step{at(1000), sub(a, a, debounce), at(1090), sub(b, b, debounce, a), at(1190), run(b)}, true},
		{"debounced into one that runs", []step{at(1000), sub(a, a, debounce), at(1100), run(a), sub(b, a, debounce)}, false},
		{"the latest waits", []step{sub(a, a, latest), run(a), sub(b, b, latest), sub(c, c, latest, b), end(a), run(c)}, true},
		{"two wait", []step{sub(a, a, latest), run(a), sub(b, b, latest), sub(c, c, latest)}, false},
		{"one waits, and another comes first", []step{sub(a, a, latest), sub(b, b, latest)}, false},
		{"two run", []step{sub(a, a, latest), run(a), sub(b, b, latest), run(b)}, false},
		{"the latest is told of another", []step{sub(a, a, latest), run(a), sub(b, a, latest)}, false},
	} {
		f := &forged{nowMS: 1000}
		for _, s := range test.steps {
			s(f)
		}
		if held, first := holds(unique(events(f.entries))); held != test.held {
			t.Errorf("%s: held %t %s", test.name, held, first)
		}
	}
}

// holds reports whether all verdicts do, and what broke the first that does not.
func holds(all []evidence.Verdict) (bool, string) {
	for _, v := range all {
		if !v.Held() {
			return false, v.Violations[0]
		}
	}
	return true, ""
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
		if held, first := holds(unique(events(f.entries))); held != test.held {
			t.Errorf("%s: held %t %s", test.name, held, first)
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
