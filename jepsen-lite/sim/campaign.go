package sim

import (
	"context"
	"time"
)

// Campaign is many seeds.
type Campaign struct {
	Runner *Runner
	Tier   string
	First  uint64
	Seeds  int
	// Keep changes each plan before it runs, for one that was shrunk; nil: as they are.
	Keep func(*Plan) error
	// Shrink tries to make what fails smaller.
	Shrink bool
	// Twice runs each plan a second time, to see whether the history is the same.
	Twice bool
	// Stop ends the campaign after so many failures; 0: never.
	Stop int
	Note func(format string, args ...any)
}

// Totals are what a campaign came to.
type Totals struct {
	Tier    string         `json:"tier"`
	First   uint64         `json:"first"`
	Seeds   int            `json:"seeds"`
	Failed  int            `json:"failed"`
	Virtual time.Duration  `json:"virtual"` // of clusters, added up
	CPU     time.Duration  `json:"cpu"`
	Real    time.Duration  `json:"real"`
	Entries int            `json:"entries"`
	Ops     int            `json:"ops"`
	Fired   map[string]int `json:"fired"`
	Checked map[string]int `json:"checked"`
	Acked   int            `json:"acked"`
	Writes  int            `json:"writes"`
	// Same of Twice plans had the same history when they ran again.
	Same  int `json:"same,omitempty"`
	Twice int `json:"twice,omitempty"`

	Failures []Failure `json:"failures,omitempty"`
}

// Failure is a plan that found something.
type Failure struct {
	Seed   uint64  `json:"seed"`
	Why    string  `json:"why"`
	Seeds  int     `json:"seeds"` // run until then, this one included
	Again  string  `json:"again"` // arguments that repeat it
	Result *Result `json:"result"`
	// Repeats of Tries runs of the (shrunk) plan failed again.
	Repeats int `json:"repeats"`
	Tries   int `json:"tries"`
}

// ClusterHours is the simulated time.
func (t *Totals) ClusterHours() float64 { return t.Virtual.Hours() }

// PerMinute is how many seeds a minute of processor time is enough for.
func (t *Totals) PerMinute() float64 {
	if t.CPU == 0 {
		return 0
	}
	return float64(t.Seeds) / t.CPU.Minutes()
}

// Run runs the seeds one after another.
func (c *Campaign) Run(ctx context.Context) (*Totals, error) {
	t := c.totals()
	begin := time.Now()
	defer func() { t.Real = time.Since(begin) }()
	said := begin
	for seed := c.First; seed < c.First+uint64(c.Seeds); seed++ {
		p, err := Generate(c.Tier, seed)
		if err == nil && c.Keep != nil {
			err = c.Keep(&p)
		}
		if err != nil {
			return t, err
		}
		r, err := c.Runner.Run(ctx, p)
		if err != nil {
			return t, err
		}
		t.add(r)
		if c.Twice {
			second, err := c.Runner.Run(ctx, p)
			if err != nil {
				return t, err
			}
			if t.Twice++; second.Digest == r.Digest {
				t.Same++
			}
		}
		if r.Failed() {
			f, err := c.failure(ctx, r)
			if err != nil {
				return t, err
			}
			f.Seeds = t.Seeds
			t.Failures = append(t.Failures, f)
			if c.Stop > 0 && t.Failed >= c.Stop {
				return t, nil
			}
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			c.note("%d of %d seeds, %d failed, %.1f cluster-hours, %.0f seeds a minute of CPU", t.Seeds, c.Seeds, t.Failed, t.ClusterHours(), t.PerMinute())
		}
	}
	return t, nil
}

func (c *Campaign) totals() *Totals {
	return &Totals{Tier: c.Tier, First: c.First, Fired: map[string]int{}, Checked: map[string]int{}}
}

func (c *Campaign) note(format string, args ...any) {
	if c.Note != nil {
		c.Note(format, args...)
	}
}

func (t *Totals) add(r *Result) {
	t.Seeds++
	t.Virtual += r.Virtual
	t.CPU += r.CPU
	t.Entries += r.Entries
	t.Ops += r.Ops
	t.Acked += r.Submissions.Acked
	for _, n := range r.Writes {
		t.Writes += n
	}
	for kind, n := range r.Fired {
		t.Fired[kind] += n
	}
	for id, n := range r.Checked {
		t.Checked[id] += n
	}
	if r.Failed() {
		t.Failed++
	}
}

// again is how often a failure is repeated, to say how far it can be trusted to come again.
const again = 5

// failure shrinks a plan that failed, and repeats it.
func (c *Campaign) failure(ctx context.Context, r *Result) (Failure, error) {
	c.note("seed %d: %s", r.Plan.Seed, r.Why())
	f := Failure{Seed: r.Plan.Seed, Why: r.Why(), Result: r, Tries: again}
	if c.Shrink {
		small, err := c.shrink(ctx, r)
		if err != nil {
			return f, err
		}
		f.Result, f.Why = small, small.Why()
	}
	f.Again = Arguments(f.Result.Plan)
	for range again {
		r, err := c.Runner.Run(ctx, f.Result.Plan)
		if err != nil {
			return f, err
		}
		if r.Failed() {
			f.Repeats++
		}
	}
	c.note("  again: %s (%d of %d runs failed)", f.Again, f.Repeats, f.Tries)
	return f, nil
}

// same reports whether two results failed alike.
func same(a, b *Result) bool {
	if len(a.Broken) == 0 || len(b.Broken) == 0 {
		return a.Failed() && b.Failed() && (len(a.Broken) > 0) == (len(b.Broken) > 0)
	}
	for _, v := range a.Broken {
		for _, u := range b.Broken {
			if v.ID == u.ID {
				return true
			}
		}
	}
	return false
}
