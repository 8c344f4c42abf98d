package bench

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
)

const (
	keyDrain     = "drain_per_s"
	keySubmit    = "submit_per_s"
	keyFillTasks = "fill_per_s" // of the submission of those who wait
	keySettle    = "settle_s"   // from its end until the nodes had nothing left to do, at most a minute

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
	below: "So many tasks wait in a queue, and the nodes have nothing else to do. Another 20,000 are submitted, and the first 20,000 drained; the latency is of tasks of another queue, one for each client at a time.",
	axis:  plot.Axis{Label: "tasks waiting", Log: true},
	panels: []panel{
		{label: "throughput (tasks/s)", keys: []string{keyDrain, keySubmit, keyRate, keyFillTasks}, names: []string{"drain", "bulk submit", "the other queue", "submission of those who wait"}},
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
	values := Values{}
	if missing := x - *waiting; missing > 0 {
		m.Note("backlog: submitting %d", missing)
		started := time.Now()
		if err := m.fill(ctx, missing, m.Payload); err != nil {
			return nil, err
		}
		values[keyFillTasks] = rate(missing, time.Since(started))
		*waiting = x
	}
	settled, err := m.settle(ctx)
	if err != nil {
		return nil, err
	}
	values[keySettle] = settled.Seconds()
	started := time.Now()
	if err := m.fill(ctx, sample, m.Payload); err != nil {
		return nil, err
	}
	values[keySubmit] = rate(sample, time.Since(started))
	*waiting += sample
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
	maps.Copy(side, values)
	return side, nil
}

// settle waits until the nodes have nothing left to do, and says how long that took: what was submitted is flushed and
// merged while clients wait for nothing any more.
func (m *machine) settle(ctx context.Context) (time.Duration, error) {
	const (
		longest = time.Minute
		idle    = 0.05 // of a processor
	)
	started := time.Now()
	for time.Since(started) < longest {
		before, at := m.cpu(), time.Now()
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(min(m.Span, time.Second)):
		}
		if m.cpu()-before < idle*time.Since(at).Seconds() {
			break
		}
	}
	return time.Since(started), nil
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
