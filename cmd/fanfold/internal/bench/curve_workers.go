package bench

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
	"github.com/fanfold/fanfold/sdk"
)

// workersCurve is what many workers cost on one queue, each with a connection and a session of its own.
var workersCurve = &curve{
	name: "workers", title: "Workers",
	below:  "So many workers, each with its own connection, serve one queue with 256 slots in all, or one each. First a drain, then one task for each client at a time.",
	axis:   plot.Axis{Label: "workers", Log: true},
	panels: drainPanels, to: 1000, bound: 5 * time.Minute, sizes: from(1, 3.1623),
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		return func(ctx context.Context, m *machine, x float64) (Values, error) {
			config := manyWorkers(int(x), max(1, slotsInAll/int(x)), echo)
			if err := m.fill(ctx, m.drainSize(), m.Payload); err != nil {
				return nil, err
			}
			drained, _, err := m.drainOf(ctx, m.drainSize(), config, "default")
			if err != nil {
				return nil, err
			}
			if err := m.client.ResumeQueue(ctx, "default"); err != nil {
				return nil, err
			}
			f, err := m.fleet(ctx, config)
			if err != nil {
				return nil, err
			}
			defer f.end()
			values, err := m.loop(ctx, m.Clients, m.Payload, plain)
			if err == nil {
				values[keyDrain] = drained
			}
			return values, err
		}
	},
}

// manyWorkers are workers on the default queue, each as if it were a process.
func manyWorkers(n, slots int, tasks ...sdk.Registrable) fleetConfig {
	return fleetConfig{
		workers: n, own: true, tasks: tasks,
		worker: func(int) sdk.WorkerConfig { return sdk.WorkerConfig{Queues: map[string]int{"default": slots}} },
	}
}
