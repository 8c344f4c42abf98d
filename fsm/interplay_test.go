package fsm

import (
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
