package bench

import (
	"context"
	"time"
)

// drain measures how fast waiting tasks are worked off.
func drain(ctx context.Context, m *machine) ([]Value, error) {
	tasks := m.Tasks
	if tasks == 0 {
		tasks = 20_000
	}
	if err := preload(ctx, m, 0, tasks); err != nil {
		return nil, err
	}
	before := m.cpu()
	span, err := m.drainAll(ctx, tasks)
	if err != nil {
		return nil, err
	}
	values := []Value{{"drain", rate(tasks, span), "tasks/s"}}
	if readable() {
		values = append(values, Value{"server CPU per task", (m.cpu() - before) / float64(tasks) * 1e6, "us"})
	}
	return values, nil
}

// drainAll starts the worker and waits until the cluster has ended so many jobs in all.
func (m *machine) drainAll(ctx context.Context, jobs int) (time.Duration, error) {
	started := time.Now()
	m.work(ctx)
	if err := m.awaitSucceeded(ctx, uint64(jobs)); err != nil {
		return 0, err
	}
	return time.Since(started), nil
}
