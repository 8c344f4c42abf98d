package fsm

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// partitioned submits a one-task job.
func partitioned(t testing.TB, job, partition string, o dag.Options) *fsmpb.Command {
	c := submit(job, build(t, "one", func(b *dag.Builder) {
		b.Output(b.Task("s", dag.Step{Task: "t", Input: dag.Input(), Options: o}))
	}), `1`)
	if partition != "" {
		c.GetSubmitJob().Options, _ = proto.Marshal(&fsmpb.JobOptions{Partition: partition})
	}
	return c
}

func queueLimit(kind fsmpb.LimitKind, n uint64, period int64, per bool) *fsmpb.Limit {
	return &fsmpb.Limit{Scope: fsmpb.LimitScope_LIMIT_SCOPE_QUEUE, Name: "default", Kind: kind, N: n, PeriodMs: period, PerPartition: per}
}

const (
	rateLimit    = fsmpb.LimitKind_LIMIT_KIND_RATE
	windowLimit  = fsmpb.LimitKind_LIMIT_KIND_WINDOW
	concurrently = fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY
)

// TestLimits_AreNeverExceededInAnyWindow holds law 10 against the history of starts, over jumps of time,
// lost workers, restarts and restores.
func TestLimits_AreNeverExceededInAnyWindow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(t, rt)
		defer func() { s.h.m.Close() }()
		l := drawLimit(rt)
		s.apply(setLimitOf(l), openWorker("w", 50, "t", "u"))
		parts := make(map[JobID]string)
		starts := make(map[string][]int64) // by partition, of what the limit bounds
		note := func(r *Result) {
			for _, g := range r.Grants {
				if l.Scope == fsmpb.LimitScope_LIMIT_SCOPE_TASK && g.Kind != l.Name {
					continue
				}
				p := ""
				if l.PerPartition {
					p = parts[g.Task.Job]
				}
				starts[p] = append(starts[p], s.h.now)
			}
			if l.Kind != concurrently {
				return
			}
			held := make(map[string]uint64)
			for _, g := range s.held {
				if l.Scope == fsmpb.LimitScope_LIMIT_SCOPE_QUEUE || g.Kind == l.Name {
					p := ""
					if l.PerPartition {
						p = parts[g.Task.Job]
					}
					if held[p]++; held[p] > l.N {
						rt.Fatalf("%d leases in %q, the limit is %d", held[p], p, l.N)
					}
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"submit": func(t *rapid.T) {
				for range 5 {
					s.n++
					name := fmt.Sprint("job", s.n)
					part := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "partition")
					parts[jobID(name)] = part
					note(s.apply(partitioned(s.h.t, name, part, dag.Options{Retry: dag.Retry{MaxAttempts: 100, CrashLimit: 100}})))
				}
			},
			"end": func(t *rapid.T) {
				if len(s.held) == 0 {
					t.Skip()
				}
				g := s.held[0]
				s.held = s.held[1:]
				c := complete(g, `1`)
				switch rapid.IntRange(0, 3).Draw(t, "how") {
				case 0:
					c = release(g)
				case 1:
					c = rateLimited(g, 30)
				}
				note(s.apply(c))
			},
			"time": func(t *rapid.T) {
				s.h.now += rapid.SampledFrom([]int64{1, 7, 49, 50, 333, 1000}).Draw(t, "ms")
				note(s.apply())
			},
			"lost": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
					t.Skip()
				}
				for _, id := range slices.Clone(s.h.sessions()) {
					s.n++
					note(s.apply(closeWorker(id, true), openWorker(fmt.Sprint("w", s.n), 50, "t", "u")))
				}
			},
			"reopen":   func(*rapid.T) { s.h.reopen() },
			"snapshot": s.snapshot,
		})
		for part, times := range starts {
			within(rt, l, part, times)
		}
	})
}

// within looks at every window that begins with an attempt.
func within(t *rapid.T, l *fsmpb.Limit, part string, times []int64) {
	for i := range times {
		for k := i; k < len(times); k++ {
			n, span := uint64(k-i+1), times[k]-times[i]
			switch {
			case l.Kind == windowLimit && span < l.PeriodMs && n > l.N:
				t.Fatalf("%d attempts of %q in %d ms, the window allows %d in %d", n, part, span+1, l.N, l.PeriodMs)
			case l.Kind == rateLimit && (n-max(1, l.Burst))*uint64(l.PeriodMs) > uint64(span)*l.N && n > max(1, l.Burst):
				t.Fatalf("%d attempts of %q in %d ms, the rate allows %d in %d ms and a burst of %d", n, part, span, l.N, l.PeriodMs, l.Burst)
			}
		}
	}
}

func (h *harness) sessions() (ids []uint64) {
	v := h.m.View()
	defer v.Close()
	all, err := v.Sessions()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return ids
}

func namesOf(gs []Grant, names ...string) (out []string) {
	for _, g := range gs {
		for _, n := range names {
			if g.Task.Job == jobID(n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// TestLimit_WakesInOrderAndSaysWhen: what a rate holds back starts when it may, the oldest first, and the
// engine hears when that is.
func TestLimit_WakesInOrderAndSaysWhen(t *testing.T) {
	for _, part := range []string{"", "p"} {
		h := newHarness(t)
		h.apply(setLimitOf(queueLimit(rateLimit, 2, 1000, part != "")))
		r := h.apply(openWorker("w", 10, "t"), partitioned(t, "a", part, dag.Options{}), partitioned(t, "b", part, dag.Options{}), partitioned(t, "c", part, dag.Options{}))
		if got := namesOf(r.Grants, "a", "b", "c"); !slices.Equal(got, []string{"a"}) || r.NextDueMS != h.now+500 {
			t.Fatalf("granted %v, due in %d", got, r.NextDueMS-h.now)
		}
		h.now += 499
		if r := h.apply(); len(r.Grants) > 0 {
			t.Fatalf("granted %v too early", r.Grants)
		}
		h.reopen()
		h.now++
		if r := h.apply(); !slices.Equal(namesOf(r.Grants, "a", "b", "c"), []string{"b"}) {
			t.Fatalf("granted %v", r.Grants)
		}
		v := h.m.View()
		w, err := v.WhyNot(TaskRef{Job: jobID("c")})
		if err != nil || w.State != TaskPending || w.Partition != part || len(w.Limits) != 1 || w.Limits[0].UntilMS != h.now+500 || w.Ahead != 0 || w.Workers != 1 || w.Free != 8 {
			t.Fatalf("why not: %+v, %v", w, err)
		}
		v.Close()
		if r := h.apply(deleteLimitOf(queueLimit(rateLimit, 2, 1000, part != ""))); !slices.Equal(namesOf(r.Grants, "a", "b", "c"), []string{"c"}) {
			t.Fatalf("after the limit is gone: %v", r.Grants)
		}
	}
}

// TestRateLimited_PausesTheKindInItsPartition: the task keeps its place and is not charged.
func TestRateLimited_PausesTheKindInItsPartition(t *testing.T) {
	h := newHarness(t)
	r := h.apply(openWorker("w", 1, "t"), partitioned(t, "a", "x", dag.Options{}))
	first := r.Grants[0]
	h.apply(partitioned(t, "b", "x", dag.Options{}), partitioned(t, "c", "y", dag.Options{}))
	r = h.apply(rateLimited(first, 1000))
	if got := namesOf(r.Grants, "a", "b", "c"); !slices.Equal(got, []string{"c"}) {
		t.Fatalf("granted %v: only partition y may go on", got)
	}
	r = h.apply(complete(r.Grants[0], `1`))
	if len(r.Grants) > 0 || r.NextDueMS != h.now+1000 {
		t.Fatalf("granted %v, due in %d", r.Grants, r.NextDueMS-h.now)
	}
	h.reopen()
	h.now += 1000
	r = h.apply()
	if got := namesOf(r.Grants, "a", "b"); !slices.Equal(got, []string{"a"}) || r.Grants[0].Attempt != 1 {
		t.Fatalf("granted %v: a has the older place, and was not charged", r.Grants)
	}
}

// TestPartitions_ShareByWeight: of a deep backlog each gets slots by its weight, whoever came first.
func TestPartitions_ShareByWeight(t *testing.T) {
	h := newHarness(t)
	var cmds []*fsmpb.Command
	for i := range 120 {
		cmds = append(cmds, partitioned(t, fmt.Sprint("x", i), "x", dag.Options{}))
	}
	h.apply(cmds...)
	cmds = []*fsmpb.Command{{Kind: &fsmpb.Command_SetQueue{SetQueue: &fsmpb.SetQueue{Namespace: "default", Queue: "default", Weights: map[string]uint32{"y": 3}}}}}
	h.now += 600_000 // the backlog of x is old
	for i := range 120 {
		cmds = append(cmds, partitioned(t, fmt.Sprint("y", i), "y", dag.Options{}))
	}
	h.apply(cmds...)
	r := h.apply(openWorker("w", 100, "t"))
	y := 0
	for _, g := range r.Grants {
		for i := range 120 {
			if g.Task.Job == jobID(fmt.Sprint("y", i)) {
				y++
			}
		}
	}
	if len(r.Grants) != 100 || y < 74 || y > 76 {
		t.Fatalf("%d grants, %d of them to the partition of weight 3 of 4", len(r.Grants), y)
	}
}

// TestPartitions_AboveTheBoundAreRefused and are taken again when there is room.
func TestPartitions_AboveTheBoundAreRefused(t *testing.T) {
	defer func(n int) { partitionsMax = n }(partitionsMax)
	partitionsMax = 2
	h := newHarness(t)
	r := h.apply(openWorker("w", 1, "t"), partitioned(t, "a", "x", dag.Options{}), partitioned(t, "b", "y", dag.Options{}), partitioned(t, "c", "z", dag.Options{}), partitioned(t, "d", "", dag.Options{}))
	if a := r.Answers[3]; a.Refusal == nil || a.Refusal.Code != CodeOverloaded || r.Answers[4].Refusal != nil {
		t.Fatalf("the third partition: %+v, no partition: %+v", a, r.Answers[4])
	}
	h.apply(complete(r.Grants[0], `1`))
	if a := h.apply(partitioned(t, "c", "z", dag.Options{})).Answers[0]; a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
}

// TestPriority_AnOldTaskGoesBeforeAMoreUrgentOne: nothing starves.
func TestPriority_AnOldTaskGoesBeforeAMoreUrgentOne(t *testing.T) {
	h := newHarness(t)
	h.apply(partitioned(t, "old", "", dag.Options{Priority: 10}))
	h.now += 9*defaultAgeingMS - 1
	h.apply(partitioned(t, "urgent", "", dag.Options{Priority: 1}))
	h.now += 2
	h.apply(partitioned(t, "late", "", dag.Options{Priority: 1}))
	r := h.apply(openWorker("w", 2, "t"))
	if got := namesOf(r.Grants, "old", "urgent", "late"); !slices.Equal(got, []string{"urgent", "old"}) {
		t.Fatalf("granted %v", got)
	}
}

// TestSharedSlots_QueuesTakeTurnsByWeight: and strictly, the queue of the greatest weight takes all.
func TestSharedSlots_QueuesTakeTurnsByWeight(t *testing.T) {
	for strict, want := range map[bool]int{false: 25, true: 0} {
		h := newHarness(t)
		var cmds []*fsmpb.Command
		for i := range 200 {
			cmds = append(cmds, partitioned(t, fmt.Sprint("lo", i), "", dag.Options{Queue: "lo"}), partitioned(t, fmt.Sprint("hi", i), "", dag.Options{Queue: "hi"}))
		}
		h.apply(cmds...)
		c := openWorker("w", 1, "t")
		o := c.GetOpenSession()
		o.Slots, o.Strict = 100, strict
		o.Queues = []*fsmpb.QueueSlots{{Queue: "lo", Slots: 1}, {Queue: "hi", Slots: 3}}
		r := h.apply(c)
		lo := 0
		for _, g := range r.Grants {
			if g.Queue == "lo" {
				lo++
			}
		}
		if len(r.Grants) != 100 || lo < want-1 || lo > want+1 {
			t.Fatalf("strict %v: %d grants, %d of the lesser queue", strict, len(r.Grants), lo)
		}
	}
}

// TestSetLimit_ARaisedRateHoldsAtOnce: what waited by the old rate waits by the new one.
func TestSetLimit_ARaisedRateHoldsAtOnce(t *testing.T) {
	for _, part := range []string{"", "p"} {
		h := newHarness(t)
		h.apply(setLimitOf(queueLimit(rateLimit, 1, 3_600_000, part != "")))
		r := h.apply(openWorker("w", 10, "t"), partitioned(t, "a", part, dag.Options{}), partitioned(t, "b", part, dag.Options{}))
		if got := namesOf(r.Grants, "a", "b"); !slices.Equal(got, []string{"a"}) || r.NextDueMS != h.now+3_600_000 {
			t.Fatalf("granted %v, due in %d", got, r.NextDueMS-h.now)
		}
		h.now += 10
		if r = h.apply(setLimitOf(queueLimit(rateLimit, 10, 1000, part != ""))); len(r.Grants) > 0 || r.NextDueMS != h.now+100 {
			t.Fatalf("granted %v, due in %d, want 100", r.Grants, r.NextDueMS-h.now)
		}
		h.reopen()
		h.now += 100
		if r := h.apply(); !slices.Equal(namesOf(r.Grants, "a", "b"), []string{"b"}) {
			t.Fatalf("granted %v", r.Grants)
		}
		h.replay(2)
	}
}
