package fsm

import (
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// The scheduler's part of TestRandomCommands: partitions, priorities, limits and pauses, under jobs of all
// shapes, maps and folds among them. Which task is granted TestMatch_GrantsEqualTheNaiveModel decides.

func (s *script) partition(t *rapid.T, c *fsmpb.Command) {
	if name := rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "partition"); name != "" {
		o := new(fsmpb.JobOptions)
		if err := proto.Unmarshal(c.GetSubmitJob().Options, o); err != nil {
			t.Fatal(err)
		}
		o.Partition, o.Priority = name, uint32(rapid.IntRange(0, 10).Draw(t, "priority"))
		c.GetSubmitJob().Options, _ = proto.Marshal(o)
	}
}

func rateLimited(g Grant, ms int64) *fsmpb.Command {
	c := failure(g, "429", false)
	c.GetFailTask().RateLimitedMs = ms
	return c
}

func setLimitOf(l *fsmpb.Limit) *fsmpb.Command {
	l.Namespace = "default"
	return &fsmpb.Command{Kind: &fsmpb.Command_SetLimit{SetLimit: &fsmpb.SetLimit{Limit: l}}}
}

func deleteLimitOf(l *fsmpb.Limit) *fsmpb.Command {
	l.Namespace = "default"
	return &fsmpb.Command{Kind: &fsmpb.Command_DeleteLimit{DeleteLimit: &fsmpb.DeleteLimit{Limit: l}}}
}

func drawLimit(t *rapid.T) *fsmpb.Limit {
	l := &fsmpb.Limit{
		Scope: fsmpb.LimitScope_LIMIT_SCOPE_QUEUE, Name: "default", PerPartition: rapid.Bool().Draw(t, "per"),
		Kind: rapid.SampledFrom([]fsmpb.LimitKind{1, 2, 3}).Draw(t, "limit"), N: uint64(rapid.IntRange(1, 5).Draw(t, "n")),
	}
	if rapid.Bool().Draw(t, "of a task") {
		l.Scope, l.Name = fsmpb.LimitScope_LIMIT_SCOPE_TASK, rapid.SampledFrom([]string{"t", "u"}).Draw(t, "task")
	}
	if l.Kind != fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY {
		l.PeriodMs = rapid.SampledFrom([]int64{50, 333, 1000}).Draw(t, "period")
	}
	if l.Kind == fsmpb.LimitKind_LIMIT_KIND_RATE {
		l.Burst = uint64(rapid.IntRange(0, 3).Draw(t, "burst"))
	}
	return l
}

func (s *script) bound(t *rapid.T) {
	l := drawLimit(t)
	if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
		s.apply(deleteLimitOf(l)) // or is refused
		return
	}
	if r := s.apply(setLimitOf(l)); r.Answers[0].Refusal != nil {
		t.Fatal(r.Answers[0].Refusal)
	}
}

func (s *script) weights(t *rapid.T) {
	ageing := rapid.SampledFrom([]int64{-1, 0, 100}).Draw(t, "ageing")
	s.apply(&fsmpb.Command{Kind: &fsmpb.Command_SetQueue{SetQueue: &fsmpb.SetQueue{
		Namespace: "default", Queue: "default", AgeingMs: &ageing, Weights: map[string]uint32{"x": uint32(rapid.IntRange(0, 5).Draw(t, "weight"))},
	}}})
}

// unlimit removes all limits.
func (s *script) unlimit() {
	v := s.h.m.View()
	all, err := v.Limits("")
	if err != nil {
		s.h.t.Fatal(err)
	}
	v.Close()
	for _, l := range all {
		s.apply(deleteLimitOf(l.Limit))
	}
}
