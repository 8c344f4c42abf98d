package trial

import (
	"testing"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
	"github.com/fanfold/fanfold/jepsen-lite/timeline"
)

// successes are operations of 100 ms that succeed, one after another.
func successes(from, to time.Duration) (ops []history.Op) {
	for at := from; at < to; at += 100 * time.Millisecond {
		ops = append(ops, history.Op{Begin: at, End: at + 100*time.Millisecond, Outcome: history.OK})
	}
	return ops
}

func TestProgress_AClusterThatStandsStillIsFound(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name         string
		ops          []history.Op
		soon, steady bool // held
	}{
		{"it goes on after an election", append(successes(0, 3*s), successes(5*s, 40*s)...), true, true},
		{"it never goes on", successes(0, 3*s), false, false},
		{"it goes on too late", append(successes(0, 3*s), successes(15*s, 40*s)...), false, false},
		{"it goes on, and stops", append(successes(0, 3*s), successes(5*s, 20*s)...), true, false},
	} {
		all := progress(c.ops, 3*s, 40*s, progressWithin)
		if all[0].Held() != c.soon || len(all) > 1 && all[1].Held() != c.steady {
			t.Errorf("%s: %+v", c.name, all)
		}
	}
}

func TestRecovered_AHealingThatDoesNotHelpIsFound(t *testing.T) {
	const s = time.Second
	faults := []evidence.Fault{{Nemesis: "a", Begin: s, End: 2 * s}, {Nemesis: "b", Begin: 4 * s, End: 5 * s}, {Nemesis: "c", Begin: 30 * s, End: 31 * s}}
	all := timeline.Recoveries(append(successes(0, s), successes(6*s, 12*s)...), faults, 60*s)
	want := []timeline.Recovery{
		{Nemesis: "a", Healed: 2 * s, Took: 2 * s}, // the next fault came first
		{Nemesis: "b", Healed: 5 * s, Took: s + s/10, Done: true},
		{Nemesis: "c", Healed: 31 * s, Took: 29 * s},
	}
	for i, r := range all {
		if r != want[i] {
			t.Errorf("recovery %d is %+v, want %+v", i, r, want[i])
		}
	}
	if v := recovered(all); v.Count != 2 || v.Total != 1 {
		t.Errorf("L1: %+v", v)
	}
}

func TestChooseMode_LivenessNeedsAFaultThatLeavesAMajority(t *testing.T) {
	for _, c := range []struct {
		mode string
		nem  []string
		ok   bool
	}{{Safety, nil, true}, {Liveness, []string{"kill-leader"}, true}, {Liveness, []string{"kill-all"}, false}, {Liveness, nil, false}, {"luck", nil, false}} {
		r := &trial{Config: Config{Mode: c.mode}, nemeses: find(t, c.nem)}
		if err := r.chooseMode(); (err == nil) != c.ok {
			t.Errorf("%s with %v: %v", c.mode, c.nem, err)
		}
		if c.ok && c.mode == Liveness && r.Time < steadyFor+progressWithin {
			t.Errorf("the load lasts %v", r.Time)
		}
	}
}

func find(t *testing.T, names []string) []nemesis.Nemesis {
	t.Helper()
	all, err := nemesis.Find(names)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
