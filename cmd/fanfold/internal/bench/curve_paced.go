package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/plot"
	"github.com/fanfold/fanfold/sdk"
)

const (
	keyP999   = "p999_ms"
	keyMax    = "max_ms"
	keyFailed = "not_taken"
	keySent   = "sent_per_s"
)

// pacedCurve is the latency at a steady rate. Clients that wait for an answer before they send the next
// task (closed) slow down with the cluster, and so hide its pauses: coordinated omission. Here each task
// has a time at which it is due, whatever became of those before it, and its latency begins then.
var pacedCurve = &curve{
	name: "paced", title: "Latency at a steady rate",
	below: "Single tasks come at so many a second for the time of a point. The latency goes from when a task was due to be sent to the end of its function: what is sent late counts.",
	axis:  plot.Axis{Label: "tasks/s that come", Log: true},
	panels: []panel{
		{label: "done while they came (tasks/s)", keys: []string{keyRate}, names: []string{"tasks/s"}},
		{label: "due to handler's end (ms)", keys: []string{keyP50, keyP99, keyMax}, names: []string{"median", "99th percentile", "slowest"}},
		memoryPanel, logPanel,
	},
	nodes: 3, to: 20_000, bound: 5 * time.Minute, sizes: from(625, 2),
	begin: func() func(context.Context, *machine, float64) (Values, error) {
		return func(ctx context.Context, m *machine, x float64) (Values, error) { return m.pacedPoint(ctx, x) }
	},
}

// schedule is tasks that are due one after another.
type schedule struct {
	begin time.Time
	every time.Duration
	ended []atomic.Int64 // since begin, by number; 0: not yet, negative: it was not taken
	left  sync.WaitGroup
}

func newSchedule(perSecond float64, tasks int) *schedule {
	s := &schedule{every: time.Duration(float64(time.Second) / perSecond), ended: make([]atomic.Int64, tasks)}
	s.left.Add(tasks)
	return s
}

func (s *schedule) due(i int) time.Time { return s.begin.Add(time.Duration(i) * s.every) }

// over notes the end of a task. Of one that ran twice, or was refused and ran, the first end counts.
func (s *schedule) over(i int, since time.Duration) {
	if s.ended[i].CompareAndSwap(0, int64(since)) {
		s.left.Done()
	}
}

// values are those of the tasks from the first one that counts.
func (s *schedule) values(first int) Values {
	var spans []time.Duration
	inTime := 0
	last := time.Duration(len(s.ended)) * s.every
	from := time.Duration(first) * s.every
	for i := first; i < len(s.ended); i++ {
		ended := time.Duration(s.ended[i].Load())
		if ended > 0 {
			spans = append(spans, ended-time.Duration(i)*s.every)
		}
	}
	for i := range s.ended {
		if ended := time.Duration(s.ended[i].Load()); ended > 0 && ended >= from && ended < last {
			inTime++
		}
	}
	return Values{
		keyRate: rate(inTime, last-from), keyP50: quantile(spans, 0.5), keyP99: quantile(spans, 0.99),
		keyP999: quantile(spans, 0.999), keyMax: quantile(spans, 1),
	}
}

func (m *machine) pacedPoint(ctx context.Context, perSecond float64) (Values, error) {
	warm := int(warmUp(m.Span).Seconds() * perSecond)
	s := newSchedule(perSecond, warm+int(m.Span.Seconds()*perSecond))
	task := sdk.NewTask("bench.paced", func(_ context.Context, item Item) (Done, error) {
		s.over(item.ID, max(time.Since(s.begin), 1))
		return Done{ID: item.ID}, nil
	})
	f, err := m.fleet(ctx, fleetConfig{workers: 1, tasks: []sdk.Registrable{task}, worker: func(int) sdk.WorkerConfig {
		return sdk.WorkerConfig{Queues: map[string]int{"default": 2 * slotsInAll}}
	}})
	if err != nil {
		return nil, err
	}
	defer f.end()
	meter, err := m.meter(ctx)
	if err != nil {
		return nil, err
	}
	var failed atomic.Int64
	var firstErr atomic.Pointer[error]
	s.begin = time.Now()
	for i := range s.ended {
		if wait := time.Until(s.due(i)); wait > 0 {
			time.Sleep(wait)
		}
		item := noisy(m.Payload)
		item.ID = i
		go func() {
			if _, err := task.Submit(ctx, m.client, item); err != nil {
				failed.Add(1)
				firstErr.CompareAndSwap(nil, &err)
				s.over(i, -1)
			}
		}()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	sent := time.Since(s.begin)
	all := make(chan struct{})
	go func() {
		s.left.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	values := s.values(warm)
	if n := failed.Load(); n > 0 {
		values[keyFailed] = float64(n)
		m.Note("paced: %d were not taken: %v", n, *firstErr.Load())
	}
	values[keySent] = rate(len(s.ended), sent)
	if err := meter.read(ctx, values); err != nil {
		return nil, err
	}
	if values[keyFailed] == float64(len(s.ended)) {
		return nil, fmt.Errorf("nothing was taken: %w", *firstErr.Load())
	}
	return values, nil
}
