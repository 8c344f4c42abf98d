package trial

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
)

// Modes of a run. Safety strikes and heals at random, for ever; what heals by luck is not noticed. Liveness
// strikes once, at a minority, does not heal, and demands progress. Quiet breaks nothing, and demands that the leader stays.
const (
	Safety   = "safety"
	Liveness = "liveness"
	Quiet    = "quiet"
)

const (
	// election is how long a follower waits before it stands for election (cluster.Config's default).
	election = 500 * time.Millisecond
	// patience is for machines that are loaded: what is bounded may take so many times as long.
	patience = 3
	// progressWithin bounds how long the cluster may stand still after a fault, or after its healing: three
	// elections, and 2 s for clients to find out.
	progressWithin = patience * (3*election + 2*time.Second)
	// steadyFor is how long progress is demanded then, and steadyGap how long nothing may succeed within it.
	steadyFor = 20 * time.Second
	steadyGap = patience * timeline.GapLeast
	warmUp    = 3 * time.Second
)

// lasting are the nemeses that leave a connected majority, so that they may stay.
var lasting = []string{
	"kill-leader", "kill-one", "kill-worker", "pause-leader", "pause-one", "pause-worker", "partition-one", "partition-leader", "partition-half",
	"one-way-in", "one-way-out", "disk-hang", "disk-error",
}

// chooseMode checks the mode, and makes time for it.
func (t *trial) chooseMode() error {
	switch t.Mode {
	case Safety:
		return nil
	case Quiet:
		if len(t.nemeses) > 0 || t.work.Moves {
			return fmt.Errorf("the mode %s takes no nemesis, and no workload that moves the leader", Quiet)
		}
		return nil
	case Liveness:
	default:
		return fmt.Errorf("there is no mode %q; there are %s, %s and %s", t.Mode, Safety, Liveness, Quiet)
	}
	if len(t.nemeses) != 1 || !slices.Contains(lasting, t.nemeses[0].Name) {
		return fmt.Errorf("the mode %s takes one nemesis that leaves a majority: one of %v", Liveness, lasting)
	}
	t.Time = max(t.Time, warmUp+t.bound()+steadyFor)
	return nil
}

// bound is within what the cluster has to go on after a fault that stays.
func (t *trial) bound() time.Duration {
	if t.nemeses[0].Inside {
		return progressWithin + nemesis.StallTimeout // until it is taken for one
	}
	return progressWithin
}

// strikeForGood makes one fault happen, and undoes it only when the load has ended.
func (t *trial) strikeForGood(working, ctx context.Context) error {
	r := rand.New(rand.NewPCG(t.Seed, 1<<32))
	select {
	case <-working.Done():
		return nil
	case <-time.After(warmUp):
	}
	nem := t.nemeses[0]
	finding, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	target, heal, err := nem.Strike(finding, t.site, r)
	if err != nil {
		return fmt.Errorf("nemesis %s: %w", nem.Name, err)
	}
	begin := t.history.Now()
	t.Note("%6.1fs  %s, for good: %s", begin.Seconds(), nem.Name, target)
	<-working.Done()
	loaded := t.history.Now()
	effect, err := heal(ctx)
	if err := t.prove(nem, err); err != nil {
		return fmt.Errorf("nemesis %s: heal: %w", nem.Name, err)
	}
	t.Note("%6.1fs  healed: %s", t.history.Now().Seconds(), cmp.Or(effect, "it had NO effect"))
	t.found.Faults = append(t.found.Faults, evidence.Fault{Nemesis: nem.Name, Target: target, Begin: begin, End: t.history.Now(), Effect: effect})
	t.found.Settled = append(t.found.Settled, progress(t.history.Ops(), begin, loaded, t.bound())...)
	return nil
}

// progress judges what clients achieved while a fault stayed.
func progress(ops []history.Op, begin, end, bound time.Duration) []evidence.Verdict {
	soon := evidence.Verdict{ID: "L1", Rule: fmt.Sprintf("a minority is lost for good: an operation begun after it succeeds within %v (%d x (3 elections of %v + 2 s))", bound, patience, election), Count: 1}
	steady := evidence.Verdict{ID: "L1", Rule: fmt.Sprintf("and from then on some operation succeeds in any %v, for %v", steadyGap, steadyFor)}
	first := end
	for _, op := range ops {
		if op.Outcome == history.OK && op.Begin >= begin {
			first = min(first, op.End)
		}
	}
	if took := first - begin; took > bound || first == end {
		soon.Violate(fmt.Sprintf("after the fault at %v nothing succeeded for %v", begin.Round(time.Millisecond), took.Round(time.Millisecond)))
		return []evidence.Verdict{soon}
	}
	soon.Rule += fmt.Sprintf(": it took %v", (first - begin).Round(time.Millisecond))
	var after []history.Op
	for _, op := range ops {
		if op.Outcome == history.OK && op.End >= first {
			op.Begin, op.End = op.Begin-first, op.End-first
			after = append(after, op)
			steady.Count++
		}
	}
	for _, g := range timeline.Gaps(after, nil, end-first) {
		if g.Length() > steadyGap {
			steady.Violate(fmt.Sprintf("nothing succeeded from %v to %v", (g.Begin + first).Round(time.Millisecond), (g.End + first).Round(time.Millisecond)))
		}
	}
	if end-first < steadyFor {
		steady.Violate(fmt.Sprintf("only %v were left to look at", (end - first).Round(time.Millisecond)))
	}
	return []evidence.Verdict{soon, steady}
}

// recovered judges how soon after each healing something succeeded.
func recovered(all []timeline.Recovery) evidence.Verdict {
	v := evidence.Verdict{ID: "L1", Rule: fmt.Sprintf("after each healing an operation succeeds within %v (%d x (3 elections of %v + 2 s))", progressWithin, patience, election)}
	var longest time.Duration
	for _, r := range all {
		if !r.Done && r.Took < progressWithin {
			continue // the next fault came before it was due
		}
		v.Count++
		longest = max(longest, r.Took)
		if r.Took > progressWithin {
			v.Violate(fmt.Sprintf("%s at %v: nothing succeeded for %v after it was healed", r.Nemesis, r.Healed.Round(time.Millisecond), r.Took.Round(time.Millisecond)))
		}
	}
	if v.Count > 0 {
		v.Rule += fmt.Sprintf(": the longest took %v", longest.Round(time.Millisecond))
	}
	return v
}
