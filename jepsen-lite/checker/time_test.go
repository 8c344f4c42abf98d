package checker

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// at sets the time of the entries from here on, in ms.
func (f *forged) at(ms int64) *forged { f.nowMS = ms; return f }

func (f *forged) limit(kind fsmpb.LimitKind, n uint64, more ...func(*fsmpb.Limit)) {
	l := &fsmpb.Limit{Namespace: "default", Scope: fsmpb.LimitScope_LIMIT_SCOPE_QUEUE, Name: "q", Kind: kind, N: n, PeriodMs: 1000, Burst: 2}
	for _, m := range more {
		m(l)
	}
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_SetLimit{SetLimit: &fsmpb.SetLimit{Limit: l}}}, fsm.Answer{}, fsm.Result{})
}

// lease grants a task of a job of its own in the queue q, in a session of its own.
func (f *forged) lease(n byte) fsm.Fence {
	fence := fsm.Fence{Index: uint64(len(f.entries) + 1)}
	f.entry(nil, fsm.Answer{}, fsm.Result{Grants: []fsm.Grant{{Task: fsm.TaskRef{Job: fsm.JobID{n}}, Session: uint64(n), Fence: fence, Attempt: 1, Queue: "q", Kind: "k"}}})
	return fence
}

func (f *forged) options(id fsm.JobID, g *dag.Graph, o *fsmpb.JobOptions) {
	data, err := proto.Marshal(o)
	if err != nil {
		panic(err)
	}
	f.entry(&fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: id[:], Namespace: "default", Graph: dag.Encode(g), Options: data}}}, fsm.Answer{Job: id}, fsm.Result{})
}

func perPartition(l *fsmpb.Limit) { l.PerPartition = true }

const (
	rate        = fsmpb.LimitKind_LIMIT_KIND_RATE
	window      = fsmpb.LimitKind_LIMIT_KIND_WINDOW
	concurrency = fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY
)

func TestLimits_FindWhatIsForged(t *testing.T) {
	in := func(f *forged, n byte, partition string) {
		f.options(fsm.JobID{n}, chain(t), &fsmpb.JobOptions{Partition: partition})
		f.lease(n)
	}
	for _, c := range []struct {
		name string
		log  func(f *forged)
		want int
	}{
		{"as many as the slots", func(f *forged) { f.limit(concurrency, 2); f.lease(1); f.lease(2) }, 0},
		{"one more than the slots", func(f *forged) { f.limit(concurrency, 2); f.lease(1); f.lease(2); f.lease(3) }, 1},
		{"one more, when one is done", func(f *forged) {
			f.limit(concurrency, 1)
			f.complete(fsm.TaskRef{Job: fsm.JobID{1}}, 1, f.lease(1), "1", fsm.Answer{})
			f.lease(2)
		}, 0},
		{"one more, when a worker is lost", func(f *forged) { f.limit(concurrency, 1); f.lease(1); f.closeSession(1, true); f.lease(2) }, 0},
		{"what was leased before the limit counts", func(f *forged) { f.lease(1); f.limit(concurrency, 1); f.lease(2) }, 1},
		{"the limit was lowered", func(f *forged) { f.limit(concurrency, 3); f.lease(1); f.limit(concurrency, 1); f.lease(2) }, 1},
		{"the limit was deleted", func(f *forged) {
			f.limit(concurrency, 1)
			f.lease(1)
			f.entry(&fsmpb.Command{Kind: &fsmpb.Command_DeleteLimit{DeleteLimit: &fsmpb.DeleteLimit{Limit: &fsmpb.Limit{
				Namespace: "default", Scope: fsmpb.LimitScope_LIMIT_SCOPE_QUEUE, Name: "q", Kind: concurrency}}}}, fsm.Answer{}, fsm.Result{})
			f.lease(2)
		}, 0},
		{"a limit of another task", func(f *forged) {
			f.limit(concurrency, 1, func(l *fsmpb.Limit) { l.Scope, l.Name = fsmpb.LimitScope_LIMIT_SCOPE_TASK, "other" })
			f.lease(1)
			f.lease(2)
		}, 0},
		{"two partitions, one slot each", func(f *forged) { f.limit(concurrency, 1, perPartition); in(f, 1, "a"); in(f, 2, "b") }, 0},
		{"one partition with two of its one slot", func(f *forged) { f.limit(concurrency, 1, perPartition); in(f, 1, "a"); in(f, 2, "a") }, 1},
		{"a window that is full", func(f *forged) { f.limit(window, 2); f.at(0).lease(1); f.at(999).lease(2); f.at(1000).lease(3) }, 0},
		{"a window with one too many", func(f *forged) { f.limit(window, 2); f.at(1).lease(1); f.at(999).lease(2); f.at(1000).lease(3) }, 1},
		{"a window after the leader changed", func(f *forged) {
			f.limit(window, 1)
			f.at(1).lease(1)
			f.entries[len(f.entries)-1].Term = 2
			f.at(2).lease(2)
		}, 1},
		{"a rate with its burst", func(f *forged) {
			f.limit(rate, 10)
			f.at(0).lease(1)
			f.lease(2)
			f.at(100).lease(3)
			f.at(200).lease(4)
		}, 0},
		{"a rate above its burst", func(f *forged) { f.limit(rate, 10); f.at(0).lease(1); f.lease(2); f.lease(3) }, 1},
		{"a rate that is a millisecond early", func(f *forged) { f.limit(rate, 10); f.at(0).lease(1); f.lease(2); f.at(99).lease(3) }, 1},
		{"a burst twice, with a pause that is too short", func(f *forged) {
			f.limit(rate, 10)
			f.at(0).lease(1)
			f.lease(2)
			f.at(150).lease(3)
			f.lease(4)
		}, 1},
		{"a rate that does not divide its period", func(f *forged) { f.limit(rate, 3); f.at(0).lease(1); f.lease(2); f.at(333).lease(3) }, 1},
		{"... a millisecond later", func(f *forged) { f.limit(rate, 3); f.at(0).lease(1); f.lease(2); f.at(334).lease(3) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &forged{}
			c.log(f)
			got := 0
			for _, v := range limits(events(f.entries)) {
				got += v.Total
			}
			if got != c.want {
				t.Errorf("%d violations, want %d", got, c.want)
			}
		})
	}
}

// bounded is one plain step whose attempts have 100 ms, and whose wait has 50 ms.
func bounded(t *testing.T) *dag.Graph {
	t.Helper()
	b := dag.NewBuilder("bounded")
	b.Output(b.Task("only", dag.Step{Task: "a", Input: dag.Input(), Options: dag.Options{HardTimeoutMS: 100, QueueWaitMS: 50}}))
	return build(t, b)
}

func TestTimeouts_FindWhatIsForged(t *testing.T) {
	timedOut := &fsm.JobView{State: fsm.JobFailure, Error: &fsm.TaskError{Err: &fsmpb.Error{Message: "the job ran for 1s, its limit"}}}
	expired := func(reason string) *fsm.JobView {
		return &fsm.JobView{State: fsm.JobCanceled, CancelReason: reason}
	}
	within := &fsmpb.JobOptions{StartWithinMs: 100, TimeoutMs: 1000}
	for _, c := range []struct {
		name string
		last *fsm.JobView
		log  func(f *forged)
		want int
	}{
		{"an attempt is ended at its limit", nil, func(f *forged) { g := f.grant(first, 1, 1, 0); f.at(100).revoke(first, 1, g, "TIMEOUT") }, 0},
		{"an attempt is ended before its limit", nil, func(f *forged) { g := f.grant(first, 1, 1, 0); f.at(99).revoke(first, 1, g, "TIMEOUT") }, 1},
		{"an attempt is ended for its silence", nil, func(f *forged) {
			g := f.grant(first, 1, 1, 0)
			f.at(9).entry(&fsmpb.Command{Kind: &fsmpb.Command_TimeOutTask{TimeOutTask: &fsmpb.TimeOutTask{Session: 1, Fence: g.Proto(), Task: first.Proto()}}}, fsm.Answer{},
				fsm.Result{Revokes: []fsm.Revoke{{Session: 1, Fence: g, Task: first, Cause: "TIMEOUT"}}})
		}, 0},
		{"a result is accepted after the attempt's limit", nil, func(f *forged) { g := f.grant(first, 1, 1, 0); f.at(100).complete(first, 1, g, "1", fsm.Answer{}) }, 1},
		{"a job starts after it had to", nil, func(f *forged) { f.at(100).grant(first, 1, 1, 0) }, 1},
		{"a job starts before it had to", nil, func(f *forged) { f.at(99).grant(first, 1, 1, 0) }, 0},
		{"a job succeeds after its limit", nil, func(f *forged) { f.at(1000).end(job, fsm.JobSuccess) }, 1},
		{"a job is out of time", timedOut, func(f *forged) { f.at(1000).end(job, fsm.JobFailure) }, 0},
		{"a job is out of time early", timedOut, func(f *forged) { f.at(999).end(job, fsm.JobFailure) }, 1},
		{"a job expires", expired("EXPIRED: nothing of the job had started"), func(f *forged) { f.at(100).end(job, fsm.JobCanceled) }, 0},
		{"a job expires early", expired("EXPIRED: nothing of the job had started"), func(f *forged) { f.at(99).end(job, fsm.JobCanceled) }, 1},
		{"a task expires in its queue", expired("EXPIRED: step only waited"), func(f *forged) { f.at(50).end(job, fsm.JobCanceled) }, 0},
		{"a task expires in its queue early", expired("EXPIRED: step only waited"), func(f *forged) { f.at(49).end(job, fsm.JobCanceled) }, 1},
		{"a retried job is out of time early", timedOut, func(f *forged) {
			f.at(1000).end(job, fsm.JobFailure)
			f.retry(job)
			f.at(1999).end(job, fsm.JobFailure)
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &forged{}
			f.options(job, bounded(t), within)
			c.log(f)
			got := 0
			for _, v := range timeouts(events(f.entries), func(fsm.JobID) *fsm.JobView { return c.last }) {
				got += v.Total
			}
			if got != c.want {
				t.Errorf("%d violations, want %d", got, c.want)
			}
		})
	}
}

func TestClocks_FindWhatIsForged(t *testing.T) {
	const start = 1_000_000 // unix ms
	// stamp is an entry in a term, stamped so many ms after the start, that a client knows of at that time.
	type stamp struct {
		term  uint64
		stamp int64
		knows int64
	}
	hour := evidence.Fault{Target: "n1 clock +3600.0 s", Begin: 10 * time.Second, End: 20 * time.Second}
	for _, c := range []struct {
		name   string
		faults []evidence.Fault
		stamps []stamp
		want   bool
	}{
		{"the right time", nil, []stamp{{1, 0, 10}, {1, 1000, 1010}, {2, 5000, 5010}, {2, 6000, 6010}}, true},
		{"half a second ahead in a term", nil, []stamp{{1, 0, 10}, {1, 1500, 1010}}, true},
		{"an hour ahead in a term", []evidence.Fault{hour}, []stamp{{1, 9000, 9010}, {1, 3_610_000, 10_010}}, false},
		{"an hour ahead from the begin of a term, with a clock that has jumped", []evidence.Fault{hour}, []stamp{{1, 9000, 9010}, {2, 3_611_000, 11_010}, {3, 3_630_000, 30_010}}, true},
		{"an hour ahead from the begin of a term, with the clock right", []evidence.Fault{hour}, []stamp{{1, 9000, 9010}, {1, 21_000, 21_010}, {2, 3_630_000, 30_010}}, false},
		{"five seconds ahead in the second term", nil, []stamp{{1, 0, 10}, {1, 1000, 1010}, {2, 7000, 2010}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &evidence.Evidence{Start: time.UnixMilli(start), Faults: c.faults, Duration: time.Minute, Ledger: &ledger.Ledger{}}
			for i, s := range c.stamps {
				index := uint64(10 * (i + 1))
				e.Ledger.Entries = append(e.Ledger.Entries, ledger.Entry{Index: index, Term: s.term, NowMS: start + s.stamp})
				end := time.Duration(s.knows) * time.Millisecond
				id := fsm.JobID{byte(i + 1)}
				e.Ops = append(e.Ops, history.Op{Kind: "submit", Key: id.String(), Value: id.String(), Outcome: history.OK, Begin: end - 10*time.Millisecond, End: end})
			}
			var all []event
			for i, entry := range e.Ledger.Entries {
				all = append(all, event{what: submitted, index: entry.Index, job: fsm.JobID{byte(i + 1)}})
			}
			v := stamps(e, marksOf(e.Ops, all))
			if v.Held() != c.want || v.Count == 0 {
				t.Errorf("held: %t of %d, want %t: %q", v.Held(), v.Count, c.want, v.Violations)
			}
		})
	}
}

func TestClocks_TheStateNeverGoesBack(t *testing.T) {
	f := &forged{}
	f.at(500).submit(job, "", chain(t), 0)
	f.at(400).submit(fsm.JobID{2}, "", chain(t), 0) // stamped earlier: the state's time stays
	f.end(job, fsm.JobSuccess)
	all := events(f.entries)
	judge := func(second int64) evidence.Verdict {
		return recorded(all, func(id fsm.JobID) *fsm.JobView {
			if id == job {
				return &fsm.JobView{State: fsm.JobSuccess, CreatedMS: 500, FinishedMS: 500}
			}
			return &fsm.JobView{CreatedMS: second}
		})
	}
	if v := judge(500); !v.Held() || v.Count != 3 {
		t.Errorf("%d: %q", v.Count, v.Violations)
	}
	if v := judge(400); v.Held() {
		t.Error("nothing is said of a job that was made at a time that goes back")
	}
}

func TestTicks_FindWhatIsForged(t *testing.T) {
	id := func(tick int64) fsm.JobID { return fsm.JobID{1, byte(tick / 1000)} }
	set := func(f *forged, c *fsmpb.SetSchedule) {
		c.Name, c.EveryMs = "s", 1000
		f.entry(&fsmpb.Command{Kind: &fsmpb.Command_SetSchedule{SetSchedule: c}}, fsm.Answer{}, fsm.Result{})
	}
	pause := func(f *forged, resume bool) {
		f.entry(&fsmpb.Command{Kind: &fsmpb.Command_PauseSchedule{PauseSchedule: &fsmpb.PauseSchedule{Name: "s", Resume: resume}}}, fsm.Answer{}, fsm.Result{})
	}
	tick := func(f *forged, times ...int64) {
		for _, ms := range times {
			f.at(ms).entry(nil, fsm.Answer{}, fsm.Result{})
		}
	}
	all := &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, Missed: fsmpb.Missed_MISSED_FIRE_ALL}
	jittered := &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, Missed: fsmpb.Missed_MISSED_FIRE_ALL, JitterMs: 5000}
	jittery := when{set: &fsmpb.SetSchedule{Name: "s", JitterMs: 5000}, interval: 1000} // each second, below the next
	for _, at := range []int64{1000, 2000, 3000} {
		if due := jittery.dueAt(at); due <= at || due >= at+1000 {
			t.Fatalf("the tick at %d is due at %d", at, due)
		}
	}
	type job struct{ tick, made int64 }
	for _, c := range []struct {
		name string
		log  func(f *forged)
		jobs []job
		want int
	}{
		{"each tick", func(f *forged) { set(f, all); tick(f, 999, 1000, 1999, 2005) }, []job{{1000, 1000}, {2000, 2005}}, 0},
		{"a tick is lost", func(f *forged) { set(f, all); tick(f, 1000, 2000) }, []job{{1000, 1000}}, 1},
		{"a tick is lost in a change of leaders", func(f *forged) { set(f, all); tick(f, 1000, 4000) }, []job{{1000, 1000}, {2000, 4000}, {4000, 4000}}, 1},
		{"a tick has two jobs", func(f *forged) { set(f, all); tick(f, 1000) }, []job{{1000, 1000}, {1000, 1000}}, 1},
		{"a job that no tick has made", func(f *forged) { set(f, all); tick(f, 1000) }, []job{{1000, 1000}, {1500, 1500}}, 1},
		{"a tick is early", func(f *forged) { set(f, all); tick(f, 990, 1000) }, []job{{1000, 990}}, 1},
		{"missed, one for all", func(f *forged) { set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW}); tick(f, 3500) }, []job{{3000, 3500}}, 0},
		{"missed, at most two", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, Missed: fsmpb.Missed_MISSED_FIRE_ALL, MissedMax: 2})
			tick(f, 3500)
		}, []job{{2000, 3500}, {3000, 3500}}, 0},
		{"missed, too late", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, Missed: fsmpb.Missed_MISSED_SKIP, LateMs: 100})
			tick(f, 1101, 2050)
		}, []job{{1000, 1101}, {2000, 2050}}, 1},
		{"one runs: left out", func(f *forged) {
			set(f, &fsmpb.SetSchedule{})
			tick(f, 1000, 2000)
			f.end(id(1000), fsm.JobSuccess)
			tick(f, 3000)
		}, []job{{1000, 1000}, {3000, 3000}}, 0},
		{"one runs: not left out", func(f *forged) { set(f, &fsmpb.SetSchedule{}); tick(f, 1000, 2000) }, []job{{1000, 1000}, {2000, 2000}}, 1},
		{"one runs: it waits", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_QUEUE_ONE})
			tick(f, 1000, 2000, 3000)
			f.at(3100).end(id(1000), fsm.JobSuccess)
			tick(f, 3200)
		}, []job{{1000, 1000}, {2000, 3200}}, 0},
		{"one runs: the one that waited is lost", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_QUEUE_ONE})
			tick(f, 1000, 2000)
			f.at(2100).end(id(1000), fsm.JobSuccess)
			tick(f, 2200)
		}, []job{{1000, 1000}}, 1},
		{"one runs: it is canceled", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_CANCEL_OLD})
			tick(f, 1000, 2000)
		}, []job{{1000, 1000}, {2000, 2000}}, 0},
		{"paused, and resumed", func(f *forged) {
			set(f, all)
			tick(f, 1000)
			pause(f, false)
			tick(f, 2000, 3100)
			pause(f, true)
			tick(f, 3200, 4000)
		}, []job{{1000, 1000}, {4000, 4000}}, 0},
		{"from a start", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, StartMs: 1700})
			tick(f, 1000, 1699, 1700, 2700)
		}, []job{{1700, 1700}, {2700, 2700}}, 0},
		{"before its start", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, StartMs: 1700})
			tick(f, 1000, 1700)
		}, []job{{1000, 1000}, {1700, 1700}}, 1},
		{"to an end", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, EndMs: 2000})
			tick(f, 1000, 2000, 3000)
		}, []job{{1000, 1000}}, 0},
		{"at its end", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, EndMs: 2000})
			tick(f, 1000, 2000)
		}, []job{{1000, 1000}, {2000, 2000}}, 1},
		{"other times, from now", func(f *forged) {
			set(f, all)
			tick(f, 1000, 1500)
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, StartMs: 1400})
			tick(f, 2000, 2400)
		}, []job{{1000, 1000}, {2400, 2400}}, 0},
		{"with its jitter", func(f *forged) {
			set(f, jittered)
			tick(f, 1000, jittery.dueAt(1000)-1, jittery.dueAt(1000), jittery.dueAt(2000))
		}, []job{{1000, jittery.dueAt(1000)}, {2000, jittery.dueAt(2000)}}, 0},
		{"before its jitter is over", func(f *forged) {
			set(f, jittered)
			tick(f, 1000, jittery.dueAt(1000)-1, jittery.dueAt(1000))
		}, []job{{1000, 1000}}, 1},
		{"missed with jitter: the newest that is due", func(f *forged) {
			set(f, &fsmpb.SetSchedule{Overlap: fsmpb.Overlap_OVERLAP_ALLOW, JitterMs: jittered.JitterMs})
			tick(f, jittery.dueAt(3000)-1, jittery.dueAt(3000))
		}, []job{{2000, jittery.dueAt(3000) - 1}, {3000, jittery.dueAt(3000)}}, 0},
		{"a tick while paused", func(f *forged) { set(f, all); pause(f, false); tick(f, 1000) }, []job{{1000, 1000}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &forged{}
			c.log(f)
			var jobs []*fsm.JobView
			for _, j := range c.jobs {
				jobs = append(jobs, &fsm.JobView{ID: id(j.tick), Schedule: "s", TickMS: j.tick, CreatedMS: j.made})
			}
			if v := ticks(f.entries, jobs); v.Total != c.want {
				t.Errorf("%d violations of %d, want %d: %q", v.Total, v.Count, c.want, v.Violations)
			}
		})
	}
}
