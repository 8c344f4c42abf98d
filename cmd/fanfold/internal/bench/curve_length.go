package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
)

// keptRate is how much of the first minute's rate the last must have.
const keptRate = 0.9

// lengthCurve is whether a cluster becomes slower while it works: its state grows by the jobs that have
// ended, and are kept.
var lengthCurve = &curve{
	name: "length", title: "Length of a run",
	below: "Each client submits one task and waits for its result, then the next, for all the time; each dot is a minute. Jobs that have ended stay.",
	axis:  plot.Axis{Label: "minutes"}, panels: usualPanels,
	to: 30, bound: 45 * time.Minute, byName: true,
	whole: func(ctx context.Context, m *machine, to float64, add func(Point)) error {
		return m.lengthOf(ctx, to, add)
	},
	judges: func(points []Point) []Verdict {
		first, last, ok := ends(points, keyRate)
		if !ok {
			return nil
		}
		ratio := last / first
		return []Verdict{{
			Aim: fmt.Sprintf("the last minute at least %g of the first", keptRate), Value: ratio, Unit: "of its rate", Held: ratio >= keptRate,
		}}
	},
}

// ends are the first and the last value of a curve in which nothing is missing.
func ends(points []Point, key string) (first, last float64, ok bool) {
	if len(points) < 2 {
		return 0, 0, false
	}
	for _, p := range points {
		if _, measured := p.Values[key]; !measured {
			return 0, 0, false
		}
	}
	first, last = points[0].Values[key], points[len(points)-1].Values[key]
	return first, last, first > 0
}

func (m *machine) lengthOf(ctx context.Context, minutes float64, add func(Point)) error {
	f, err := m.fleet(ctx, one(map[string]int{"default": m.Clients}))
	if err != nil {
		return err
	}
	defer f.end()
	n := max(2, int(math.Round(minutes)))
	width := time.Duration(minutes * float64(time.Minute) / float64(n))
	t := newTally(time.Now().Add(min(width/2, 10*time.Second)), width, n) // the warm-up would make the first minute slow, and the verdict mild
	life, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- closed(life, m.Clients, t, func(ctx context.Context, _, _ int) error { return m.echo(ctx, m.Payload) })
	}()
	for i := range n {
		if err := sleep(ctx, time.Until(t.begin.Add(width*time.Duration(i)))); err != nil {
			return err
		}
		meter, err := m.meter(ctx)
		if err != nil {
			return err
		}
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
			ended <- nil // the last slice may be over already
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Until(t.begin.Add(width * time.Duration(i+1)))):
		}
		values := t.values(i)
		if err := meter.read(ctx, values); err != nil {
			return err
		}
		add(Point{X: float64(i+1) * width.Minutes(), Values: values, Seconds: width.Seconds()})
	}
	return <-ended
}
