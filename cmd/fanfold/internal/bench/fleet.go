package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// fleet is workers in this process.
type fleet struct {
	stop    context.CancelFunc
	ended   chan error
	workers int
	clients []*sdk.Client // their own
}

// fleetConfig says what the workers of a fleet are.
type fleetConfig struct {
	workers int
	// own: each has a client, and so a connection, of its own, as if it were a process.
	own    bool
	worker func(i int) sdk.WorkerConfig
	tasks  []sdk.Registrable
	// tasksOf, if not nil, are those of a worker in place of tasks.
	tasksOf func(i int) []sdk.Registrable
}

// fleet starts workers and returns when the cluster knows all of them.
func (m *machine) fleet(ctx context.Context, config fleetConfig) (*fleet, error) {
	before, err := m.counters(ctx)
	if err != nil {
		return nil, err
	}
	f := &fleet{ended: make(chan error, config.workers), workers: config.workers}
	var life context.Context
	life, f.stop = context.WithCancel(ctx)
	for i := range config.workers {
		client := m.client
		if config.own {
			if client, err = sdk.NewClient(sdk.ClientConfig{Addresses: m.cluster.Addresses()}); err != nil {
				return nil, errors.Join(err, f.end())
			}
			f.clients = append(f.clients, client)
		}
		cfg := config.worker(i)
		cfg.DrainTimeout = 5 * time.Second
		worker := sdk.NewWorker(client, cfg)
		tasks := config.tasks
		if config.tasksOf != nil {
			tasks = config.tasksOf(i)
		}
		worker.Register(tasks...)
		go func() { f.ended <- worker.Run(life) }()
	}
	want := before.GetSessionsOpened() + uint64(config.workers)
	if err := m.until(ctx, f, func() (bool, error) {
		counters, err := m.counters(ctx)
		return counters.GetSessionsOpened() >= want, err
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("the workers did not connect: %w", err), f.end())
	}
	return f, nil
}

// until waits for something, while the workers of f work.
func (m *machine) until(ctx context.Context, f *fleet, done func() (bool, error)) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-f.ended:
			f.workers--
			return fmt.Errorf("a worker ended: %w", err)
		case <-ticker.C:
		}
	}
}

// end lets the workers finish what they have.
func (f *fleet) end() error {
	f.stop()
	var all []error
	for range f.workers {
		all = append(all, <-f.ended)
	}
	for _, client := range f.clients {
		_ = client.Close()
	}
	return errors.Join(all...)
}

// one is a worker on some queues, with slots of their own.
func one(queues map[string]int) fleetConfig {
	return fleetConfig{
		workers: 1, tasks: []sdk.Registrable{echo},
		worker: func(int) sdk.WorkerConfig { return sdk.WorkerConfig{Queues: queues} },
	}
}

// drainOf measures how fast n tasks that wait are worked off, from the moment in which the fleet is there.
// paused are the queues that they wait in: they are paused while it connects. It leaves them paused, and
// returns how many have ended.
func (m *machine) drainOf(ctx context.Context, n int, config fleetConfig, paused ...string) (perSecond float64, ended int, err error) {
	for _, queue := range paused {
		if err := m.client.PauseQueue(ctx, queue); err != nil {
			return 0, 0, err
		}
	}
	f, err := m.fleet(ctx, config)
	if err != nil {
		return 0, 0, err
	}
	before, err := m.counters(ctx)
	if err != nil {
		return 0, 0, errors.Join(err, f.end())
	}
	started := time.Now()
	for _, queue := range paused {
		if err := m.client.ResumeQueue(ctx, queue); err != nil {
			return 0, 0, errors.Join(err, f.end())
		}
	}
	want := before.GetJobsSucceeded() + uint64(n)
	var took time.Duration
	err = m.until(ctx, f, func() (bool, error) {
		now, err := m.counters(ctx)
		took = time.Since(started)
		ended = int(now.GetJobsSucceeded() - before.GetJobsSucceeded())
		return now.GetJobsSucceeded() >= want, err
	})
	perSecond = rate(ended, took)
	for _, queue := range paused {
		err = errors.Join(err, m.client.PauseQueue(ctx, queue))
	}
	err = errors.Join(err, f.end())
	if after, asked := m.counters(ctx); asked == nil {
		ended = int(after.GetJobsSucceeded() - before.GetJobsSucceeded())
	}
	return perSecond, ended, err
}

// fill submits n tasks, in bulks, from a few goroutines so that the cluster never waits for the next.
func (m *machine) fill(ctx context.Context, n, payload int, opts ...sdk.SubmitOption) error {
	const hands = 3
	parts := make(chan int)
	ended := make(chan error, hands)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	for range hands {
		go func() {
			var err error
			for part := range parts {
				if err != nil {
					continue
				}
				items := make([]Item, part)
				for i := range items {
					items[i] = noisy(payload)
				}
				if _, err = sdk.SubmitBatch(inner, m.client, echo, items, opts...); err != nil {
					cancel()
				}
			}
			ended <- err
		}()
	}
	size := min(bulk, max(1, 4<<20/max(payload, 1)))
	for at := 0; at < n && inner.Err() == nil; at += size {
		parts <- min(size, n-at)
	}
	close(parts)
	var all []error
	for range hands {
		all = append(all, <-ended)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(all...)
}
