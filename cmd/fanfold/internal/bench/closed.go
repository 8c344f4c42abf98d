package bench

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fanfold/fanfold/sdk"
)

// tally is what ended in each slice of a time.
type tally struct {
	begin time.Time
	width time.Duration

	mu    sync.Mutex
	ended []int             // in each slice
	spans [][]time.Duration // of those; in the last one also of those that were under way at its end
}

func newTally(begin time.Time, width time.Duration, slices int) *tally {
	return &tally{begin: begin, width: width, ended: make([]int, slices), spans: make([][]time.Duration, slices)}
}

func (t *tally) end() time.Time { return t.begin.Add(t.width * time.Duration(len(t.ended))) }

// add counts a task by the time of its end. What ended before the begin was to warm up. What ends after
// the last slice does not count for its rate, and does for its latency: leaving out those that the
// cluster was slowest with would make it look fast.
func (t *tally) add(started, ended time.Time) {
	if ended.Before(t.begin) {
		return
	}
	i := int(ended.Sub(t.begin) / t.width)
	t.mu.Lock()
	defer t.mu.Unlock()
	if i < len(t.ended) {
		t.ended[i]++
	}
	i = min(i, len(t.spans)-1)
	t.spans[i] = append(t.spans[i], ended.Sub(started))
}

// values of a slice; its latencies are forgotten.
func (t *tally) values(slice int) Values {
	t.mu.Lock()
	spans, ended := t.spans[slice], t.ended[slice]
	t.spans[slice] = nil
	t.mu.Unlock()
	v := Values{keyRate: rate(ended, t.width)}
	if len(spans) > 0 {
		v[keyP50], v[keyP99] = quantile(spans, 0.5), quantile(spans, 0.99)
	}
	return v
}

// warmUp is how long a load goes on before it is measured.
func warmUp(span time.Duration) time.Duration { return min(span/4, 2*time.Second) }

// closed keeps clients at work, each with one task at a time from submit to result, until the tally ends.
func closed(ctx context.Context, clients int, t *tally, one func(ctx context.Context, client, i int) error) error {
	group, inner := errgroup.WithContext(ctx)
	end := t.end()
	for client := range clients {
		group.Go(func() error {
			for i := 0; ; i++ {
				started := time.Now()
				if !started.Before(end) {
					return nil
				}
				if err := one(inner, client, i); err != nil {
					return err
				}
				t.add(started, time.Now())
			}
		})
	}
	return group.Wait()
}

// loop is the load of most curves: so many clients, each with one task at a time, for the time of a
// point. opts says what a client gives with a task.
func (m *machine) loop(ctx context.Context, clients, payload int, opts func(client, i int) []sdk.SubmitOption) (Values, error) {
	meter, err := m.meter(ctx)
	if err != nil {
		return nil, err
	}
	t := newTally(time.Now().Add(warmUp(m.Span)), m.Span, 1)
	err = closed(ctx, clients, t, func(ctx context.Context, client, i int) error {
		return m.echo(ctx, payload, opts(client, i)...)
	})
	values := t.values(0)
	if told := meter.read(ctx, values); err == nil {
		err = told
	}
	return values, err
}

// echo is one task from submit to result.
func (m *machine) echo(ctx context.Context, payload int, opts ...sdk.SubmitOption) error {
	job, err := echo.Submit(ctx, m.client, noisy(payload), opts...)
	if err != nil {
		return err
	}
	_, err = job.Await(ctx)
	return err
}

func plain(int, int) []sdk.SubmitOption { return nil }

// onQueue sends everything to one queue.
func onQueue(name string) func(int, int) []sdk.SubmitOption {
	opts := []sdk.SubmitOption{sdk.Queue(name)}
	return func(int, int) []sdk.SubmitOption { return opts }
}

// echo does nothing but return a small result.
var echo = sdk.NewTask("bench.echo", func(_ context.Context, item Item) (Done, error) { return Done{ID: item.ID}, nil })

// noise is text that does not compress, so that a payload is on the disk as large as it is said to be.
var noise = func() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}()

// noisy is an item of so many bytes of JSON.
func noisy(bytes int) Item {
	const empty = len(`{"id":0,"pad":""}`)
	n := min(max(bytes-empty, 0), len(noise)/2)
	at := rand.IntN(len(noise) - n)
	return Item{Pad: noise[at : at+n]}
}
