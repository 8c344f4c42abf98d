package fsm

import (
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/dag"
)

// TestSubmitJob_IdOfAPurgedJobIsANewJob: nothing of the old one, such as its list, is left in memory.
func TestSubmitJob_IdOfAPurgedJobIsANewJob(t *testing.T) {
	for _, reopen := range []bool{false, true} {
		h := newHarness(t)
		g := mapFold(t, 2, dag.Options{MaxParallel: 1})
		h.apply(openWorker("w", 2, "t", "sum"))
		h.apply(submit("a", g, `[1,2,3]`))
		h.apply(cancel(jobID("a")), closeWorker(1, false), purge(jobID("a")))
		if reopen {
			h.reopen()
		}
		h.apply(submit("a", g, `["x","yy","zzz"]`))
		r := h.apply(openWorker("w2", 2, "t", "sum"))
		if got := h.input(r.Grants[0]); got != `"x"` {
			t.Errorf("the item is %s", got)
		}
		h.replay(100)
	}
}

func TestRetain_ForEverIsNotAtOnce(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 2, "t"))
	c := submit("a", chain(t, 1), `1`)
	c.GetSubmitJob().RetainMs = math.MaxInt64
	r := h.apply(complete(h.apply(c).Grants[0], `2`))
	if r.NextDueMS <= h.now {
		t.Errorf("the job is removed at %d, now is %d", r.NextDueMS, h.now)
	}
	h.now += 1000
	if h.apply(); h.m.state.JobsPurged != 0 {
		t.Error("the job was removed")
	}
}

func TestFailTask_RetryInAThousandYearsIsNotAtOnce(t *testing.T) {
	h := newHarness(t)
	h.apply(openWorker("w", 2, "t"))
	c := failure(h.apply(submit("a", chain(t, 1), `1`)).Grants[0], "later", false)
	c.GetFailTask().RetryAfterMs = math.MaxInt64
	h.apply(c)
	h.now += 1000
	if r := h.apply(); len(r.Grants) != 0 {
		t.Error("the task was tried again at once")
	}
}

func TestRetryJob_TypesThatHaveChangedAreRefused(t *testing.T) {
	h := newHarness(t)
	typed := func(types string) *dag.Graph {
		return build(t, "typed", func(b *dag.Builder) {
			b.Output(b.Task("s", dag.Step{Task: "t", Types: types, Input: dag.Input()}))
		})
	}
	h.apply(submit("a", typed("old"), `1`), cancel(jobID("a")))
	h.apply(submit("b", typed("new"), `1`))
	if a := h.apply(retry(jobID("a"))).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeTypeMismatch {
		t.Errorf("%+v", a)
	}
	h.apply(cancel(jobID("b")))
	if a := h.apply(retry(jobID("a"))).Answers[0]; a.Refusal != nil {
		t.Errorf("%+v", a)
	}
	h.replay(3)
}

func TestSubmitJob_AnotherBlobUnderTheSameIdIsAConflict(t *testing.T) {
	h := newHarness(t)
	doc := append([]byte("["), make600k()...)
	up, v := upload("one", append(doc, ']'))
	c := submit("a", chain(t, 1), "")
	c.GetSubmitJob().Input = v
	h.apply(append(up, c)...)
	if a := h.apply(c).Answers[0]; !a.Existing {
		t.Errorf("the same again: %+v", a)
	}
	_, other := upload("two", []byte(`[1]`)) // not uploaded
	d := submit("a", chain(t, 1), "")
	d.GetSubmitJob().Input = other
	if a := h.apply(d).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeConflict {
		t.Errorf("another blob: %+v", a)
	}
}

func TestNames_AreBounded(t *testing.T) {
	defer func(n int) { namesMax = n }(namesMax)
	namesMax = 3
	h := &harness{t: t, fs: vfs.NewMem(), now: 1_000_000, hash: make(map[uint64]string)}
	h.m = h.open(h.fs, "state")
	defer h.m.Close()
	if a := h.apply(openWorker("w", 1, "t", "u", "v", "w")).Answers[0]; a.Refusal == nil || a.Refusal.Code != CodeTooLarge {
		t.Errorf("%+v", a)
	}
	if a := h.apply(openWorker("w", 1, "t")).Answers[0]; a.Refusal != nil {
		t.Errorf("%+v", a)
	}
	if a := h.apply(submit("a", chain(t, 1), `1`)).Answers[0]; a.Refusal != nil {
		t.Errorf("%+v", a)
	}
}
