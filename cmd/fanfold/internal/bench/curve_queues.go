package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
	"github.com/fanfold/fanfold/sdk"
)

const (
	// queuesOfWorker is how many queues a worker serves; the API's limit is 256.
	queuesOfWorker = 250
	// slotsInAll is what the workers of a fleet share, where a point has many of them.
	slotsInAll = 256
)

// queuesCurve is what many queues cost that have work in them.
var queuesCurve = &curve{
	name: "queues", title: "Queues",
	below:  "Tasks are spread over so many queues; a worker with shared slots for each 250 of them. First a drain, then one task for each client at a time.",
	axis:   plot.Axis{Label: "queues", Log: true},
	panels: drainPanels, to: 10_000, bound: 5 * time.Minute, sizes: from(1, 10),
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		return func(ctx context.Context, m *machine, x float64) (Values, error) { return m.queuesPoint(ctx, int(x)) }
	},
}

func queueName(i int) string { return fmt.Sprintf("queue-%05d", i) }

func (m *machine) queuesPoint(ctx context.Context, queues int) (Values, error) {
	n := m.drainSize()
	m.Note("queues: submitting %d to %d queues", max(n, queues), queues)
	if err := m.spread(ctx, n, queues); err != nil {
		return nil, err
	}
	workers := (queues + queuesOfWorker - 1) / queuesOfWorker
	config := fleetConfig{workers: workers, tasks: []sdk.Registrable{echo}, worker: func(i int) sdk.WorkerConfig {
		served := map[string]int{}
		for q := i * queuesOfWorker; q < min((i+1)*queuesOfWorker, queues); q++ {
			served[queueName(q)] = 1
		}
		return sdk.WorkerConfig{Queues: served, Slots: max(1, slotsInAll/workers)}
	}}
	// The fleet begins at once: pausing thousands of queues would be a benchmark of its own.
	before, err := m.counters(ctx)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	f, err := m.fleet(ctx, config)
	if err != nil {
		return nil, err
	}
	defer f.end()
	want := before.GetJobsSucceeded() + uint64(max(n, queues))
	if err := m.until(ctx, f, func() (bool, error) {
		now, err := m.counters(ctx)
		return now.GetJobsSucceeded() >= want, err
	}); err != nil {
		return nil, err
	}
	drained := rate(max(n, queues), time.Since(started))
	opts := make([][]sdk.SubmitOption, queues)
	for i := range opts {
		opts[i] = []sdk.SubmitOption{sdk.Queue(queueName(i))}
	}
	values, err := m.loop(ctx, m.Clients, m.Payload, func(int, int) []sdk.SubmitOption { return opts[rand.IntN(queues)] })
	if err == nil {
		values[keyDrain] = drained
	}
	return values, err
}

// spread submits n tasks to queues, at least one to each.
func (m *machine) spread(ctx context.Context, n, queues int) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(64)
	for q := range queues {
		group.Go(func() error {
			return m.fill(inner, max(1, (q+1)*n/queues-q*n/queues), m.Payload, sdk.Queue(queueName(q)))
		})
	}
	return group.Wait()
}
