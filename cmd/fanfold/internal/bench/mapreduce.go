package bench

import (
	"context"
	"fmt"
	"time"
)

// mapReduce measures a map and the fold over it.
func mapReduce(ctx context.Context, m *machine) ([]Value, error) {
	m.work(ctx)
	var small []time.Duration
	for range 5 {
		span, err := m.mapOf(ctx, 1000)
		if err != nil {
			return nil, err
		}
		small = append(small, span)
	}
	large, err := m.mapOf(ctx, 10_000)
	if err != nil {
		return nil, err
	}
	return []Value{
		{"map of 1,000 and fold", quantile(small, 0.5) / 1000, "s"},
		{"map of 10,000 and fold", large.Seconds(), "s"},
	}, nil
}

func (m *machine) mapOf(ctx context.Context, n int) (time.Duration, error) {
	started := time.Now()
	job, err := mapAndFold.Submit(ctx, m.client, plan{N: n, Bytes: m.Payload})
	if err != nil {
		return 0, err
	}
	got, err := job.Await(ctx)
	if err != nil {
		return 0, err
	}
	if got != n {
		return 0, fmt.Errorf("the fold of %d items counted %d", n, got)
	}
	return time.Since(started), nil
}
