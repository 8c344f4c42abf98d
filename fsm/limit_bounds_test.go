package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// A limit of a task for each partition ties queues together, for the partition "" too: when a lease in one
// queue ends, a task in another may begin.
func TestLimit_PerPartitionOfATaskFreesOtherQueues(t *testing.T) {
	h := newHarness(t)
	for _, q := range []string{"a", "b"} {
		c := openWorker("w"+q, 1, "t")
		c.GetOpenSession().Queues[0].Queue = q
		h.apply(c)
	}
	h.apply(setLimitOf(&fsmpb.Limit{
		Scope: fsmpb.LimitScope_LIMIT_SCOPE_TASK, Name: "t", Kind: fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY, N: 1, PerPartition: true,
	}))
	r := h.apply(submit("a", oneStep(t, dag.Options{Queue: "a"}), `1`))
	if n := len(h.apply(submit("b", oneStep(t, dag.Options{Queue: "b"}), `1`)).Grants); n != 0 {
		t.Fatalf("%d leases above the limit", n)
	}
	if n := len(h.apply(complete(r.Grants[0], `1`)).Grants); n != 1 {
		t.Fatalf("%d leases when the limit had room again, want 1", n)
	}
	h.replay(2)
}

// A rate whose n grows while its burst was used up years ahead.
func TestLimit_RateOfAnotherN(t *testing.T) {
	h := newHarness(t)
	l := &fsmpb.Limit{Scope: fsmpb.LimitScope_LIMIT_SCOPE_QUEUE, Name: "default", Kind: fsmpb.LimitKind_LIMIT_KIND_RATE, N: 1, PeriodMs: limitPeriodMax, Burst: 10_000}
	h.apply(setLimitOf(l))
	h.apply(openWorker("w", 10_000, "t"))
	g := build(t, "m", func(b *dag.Builder) {
		b.Output(b.Map("m", dag.Step{Task: "t", Input: dag.Input()}))
	})
	h.apply(submit("a", g, "["+strings.Repeat("1,", 8_000)+"1]"))
	for h.last.More {
		h.apply()
	}
	l.N = limitNMax
	h.apply(setLimitOf(l))
	h.apply(submit("b", g, "[1]"))
	h.reopen()
	h.apply()
}

// Partitions that only a limit remembers are bounded too.
func TestPartitions_OfLimitsAreBounded(t *testing.T) {
	defer func(n int) { partitionsMax = n }(partitionsMax)
	partitionsMax = 3
	h := newHarness(t)
	h.apply(setLimitOf(&fsmpb.Limit{
		Scope: fsmpb.LimitScope_LIMIT_SCOPE_QUEUE, Name: "default", Kind: fsmpb.LimitKind_LIMIT_KIND_RATE, N: 1, PeriodMs: 60_000, PerPartition: true,
	}))
	h.apply(openWorker("w", 10, "t"))
	for i := range 5 {
		r := h.apply(partitioned(t, fmt.Sprint("j", i), fmt.Sprint("p", i), dag.Options{}))
		if refused := r.Answers[0].Refusal != nil; refused != (i >= 3) {
			t.Fatalf("job %d: refused %v", i, refused)
		}
		if len(r.Grants) == 1 {
			h.apply(complete(r.Grants[0], `1`))
		}
	}
	by := submit("by", oneStep(t, dag.Options{PartitionBy: "/x"}), `{"x":"p9"}`)
	if r := h.apply(by); r.Answers[0].Refusal == nil {
		t.Fatal("a job whose task names its partition was taken at the bound")
	}
	h.now += 120_000
	if r := h.apply(by); r.Answers[0].Refusal != nil {
		t.Fatal(r.Answers[0].Refusal)
	}
	h.replay(3)
}
