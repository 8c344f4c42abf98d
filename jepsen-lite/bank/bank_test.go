package bank

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/nemesis"
	"github.com/fanfold/fanfold/jepsen-lite/trial"
	"github.com/fanfold/fanfold/jepsen-lite/workload"
)

// tagged lists the bugs that the product has places for.
func tagged(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../../fsm/planted/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if tag, ok := strings.CutPrefix(string(text), "//go:build bug_"); ok && filepath.Base(file) != "chosen.go" {
			name, _, _ := strings.Cut(tag, "\n")
			names = append(names, name)
		}
	}
	return names
}

func TestBugs_EachHasItsTagItsCellAndItsCheckers(t *testing.T) {
	var listed []string
	for _, b := range Bugs {
		listed = append(listed, b.Name)
		if _, err := workload.Find(b.Workload); err != nil && !b.Simulated {
			t.Errorf("%s: %v", b.Name, err)
		}
		if _, err := nemesis.Find(b.Nemeses); err != nil {
			t.Errorf("%s: %v", b.Name, err)
		}
		if len(b.Caught) == 0 || b.About == "" {
			t.Errorf("%s: nothing says what it is, or what should catch it", b.Name)
		}
	}
	slices.Sort(listed)
	if diff := cmp.Diff(tagged(t), listed); diff != "" {
		t.Errorf("bugs with a tag, and in the bank (-tag +bank):\n%s", diff)
	}
}

func TestBugs_EveryLawHasOne(t *testing.T) {
	const laws = 14 // design, section 7
	for law := 1; law <= laws; law++ {
		if !slices.ContainsFunc(Bugs, func(b Bug) bool { return b.Law == law }) {
			t.Errorf("no bug breaks law %d", law)
		}
	}
	if !slices.IsSortedFunc(Bugs, func(a, b Bug) int { return a.Law - b.Law }) {
		t.Error("the bugs are not in the order of the laws")
	}
}

// broken is a run in which invariants were broken.
func broken(ids ...string) *trial.Summary {
	s := &trial.Summary{Verdicts: []evidence.Verdict{{ID: "L1", Count: 1}}}
	for _, id := range ids {
		s.Verdicts = append(s.Verdicts, evidence.Verdict{ID: id, Count: 1, Total: 1, Violations: []string{"of " + id}})
	}
	return s
}

func TestRun_ABugIsCaughtByWhatShouldCatchItOnly(t *testing.T) {
	runs := map[string][]*trial.Summary{
		"a": {broken(), nil, broken("S1"), broken("S1", "A2")},
		"b": {broken("S1"), broken("S1"), broken(), broken()},
		"":  {broken(), broken()},
	}
	rows, err := Run(t.Context(), Config{
		Bugs: []Bug{
			{Name: "a", Workload: "submit", Nemeses: []string{"kill-leader"}, Caught: []string{"A2", "A10"}},
			{Name: "b", Workload: "submit", Nemeses: []string{"kill-leader"}, Caught: []string{"D1"}},
			{Name: "b", Workload: "submit", Nemeses: []string{"disk-slow"}, Caught: []string{"S1"}},
		},
		Runs: 4, Seed: 7, Dir: t.TempDir(), Control: true,
		Build: func(_ context.Context, tags, path string) error { return os.WriteFile(path, []byte(tags), 0o755) },
		Run: func(_ context.Context, _, name string, _ []string) (*trial.Summary, error) {
			if len(runs[name]) == 0 {
				return broken("S1"), nil
			}
			s := runs[name][0]
			if runs[name] = runs[name][1:]; s == nil {
				return nil, errors.New("no leader")
			}
			return s, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []Row
	for _, r := range rows {
		r.Seconds = 0
		got = append(got, r)
	}
	want := []Row{
		{Bug: "a", Cell: "submit × kill-leader", Caught: []string{"A2"}, Others: []string{"S1"}, Runs: 4, First: "of A2",
			Command: "go run -tags bug_a ./jepsen-lite run --workload submit --nemesis kill-leader --time 15s --settle 30s --seed 10"},
		{Bug: "b", Cell: "submit × kill-leader", Runs: 4, Why: "none of D1 was broken",
			Command: "go run -tags bug_b ./jepsen-lite run --workload submit --nemesis kill-leader --time 15s --settle 30s --seed 10"},
		{Bug: "b", Cell: "submit × disk-slow", Caught: []string{"S1"}, Runs: 1, First: "of S1",
			Command: "go run -tags bug_b,chaos ./jepsen-lite run --workload submit --nemesis disk-slow --time 15s --settle 30s --seed 7"},
		{Control: true, Cell: "submit × kill-leader", Runs: 1,
			Command: "go run ./jepsen-lite run --workload submit --nemesis kill-leader --time 15s --settle 30s --seed 7"},
		{Control: true, Cell: "submit × disk-slow", Runs: 1,
			Command: "go run ./jepsen-lite run --workload submit --nemesis disk-slow --time 15s --settle 30s --seed 7"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestRun_AControlThatDoesNotHoldIsNotOK(t *testing.T) {
	rows, err := Run(t.Context(), Config{
		Bugs: []Bug{{Name: "a", Workload: "submit", Caught: []string{"A2"}}}, Runs: 1, Dir: t.TempDir(), Control: true,
		Build: func(context.Context, string, string) error { return nil },
		Run:   func(context.Context, string, string, []string) (*trial.Summary, error) { return broken("A2"), nil },
	})
	if err != nil || len(rows) != 2 || !rows[0].OK() || rows[1].OK() {
		t.Errorf("%+v, %v; want a bug that is caught and a control that is not", rows, err)
	}
}
