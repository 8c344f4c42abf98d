package matrix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/trial"
)

// Verdict is what a cell came to.
type Verdict string

const (
	Held     Verdict = "held"
	Violated Verdict = "VIOLATED" // an invariant was broken
	Invalid  Verdict = "invalid"  // it proves nothing: a fault without effect, too little load
	Failed   Verdict = "FAILED"   // it could not be run or judged
)

// Row is a cell and what it came to.
type Row struct {
	Cell
	Seed    uint64  `json:"seed"`
	Verdict Verdict `json:"verdict"`
	// Runs is 2 when the first was invalid: it was run again with another seed.
	Runs    int     `json:"runs"`
	Seconds float64 `json:"seconds"`
	// Operations, Unknown and Entries are of the last run: calls of clients that succeeded, those whose outcome
	// no client knows, and entries of the log.
	Operations int `json:"operations"`
	Unknown    int `json:"unknown"`
	Entries    int `json:"entries"`
	Faults     int `json:"faults"`
	// Broken are the ids of the invariants that were broken; Violations is how often, in all.
	Broken     []string `json:"broken,omitempty"`
	Violations int      `json:"violations"`
	// Submissions are what became of the keys that clients submitted, by the log.
	Submissions evidence.Submissions `json:"submissions"`
	LongestGap  time.Duration        `json:"longest_gap"`
	// Why says why the verdict is neither held nor violated.
	Why   string `json:"why,omitempty"`
	Again string `json:"again"`
	Dir   string `json:"dir"`
}

// Config says how to run a matrix.
type Config struct {
	Cells []Cell
	// Trial is what the trials have in common; its workload, nemeses, seed and directory are those of the cells, and
	// its log store too, unless it names one.
	Trial trial.Config
	Seed  uint64
	Dir   string
	// Parallel is how many trials run at once. 0 = 1.
	Parallel int
	// For is how long new cells are begun; those under way then are run to their end. 0 = until all have been.
	For time.Duration
	// Run runs one trial. nil = trial.Run.
	Run func(context.Context, trial.Config) (*trial.Summary, error)
	// Done is told every row as it ends, one at a time.
	Done func(Row)
}

// Run runs all cells and returns their rows in the order of the cells; when ctx ends, those that it got to.
func Run(ctx context.Context, c Config) ([]Row, error) {
	if c.Run == nil {
		c.Run = trial.Run
	}
	seeds := rand.New(rand.NewPCG(c.Seed, 3<<32))
	rows := make([]Row, len(c.Cells))
	for i, cell := range c.Cells {
		cell.LogStore = cmp.Or(c.Trial.LogStore, cell.LogStore)
		rows[i] = Row{Cell: cell, Seed: seeds.Uint64N(1 << 32)}
	}
	todo := make(chan int)
	var hands sync.WaitGroup
	var done sync.Mutex
	for range max(c.Parallel, 1) {
		hands.Go(func() {
			for i := range todo {
				c.cell(ctx, &rows[i], i)
				done.Lock()
				if c.Done != nil && rows[i].Runs > 0 {
					c.Done(rows[i])
				}
				done.Unlock()
			}
		})
	}
	var over <-chan time.Time // nil: never
	if c.For > 0 {
		over = time.After(c.For)
	}
begin:
	for i := range rows {
		select {
		case todo <- i:
		case <-over:
			break begin
		case <-ctx.Done():
			break begin
		}
	}
	close(todo)
	hands.Wait()
	var ran []Row
	for _, r := range rows {
		if r.Runs > 0 {
			ran = append(ran, r)
		}
	}
	return ran, ctx.Err()
}

// runsMax is how often a cell is run at most: an invalid run says nothing, and gets a second chance.
const runsMax = 2

func (c *Config) cell(ctx context.Context, r *Row, n int) {
	for r.Runs < runsMax && ctx.Err() == nil {
		r.Runs++
		t := c.Trial
		t.Workload, t.Nemeses, t.LogStore, t.Seed = r.Workload, r.Nemeses, r.LogStore, r.Seed
		if len(r.Nemeses) == 0 {
			t.Mode = trial.Quiet
		}
		t.Dir = filepath.Join(c.Dir, fmt.Sprintf("%03d-%s-%d", n+1, r.Workload, r.Runs))
		r.Dir = t.Dir
		err := os.MkdirAll(t.Dir, 0o755)
		var s *trial.Summary
		if err == nil {
			s, err = c.Run(ctx, t)
		}
		if err == nil {
			err = s.Save()
		}
		if err != nil {
			r.Verdict, r.Why = Failed, err.Error()
			return
		}
		r.take(s)
		if r.Verdict == Held {
			if err := tidy(t.Dir); err != nil {
				r.Verdict, r.Why = Failed, err.Error()
			}
		}
		if r.Verdict != Invalid {
			return
		}
		if r.Runs < runsMax {
			r.Seed++
		}
	}
}

func (r *Row) take(s *trial.Summary) {
	r.Seconds, r.Entries, r.Faults, r.LongestGap, r.Again = s.Seconds, s.Entries, len(s.Faults), s.LongestGap, s.Again
	r.Submissions = s.Submissions
	r.Operations, r.Unknown, r.Violations, r.Broken, r.Why = 0, 0, 0, nil, ""
	for _, n := range s.Operations {
		r.Operations += n[history.OK]
		r.Unknown += n[history.Unknown]
	}
	for i := range s.Verdicts {
		if v := &s.Verdicts[i]; !v.Held() {
			r.Broken = append(r.Broken, v.ID)
			r.Violations += v.Total
		}
	}
	switch {
	case s.Violated():
		r.Verdict = Violated
	case len(s.Invalid) > 0:
		r.Verdict, r.Why = Invalid, s.Invalid[0]
	default:
		r.Verdict = Held
	}
}

// tidy removes the evidence of a run that held, but for its summary and report: a night leaves gigabytes.
func tidy(dir string) error {
	all, err := os.ReadDir(dir)
	for _, f := range all {
		if f.Name() != "summary.json" && f.Name() != "report.html" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}
	return err
}

// Totals are over all rows.
type Totals struct {
	Cells      int `json:"cells"`
	Held       int `json:"held"`
	Violated   int `json:"violated"`
	Invalid    int `json:"invalid"`
	Failed     int `json:"failed"`
	Operations int `json:"operations"`
	Unknown    int `json:"unknown"`
	Entries    int `json:"entries"`
	Faults     int `json:"faults"`
	Violations int `json:"violations"`
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	Recovered  int `json:"recovered"`
}

// Sum adds rows up.
func Sum(rows []Row) (t Totals) {
	for _, r := range rows {
		t.Cells++
		switch r.Verdict {
		case Held:
			t.Held++
		case Violated:
			t.Violated++
		case Invalid:
			t.Invalid++
		default:
			t.Failed++
		}
		t.Operations += r.Operations
		t.Unknown += r.Unknown
		t.Entries += r.Entries
		t.Faults += r.Faults
		t.Violations += r.Violations
		t.Lost += r.Submissions.Lost
		t.Duplicated += r.Submissions.Duplicated
		t.Recovered += r.Submissions.Recovered
	}
	return t
}
