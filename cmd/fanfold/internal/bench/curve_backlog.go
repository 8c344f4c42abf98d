package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
)

const (
	keyDrain  = "drain_per_s"
	keySubmit = "submit_per_s"

	// deepBacklog is the largest that Fanfold is to hold, and deepMemory in how much.
	deepBacklog = 10_000_000
	deepMemory  = 1024
	// evenPart is how much of the rate with little waiting must be left.
	evenPart = 0.8
	// littleWaits is a backlog against which the others are judged.
	littleWaits = 10_000
)

// backlogCurve is whether those who wait cost those who work.
var backlogCurve = &curve{
	name: "backlog", title: "Tasks that wait",
	below: "So many tasks wait in a queue. The drain is of its first 20,000; the latency is of tasks of another queue, one for each client at a time.",
	axis:  plot.Axis{Label: "tasks waiting", Log: true},
	panels: []panel{
		{label: "throughput (tasks/s)", keys: []string{keyDrain, keySubmit, keyRate}, names: []string{"drain", "bulk submit", "the other queue"}},
		latencyPanel,
		{label: memoryPanel.label, keys: memoryPanel.keys, names: memoryPanel.names, aim: deepMemory, aimName: "at most 1 GiB"},
		logPanel,
	},
	to: 1_000_000, bound: 10 * time.Minute, sizes: fromZero(1000, 10), together: true,
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		waiting := 0
		return func(ctx context.Context, m *machine, x float64) (Values, error) {
			return m.backlogPoint(ctx, int(x), &waiting)
		}
	},
	judges: func(points []Point) (all []Verdict) {
		little, deep := pointAt(points, littleWaits), pointAt(points, deepBacklog)
		if little == nil || deep == nil {
			return nil
		}
		for _, m := range []struct{ key, name string }{{keyDrain, "drain"}, {keySubmit, "bulk submit"}, {keyRate, "the other queue"}} {
			ratio := deep[m.key] / little[m.key]
			all = append(all, Verdict{
				Aim:   fmt.Sprintf("%s with %s waiting at least %g of that with %s", m.name, plot.SI(deepBacklog), evenPart, plot.SI(littleWaits)),
				Value: ratio, Unit: "of its rate", Held: ratio >= evenPart,
			})
		}
		return append(all, Verdict{
			Aim: fmt.Sprintf("resident size with %s waiting under 1 GiB", plot.SI(deepBacklog)), Value: deep[keyRSS], Unit: "MiB", Held: deep[keyRSS] < deepMemory,
		})
	},
}

// drainSize is of how many tasks a drain is measured. At the usual 5 s of a point it is 20,000.
func (m *machine) drainSize() int {
	return max(100, int(20_000*min(1, m.Span.Seconds()/5)))
}

func (m *machine) backlogPoint(ctx context.Context, x int, waiting *int) (Values, error) {
	meter, err := m.meter(ctx)
	if err != nil {
		return nil, err
	}
	sample := m.drainSize()
	missing := max(x+sample-*waiting, 0)
	m.Note("backlog: submitting %d", missing)
	started := time.Now()
	if err := m.fill(ctx, missing, m.Payload); err != nil {
		return nil, err
	}
	values := Values{keySubmit: rate(missing, time.Since(started))}
	*waiting += missing
	perSecond, ended, err := m.drainOf(ctx, sample, one(map[string]int{"default": m.Clients}), "default")
	if err != nil {
		return nil, err
	}
	*waiting -= ended
	values[keyDrain] = perSecond
	f, err := m.fleet(ctx, one(map[string]int{"side": m.Clients}))
	if err != nil {
		return nil, err
	}
	defer f.end()
	side, err := m.loop(ctx, m.Clients, m.Payload, onQueue("side"))
	if err != nil {
		return nil, err
	}
	whole := Values{}
	if err := meter.read(ctx, whole); err != nil {
		return nil, err
	}
	side[keyRSS], side[keyAnon] = whole[keyRSS], whole[keyAnon] // the largest of all three parts
	side[keyDrain], side[keySubmit] = values[keyDrain], values[keySubmit]
	return side, nil
}

// pointAt are the values at a size; nil when it was not measured.
func pointAt(points []Point, x float64) Values {
	for _, p := range points {
		if p.X == x {
			return p.Values
		}
	}
	return nil
}
