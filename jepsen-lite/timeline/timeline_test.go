package timeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

const s = time.Second

func op(end time.Duration, o history.Outcome) history.Op {
	return history.Op{Kind: "submit", Begin: end - s/10, End: end, Outcome: o}
}

func TestGaps_AreTimesWithoutASuccess(t *testing.T) {
	ops := []history.Op{op(s/2, history.OK), op(2*s, history.Fail), op(3*s, history.OK), op(4*s-1, history.OK), op(5*s, history.Unknown)}
	faults := []evidence.Fault{{Nemesis: "kill-leader", Begin: s, End: 2 * s}, {Nemesis: "pause-leader", Begin: 8 * s, End: 9 * s}}
	got := Gaps(ops, faults, 6*s)
	want := []Gap{{Begin: s / 2, End: 3 * s, Faults: []string{"kill-leader"}}, {Begin: 4*s - 1, End: 6 * s}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if got := Longest(got); got != 5*s/2 {
		t.Errorf("the longest is %v", got)
	}
}

func TestGaps_ARunInWhichNothingSucceedsIsOne(t *testing.T) {
	if got := Gaps(nil, nil, 6*s); len(got) != 1 || got[0].Length() != 6*s {
		t.Errorf("gaps: %v", got)
	}
}

func TestRates_CountByEndAndOutcome(t *testing.T) {
	got := Rates([]history.Op{op(s/2, history.OK), op(3*s/2, history.OK), op(3*s/2, history.Unknown), op(9*s, history.OK)}, "submit", s, 2*s)
	want := []Rate{{OK: 1, P50: s / 10, P99: s / 10, Max: s / 10}, {OK: 1, Unknown: 1, P50: s / 10, P99: s / 10, Max: s / 10}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
}

func TestLeaders_AreTheTermsOfTheLog(t *testing.T) {
	start := time.UnixMilli(1000)
	got := Leaders([]ledger.Entry{{Index: 1, Term: 2}, {Index: 2, Term: 2, NowMS: 1500}, {Index: 3, Term: 2, NowMS: 1600}, {Index: 4, Term: 5}, {Index: 5, Term: 5, NowMS: 4000}}, start)
	want := []Leader{{Term: 2, Index: 1, At: s / 2}, {Term: 5, Index: 4, At: 3 * s}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("leaders (-want +got):\n%s", diff)
	}
}
