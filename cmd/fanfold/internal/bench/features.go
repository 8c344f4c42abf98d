package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// featureRounds is how often each variant is measured. Of the ratios to the plain drain of the same round the
// median counts: a shared machine changes its speed from one minute to the next.
const featureRounds = 3

// variant is a drain with something switched on.
type variant struct {
	name   string
	before func(ctx context.Context, m *machine) error // nil: nothing
	submit func(ctx context.Context, m *machine, first, n int) error
	after  func(ctx context.Context, m *machine) error
}

// wide are bounds that are counted for every task, and never reached.
var wide = []sdk.Limit{
	{Scope: sdk.LimitTask, Name: "bench.noop", Kind: sdk.LimitRate, N: 1_000_000, Period: time.Second, Burst: 1_000_000},
	{Scope: sdk.LimitQueue, Name: "default", Kind: sdk.LimitConcurrency, N: 1_000_000},
}

var variants = []variant{
	{name: "plain", submit: preload},
	{
		name: "limits",
		before: func(ctx context.Context, m *machine) error {
			return forAll(wide, func(l sdk.Limit) error { return m.client.SetLimit(ctx, l) })
		},
		submit: preload,
		after: func(ctx context.Context, m *machine) error {
			return forAll(wide, func(l sdk.Limit) error { return m.client.DeleteLimit(ctx, l) })
		},
	},
	{name: "priorities", submit: func(ctx context.Context, m *machine, first, n int) error {
		return inParts(n, func(part, at, n int) error {
			return preloadOf(ctx, m, noop.With(sdk.Priority(part)), first+at, n)
		})
	}},
	{name: "partitions", submit: func(ctx context.Context, m *machine, first, n int) error {
		return inParts(n, func(part, at, n int) error {
			return preloadOf(ctx, m, noop, first+at, n, sdk.Partition(fmt.Sprint("tenant-", part)))
		})
	}},
	{name: "unique keys", submit: func(ctx context.Context, m *machine, first, n int) error {
		return preloadOf(ctx, m, noop, first, n, sdk.Unique(sdk.UniqueConfig{})) // every input is another
	}},
}

// features measures what it costs to have limits, priorities, partitions and unique keys, as ratios to the plain drain.
func features(ctx context.Context, m *machine) ([]Value, error) {
	tasks := m.Tasks
	if tasks == 0 {
		tasks = 10_000
	}
	rates := make(map[string][]float64)
	if _, err := m.variant(ctx, variants[0], 0, tasks); err != nil { // warms up, and is not counted
		return nil, err
	}
	done := tasks
	for round := range featureRounds {
		order := slices.Clone(variants)
		if round%2 == 1 { // nobody is always first
			slices.Reverse(order)
		}
		for _, v := range order {
			m.Note("round %d of %d: %s", round+1, featureRounds, v.name)
			span, err := m.variant(ctx, v, done, tasks)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			done += tasks
			rates[v.name] = append(rates[v.name], rate(tasks, span))
		}
	}
	values := []Value{{"plain drain", median(rates["plain"]), "tasks/s"}}
	for _, v := range variants[1:] {
		ratios := make([]float64, featureRounds)
		for i := range ratios {
			ratios[i] = rates[v.name][i] / rates["plain"][i]
		}
		values = append(values, Value{v.name + " / plain", median(ratios), "of its rate"})
	}
	return values, nil
}

// variant submits with nobody working, and measures the drain.
func (m *machine) variant(ctx context.Context, v variant, done, tasks int) (time.Duration, error) {
	if v.before != nil {
		if err := v.before(ctx, m); err != nil {
			return 0, err
		}
	}
	if err := v.submit(ctx, m, done, tasks); err != nil {
		return 0, err
	}
	span, err := m.drainAll(ctx, done+tasks)
	if err != nil {
		return 0, err
	}
	if err := m.idle(); err != nil {
		return 0, err
	}
	if v.after != nil {
		err = v.after(ctx, m)
	}
	return span, err
}

// inParts cuts n into ten.
func inParts(n int, f func(part, at, n int) error) error {
	const parts = 10
	for part := range parts {
		at, end := part*n/parts, (part+1)*n/parts
		if err := f(part, at, end-at); err != nil {
			return err
		}
	}
	return nil
}

func forAll[T any](all []T, f func(T) error) error {
	for _, v := range all {
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}
