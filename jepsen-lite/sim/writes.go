package sim

import (
	"context"
	"fmt"
	"time"
)

// scenario is the plan that is crashed at every write: a bit of all kinds of work, while one node is cut off for
// so long that it is sent a snapshot, with logs so short that the state is flushed and the log cut all the time.
func scenario(seed uint64) (Plan, error) {
	p, err := Generate(TierCluster, seed)
	if err != nil {
		return p, err
	}
	p.Threshold, p.Trailing, p.Sync = 5, 1, 0
	p.Load = 12 * time.Second
	p.Ops, p.Faults = nil, []Fault{{At: 2 * time.Second, For: 6 * time.Second, Kind: "partition", Node: 2}}
	for i, kind := range []string{"chain", "map", "schedule", "unique", "twice", "chain"} {
		p.Ops = append(p.Ops, Op{ID: i, At: time.Duration(1+i) * 1500 * time.Millisecond, Kind: kind, N: 4})
	}
	for i := range p.Clocks {
		p.Clocks[i] = 0
	}
	return p, nil
}

// Writes loses the power of each node at each of its writes, before it and after it, in one scenario each: every
// run must recover with nothing lost. step leaves writes out: every step-th is crashed.
func (c *Campaign) Writes(ctx context.Context, step int) (*Totals, error) {
	t := c.totals()
	begin := time.Now()
	defer func() { t.Real = time.Since(begin) }()
	p, err := scenario(c.First)
	if err != nil {
		return t, err
	}
	whole, err := c.Runner.Run(ctx, p)
	if err != nil {
		return t, err
	}
	t.add(whole)
	if whole.Failed() {
		return t, fmt.Errorf("the scenario fails without a crash: %s", whole.Why())
	}
	c.note("the scenario writes %v times", whole.Writes)
	for node, writes := range whole.Writes {
		for write := 1; write <= writes; write += step {
			for _, after := range []bool{false, true} {
				p.Crash = &CrashAt{Node: node, Write: write, After: after}
				if err := c.crash(ctx, t, p); err != nil {
					return t, err
				}
				if c.Stop > 0 && t.Failed >= c.Stop {
					return t, nil
				}
			}
		}
		c.note("node %d: %d runs, %d failed", node, t.Seeds, t.Failed)
	}
	return t, nil
}

// OneWrite is one run of Writes.
func (c *Campaign) OneWrite(ctx context.Context, crash string) (*Totals, error) {
	t := c.totals()
	p, err := scenario(c.First)
	if err == nil {
		p.Crash, err = parseCrash(crash)
	}
	if err != nil {
		return t, err
	}
	return t, c.crash(ctx, t, p)
}

// crash runs the scenario with the crash that is in it, and counts it.
func (c *Campaign) crash(ctx context.Context, t *Totals, p Plan) error {
	r, err := c.Runner.Run(ctx, p)
	if err != nil {
		return err
	}
	t.add(r)
	if r.Failed() {
		c.note("crash %s: %s", p.Crash, r.Why())
		t.Failures = append(t.Failures, Failure{
			Seed: c.First, Why: r.Why(), Seeds: t.Seeds, Result: r,
			Again: fmt.Sprintf("sim --writes --first %d --crash %s", c.First, p.Crash),
		})
	}
	return nil
}
