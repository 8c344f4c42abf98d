package fsm

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// unique submits a job with a key of few, of any mode, and maybe into a batch.
func (s *script) unique(t *rapid.T) {
	s.n++
	name := fmt.Sprint("job", s.n)
	g := rapid.SampledFrom(graphs(s.h.t)[:3]).Draw(t, "graph")
	c := submit(name, g, rapid.SampledFrom([]string{`[1]`, `2`, `"three"`}).Draw(t, "input"))
	o := new(fsmpb.JobOptions)
	if rapid.IntRange(0, 4).Draw(t, "key") > 0 {
		o.Unique = &fsmpb.Unique{
			Key: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "unique"), Mode: fsmpb.Unique_Mode(rapid.IntRange(0, 3).Draw(t, "mode")),
			Scope: fsmpb.Unique_Scope(rapid.IntRange(0, 2).Draw(t, "scope")), OnConflict: fsmpb.Unique_Conflict(rapid.IntRange(0, 2).Draw(t, "conflict")),
		}
		switch o.Unique.Mode {
		case fsmpb.Unique_UNIQUE:
			o.Unique.PeriodMs = rapid.SampledFrom([]int64{0, 0, 150}).Draw(t, "period")
		case fsmpb.Unique_THROTTLE:
			o.Unique.PeriodMs, o.Unique.OnConflict = 150, o.Unique.OnConflict&^1
		case fsmpb.Unique_DEBOUNCE:
			o.Unique.PeriodMs, o.Unique.MaxMs = 150, rapid.SampledFrom([]int64{0, 200}).Draw(t, "max")
		}
	}
	if rapid.Bool().Draw(t, "member") {
		id := jobID(rapid.SampledFrom([]string{"B1", "B2"}).Draw(t, "batch"))
		o.Batch = id[:]
	}
	if rapid.IntRange(0, 3).Draw(t, "idempotent") == 0 {
		c.GetSubmitJob().Key = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "userkey")
	}
	if later := o.Unique.GetMode() != fsmpb.Unique_DEBOUNCE; later && rapid.IntRange(0, 5).Draw(t, "later") == 0 {
		c.GetSubmitJob().NotBeforeMs = s.h.now + 300
	}
	a := s.apply(with(c, o)).Answers[0]
	switch {
	case a.Refusal == nil && !a.Existing:
		s.jobs = append(s.jobs, jobID(name))
		s.names[jobID(name)] = name
	case a.Refusal != nil && a.Refusal.Code != CodeExists && a.Refusal.Code != CodeNotFound && a.Refusal.Code != CodeConflict:
		t.Fatal(a.Refusal)
	}
}

// batch changes one of two batches.
func (s *script) batch(t *rapid.T) {
	name := rapid.SampledFrom([]string{"B1", "B2"}).Draw(t, "batch")
	c := newBatch(s.h.t, name)
	for _, cb := range []*fsmpb.BatchCallback{c.OnSuccess, c.OnComplete, c.OnDeath} {
		cb.Graph = newBatchGraph(s.h.t)
	}
	if name == "B2" {
		c.ExpiresMs, c.RetainMs = 60_000_000, 500
	}
	cmd := rapid.SampledFrom([]*fsmpb.Command{
		createBatchCmd(c), createBatchCmd(c), closeBatchCmd(name), closeBatchCmd(name), reopenBatchCmd(name), cancelBatchCmd(name), purgeBatchCmd(name),
	}).Draw(t, "command")
	made := s.h.m.state.BatchCallbacks
	s.apply(cmd)
	if n := s.h.m.state.BatchCallbacks - made; n > 3 {
		t.Fatalf("%d callbacks", n)
	}
}
