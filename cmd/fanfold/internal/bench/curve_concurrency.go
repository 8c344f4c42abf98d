package bench

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
)

// concurrencyCurve is how throughput and latency change with the number of tasks at once.
var concurrencyCurve = &curve{
	name: "concurrency", title: "Tasks at once",
	below: "Each of so many clients submits one task and waits for its result, then the next; a worker has as many slots.",
	axis:  plot.Axis{Label: "clients", Log: true}, panels: usualPanels,
	to: 4096, bound: 3 * time.Minute, sizes: from(1, 4),
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		return func(ctx context.Context, m *machine, x float64) (Values, error) {
			f, err := m.fleet(ctx, one(map[string]int{"default": int(x)}))
			if err != nil {
				return nil, err
			}
			defer f.end()
			return m.loop(ctx, int(x), m.Payload, plain)
		}
	},
}
