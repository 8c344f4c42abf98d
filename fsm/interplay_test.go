package fsm

import (
	"bytes"
	"fmt"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// withOptions gives a submission options.
func withOptions(c *fsmpb.Command, o *fsmpb.JobOptions) *fsmpb.Command {
	c.GetSubmitJob().Options, _ = proto.Marshal(o)
	return c
}

func discarding(g Grant) *fsmpb.Command {
	c := failure(g, "unwanted", false)
	c.GetFailTask().Discard = true
	return c
}

// An item that has died within the tolerance of its map is counted, and stays dead when the job fails for
// another reason and is retried (law 5).
func TestRetryJob_ItemDeadWithinToleranceStaysDead(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t", "sum"))
	r := h.apply(withOptions(submit("a", mapFold(t, 2, dag.Options{Tolerate: 1}), `[1,2,3]`), &fsmpb.JobOptions{TimeoutMs: 500}))
	r = h.apply(failure(r.Grants[0], "bad", true)) // the item 0
	g := r.Grants[0]
	h.now += 500
	h.apply()
	if s := h.job(jobID("a")).State; s != JobFailure {
		t.Fatal(s)
	}
	h.apply(complete(g, `1`))
	h.run(t, h.apply(retry(jobID("a"))), func(g Grant, in string) *fsmpb.Command {
		if g.Kind == "t" && g.Task.Shard == 0 {
			t.Fatal("the dead item ran again")
		}
		return work(g, in)
	})
	if got := h.result(jobID("a")); got != "5" {
		t.Fatal(got)
	}
	h.replay(3)
}

// What a discarded item leaves in a settled map counts as a result.
func TestDiscard_ItemOfASettledMap(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t"))
	g := build(t, "settled", func(b *dag.Builder) {
		b.Output(b.Map("m", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{Settled: true}}))
	})
	h.run(t, h.apply(submit("a", g, `[1,2]`)), func(g Grant, in string) *fsmpb.Command {
		if g.Task.Shard == 0 {
			return discarding(g)
		}
		return work(g, in)
	})
	if s := h.job(jobID("a")).State; s != JobSuccess {
		t.Fatal(s)
	}
	h.replay(3)
}

// The counts of a queue are right when the only live item of a map is the one that ends its job.
func TestMap_LastLiveItemFailsTheJob(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t", "sum"))
	r := h.apply(submit("a", mapFold(t, 2, dag.Options{MaxParallel: 1}), `[1,2,3]`))
	h.apply(failure(r.Grants[0], "bad", true))
	h.run(t, h.apply(retry(jobID("a"))), work)
	if got := h.result(jobID("a")); got != "6" {
		t.Fatal(got)
	}
	h.replay(3)
}

// A job of the id of one that is purged in the same entry finds nothing of it.
func TestPurgeJob_SameIDInTheSameEntry(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t", "sum"))
	h.run(t, h.apply(submit("a", mapFold(t, 2, dag.Options{}), `[1,2,3]`)), work)
	r := h.apply(purge(jobID("a")), submit("a", mapFold(t, 2, dag.Options{}), `[1,2]`))
	if s := h.job(jobID("a")).State; s != JobRunning || len(r.Grants) != 1 {
		t.Fatalf("%s, %d leases", s, len(r.Grants))
	}
	h.run(t, r, work)
	if got := h.result(jobID("a")); got != "3" {
		t.Fatal(got)
	}
	h.replay(3)
}

// What is cut stays text: a message that ends within a character could not be sent.
func TestTruncate_KeepsText(t *testing.T) {
	for n := range 8 {
		if s := truncate("aé€𝄞", n); !utf8.ValidString(s) {
			t.Errorf("%d bytes: %q", n, s)
		}
	}
}

// A map that is not counted yet, because its job is being retried, is not counted out when another step fails
// the job at once.
func TestRetryJob_FailsBeforeAMapGoesOn(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t", "u"))
	g := build(t, "two", func(b *dag.Builder) {
		a := b.Task("a", dag.Step{Task: "u", Input: dag.Input()})
		m := b.Map("m", dag.Step{Task: "t", Input: a})
		n := b.Map("n", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{MaxParallel: 1}})
		b.Output(dag.Object(dag.Field{Name: "m", Of: m}, dag.Field{Name: "n", Of: n}))
	})
	r := h.apply(submit("a", g, `[1,2,3]`))
	for h.job(jobID("a")).State == JobRunning {
		if len(r.Grants) == 0 {
			t.Fatal("nothing runs")
		}
		r = h.apply(complete(r.Grants[0], `{"no":"list"}`))
	}
	if a := h.apply(retry(jobID("a"))).Answers[0]; a.State != JobFailure {
		t.Fatalf("%v %v", a.State, a.Refusal)
	}
	h.replay(3)
}

// A debounced job that is put off has its time limits put off too: they count from its start.
func TestDebounce_TimeLimitsMoveWithTheStart(t *testing.T) {
	h := newHarness(t)
	o := &fsmpb.JobOptions{Unique: &fsmpb.Unique{Key: "k", Mode: fsmpb.Unique_DEBOUNCE, PeriodMs: 1000}, StartWithinMs: 300, TimeoutMs: 400}
	h.apply(withOptions(submit("a", chain(t, 1), `1`), o))
	h.now += 900
	h.apply(withOptions(submit("b", chain(t, 1), `2`), o))
	h.apply(openWorker("w", 1, "t"))
	h.now += 900 // after the limits that it had at first
	h.apply()
	h.now += 200
	r := h.apply()
	if len(r.Grants) != 1 {
		t.Fatalf("job is %s, and has no lease", h.job(jobID("a")).State)
	}
	h.apply(complete(r.Grants[0], `1`))
	if s := h.job(jobID("a")).State; s != JobSuccess {
		t.Fatal(s)
	}
	h.replay(2)
}

// A job that has ended in the entry in which it would have expired may be retried: the timer that was due is gone.
func TestStartBy_TimerThatWasDueIsGone(t *testing.T) {
	h := newHarness(t)
	by := h.now + 100
	last := jobID("j0")
	var cmds []*fsmpb.Command
	for i := range fireMax + 1 {
		name := fmt.Sprint("j", i)
		if id := jobID(name); bytes.Compare(id[:], last[:]) > 0 {
			last = id
		}
		cmds = append(cmds, withOptions(submit(name, chain(t, 1), `1`), &fsmpb.JobOptions{StartByMs: by}))
	}
	h.apply(cmds...)
	h.now = by
	h.apply(cancel(last))
	h.apply(retry(last))
	h.apply()
	if s := h.job(last).State; s != JobRunning {
		t.Fatal(s)
	}
}

// The messages of webhooks come from outside: a drained queue, and a budget that is used up, take none of them.
func TestReceiveWebhook_AdmissionApplies(t *testing.T) {
	h := newHarness(t)
	h.accepted(h.apply(setSource("s", chain(t, 1), "x")))
	h.accepted(h.apply(receive("s", "m1", "a")))
	h.apply(drainQ("default"))
	if r := h.apply(receive("s", "m2", "b")).Answers[0].Refusal; r == nil || r.Code != CodeQueueDraining {
		t.Fatalf("a drained queue answered %v", r)
	}
	if a := h.apply(receive("s", "m1", "c")).Answers[0]; !a.Existing || a.Job != jobID("a") {
		t.Fatalf("a message that had come before: %+v", a)
	}
	h.apply(undrainQ("default"))
	h.accepted(h.apply(receive("s", "m2", "b")))
	h.replay(2)
}

// A purge of a queue cancels jobs, the steps that were still blocked among them.
func TestPurgeQueue_BlockedStepsAreCanceled(t *testing.T) {
	h := newHarness(t)
	h.apply(submit("a", chain(t, 2), `1`))
	h.apply(purgeQ("default"))
	j := h.job(jobID("a"))
	for _, s := range j.Steps {
		if s.State != TaskCanceled {
			t.Fatalf("job %s, step %s is %s", j.State, s.Name, s.State)
		}
	}
}

// Two schedules of one name that come and go in one entry are two.
func TestSetSchedule_TwiceInAnEntry(t *testing.T) {
	h := newHarness(t)
	h.apply(every(t, "s", 60_000, nil), trigger("s", "a"), unschedule("s"), every(t, "s", 60_000, nil))
	h.apply(cancel(jobID("a")))
	if n := h.schedule("s").Running; n != 0 {
		t.Fatalf("%d jobs run", n)
	}
	h.replay(1)
}

// A redrive looks at the size of jobs too: a thousand large ones are not one entry's work.
func TestRedrive_LargeJobsAreTakenInTurns(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 10, "t"))
	g := chain(t, 9000)
	for i := range 5 {
		r := h.apply(submit(fmt.Sprint("j", i), g, `1`))
		h.apply(failure(r.Grants[0], "bad", true))
	}
	id := jobID("redrive")
	h.apply(&fsmpb.Command{Kind: &fsmpb.Command_StartRedrive{StartRedrive: &fsmpb.StartRedrive{Id: id[:], Namespace: "default", Jobs: 1000, PeriodMs: 100}}})
	for _, want := range []int{3, 2} {
		h.now += 100
		if r := h.apply(); len(r.Grants) != want {
			t.Fatalf("%d jobs in one turn, want %d", len(r.Grants), want)
		}
	}
}

// Replays leave gaps among the deliveries that have ended. Nothing walks through them.
func TestReplayDelivery_GapsAreNotWalked(t *testing.T) {
	h := newHarness(t)
	h.accepted(h.apply(setEndpoint("e")))
	fail := func(job string) {
		h.apply(submit(job, chain(t, 1), `1`))
		h.apply(cancel(jobID(job)))
		for _, d := range h.deliveries("e") {
			if d.State == DeliveryPending {
				h.now += giveUpMS
				h.apply(reportOf(d, 500, 0))
			}
		}
	}
	fail("a")
	p := h.m.hooks.byName["default"]["e"]
	p.tail += 1 << 40 // as by so many replays
	h.m.hooks.touch(p)
	fail("b")
	r := h.apply(&fsmpb.Command{Kind: &fsmpb.Command_ReplayDelivery{ReplayDelivery: &fsmpb.ReplayDelivery{Namespace: "default", Endpoint: "e"}}})
	if n := r.Answers[0].Count; n != 2 {
		t.Fatalf("%d were replayed, want 2", n)
	}
}

// While its map runs, the map is what a fold waits for.
func TestExplain_AMapThatRunsSaysMoreThanItsFold(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 1, "t", "sum"), submit("a", mapFold(t, 2, dag.Options{}), `[1,2,3]`))
	v := h.m.View()
	defer v.Close()
	e, err := v.Explain(jobID("a"), "", nil)
	if err != nil || e.State != TaskStarted {
		t.Fatalf("explained by step %s, %v, %v: %v", e.Step, e.State, e.Reasons, err)
	}
}
