package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

func build(t testing.TB, name string, f func(b *dag.Builder)) *dag.Graph {
	t.Helper()
	b := dag.NewBuilder(name)
	f(b)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func chain(t testing.TB, n int) *dag.Graph {
	return build(t, "chain", func(b *dag.Builder) {
		v := dag.Input()
		for i := range n {
			v = b.Task(fmt.Sprintf("s%d", i), dag.Step{Task: "t", Input: v})
		}
		b.Output(v)
	})
}

// Sum of a map over the input list, folded as it lands.
func mapFold(t testing.TB, fanIn uint32, o dag.Options) *dag.Graph {
	return build(t, "mapfold", func(b *dag.Builder) {
		m := b.Map("m", dag.Step{Task: "t", Input: dag.Input(), Options: o})
		b.Output(b.Fold("f", dag.Step{Task: "sum", Input: m, Options: dag.Options{FanIn: fanIn, Retry: o.Retry}}))
	})
}

func TestChain_OneEntryAStep(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t"))
	r := h.apply(submit("a", chain(t, 10), `0`))
	for i := range 10 {
		if len(r.Grants) != 1 {
			t.Fatalf("step %d: %d grants, want 1\n%s", i, len(r.Grants), h.m.Dump())
		}
		g := r.Grants[0]
		if got := h.input(g); got != fmt.Sprint(i) {
			t.Fatalf("step %d got input %s", i, got)
		}
		r = h.apply(complete(g, fmt.Sprint(i+1)))
		if r.Answers[0].Refusal != nil {
			t.Fatal(r.Answers[0].Refusal)
		}
	}
	if h.index != 12 { // the worker, the job, ten results
		t.Fatalf("%d entries, want 12", h.index)
	}
	if len(r.Finished) != 1 || h.result(jobID("a")) != "10" {
		t.Fatalf("finished %v, result %s", r.Finished, h.result(jobID("a")))
	}
	h.replay(3)
}

func TestMap_OneEntryMakesAMillion(t *testing.T) {
	h := newHarness(t)
	doc := "[" + strings.Repeat("1,", 999_999) + "1]"
	up, v := upload("doc", []byte(doc))
	for _, c := range up {
		h.apply(c)
	}
	before := h.index
	c := submit("a", mapFold(t, 16, dag.Options{}), "")
	c.GetSubmitJob().Input = v
	if r := h.apply(c); r.Answers[0].Refusal != nil {
		t.Fatal(r.Answers[0].Refusal)
	}
	if h.index != before+1 {
		t.Fatalf("%d entries, want 1", h.index-before)
	}
	if s := h.job(jobID("a")).Steps[0]; s.Total != 1_000_000 || s.Pending != 1_000_000 {
		t.Fatalf("map has %d items, %d pending; want a million", s.Total, s.Pending)
	}
	r := h.apply(openWorker("w", 100, "t", "sum"))
	if len(r.Grants) != 100 {
		t.Fatalf("%d grants, want 100", len(r.Grants))
	}
}

// run is a worker that does everything at once.
func (h *harness) run(t *testing.T, r *Result, work func(g Grant, in string) *fsmpb.Command) {
	t.Helper()
	for n := 0; len(r.Grants) > 0 || r.More; n++ {
		var cmds []*fsmpb.Command
		for _, g := range r.Grants {
			cmds = append(cmds, work(g, h.input(g)))
		}
		if r = h.apply(cmds...); n > 10_000 {
			t.Fatal("no end")
		}
		for i, a := range r.Answers {
			if a.Refusal != nil && a.Refusal.Code != CodeCanceled {
				t.Fatalf("%v: %v", cmds[i], a.Refusal)
			}
		}
	}
}

func sum(in string) string {
	n := 0
	for _, f := range strings.FieldsFunc(in, func(r rune) bool { return strings.ContainsRune("[],", r) }) {
		var x int
		fmt.Sscan(f, &x)
		n += x
	}
	return fmt.Sprint(n)
}

func work(g Grant, in string) *fsmpb.Command {
	if g.Kind == "sum" {
		return complete(g, sum(in))
	}
	return complete(g, in)
}

func TestMapFold_EveryItemOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 15, 16, 17, 33, 300} {
		for _, over := range []string{"map", "list"} {
			t.Run(fmt.Sprintf("%s of %d", over, n), func(t *testing.T) {
				h := newHarness(t)
				g := mapFold(t, 4, dag.Options{MaxParallel: 7})
				if over == "list" {
					g = build(t, "fold", func(b *dag.Builder) {
						b.Output(b.Fold("f", dag.Step{Task: "sum", Input: dag.Input(), Options: dag.Options{FanIn: 4, MaxParallel: 5}}))
					})
				}
				var items []string
				want := 0
				for i := range n {
					items = append(items, fmt.Sprint(i))
					want += i
				}
				h.apply(openWorker("w", 10, "t", "sum"))
				h.run(t, h.apply(submit("a", g, "["+strings.Join(items, ",")+"]")), work)
				if j := h.job(jobID("a")); j.State != JobSuccess {
					t.Fatalf("%s\n%s", j.State, h.m.Dump())
				}
				if got := h.result(jobID("a")); got != fmt.Sprint(want) {
					t.Fatalf("sum %s, want %d", got, want)
				}
				h.replay(5)
			})
		}
	}
}

func TestCompleteTask_StaleFenceIsRefused(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("zombie", 1, "t"))
	g1 := h.apply(submit("a", chain(t, 1), `1`)).Grants[0]
	h.apply(openWorker("other", 1, "t"))
	g2 := h.apply(closeWorker(1, true)).Grants[0]
	if g2.Fence.Compare(g1.Fence) <= 0 || g2.Crashes != 1 || g2.Attempt != 1 {
		t.Fatalf("second grant %+v after %+v", g2, g1)
	}
	if a := h.apply(complete(g1, `"late"`)).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeStale {
		t.Fatalf("late result: %+v", a)
	}
	if a := h.apply(complete(g2, `"good"`)).Answers[0]; a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	if a := h.apply(complete(g2, `"good"`)).Answers[0]; !a.Duplicate {
		t.Fatalf("the same again: %+v", a)
	}
	if a := h.apply(complete(g2, `"other"`)).Answers[0]; a.Refusal == nil {
		t.Fatalf("another result under the same fence: %+v", a)
	}
	if got := h.result(jobID("a")); got != `"good"` {
		t.Fatal(got)
	}
	c := h.m.state.Counters
	if c.Stale != 2 || c.Duplicates != 1 || c.Completions != 1 || c.Crashes != 1 {
		t.Fatalf("%+v", c)
	}
}

func TestFailTask_RetriesThenDies(t *testing.T) {
	h := newHarness(t)
	g := build(t, "w", func(b *dag.Builder) {
		b.Output(b.Task("s", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{Retry: dag.Retry{MaxAttempts: 3, FirstMS: 1000, JitterPercent: -1}}}))
	})
	h.apply(openWorker("w", 1, "t"))
	r := h.apply(submit("a", g, `1`))
	for attempt := uint32(1); attempt <= 3; attempt++ {
		if len(r.Grants) != 1 || r.Grants[0].Attempt != attempt {
			t.Fatalf("attempt %d: %+v", attempt, r.Grants)
		}
		r = h.apply(failure(r.Grants[0], "boom", false))
		if attempt == 3 {
			break
		}
		if len(r.Grants) != 0 || r.NextDueMS != h.now+1000<<(attempt-1) {
			t.Fatalf("after attempt %d: due %d, now %d", attempt, r.NextDueMS, h.now)
		}
		h.now = r.NextDueMS - 1
		if r = h.apply(); len(r.Grants) != 0 {
			t.Fatal("granted before its backoff was over")
		}
		h.now++
		r = h.apply()
	}
	j := h.job(jobID("a"))
	if j.State != JobFailure || j.Error == nil || j.Error.Err.Message != "boom" || j.Steps[0].State != TaskDead {
		t.Fatalf("%+v", j)
	}
	h.replay(2)
	if r = h.apply(retry(jobID("a"))); len(r.Grants) != 1 || r.Grants[0].Attempt != 1 {
		t.Fatalf("retried: %+v", r)
	}
	h.run(t, r, work)
	if h.job(jobID("a")).State != JobSuccess {
		t.Fatal(h.m.Dump())
	}
}

func TestCrashLimit_TaskThatKillsItsWorkersDies(t *testing.T) {
	h := newHarness(t)
	h.apply(submit("a", chain(t, 1), `1`))
	for i := range 3 {
		r := h.apply(openWorker(fmt.Sprint("w", i), 1, "t"))
		if len(r.Grants) != 1 {
			t.Fatalf("crash %d: no grant", i)
		}
		h.apply(closeWorker(r.Answers[0].Session, true))
	}
	if j := h.job(jobID("a")); j.State != JobFailure || j.Error.Err.Type != "fanfold.WorkerLost" || j.Steps[0].Attempts != 0 {
		t.Fatalf("%+v", j)
	}
}

func TestCancelJob_NothingStartsAndSlotsComeBack(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 3, "t", "sum"))
	r := h.apply(submit("a", mapFold(t, 2, dag.Options{}), `[1,2,3,4,5,6]`))
	held := r.Grants
	r = h.apply(cancel(jobID("a")))
	if len(r.Revokes) != 3 || r.Revokes[0].Cause != "JOB_CANCELED" || len(r.Finished) != 1 {
		t.Fatalf("%+v", r)
	}
	r = h.apply(submit("b", chain(t, 1), `1`))
	if len(r.Grants) != 0 {
		t.Fatal("a slot was given away while its worker is still busy")
	}
	r = h.apply(complete(held[0], `1`))
	if a := r.Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeCanceled {
		t.Fatalf("%+v", a)
	}
	if len(r.Grants) != 1 || r.Grants[0].Task.Job != jobID("b") {
		t.Fatalf("the freed slot got %+v", r.Grants)
	}
	h.apply(failure(held[1], "x", false), release(held[2]))
	r = h.apply(retry(jobID("a")))
	if len(r.Grants) != 2 {
		t.Fatalf("retried: %+v", r.Grants)
	}
	h.run(t, h.apply(complete(h.grantOfB(t), `1`), work(r.Grants[0], h.input(r.Grants[0])), work(r.Grants[1], h.input(r.Grants[1]))), work)
	if got := h.result(jobID("a")); got != "21" {
		t.Fatal(got)
	}
	h.replay(4)
}

func (h *harness) grantOfB(t *testing.T) Grant {
	v := h.m.View()
	defer v.Close()
	gs, _, err := v.Leases(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gs {
		if g.Task.Job == jobID("b") {
			return g
		}
	}
	t.Fatal("b has no lease")
	return Grant{}
}

func TestMap_TolerateAndSettled(t *testing.T) {
	bad := func(g Grant, in string) *fsmpb.Command {
		if g.Kind == "t" && (in == "2" || in == "5") {
			return failure(g, "bad "+in, true)
		}
		return work(g, in)
	}
	for name, c := range map[string]struct {
		o    dag.Options
		want string
	}{
		"tolerated": {dag.Options{Tolerate: 2}, "14"}, // 1+3+4+6
		"one short": {dag.Options{Tolerate: 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.apply(openWorker("w", 2, "t", "sum"))
			h.run(t, h.apply(submit("a", mapFold(t, 2, c.o), `[1,2,3,4,5,6]`)), func(g Grant, in string) *fsmpb.Command { return bad(g, in) })
			j := h.job(jobID("a"))
			if c.want == "" {
				if j.State != JobFailure {
					t.Fatal(j.State)
				}
				return
			}
			if j.State != JobSuccess || h.result(jobID("a")) != c.want {
				t.Fatalf("%s %s", j.State, h.result(jobID("a")))
			}
			h.replay(3)
		})
	}
	h := newHarness(t)
	h.apply(openWorker("w", 2, "t"))
	g := build(t, "settled", func(b *dag.Builder) {
		b.Output(b.Map("m", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{Settled: true}}))
	})
	h.run(t, h.apply(submit("a", g, `[1,2,3]`)), bad)
	want := `[{"value":1},{"error":{"type":"test","message":"bad 2"}},{"value":3}]`
	if got := h.result(jobID("a")); got != want {
		t.Fatalf("got %s\nwant %s", got, want)
	}
}

func TestPurgeJob_NothingIsLeft(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 4, "t", "sum"))
	doc := "[" + strings.Repeat("1,", 300_000) + "1]"
	up, v := upload("doc", []byte(doc))
	c := submit("a", mapFold(t, 1000, dag.Options{MaxParallel: 2}), "")
	c.GetSubmitJob().Input = v
	h.apply(append(up, c)...)
	h.apply(submit("b", chain(t, 2), `1`))
	if a := h.apply(purge(jobID("a"))).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeNotEnded {
		t.Fatalf("%+v", a)
	}
	h.apply(cancel(jobID("a")), cancel(jobID("b")))
	h.apply(closeWorker(1, false))
	h.apply(purge(jobID("a")), purge(jobID("b")))
	for tag := byte(tagJob); tag <= tagChunk; tag++ {
		if tag == tagQueue || tag == tagKind {
			continue
		}
		h.m.disk.scan([]byte{tag}, []byte{tag + 1}, func(k, _ []byte) bool {
			t.Errorf("left: %x", k)
			return true
		})
	}
	if a := h.apply(cancel(jobID("a"))).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeNotFound {
		t.Fatalf("%+v", a)
	}
	h.replay(100)
}

func TestSubmitJob_AgainChangesNothing(t *testing.T) {
	h := newHarness(t)
	h.apply(submit("a", chain(t, 2), `1`))
	if a := h.apply(submit("a", chain(t, 2), `1`)).Answers[0]; !a.Existing || a.Job != jobID("a") {
		t.Fatalf("%+v", a)
	}
	for _, c := range []*fsmpb.Command{submit("a", chain(t, 2), `2`), submit("a", chain(t, 3), `1`)} {
		if a := h.apply(c).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeConflict {
			t.Fatalf("%+v", a)
		}
	}
	if h.m.state.JobsSubmitted != 1 {
		t.Fatal(h.m.state.JobsSubmitted)
	}
}

func TestTypes_MismatchIsRefused(t *testing.T) {
	h := newHarness(t)
	g := build(t, "w", func(b *dag.Builder) {
		b.Output(b.Task("s", dag.Step{Task: "t", Types: "int->int", Input: dag.Input()}))
	})
	h.apply(submit("a", g, `1`))
	o := openWorker("w", 1, "t")
	o.GetOpenSession().Kinds[0].Types = "string->int"
	r := h.apply(o)
	if a := r.Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeTypeMismatch {
		t.Fatalf("%+v", a)
	}
	h.apply(cancel(jobID("a")))
	if a := h.apply(o).Answers[0]; a.Refusal != nil {
		t.Fatalf("nobody uses the task any more: %v", a.Refusal)
	}
}

func TestNotBefore_StartsWhenDue(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t"))
	c := submit("a", chain(t, 2), `1`)
	c.GetSubmitJob().NotBeforeMs = h.now + 500
	r := h.apply(c)
	if len(r.Grants) != 0 || r.NextDueMS != h.now+500 || h.job(jobID("a")).Steps[0].State != TaskScheduled {
		t.Fatalf("%+v", r)
	}
	h.now += 500
	h.run(t, h.apply(), work)
	if h.job(jobID("a")).State != JobSuccess {
		t.Fatal(h.m.Dump())
	}
}

func TestBadInput_FailsTheJobAndSaysWhy(t *testing.T) {
	h := newHarness(t)
	h.apply(submit("a", mapFold(t, 2, dag.Options{}), `{"not":"a list"}`))
	j := h.job(jobID("a"))
	if j.State != JobFailure || j.Error == nil || !strings.Contains(j.Error.Err.Message, "list") {
		t.Fatalf("%+v", j)
	}
}

func TestLane_BacklogBeyondTheWindowKeepsItsOrder(t *testing.T) {
	h := newHarness(t)
	h.m.opts.CheckInvariants = false
	const n = 2500
	for i := range n {
		h.apply(submit(fmt.Sprint("job", i), chain(t, 1), fmt.Sprint(i)))
		if i == n/2 {
			h.reopen()
			h.m.opts.CheckInvariants = false
		}
	}
	r := h.apply(openWorker("w", 1, "t"))
	for i := range n {
		if got := h.input(r.Grants[0]); got != fmt.Sprint(i) {
			t.Fatalf("task %d is number %s", i, got)
		}
		if i == n/3 {
			h.reopen()
			h.m.opts.CheckInvariants = false
		}
		r = h.apply(complete(r.Grants[0], "1"))
	}
	if err := h.m.Check(); err != nil {
		t.Fatal(err)
	}
	h.replay(64)
}
