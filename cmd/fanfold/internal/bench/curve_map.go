package bench

import (
	"context"
	"sync"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
	"github.com/fanfold/fanfold/sdk"
)

const keyMapSeconds = "map_and_fold_s"

// sideClients is how many clients measure the latency of single tasks beside a map.
const sideClients = 2

// mapCurve is a map and its fold, and what single tasks feel of it.
var mapCurve = &curve{
	name: "map", title: "Size of a map",
	below: "A map over so many small items and its fold, again and again; 256 slots. The latency is of single tasks of another queue meanwhile, two at a time.",
	axis:  plot.Axis{Label: "items", Log: true},
	panels: []panel{
		{label: "throughput (items/s)", keys: []string{keyRate}, names: []string{"items/s"}},
		latencyPanel, memoryPanel,
		{label: "log for an item (bytes)", keys: []string{keyLog}, names: []string{"bytes"}},
		{label: "map and fold (s)", keys: []string{keyMapSeconds}, names: []string{"median"}},
	},
	to: 1_000_000, bound: 6 * time.Minute, sizes: from(1, 10),
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		return func(ctx context.Context, m *machine, x float64) (Values, error) { return m.mapPoint(ctx, int(x)) }
	},
}

func (m *machine) mapPoint(ctx context.Context, n int) (Values, error) {
	f, err := m.fleet(ctx, fleetConfig{workers: 1, tasks: []sdk.Registrable{echo, spec, each, sum}, worker: func(int) sdk.WorkerConfig {
		return sdk.WorkerConfig{Queues: map[string]int{"default": slotsInAll, "side": sideClients}}
	}})
	if err != nil {
		return nil, err
	}
	defer f.end()
	meter, err := m.meter(ctx)
	if err != nil {
		return nil, err
	}
	m.Payload = 0                              // small items: a list of a million has to fit in a value
	side := newTally(time.Now(), time.Hour, 1) // until it is stopped
	life, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	var sideErr error
	beside.Go(func() {
		sideErr = closed(life, sideClients, side, func(ctx context.Context, _, _ int) error { return m.echo(ctx, 200, sdk.Queue("side")) })
	})
	var spans []time.Duration
	for started := time.Now(); len(spans) == 0 || time.Since(started) < m.Span; {
		var span time.Duration
		if span, err = m.mapOf(ctx, n); err != nil {
			break
		}
		spans = append(spans, span)
	}
	stopped := life.Err() == nil && sideErr == nil
	stop()
	beside.Wait()
	if err != nil {
		return nil, err
	}
	if !stopped {
		return nil, sideErr
	}
	values := side.values(0)
	if err := meter.read(ctx, values); err != nil {
		return nil, err
	}
	total := time.Duration(0)
	for _, s := range spans {
		total += s
	}
	values[keyRate] = rate(n*len(spans), total)
	values[keyMapSeconds] = quantile(spans, 0.5) / 1000
	return values, nil
}
