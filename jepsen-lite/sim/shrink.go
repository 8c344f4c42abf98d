package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shrinkRuns bounds the runs that are spent on making one plan smaller.
const shrinkRuns = 150

// shrink makes a failing plan smaller while it fails alike: it leaves faults out, then operations, halves and
// then one by one (the delta debugging of Zeller and Hildebrandt), and then time. A run that does not fail
// proves little where chance is left (see README), so each candidate has two tries.
func (c *Campaign) shrink(ctx context.Context, r *Result) (*Result, error) {
	best, runs := r, 0
	try := func(p Plan) (bool, error) {
		for range 2 {
			if runs >= shrinkRuns {
				return false, nil
			}
			runs++
			got, err := c.Runner.Run(ctx, p)
			if err != nil {
				return false, err
			}
			if got.Failed() && same(r, got) {
				best = got
				return true, nil
			}
		}
		return false, nil
	}
	for before := -1; before != len(best.Plan.Faults)+len(best.Plan.Ops); {
		before = len(best.Plan.Faults) + len(best.Plan.Ops)
		if err := without(len(best.Plan.Faults), func(from, to int) (bool, error) {
			p := best.Plan
			p.Faults = slices.Delete(slices.Clone(p.Faults), from, to)
			return try(p)
		}); err != nil {
			return best, err
		}
		if err := without(len(best.Plan.Ops), func(from, to int) (bool, error) {
			p := best.Plan
			p.Ops = slices.Delete(slices.Clone(p.Ops), from, to)
			return try(p)
		}); err != nil {
			return best, err
		}
	}
	for best.Plan.Load > 2*time.Second {
		p := best.Plan
		p.Load /= 2
		if ok, err := try(p); err != nil || !ok {
			break
		}
	}
	c.note("  shrunk in %d runs to %d of %d faults and %d of %d operations in %v", runs, len(best.Plan.Faults), len(r.Plan.Faults), len(best.Plan.Ops), len(r.Plan.Ops), best.Plan.Load)
	return best, nil
}

// without leaves out parts of a list of n, large ones first, for as long as try says that it still fails.
func without(n int, try func(from, to int) (bool, error)) error {
	for size := max(1, n); n > 0; {
		for at := 0; at < n; {
			to := min(at+size, n)
			gone, err := try(at, to)
			if err != nil {
				return err
			}
			if gone {
				n -= to - at
			} else {
				at = to
			}
		}
		if size == 1 {
			return nil
		}
		size = (size + 1) / 2
	}
	return nil
}

// Arguments are those of the command that repeat a plan: the seed, and what of its plan is left.
func Arguments(p Plan) string {
	args := []string{"sim", "--tier", p.Tier, "--first", strconv.FormatUint(p.Seed, 10), "--seeds", "1"}
	whole, err := Generate(p.Tier, p.Seed)
	if err != nil || len(whole.Ops) != len(p.Ops) {
		args = append(args, "--ops", ids(p.Ops, func(o Op) int { return o.ID }))
	}
	if err != nil || len(whole.Faults) != len(p.Faults) {
		args = append(args, "--faults", ids(p.Faults, func(f Fault) int { return f.ID }))
	}
	if p.Load != whole.Load {
		args = append(args, "--load", p.Load.String())
	}
	if c := p.Crash; c != nil {
		args = append(args, "--crash", c.String())
	}
	return strings.Join(args, " ")
}

func ids[T any](all []T, id func(T) int) string {
	text := []string{}
	for _, one := range all {
		text = append(text, strconv.Itoa(id(one)))
	}
	if len(text) == 0 {
		return "none"
	}
	return strings.Join(text, ",")
}

// Keep is a part of a plan, as Arguments writes it.
type Keep struct {
	Ops, Faults string // ids with commas between, none, or "" for all
	Load        time.Duration
	Crash       string // node/write/before or node/write/after, from 0 and 1
}

// Of cuts a plan down.
func (k Keep) Of(p *Plan) (err error) {
	if p.Ops, err = keep(p.Ops, k.Ops, func(o Op) int { return o.ID }); err != nil {
		return err
	}
	if p.Faults, err = keep(p.Faults, k.Faults, func(f Fault) int { return f.ID }); err != nil {
		return err
	}
	if k.Load > 0 {
		p.Load = k.Load
	}
	if k.Crash != "" {
		p.Crash, err = parseCrash(k.Crash)
	}
	return err
}

func keep[T any](all []T, list string, id func(T) int) ([]T, error) {
	switch list {
	case "":
		return all, nil
	case "none":
		return nil, nil
	}
	var kept []T
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		i := slices.IndexFunc(all, func(one T) bool { return id(one) == n })
		if err != nil || i < 0 {
			return nil, fmt.Errorf("the plan has nothing with the number %q", text)
		}
		kept = append(kept, all[i])
	}
	return kept, nil
}

func (c *CrashAt) String() string {
	when := "before"
	if c.After {
		when = "after"
	}
	return fmt.Sprintf("%d/%d/%s", c.Node, c.Write, when)
}

func parseCrash(text string) (*CrashAt, error) {
	var c CrashAt
	var when string
	if _, err := fmt.Sscanf(strings.ReplaceAll(text, "/", " "), "%d %d %s", &c.Node, &c.Write, &when); err != nil || when != "before" && when != "after" {
		return nil, fmt.Errorf("a crash is node/write/before or node/write/after, not %q", text)
	}
	c.After = when == "after"
	return &c, nil
}
