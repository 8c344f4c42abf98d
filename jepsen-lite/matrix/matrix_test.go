package matrix

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/trial"
)

// outcomes runs no cluster: the trial of each workload comes to what is asked of it.
func outcomes(of map[string][]trial.Summary) func(context.Context, trial.Config) (*trial.Summary, error) {
	var mu sync.Mutex
	return func(_ context.Context, c trial.Config) (*trial.Summary, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(of[c.Workload]) == 0 {
			return nil, errors.New("no leader")
		}
		s := of[c.Workload][0]
		of[c.Workload] = of[c.Workload][1:]
		s.Dir = c.Dir
		return &s, os.WriteFile(filepath.Join(c.Dir, "history.jsonl"), nil, 0o644)
	}
}

func TestRun_OnlyAValidRunWithoutViolationHasHeld(t *testing.T) {
	held := trial.Summary{Operations: map[string]map[history.Outcome]int{"submit": {history.OK: 100, history.Unknown: 2}}, Faults: make([]evidence.Fault, 3)}
	violated := trial.Summary{Verdicts: []evidence.Verdict{{ID: "A1", Total: 2}}, Invalid: []string{"too little load"}}
	invalid := trial.Summary{Invalid: []string{"no effect"}}
	rows, err := Run(t.Context(), Config{
		Cells: []Cell{{Workload: "a"}, {Workload: "b"}, {Workload: "c"}, {Workload: "d"}, {Workload: "e"}},
		Dir:   t.TempDir(), Parallel: 2,
		Run: outcomes(map[string][]trial.Summary{"a": {held}, "b": {violated, held}, "c": {invalid, held}, "d": {invalid, invalid, held}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		Verdict Verdict
		Runs    int
	}
	var got []result
	for _, r := range rows {
		got = append(got, result{r.Verdict, r.Runs})
	}
	if diff := cmp.Diff([]result{{Held, 1}, {Violated, 1}, {Held, 2}, {Invalid, 2}, {Failed, 1}}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	want := Totals{Cells: 5, Held: 2, Violated: 1, Invalid: 1, Failed: 1, Operations: 200, Unknown: 4, Faults: 6, Violations: 2}
	if diff := cmp.Diff(want, Sum(rows)); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	for i, kept := range []bool{false, true} {
		if _, err := os.Stat(filepath.Join(rows[i].Dir, "history.jsonl")); kept != (err == nil) {
			t.Errorf("%s: the evidence is kept: %t", rows[i].Verdict, err == nil)
		}
		if _, err := os.Stat(filepath.Join(rows[i].Dir, "summary.json")); err != nil {
			t.Error(err)
		}
	}
}

func TestCells_SmokeHasWhatThereIsAndSaysWhatItLeavesOut(t *testing.T) {
	cells, left := only(smoke[:len(smoke)-1], []string{"submit", "lease"}, []string{"kill-leader", "kill-worker", "clock-offset"})
	if diff := cmp.Diff([]Cell{smoke[0], cell("lease", "clock-offset")}, cells); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	if len(cells)+len(left) != len(smoke)-1 {
		t.Errorf("%d cells and %d left out, of %d", len(cells), len(left), len(smoke)-1)
	}
	if quiet, _ := only(smoke, []string{"submit"}, nil); len(quiet) != 1 || quiet[0].String() != "submit × nothing" {
		t.Errorf("cells without a nemesis: %v", quiet)
	}
}

func TestCells_NightlyCrossesAllAndIsTheSameOfTheSameSeed(t *testing.T) {
	workloads, nemeses := []string{"submit", "timers"}, []string{"kill-all", "kill-one", "kill-leader", "flap", "brand-new"}
	cells := nightly(workloads, nemeses, 7)
	if diff := cmp.Diff(cells, nightly(workloads, nemeses, 7)); diff != "" {
		t.Errorf("two lists of one seed differ:\n%s", diff)
	}
	if len(cells) != 5+4 { // kill, odd links, brand-new, composed, nothing; odd links are useless for timers
		t.Errorf("%d cells: %v", len(cells), cells)
	}
	if !slices.ContainsFunc(cells, func(c Cell) bool { return slices.Equal(c.Nemeses, []string{"brand-new"}) }) {
		t.Error("a nemesis that no column names is left out")
	}
}

func TestCells_TheTiersOfThisProgramAreNotEmpty(t *testing.T) {
	for _, tier := range Tiers {
		cells, _, err := Cells(tier, 1)
		if err != nil || len(cells) < 3 {
			t.Errorf("%s: %v, %v", tier, cells, err)
		}
		for _, store := range []string{"wal", "bolt"} {
			if !slices.ContainsFunc(cells, func(c Cell) bool { return c.LogStore == store }) {
				t.Errorf("%s: no cell keeps its logs in %s", tier, store)
			}
		}
	}
	if _, _, err := Cells("weekly", 1); err == nil {
		t.Error("a tier that there is not is not refused")
	}
}

func TestCells_RandomTakesEveryWorkloadInTurn(t *testing.T) {
	workloads, nemeses := []string{"submit", "timers", "lease"}, []string{"kill-all", "flap", "reset"}
	cells := anything(workloads, nemeses, 7)
	if diff := cmp.Diff(cells, anything(workloads, nemeses, 7)); diff != "" {
		t.Errorf("two lists of one seed differ:\n%s", diff)
	}
	for i := range 10 {
		var turn, distinct []string
		for _, c := range cells[3*i : 3*i+3] {
			turn = append(turn, c.Workload)
			distinct = slices.Compact(slices.Sorted(slices.Values(c.Nemeses)))
			if n := len(c.Nemeses); n == 0 || n > composed || len(distinct) != n {
				t.Errorf("nemeses %v", c.Nemeses)
			}
		}
		if slices.Sort(turn); !slices.Equal(turn, []string{"lease", "submit", "timers"}) {
			t.Errorf("turn %d has the workloads %v", i, turn)
		}
	}
}

func TestRun_ForEndsTheBeginningOfCellsAndNotTheCells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := 0
		rows, err := Run(t.Context(), Config{
			Cells: make([]Cell, 100), Dir: t.TempDir(), For: 25 * time.Second,
			Run: func(context.Context, trial.Config) (*trial.Summary, error) {
				time.Sleep(10 * time.Second)
				ended++
				return &trial.Summary{Dir: t.TempDir()}, nil
			},
		})
		if err != nil || len(rows) != 3 || ended != 3 {
			t.Errorf("%d cells, %d ended, %v; want those begun at 0, 10 and 20 s", len(rows), ended, err)
		}
	})
}

func TestDigest_CountsRunsAndTellsThoseThatDidNotHold(t *testing.T) {
	dir := t.TempDir()
	o := &Outcome{Tier: "random", Seconds: 100, Rows: []Row{
		{Cell: cell("submit", "flap", "reset"), Verdict: Held, Operations: 5, LongestGap: 1500 * time.Millisecond},
		{Cell: cell("submit", "flap"), Verdict: Held, Operations: 6},
		{Cell: cell("lease", "reset"), Verdict: Violated, Broken: []string{"A1"}, Violations: 2, Again: "again 7"},
	}}
	if err := o.Save(dir); err != nil {
		t.Fatal(err)
	}
	read, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := Digest([]*Outcome{read, read})
	for _, line := range []string{
		"| runs | 6 |", "| ... that held every invariant | 4 |", "| ... that broke one | 2 |", "| time | 3m20s |", "| violations | 4 |",
		"| longest time without a success | 1.5s |", "| operations that succeeded | 22 |",
		"| runs that held | lease | submit |", "| flap | · | 4 |", "| reset | · | 2 |", "- **VIOLATED**, lease × reset: A1.\n  Again: `again 7`",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the line %q is missing in\n%s", line, text)
		}
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a directory without an outcome is not refused")
	}
}
