package checker

import (
	"slices"
	"testing"
	"time"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

var (
	job    = fsm.JobID{1}
	first  = fsm.TaskRef{Job: job, Step: 0}
	second = fsm.TaskRef{Job: job, Step: 1}
	acked  = history.Op{Kind: "submit", Key: "k", Value: job.String(), Outcome: history.OK}
)

// judge runs the folds over a forged log, in which a map has two items and a fold one node.
func judge(f *forged, ops ...history.Op) ([]evidence.Verdict, evidence.Submissions) {
	all := events(f.entries)
	told, n := submissions(ops, all)
	total := func(_ fsm.JobID, step uint32) (uint64, bool) { return []uint64{2, 1, 1}[step], true }
	return slices.Concat(told, leases(all), attempts(all), order(all, total)), n
}

// run is one attempt that succeeds.
func (f *forged) run(ref fsm.TaskRef) {
	f.complete(ref, 1, f.grant(ref, 1, 1, 0), "1", fsm.Answer{})
}

func TestCheck_FindsWhatIsForged(t *testing.T) {
	done := fsm.Answer{}
	for _, c := range []struct {
		name string
		id   string
		ops  []history.Op
		log  func(f *forged)
	}{
		{"a task is leased twice", "A1", nil, func(f *forged) { f.grant(first, 1, 1, 0); f.grant(first, 2, 1, 0) }},
		{"a fence goes back", "A1", nil, func(f *forged) {
			f.release(first, 1, f.grant(first, 1, 1, 0))
			f.entry(nil, done, fsm.Result{Grants: []fsm.Grant{{Task: first, Session: 1, Fence: fsm.Fence{Index: 1}, Attempt: 1}}})
		}},
		{"a stale result is accepted", "A2", nil, func(f *forged) {
			old := f.grant(first, 1, 1, 0)
			f.closeSession(1, true)
			f.grant(first, 2, 1, 1)
			f.complete(first, 1, old, "1", done)
		}},
		{"a stale failure is accepted", "A2", nil, func(f *forged) {
			old := f.grant(first, 1, 1, 0)
			f.revoke(first, 1, old, "JOB_CANCELED")
			f.fail(first, 1, old, &fsmpb.FailTask{})
		}},
		{"a task that is done is leased again", "A4", nil, func(f *forged) { f.run(first); f.grant(first, 2, 1, 0) }},
		{"a second result is accepted", "A10", nil, func(f *forged) { f.run(first); f.run(first) }},
		{"another result is taken for the accepted one", "A9", nil, func(f *forged) {
			f.run(first)
			f.complete(first, 1, fsm.Fence{Index: 2}, "2", fsm.Answer{Duplicate: true})
		}},
		{"a failure is not charged", "A3", nil, func(f *forged) {
			f.fail(first, 1, f.grant(first, 1, 1, 0), &fsmpb.FailTask{RetryAfterMs: 1})
			f.nowMS += 10
			f.grant(first, 1, 1, 0)
		}},
		{"a hand-back is charged", "A3", nil, func(f *forged) { f.release(first, 1, f.grant(first, 1, 1, 0)); f.grant(first, 1, 2, 0) }},
		{"a time limit is not charged", "A3", nil, func(f *forged) {
			f.revoke(first, 1, f.grant(first, 1, 1, 0), "TIMEOUT")
			f.nowMS += 5000
			f.grant(first, 1, 1, 0)
		}},
		{"a lost worker is granted past the crash limit", "A3", nil, func(f *forged) {
			for n := range uint32(3) {
				f.grant(first, uint64(n)+1, 1, n)
				f.closeSession(uint64(n)+1, true)
			}
		}},
		{"there is an attempt past the limit", "A3", nil, func(f *forged) {
			for n := range uint32(4) {
				f.fail(first, 1, f.grant(first, 1, n+1, 0), &fsmpb.FailTask{})
				f.nowMS += 60_000
			}
		}},
		{"a retry does not wait for its policy's delay", "A8", nil, func(f *forged) {
			f.fail(first, 1, f.grant(first, 1, 1, 0), &fsmpb.FailTask{})
			f.nowMS += 899
			f.grant(first, 1, 2, 0)
		}},
		{"a snooze is cut short", "A8", nil, func(f *forged) {
			f.fail(first, 1, f.grant(first, 1, 1, 0), &fsmpb.FailTask{Snooze: true, RetryAfterMs: 500})
			f.nowMS += 499
			f.grant(first, 1, 1, 0)
		}},
		{"a step runs before its parent is done", "D1", nil, func(f *forged) { f.grant(second, 1, 1, 0) }},
		{"a job that ended goes on", "D5", nil, func(f *forged) { f.end(job, fsm.JobFailure); f.grant(first, 1, 1, 0) }},
		{"a canceled job goes on", "S7", nil, func(f *forged) { f.cancel(job); f.grant(first, 1, 1, 0) }},
		{"a job ends twice", "S1", nil, func(f *forged) { f.end(job, fsm.JobSuccess); f.end(job, fsm.JobFailure) }},
		{"an acknowledged submission is not in the log", "S1", []history.Op{acked, {Kind: "submit", Key: "lost", Value: job.String(), Outcome: history.OK}}, func(f *forged) { f.end(job, fsm.JobSuccess) }},
		{"an acknowledged job never ends", "S1", []history.Op{acked}, func(f *forged) { f.run(first) }},
		{"two clients of a key are told different jobs", "S3", []history.Op{acked, {Kind: "submit", Key: "k", Value: "other", Outcome: history.OK}}, func(f *forged) {}},
		{"nobody submitted the job", "S4", []history.Op{{Kind: "submit", Key: "other", Outcome: history.Unknown}}, func(f *forged) {}},
		{"a submission of unknown outcome makes two jobs", "S5", []history.Op{{Kind: "submit", Key: "k", Outcome: history.Unknown}}, func(f *forged) { f.submit(fsm.JobID{2}, "k", chain(t), 0) }},
		{"a refused submission is made", "S6", []history.Op{{Kind: "submit", Key: "k", Outcome: history.Fail, Error: "no leader"}}, func(f *forged) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &forged{nowMS: 1000}
			f.submit(job, "k", chain(t), 0)
			c.log(f)
			verdicts, _ := judge(f, c.ops...)
			if !broken(verdicts, c.id) {
				t.Errorf("%s is not found to be broken: %+v", c.id, verdicts)
			}
		})
	}
}

func broken(all []evidence.Verdict, id string) bool {
	return slices.ContainsFunc(all, func(v evidence.Verdict) bool { return v.ID == id && !v.Held() })
}

func TestCheck_AJobThatIsGrantedBeforeItsStartTimeIsFound(t *testing.T) {
	f := &forged{nowMS: 1000}
	f.submit(job, "k", chain(t), 1500)
	f.nowMS = 1499
	f.grant(first, 1, 1, 0)
	if verdicts, _ := judge(f); !broken(verdicts, "T1") {
		t.Errorf("T1 is not found to be broken: %+v", verdicts)
	}
}

func TestCheck_AFoldBeforeItsMapAndAStepBeforeItsFoldAreFound(t *testing.T) {
	item := func(n uint64) fsm.TaskRef { return fsm.TaskRef{Job: job, Shard: n} }
	node := fsm.TaskRef{Job: job, Step: 1, Shard: dag.Node{Level: 1}.Shard()}
	last := fsm.TaskRef{Job: job, Step: 2}
	for _, c := range []struct {
		name   string
		run    []fsm.TaskRef
		broken bool
	}{
		{"all in order", []fsm.TaskRef{item(1), item(0), node, last}, false},
		{"the node before an item", []fsm.TaskRef{item(0), node}, true},
		{"the step before the fold", []fsm.TaskRef{item(0), item(1), last}, true},
	} {
		f := &forged{nowMS: 1000}
		f.submit(job, "k", mapped(t), 0)
		for _, ref := range c.run {
			f.run(ref)
		}
		if verdicts, _ := judge(f); broken(verdicts, "D1") != c.broken {
			t.Errorf("%s: D1 is broken: %t: %+v", c.name, !c.broken, verdicts)
		}
	}
}

func TestCheck_AnItemThatAMapLeavesOutIsFound(t *testing.T) {
	for _, left := range []bool{false, true} {
		f := &forged{nowMS: 1000}
		f.submit(job, "k", mapped(t), 0)
		if !left {
			f.run(fsm.TaskRef{Job: job, Shard: 0})
		}
		f.run(fsm.TaskRef{Job: job, Shard: 1})
		if verdicts, _ := judge(f); broken(verdicts, "D2") != left {
			t.Errorf("an item is left out: %t; D2 is broken: %t: %+v", left, !left, verdicts)
		}
	}
}

func TestCheck_AnHonestLogBreaksNothing(t *testing.T) {
	f := &forged{nowMS: 1000}
	f.submit(job, "k", chain(t), 1000)
	f.fail(first, 1, f.grant(first, 1, 1, 0), &fsmpb.FailTask{})
	f.nowMS += 1000
	f.grant(first, 2, 2, 0)
	f.closeSession(2, true)
	f.revoke(first, 3, f.grant(first, 3, 2, 1), "TIMEOUT")
	f.cancel(job)
	f.end(job, fsm.JobCanceled)
	f.retry(job)
	f.fail(first, 3, f.grant(first, 3, 1, 0), &fsmpb.FailTask{Snooze: true, RetryAfterMs: 10})
	f.nowMS += 10
	fence := f.grant(first, 4, 1, 0)
	f.complete(first, 4, fence, "1", fsm.Answer{})
	f.complete(first, 4, fence, "1", fsm.Answer{Duplicate: true})
	f.run(second)
	f.end(job, fsm.JobSuccess)
	verdicts, _ := judge(f, acked, acked)
	for _, v := range verdicts {
		if !v.Held() {
			t.Errorf("%s: %v", v.ID, v.Violations)
		}
	}
}

func TestSubmissions_UnknownOutcomesAreResolvedFromTheLog(t *testing.T) {
	f := &forged{nowMS: 1000}
	f.submit(job, "k", chain(t), 0)
	f.submit(fsm.JobID{2}, "there", chain(t), 0)
	f.end(job, fsm.JobSuccess)
	unknown := func(key string) history.Op { return history.Op{Kind: "submit", Key: key, Outcome: history.Unknown} }
	refused := history.Op{Kind: "submit", Key: "refused", Outcome: history.Fail}
	_, n := judge(f, acked, unknown("k"), unknown("there"), unknown("there"), unknown("not there"), refused)
	if want := (evidence.Submissions{Acked: 1, Recovered: 1, Never: 1, Refused: 1}); n != want {
		t.Errorf("%+v, want %+v", n, want)
	}
}

func TestSameLogs_ATermThatGoesBackIsFound(t *testing.T) {
	e := &evidence.Evidence{Ledger: &ledger.Ledger{Entries: []ledger.Entry{{Index: 1, Term: 2}, {Index: 2, Term: 1}}}}
	if v := sameLogs(e); v.Held() {
		t.Error("X2 is not found to be broken")
	}
}

func TestSameHashes_AReplicaThatDiffersIsFound(t *testing.T) {
	e := &evidence.Evidence{Ledger: &ledger.Ledger{Hashes: map[uint64]string{9: "a"}}, FinalIndex: 9, Final: map[string]string{"n1": "a", "n2": "b"}}
	if v := sameHashes(e); v.Total != 1 {
		t.Errorf("X1: %+v", v)
	}
}

func TestNeverBack_ANodeThatComesBackWithLessThanItsDiskHadIsFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		samples []evidence.Sample
		held    bool
	}{
		{"a start that begins at what was flushed", []evidence.Sample{{Node: "n1", Applied: 9, Flushed: 5}, {Node: "n2"}, {Node: "n1", Applied: 5, Flushed: 5}}, true},
		{"one that begins before it", []evidence.Sample{{Node: "n1", Applied: 9, Flushed: 5}, {Node: "n1", Applied: 4, Flushed: 4}}, false},
		{"a flush that is taken back", []evidence.Sample{{Node: "n1", Applied: 9, Flushed: 5}, {Node: "n1", Applied: 9, Flushed: 4}}, false},
		{"another disk", []evidence.Sample{{Node: "n1", Applied: 9, Flushed: 5}, {Node: "n1", Disk: 1}}, true},
	} {
		if v := neverBack(&evidence.Evidence{Samples: c.samples}); v.Held() != c.held {
			t.Errorf("%s: held is %t: %v", c.name, v.Held(), v.Violations)
		}
	}
}

func TestProbes_AStateThatDiffersDuringTheRunIsFound(t *testing.T) {
	e := &evidence.Evidence{Ledger: &ledger.Ledger{Hashes: map[uint64]string{9: "a"}}}
	e.Probes = []evidence.Probe{{Node: "n1", Index: 9, Hash: "a"}, {Node: "n1", Index: 7, Hash: "of an entry that was not committed"}, {Node: "n2", Index: 9, Hash: "b"}}
	if v := probes(e); v.Total != 1 {
		t.Errorf("X4: %+v", v)
	}
}

func TestQuiet_APanicIsFound(t *testing.T) {
	if v := quiet(&evidence.Evidence{Output: evidence.Output{Alarms: []string{"n1.log:7: panic: no"}}}); v.Held() {
		t.Error("L5 is not found to be broken")
	}
}

func TestDamaged_AnEntryThatIsGivenOutWrongIsFound(t *testing.T) {
	e := &evidence.Evidence{Ledger: &ledger.Ledger{Damaged: []ledger.Damaged{{Read: 9}, {Wrong: []string{"index 7"}}}}}
	if v := damaged(e); len(v) != 1 || v[0].Held() {
		t.Errorf("X5: %+v", v)
	}
}

func TestTidy_WhatLeaksWithEveryOperationIsFound(t *testing.T) {
	e := &evidence.Evidence{Vitals: []evidence.NodeVitals{
		{Node: "n1", Before: evidence.Vitals{Goroutines: 30, Sockets: 7}, After: evidence.Vitals{Goroutines: 45, Sockets: 12}},
		{Node: "n2", Before: evidence.Vitals{Goroutines: 20, Sockets: 7}, After: evidence.Vitals{Goroutines: 400, Sockets: 70}},
	}}
	if v := tidy(e); v.Total != 2 {
		t.Errorf("L4: %+v", v)
	}
}

func TestOneLeader_AnElectionWithoutAFaultIsFound(t *testing.T) {
	start := time.UnixMilli(1000)
	e := &evidence.Evidence{Start: start, Ledger: &ledger.Ledger{Entries: []ledger.Entry{{Index: 1, Term: 2, NowMS: 900}, {Index: 2, Term: 3, NowMS: 950}, {Index: 3, Term: 3, NowMS: 1500}, {Index: 4, Term: 4}, {Index: 5, Term: 4, NowMS: 2000}}}}
	if v := oneLeader(e); len(v) != 1 || v[0].Total != 1 {
		t.Errorf("L2: %+v", v)
	}
	if e.Faults = []evidence.Fault{{}}; oneLeader(e) != nil {
		t.Error("a run with a fault is judged")
	}
	if e.Faults, e.Lag = nil, time.Second; oneLeader(e) != nil {
		t.Error("a machine that was starved is judged")
	}
	if e.Lag, e.Slow = 0, time.Second; oneLeader(e) != nil {
		t.Error("nodes that were starved are judged")
	}
	if e.Slow, e.Moves = 0, true; oneLeader(e) != nil {
		t.Error("a workload that moves the leader is judged")
	}
	e.Moves, e.Samples = false, []evidence.Sample{{Node: "n1", Term: 4}, {Node: "n2", Term: 5}, {Node: "n3", Term: 5}}
	if v := oneLeader(e); len(v) != 1 || v[0].Total != 2 {
		t.Errorf("L2, a term without a leader: %+v", v)
	}
}

func TestFair_AJobThatNobodyServesIsFound(t *testing.T) {
	f := &forged{nowMS: 1000}
	f.submit(job, "k", chain(t), 0)
	f.submit(fsm.JobID{2}, "served", chain(t), 0)
	f.submit(fsm.JobID{3}, "not due", chain(t), 90_000)
	f.grant(fsm.TaskRef{Job: fsm.JobID{2}}, 1, 1, 0)
	f.nowMS += patienceMS + 1
	f.release(fsm.TaskRef{Job: fsm.JobID{2}}, 1, fsm.Fence{})
	if v := fair(events(f.entries)); v.Total != 1 {
		t.Errorf("L6: %+v", v)
	}
}
