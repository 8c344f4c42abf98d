package bench

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fanfold/fanfold/sdk"
)

// bulk is how many tasks a batch has.
const bulk = 1000

// submit measures how fast tasks are taken in while nobody works.
func submit(ctx context.Context, m *machine) ([]Value, error) {
	started := time.Now()
	var submitted atomic.Int64
	group, inner := errgroup.WithContext(ctx)
	for range m.Clients {
		group.Go(func() error {
			for time.Since(started) < m.Span {
				id := int(submitted.Add(1))
				if _, err := noop.Submit(inner, m.client, padded(Item{ID: id}, m.Payload)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	singles := rate(int(submitted.Load()), time.Since(started))

	started = time.Now()
	n := 0
	for time.Since(started) < m.Span/2 {
		if err := preload(ctx, m, n, bulk); err != nil {
			return nil, err
		}
		n += bulk
	}
	return []Value{
		{"single submits", singles, "tasks/s"},
		{"bulks of 1,000", rate(n, time.Since(started)), "tasks/s"},
	}, nil
}

// preload submits n tasks, in bulks.
func preload(ctx context.Context, m *machine, first, n int) error {
	return preloadOf(ctx, m, noop, first, n)
}

// preloadOf is preload of a variant of the task.
func preloadOf(ctx context.Context, m *machine, task *sdk.Task[Item, Done], first, n int, opts ...sdk.SubmitOption) error {
	for at := 0; at < n; at += bulk {
		items := make([]Item, min(bulk, n-at))
		for i := range items {
			items[i] = padded(Item{ID: first + at + i}, m.Payload)
		}
		if _, err := sdk.SubmitBatch(ctx, m.client, task, items, opts...); err != nil {
			return err
		}
	}
	return nil
}
