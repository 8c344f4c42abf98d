package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	closedRounds = 500
	openRate     = 200 // tasks per second
	openSpan     = 12 * time.Second
	openFirstID  = 1_000_000
)

// latency measures one task at a time from submit to result (closed), and from submit to the end of
// the handler while tasks come at a steady rate (open).
func latency(ctx context.Context, m *machine) ([]Value, error) {
	m.work(ctx)
	var closed []time.Duration
	for i := range closedRounds {
		started := time.Now()
		job, err := noop.Submit(ctx, m.client, padded(Item{ID: i}, m.Payload))
		if err != nil {
			return nil, err
		}
		if _, err := job.Await(ctx); err != nil {
			return nil, err
		}
		closed = append(closed, time.Since(started))
	}
	open, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	return []Value{
		{"closed p50", quantile(closed, 0.5), "ms"}, {"closed p99", quantile(closed, 0.99), "ms"},
		{"open 200/s p50", quantile(open, 0.5), "ms"}, {"open 200/s p99", quantile(open, 0.99), "ms"},
	}, nil
}

func (m *machine) open(ctx context.Context) ([]time.Duration, error) {
	group, inner := errgroup.WithContext(ctx)
	ticker := time.NewTicker(time.Second / openRate)
	defer ticker.Stop()
	tasks := int(openSpan.Seconds() * openRate)
	submitted := make([]time.Time, tasks)
	for i := range tasks {
		submitted[i] = time.Now()
		group.Go(func() error {
			_, err := noop.Submit(inner, m.client, padded(Item{ID: openFirstID + i}, m.Payload))
			return err
		})
		select {
		case <-inner.Done():
			return nil, group.Wait()
		case <-ticker.C:
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := m.awaitSucceeded(ctx, uint64(closedRounds+tasks)); err != nil {
		return nil, err
	}
	spans := make([]time.Duration, tasks)
	for i := range spans {
		end, ok := m.pace.endOf(openFirstID + i)
		if !ok {
			return nil, fmt.Errorf("task %d ended without its handler", i)
		}
		spans[i] = end.Sub(submitted[i])
	}
	return spans, nil
}
